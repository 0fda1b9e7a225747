/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory budget for everything that is kept for clients, so that the agent's memory does not grow
 * with their number: snapshots of delta clients, first snapshots of deltas with ?seconds=N, flight
 * recorder traces, profiles to be merged, buffers of render jobs.
 *
 * Two shares, so that data kept for long cannot stop responses from being written: render jobs have
 * PA_CLIENT_BUDGET_JOBS_BYTES, everything else together PA_CLIENT_BUDGET_KEPT_BYTES. Sizes are
 * those of mappings, in whole pages.
 *
 * Context: PA_AGENT, any of our threads. No lock; pa_client_budget_take may call the function
 * registered by pa_client_budget_evict, which takes its own locks. When full: take evicts delta
 * snapshots, then returns false and counts a refusal.
 */
#ifndef PA_CLIENT_BUDGET_H
#define PA_CLIENT_BUDGET_H

#include "../base/base.h"

#define PA_CLIENT_BUDGET_KEPT_BYTES ((size_t)10 << 20)
#define PA_CLIENT_BUDGET_JOBS_BYTES ((size_t)6 << 20)

enum pa_client_budget_use {
	PA_CLIENT_BUDGET_DELTAS,  /* last snapshot of each delta client */
	PA_CLIENT_BUDGET_WAITING, /* first snapshots of deltas with ?seconds=N */
	PA_CLIENT_BUDGET_FLIGHT,  /* flight recorder traces */
	PA_CLIENT_BUDGET_TREES,   /* profiles of descendants, to be merged */
	PA_CLIENT_BUDGET_JOBS,    /* buffers of render jobs */
	PA_CLIENT_BUDGET_USES
};

/* True: bytes are charged until they are given back. False: no room, and nothing left to evict. */
PA_AGENT bool pa_client_budget_take(enum pa_client_budget_use use, size_t bytes);

/* bytes: at most what was taken for this use. */
PA_APP void pa_client_budget_give(enum pa_client_budget_use use, size_t bytes);

/* Registers the function that take calls when the kept share is full. It gives back some bytes of
 * PA_CLIENT_BUDGET_DELTAS and returns true; false if nothing is left. */
PA_AGENT void pa_client_budget_evict(bool (*evict)(void));

struct pa_client_budget_stats {
	size_t used[PA_CLIENT_BUDGET_USES]; /* bytes charged now */
	size_t peak;                        /* highest sum of all uses so far */
	uint64_t refused;                   /* takes that failed */
};
PA_AGENT struct pa_client_budget_stats pa_client_budget_stats(void);

/* Gives back everything taken for a use. For resets, when its owners are gone. */
PA_BOOT void pa_client_budget_forget(enum pa_client_budget_use use);

#endif
