/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_jit.h"

#include <stdlib.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../core/core.h"
#include "perf_map.h"
#include "symbols_answers.h"

/* CPU time that one request may spend on perf maps. A map of a million lines takes a fourth. */
#define BUDGET_NS (400 * PA_NS_PER_MS)

static struct {
	int64_t spent_ns; /* in this request */
} state;

PA_AGENT void pa_symbols_jit_begin_request(void)
{
	state.spent_ns = 0;
}

static int by_pc(const void *left, const void *right)
{
	const struct pa_perf_map_wanted *a = left, *b = right;

	return a->pc < b->pc ? -1 : a->pc > b->pc;
}

static void find_names(struct pa_perf_map_wanted *wanted, uint32_t count)
{
	int64_t begun_ns = pa_clock_thread_cpu_ns();
	int64_t deadline_ns = begun_ns + BUDGET_NS - state.spent_ns;

	if ((begun_ns >= deadline_ns || !pa_perf_map_name(wanted, count, deadline_ns)) &&
		pa_core_bridge)
		pa_add_relaxed(&pa_core_bridge->counters->perf_maps_cut, 1);
	state.spent_ns += pa_clock_thread_cpu_ns() - begun_ns;
}

static bool lacks_name(const struct pa_loc *loc)
{
	return loc->pc >= PA_PSEUDO_LIMIT && loc->module && pa_maps_is_loose(loc->module) &&
		!pa_symbols_answers_find(loc, 0);
}

/* Returns their number. wanted NULL: counts only. */
static uint32_t collect_unnamed(struct pa_perf_map_wanted *wanted, const uint32_t *loc_ids,
	uint32_t count)
{
	uint32_t collected = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct pa_loc *loc = pa_stack_table_loc(loc_ids[i]);

		if (!lacks_name(loc))
			continue;
		if (wanted)
			wanted[collected] = (struct pa_perf_map_wanted){
				.pc = loc->pc,
				.loc = loc,
				.until = pa_load_relaxed(&loc->code_until),
			};
		collected++;
	}
	return collected;
}

PA_AGENT void pa_symbols_jit_prepare(const uint32_t *loc_ids, uint32_t count)
{
	uint32_t wanted_count = collect_unnamed(NULL, loc_ids, count);
	size_t bytes = wanted_count * sizeof(struct pa_perf_map_wanted);
	struct pa_perf_map_wanted *wanted = bytes ? pa_map(bytes) : NULL;

	if (!wanted)
		return;
	collect_unnamed(wanted, loc_ids, count);
	qsort(wanted, wanted_count, sizeof(*wanted), by_pc);
	find_names(wanted, wanted_count);
	for (uint32_t i = 0; i < wanted_count; i++) {
		const struct pa_frame frame = { wanted[i].function, 0 };

		if (frame.function)
			pa_symbols_answers_put(wanted[i].loc, &frame, 1, 0);
	}
	pa_unmap(wanted, bytes);
}

PA_AGENT struct pa_function *pa_symbols_jit_at(uintptr_t address)
{
	struct pa_perf_map_wanted wanted = { .pc = address };

	find_names(&wanted, 1);
	return wanted.function;
}
