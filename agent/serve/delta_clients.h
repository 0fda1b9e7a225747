/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delta clients: the last snapshot given to each client, from which its next delta is computed.
 *
 * A client is an address plus a User-Agent, because scrapers open a connection for each request.
 * While a client of block or mutex is known, that kind is recorded, sampled, whatever the settings
 * say.
 *
 * A client is known for PA_DELTA_CLIENTS_PERIODS periods after its last request. Its period is the
 * time between its last two requests, clamped to the limits below; PA_DELTA_CLIENTS_PERIOD_FIRST_NS
 * after the first request. The name and the time of the last request stay while the table has room,
 * so a client with a long period is known for long enough from its second request on.
 *
 * Context: PA_AGENT, the render thread only; pa_delta_clients_name (pure), pa_delta_clients_stats
 * and pa_delta_clients_drop_oldest on any of our threads. Lock: PA_LOCK_CLIENTS; the mailbox's lock
 * is taken under it. pa_delta_clients_keep passes ownership of the snapshot to this module, which
 * charges it to the budget (client_budget.h). When the table is full: the client silent for longest
 * is forgotten and starts anew. When the budget is full: the oldest snapshot is freed, and its
 * client's next delta begins as that of a new one.
 */
#ifndef PA_DELTA_CLIENTS_H
#define PA_DELTA_CLIENTS_H

#include "../profile/snapshot.h"
#include "request.h"

#define PA_DELTA_CLIENTS_MAX 8 /* per kind */
#define PA_DELTA_CLIENTS_NAME_BYTES 256

#define PA_DELTA_CLIENTS_PERIODS 3
/* Scrapers ask every 10-15 s (Parca, Grafana Alloy, Pyroscope) or every minute (Prometheus). The
 * minimum keeps a retry soon after a failed request from shortening the period. */
#define PA_DELTA_CLIENTS_PERIOD_MIN_NS (15 * PA_NS_PER_S)
#define PA_DELTA_CLIENTS_PERIOD_FIRST_NS (60 * PA_NS_PER_S)
#define PA_DELTA_CLIENTS_PERIOD_MAX_NS (5 * 60 * PA_NS_PER_S)

struct pa_client {
	char name[PA_DELTA_CLIENTS_NAME_BYTES]; /* address, newline, as much of the User-Agent as
						 * fits */
};

PA_AGENT struct pa_client pa_delta_clients_name(const struct pa_request *request);

/*
 * Registers a request of the client for the kind; now_ns is CLOCK_MONOTONIC. Returns the client's
 * last snapshot, valid until pa_delta_clients_keep; NULL: none. Each call needs one
 * pa_delta_clients_keep.
 */
PA_AGENT const struct pa_snapshot *pa_delta_clients_last(const struct pa_profile_ops *kind,
	const struct pa_client *client, int64_t now_ns);

/*
 * After pa_delta_clients_last returned NULL: the latest snapshot that any client of the kind has,
 * valid until pa_delta_clients_keep. A scraper that moves to another host goes on where its
 * predecessor stopped, and what the program did before is not told twice. NULL: none.
 */
PA_AGENT const struct pa_snapshot *pa_delta_clients_latest(const struct pa_profile_ops *kind);

/* Replaces the client's last snapshot. NULL: the request failed, the previous snapshot stays. */
PA_AGENT void pa_delta_clients_keep(const struct pa_profile_ops *kind,
	const struct pa_client *client, struct pa_snapshot *snapshot);

/* Forgets silent clients. Returns ns until the next one is due; -1: none is known. */
PA_AGENT int64_t pa_delta_clients_expire(int64_t now_ns);

/* Frees the snapshot of the client silent for longest, of any kind, except those being answered.
 * False: there is none. */
PA_AGENT bool pa_delta_clients_drop_oldest(void);

struct pa_delta_clients_stats {
	size_t known;     /* a client counts once per kind */
	uint64_t dropped; /* snapshots dropped because the budget was full */
};
PA_AGENT struct pa_delta_clients_stats pa_delta_clients_stats(void);

/* In a forked child, before a kind is recorded for a client: forgets all clients. */
PA_BOOT void pa_delta_clients_reset(void);

#endif
