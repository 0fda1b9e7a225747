/* SPDX-License-Identifier: Apache-2.0 */
#include "client_budget.h"

#include "../arch/arch.h"
#include "../base/atomic.h"

enum share { KEPT, JOBS, SHARES };

static const size_t limits[SHARES] = { PA_CLIENT_BUDGET_KEPT_BYTES, PA_CLIENT_BUDGET_JOBS_BYTES };

/* All accesses are relaxed: no memory is published through these counters. */
static struct {
	PA_ATOMIC(size_t) taken[SHARES]; /* compared with limits[] */
	/* statistics only */
	PA_ATOMIC(size_t) used[PA_CLIENT_BUDGET_USES];
	PA_ATOMIC(size_t) peak;
	PA_ATOMIC(uint64_t) refused;
	bool (*evict)(void); /* NULL: none; written before other threads exist */
} state;

static enum share share_of(enum pa_client_budget_use use)
{
	return use == PA_CLIENT_BUDGET_JOBS ? JOBS : KEPT;
}

static size_t whole_pages(size_t bytes)
{
	return PA_ALIGN_UP(bytes, PA_PAGE_BYTES);
}

static void note_peak(void)
{
	size_t now = pa_load_relaxed(&state.taken[KEPT]) + pa_load_relaxed(&state.taken[JOBS]);
	size_t seen = pa_load_relaxed(&state.peak);

	/* Terminates: an exchange fails only if another thread stored a higher peak. */
	while (seen < now && !pa_cas_relaxed(&state.peak, &seen, now))
		;
}

static bool try_take(enum pa_client_budget_use use, size_t bytes)
{
	PA_ATOMIC(size_t) *taken = &state.taken[share_of(use)];
	size_t seen = pa_load_relaxed(taken), limit = limits[share_of(use)];

	/* Terminates: an exchange fails only if another thread made progress. */
	do {
		if (bytes > limit || seen > limit - bytes)
			return false;
	} while (!pa_cas_relaxed(taken, &seen, seen + bytes));
	pa_add_relaxed(&state.used[use], bytes);
	note_peak();
	return true;
}

bool pa_client_budget_take(enum pa_client_budget_use use, size_t bytes)
{
	const size_t pages = whole_pages(bytes);
	/* A request that exceeds the limit by itself evicts no client. */
	const bool evicts = state.evict && share_of(use) == KEPT && pages <= limits[KEPT];

	/* Terminates: each eviction frees one client's snapshot. */
	while (!try_take(use, pages)) {
		if (!evicts || !state.evict()) {
			pa_add_relaxed(&state.refused, 1);
			return false;
		}
	}
	return true;
}

void pa_client_budget_give(enum pa_client_budget_use use, size_t bytes)
{
	pa_sub_relaxed(&state.used[use], whole_pages(bytes));
	pa_sub_relaxed(&state.taken[share_of(use)], whole_pages(bytes));
}

void pa_client_budget_evict(bool (*evict)(void))
{
	state.evict = evict;
}

struct pa_client_budget_stats pa_client_budget_stats(void)
{
	struct pa_client_budget_stats stats = {
		.peak = pa_load_relaxed(&state.peak),
		.refused = pa_load_relaxed(&state.refused),
	};

	for (size_t use = 0; use < PA_CLIENT_BUDGET_USES; use++)
		stats.used[use] = pa_load_relaxed(&state.used[use]);
	return stats;
}

void pa_client_budget_forget(enum pa_client_budget_use use)
{
	pa_client_budget_give(use, pa_load_relaxed(&state.used[use]));
}
