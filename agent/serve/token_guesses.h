/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rate limit for wrong tokens: a client that sent too many is refused without a comparison for a
 * while.
 *
 * A client is an address, on this machine also a user, so that one user's guesses do not lock
 * another user out. Each wrong token costs PA_TOKEN_GUESSES_PERIOD_NS; a client may be
 * PA_TOKEN_GUESSES_BURST of them ahead.
 *
 * Context: PA_AGENT, any worker. Lock: PA_LOCK_GUESSES. When full: the entry with the oldest
 * guesses is replaced.
 */
#ifndef PA_TOKEN_GUESSES_H
#define PA_TOKEN_GUESSES_H

#include <netinet/in.h>

#include "../base/base.h"

#define PA_TOKEN_GUESSES_CLIENTS 64
#define PA_TOKEN_GUESSES_BURST 20
#define PA_TOKEN_GUESSES_PERIOD_NS (PA_NS_PER_S / 2)

struct pa_token_guesser {
	struct in6_addr address; /* IPv4 as mapped; of IPv6 the network */
	int64_t uid;             /* or PA_PEER_UNKNOWN */
};

/* False: too many wrong tokens. now_ns: CLOCK_MONOTONIC. */
PA_AGENT bool pa_token_guesses_may_try(const struct pa_token_guesser *guesser, int64_t now_ns);

/* Charges a wrong token. */
PA_AGENT void pa_token_guesses_was_wrong(const struct pa_token_guesser *guesser, int64_t now_ns);

/*
 * True if no client has an unpaid wrong token: pa_token_guesses_may_try is true for every client.
 */
PA_AGENT bool pa_token_guesses_are_none(int64_t now_ns);

/* In a forked child: clears the table and the lock, which a thread of the parent may have held. */
PA_BOOT void pa_token_guesses_reset(void);

#endif
