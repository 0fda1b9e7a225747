/*
 * The brake on guesses of the token: a client that was wrong too often is not compared any more
 * for a while.
 *
 * A client is an address, and on this machine a user too, so that one user's guesses do not keep
 * another user out. Each wrong token costs PA_GUESSES_PERIOD_NS; a client may be PA_GUESSES_BURST
 * of them ahead.
 *
 * Context: PA_AGENT, any worker. Lock: PA_LOCK_GUESSES. When full: the client whose guesses are
 * the oldest is forgotten.
 */
#ifndef PA_GUESSES_H
#define PA_GUESSES_H

#include "../base/base.h"

#define PA_GUESSES_CLIENTS 64
#define PA_GUESSES_BURST 20
#define PA_GUESSES_PERIOD_NS (PA_NS_PER_S / 2)

struct pa_guesser {
	uint32_t address; /* IPv4, network order */
	int64_t uid;      /* or PA_PEER_UNKNOWN */
};

/* False: not now. now_ns: CLOCK_MONOTONIC. */
PA_AGENT bool pa_guesses_may_try(const struct pa_guesser *guesser, int64_t now_ns);

/* Its token was wrong. */
PA_AGENT void pa_guesses_was_wrong(const struct pa_guesser *guesser, int64_t now_ns);

/* True when there was no wrong guess lately: pa_guesses_may_try is true for every client. */
PA_AGENT bool pa_guesses_are_none(int64_t now_ns);

/* In a forked child: its threads are gone, one of them may have held the lock. */
PA_BOOT void pa_guesses_reset(void);

#endif
