/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/kept_pages.h"
#include "../base/clock.h"
#include "../base/thread_slot.h"
#include "symbols_answers.h"
#include "symbols_jit.h"
#include "symbols_load.h"
#include "symbols_names.h"
#include "symbols_query.h"
#include "symbols_resolve.h"
#include "symbols_twins.h"

/* Symbol tables and indexes of units kept between requests. */
#define TABLES_KEPT_BYTES ((size_t)12 << 20)
#define UNITS_KEPT_BYTES ((size_t)12 << 20)

/* A location without an answer. */
struct wanted {
	const struct pa_loc *loc;
	uint32_t rank; /* of its module: lower comes first */
	uint32_t unit; /* that contains its code; 0: unknown */
};

/* Locations of one module, by address, while its units are being indexed. */
struct pass {
	struct wanted *wanted;
	uint32_t count;
	uintptr_t bias;
	uint32_t first, limit; /* of those in the last unit; others may be between them */
};

static struct {
	struct pa_module *last_module; /* cache of pa_symbols_at */
	struct wanted *wanted;         /* of pa_symbols_prepare */
	size_t wanted_bytes;
	PA_ATOMIC(bool) busy; /* relaxed: read by a forked child only */
} state;

static struct pa_function pseudo_functions[PA_PSEUDO_LIMIT] = {
#define PSEUDO(text)                                              \
	{                                                         \
		.name = (text), .system_name = (text), .file = "" \
	}
	[PA_PSEUDO_LOST] = PSEUDO("pprofagent.lostEvents"),
	[PA_PSEUDO_BROKEN] = PSEUDO("[no unwind information]"),
	[PA_PSEUDO_SHORT] = PSEUDO("[stack copy limit]"),
	[PA_PSEUDO_CUT] = PSEUDO("[stack depth limit]"),
	[PA_PSEUDO_NO_ANSWER] = PSEUDO("[no answer]"),
	[PA_PSEUDO_EXIT] = PSEUDO("[thread exit]"),
	[PA_PSEUDO_REST] = PSEUDO("[not sampled]"),
#undef PSEUDO
};

PA_AGENT void pa_symbols_init(enum pa_env_symbols mode)
{
	pa_symbols_query_init(mode);
}

PA_AGENT uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames, uint32_t max)
{
	struct pa_frame found[PA_SYMBOLS_INLINE_MAX];
	uint32_t count = 0;

	pa_thread_slot_checkpoint(); /* a safe point to leave: nothing is half done, and a
				      * profile calls
				      * this thousands of times */
	if (max == 0 || loc->pc == PA_PSEUDO_NONE)
		return 0;
	if (loc->pc < PA_PSEUDO_LIMIT) {
		frames[0] = (struct pa_frame){ &pseudo_functions[loc->pc], 0 };
		return 1;
	}
	if (!loc->module)
		return 0;
	if (pa_symbols_query_mode() != PA_ENV_SYMBOLS_NONE) {
		pa_store_relaxed(&state.busy, true);
		count = pa_symbols_query_location(loc, found);
		pa_store_relaxed(&state.busy, false);
	}
	/* Too many frames: the innermost are dropped, since the outermost function contains the
	 * code. */
	uint32_t first = count > max ? count - max : 0;
	memcpy(frames, found + first, (count - first) * sizeof(*frames));
	return count - first;
}

/* ---------------------------------------------------------------- many locations */

/* The program's own code first: its lines are the most important. */
static uint32_t module_rank(const struct pa_module *module)
{
	return module->is_main ? 0 : pa_symbols_load_is_of_system(module) ? 2 : 1;
}

static int by_place(const void *left, const void *right)
{
	const struct wanted *a = left, *b = right;
	const uint64_t keys[][2] = { { a->rank, b->rank },
		{ a->loc->module->id, b->loc->module->id }, { a->unit, b->unit },
		{ a->loc->pc, b->loc->pc } };

	for (size_t i = 0; i < PA_COUNT(keys); i++) {
		if (keys[i][0] != keys[i][1])
			return keys[i][0] < keys[i][1] ? -1 : 1;
	}
	return 0;
}

/* Collects the locations without a complete answer or one of this request. False: no memory. */
static bool collect_wanted(const uint32_t *loc_ids, uint32_t count, uint32_t *wanted_count)
{
	*wanted_count = 0;
	if (state.wanted)
		pa_kept_pages_unmap(state.wanted, state.wanted_bytes);
	state.wanted_bytes = count * sizeof(*state.wanted);
	state.wanted = pa_kept_pages_map(state.wanted_bytes);
	for (uint32_t i = 0; state.wanted && i < count; i++) {
		const struct pa_loc *loc = pa_stack_table_loc(loc_ids[i]);

		if (loc->pc >= PA_PSEUDO_LIMIT && loc->module && !pa_maps_is_loose(loc->module) &&
			!pa_symbols_query_recall(loc))
			state.wanted[(*wanted_count)++] =
				(struct wanted){ loc, module_rank(loc->module), 0 };
	}
	return state.wanted != NULL;
}

/* Of struct pa_symbols_wants. */
static bool is_range_wanted(void *arg, uint64_t low, uint64_t high)
{
	struct pass *pass = arg;
	uint32_t first = 0, limit = pass->count;

	while (first < limit) {
		uint32_t middle = first + (limit - first) / 2;

		if (pass->wanted[middle].loc->pc - pass->bias < low)
			first = middle + 1;
		else
			limit = middle;
	}
	while (limit < pass->count && pass->wanted[limit].loc->pc - pass->bias < high)
		limit++;
	if (first == limit)
		return false;
	pass->first = first < pass->first ? first : pass->first;
	pass->limit = limit > pass->limit ? limit : pass->limit;
	return true;
}

/* Looks up those of the last unit. */
static void look_up_last_unit(const struct pass *pass)
{
	for (uint32_t i = pass->first; i < pass->limit; i++)
		pa_symbols_query_last_unit(pass->wanted[i].loc);
}

/* Between two locations nothing is half done. */
static bool may_go_on(bool (*go_on)(void *arg), void *arg)
{
	pa_store_relaxed(&state.busy, false);
	pa_thread_slot_checkpoint();
	if (go_on && !go_on(arg))
		return false;
	pa_store_relaxed(&state.busy, true);
	return true;
}

/*
 * Indexes the units of a module whose debug information is open, and looks up the locations of each
 * unit (ordered by address) at once: compressed sections are decompressed in one pass. False: go_on
 * says stop.
 */
static bool look_up_in_pass(struct pa_symbols *symbols, struct wanted *wanted, uint32_t count,
	bool (*go_on)(void *arg), void *arg)
{
	struct pass pass = { .wanted = wanted, .count = count, .bias = symbols->bias };
	const struct pa_symbols_wants wants = { is_range_wanted, &pass };
	bool more = true;

	while (more && pa_symbols_query_left_ns() > 0) {
		if (!may_go_on(go_on, arg))
			return false;
		int64_t now_ns = pa_clock_thread_cpu_ns();

		pass.first = count;
		pass.limit = 0;
		more = pa_symbols_dwarf_list_to_wanted(symbols->dwarf, &wants,
			now_ns + pa_symbols_query_left_ns());
		pa_symbols_query_spend(pa_clock_thread_cpu_ns() - now_ns);
		if (more)
			look_up_last_unit(&pass);
	}
	return true;
}

/* Number of locations of the first one's module. */
static uint32_t count_same(const struct wanted *wanted, uint32_t count)
{
	uint32_t same = 1;

	while (same < count && wanted[same].loc->module == wanted->loc->module)
		same++;
	return same;
}

/* Sorts locations of one module by unit, so that each unit is opened once. With an incomplete index
 * most are looked up while it is completed. */
static void order_by_unit(struct wanted *wanted, uint32_t count, bool (*go_on)(void *arg),
	void *arg)
{
	struct pa_module *module = wanted->loc->module;
	struct pa_symbols *symbols = pa_symbols_query_module(module);
	bool late;

	if (!symbols || pa_symbols_query_mode() != PA_ENV_SYMBOLS_LINES || !module->is_elf ||
		pa_symbols_query_left_ns() <= 0 || !pa_symbols_load_debug(module, symbols))
		return;
	if (!look_up_in_pass(symbols, wanted, count, go_on, arg))
		return;
	int64_t now_ns = pa_clock_thread_cpu_ns();
	if (pa_symbols_dwarf_list(symbols->dwarf, now_ns + pa_symbols_query_left_ns(), &late)) {
		for (uint32_t i = 0; i < count; i++)
			wanted[i].unit = pa_symbols_dwarf_unit(symbols->dwarf,
				wanted[i].loc->pc - symbols->bias);
		qsort(wanted, count, sizeof(*wanted), by_place);
	}
	pa_symbols_query_spend(pa_clock_thread_cpu_ns() - now_ns);
}

static void look_up_wanted(uint32_t count, bool (*go_on)(void *arg), void *arg)
{
	struct pa_frame unused[PA_SYMBOLS_INLINE_MAX];
	uint32_t same;

	qsort(state.wanted, count, sizeof(*state.wanted), by_place);
	for (uint32_t first = 0; first < count; first += same) {
		same = count_same(&state.wanted[first], count - first);
		order_by_unit(&state.wanted[first], same, go_on, arg);
		for (uint32_t i = first; i < first + same; i++) {
			if (!may_go_on(go_on, arg))
				return;
			pa_symbols_query_location(state.wanted[i].loc, unused);
		}
		/* Frees memory for the next module. */
		if (first + same < count && state.wanted[first].loc->module->symbols)
			pa_symbols_load_drop_debug(state.wanted[first].loc->module->symbols);
	}
}

PA_AGENT uint32_t pa_symbols_prepare(const uint32_t *loc_ids, uint32_t count,
	bool (*go_on)(void *arg), void *arg)
{
	uint32_t wanted, lacking = 0;

	if (pa_symbols_query_mode() == PA_ENV_SYMBOLS_NONE || count == 0)
		return 0;
	pa_store_relaxed(&state.busy, true);
	pa_symbols_query_begin();
	pa_symbols_jit_prepare(loc_ids, count);
	if (collect_wanted(loc_ids, count, &wanted))
		look_up_wanted(wanted, go_on, arg);
	for (uint32_t i = 0; i < count; i++) {
		const struct pa_loc *loc = pa_stack_table_loc(loc_ids[i]);
		const struct pa_symbols_answer *answer = loc->pc >= PA_PSEUDO_LIMIT && loc->module ?
			pa_symbols_query_recall(loc) :
			NULL;

		lacking += answer && answer->cut_in;
	}
	pa_store_relaxed(&state.busy, false);
	return lacking;
}

/* ---------------------------------------------------------------- by address */

static bool has_code(const struct pa_module *module, uintptr_t address)
{
	if (pa_load_relaxed(&module->dead))
		return false;
	for (uint32_t i = 0; i < module->segment_count; i++) {
		if (address - module->segments[i].start <
			module->segments[i].limit - module->segments[i].start)
			return true;
	}
	return false;
}

/* Without PA_LOCK_TABLES: modules are never freed, and dead ones are skipped. */
static struct pa_module *module_at(uintptr_t address)
{
	if (state.last_module && has_code(state.last_module, address))
		return state.last_module;
	for (uint32_t id = pa_maps_count(); id > 0; id--) {
		struct pa_module *module = pa_maps_get(id);

		if (module && has_code(module, address)) {
			state.last_module = module;
			return module;
		}
	}
	return NULL;
}

PA_AGENT struct pa_function *pa_symbols_at(uintptr_t address)
{
	struct pa_module *module =
		pa_symbols_query_mode() == PA_ENV_SYMBOLS_NONE ? NULL : module_at(address);
	struct pa_function *function = NULL;
	struct pa_symbols *symbols;

	if (!module)
		return NULL;
	pa_store_relaxed(&state.busy, true);
	symbols = pa_maps_is_loose(module) ? NULL : pa_symbols_query_module(module);
	if (symbols)
		function = pa_symbols_resolve_at(module, symbols, address);
	else if (pa_maps_is_loose(module))
		function = pa_symbols_jit_at(address);
	pa_store_relaxed(&state.busy, false);
	return function;
}

/* ---------------------------------------------------------------- releasing memory */

PA_AGENT void pa_symbols_end_request(void)
{
	size_t kept = 0, units_kept = 0;

	pa_store_relaxed(&state.busy, true);
	for (uint32_t id = 1; id <= pa_maps_count(); id++) {
		struct pa_module *module = pa_maps_get(id);
		struct pa_symbols *symbols = module ? module->symbols : NULL;

		if (!symbols)
			continue;
		pa_symbols_load_drop_debug(symbols);
		units_kept += pa_symbols_load_known_bytes(symbols);
		if (units_kept > UNITS_KEPT_BYTES) {
			units_kept -= pa_symbols_load_known_bytes(symbols);
			pa_symbols_load_forget(symbols);
		}
		kept += pa_symbols_table_bytes(&symbols->table);
		if (kept > TABLES_KEPT_BYTES) {
			kept -= pa_symbols_table_bytes(&symbols->table);
			pa_symbols_load_drop_table(symbols);
		}
	}
	if (state.wanted)
		pa_kept_pages_unmap(state.wanted, state.wanted_bytes);
	state.wanted = NULL;
	pa_symbols_query_begin();
	pa_store_relaxed(&state.busy, false);
}

PA_BOOT void pa_symbols_reset(void)
{
	state.last_module = NULL;
	if (!pa_load_relaxed(&state.busy))
		return;
	/* The parent was looking something up: its data may be inconsistent in this process, and is
	 * neither used nor freed. */
	for (uint32_t id = 1; id <= pa_maps_count(); id++) {
		struct pa_module *module = pa_maps_get(id);

		if (module)
			module->symbols = NULL;
	}
	pa_symbols_names_reset();
	pa_symbols_answers_reset();
	pa_symbols_twins_reset();
	pa_symbols_query_reset();
	memset(&state, 0, sizeof(state));
}
