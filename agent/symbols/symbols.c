/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/thread_slot.h"
#include "symbols_answers.h"
#include "symbols_jit.h"
#include "symbols_resolve.h"
#include "symbols_load.h"
#include "symbols_names.h"
#include "symbols_twins.h"

/*
 * CPU time that one request may spend on debug information; after that it gets names without lines.
 * CPU time, because wall time would allow hardly any work on a busy machine. A request older than
 * OLD_NS gets less, because clients time out.
 */
#define DEBUG_BUDGET_NS (2 * PA_NS_PER_S)
#define OLD_NS (10 * PA_NS_PER_S)
#define OLD_BUDGET_NS PA_NS_PER_S
/* Symbol tables and indexes of units kept between requests. */
#define TABLES_KEPT_BYTES ((size_t)12 << 20)
#define UNITS_KEPT_BYTES ((size_t)12 << 20)

/* A location without an answer. */
struct wanted {
	const struct pa_loc *loc;
	uint32_t rank; /* of its module: lower comes first */
	uint32_t unit; /* that contains its code; 0: unknown */
};

static struct {
	enum pa_env_symbols mode;
	uint32_t request;              /* number of the current request */
	int64_t begun_ns;              /* when it began */
	int64_t spent_ns;              /* CPU time spent on debug information in it */
	struct pa_module *last_module; /* cache of pa_symbols_at */
	struct wanted *wanted;         /* of pa_symbols_prepare */
	size_t wanted_bytes;
	PA_ATOMIC(bool) busy; /* relaxed: read by a forked child only */
} state = { .request = 1 };

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
	state.mode = mode;
}

static void begin_request(void)
{
	pa_symbols_jit_begin_request();
	state.spent_ns = 0;
	state.begun_ns = pa_clock_mono_ns();
	state.request++;
	state.request += state.request == 0;
}

/* ---------------------------------------------------------------- computing results */

static struct pa_symbols *symbols_of(struct pa_module *module)
{
	if (!module->symbols)
		module->symbols = pa_symbols_names_alloc(sizeof(*module->symbols));
	if (module->symbols)
		pa_symbols_load_table(module, module->symbols);
	return module->symbols;
}

/* CPU time left for debug information in this request. */
static int64_t debug_left_ns(void)
{
	bool old = pa_clock_mono_ns() - state.begun_ns > OLD_NS;

	return (old ? OLD_BUDGET_NS : DEBUG_BUDGET_NS) - state.spent_ns;
}

/* Finds the functions at pc in the debug information. *cut: no time or no memory for it. */
static uint32_t scopes_at(const struct pa_module *module, struct pa_symbols *symbols, uintptr_t pc,
	struct pa_symbols_scope *scopes, bool *cut)
{
	int64_t now_ns = pa_clock_thread_cpu_ns(), deadline_ns = now_ns + debug_left_ns();
	uint32_t count = 0;

	if (!pa_symbols_load_debug(module, symbols)) {
		*cut = symbols->debug == PA_SYMBOLS_DEBUG_CLOSED;
		return 0;
	}
	*cut = true;
	if (now_ns >= deadline_ns)
		return 0;
	if (pa_symbols_dwarf_list(symbols->dwarf, deadline_ns, cut))
		count = pa_symbols_dwarf_find(symbols->dwarf, pc - symbols->bias, scopes,
			PA_SYMBOLS_INLINE_MAX, deadline_ns, cut);
	state.spent_ns += pa_clock_thread_cpu_ns() - now_ns;
	return count;
}

/* Fills in at most PA_SYMBOLS_INLINE_MAX frames. */
static uint32_t find_frames(struct pa_module *module, uintptr_t pc, struct pa_frame *frames,
	bool *cut)
{
	struct pa_symbols_scope scopes[PA_SYMBOLS_INLINE_MAX];
	struct pa_symbols *symbols = symbols_of(module);
	uint32_t count = 0;

	*cut = false;
	if (!symbols)
		return 0;
	if (state.mode == PA_ENV_SYMBOLS_LINES && module->is_elf)
		count = scopes_at(module, symbols, pc, scopes, cut);
	if (count)
		count = pa_symbols_resolve_scopes(symbols, pc, scopes, count, frames);
	if (count)
		return count;
	frames->function = pa_symbols_resolve_at(module, symbols, pc);
	frames->line = 0;
	return frames->function != NULL;
}

/* The answer about the same code when it was loaded before. */
static const struct pa_symbols_answer *recall_twin(const struct pa_loc *loc)
{
	const struct pa_module *twin =
		pa_load_relaxed(&loc->module->dead) ? pa_symbols_twins_of(loc->module) : NULL;
	struct pa_loc place = *loc;
	const struct pa_symbols_answer *answer;

	if (!twin)
		return NULL;
	place.module = (struct pa_module *)twin;
	answer = pa_symbols_answers_find(&place, 0);
	if (answer)
		pa_symbols_answers_put(loc, answer->frames, answer->count, 0);
	return answer;
}

static const struct pa_symbols_answer *recall_answer(const struct pa_loc *loc)
{
	const struct pa_symbols_answer *answer = pa_symbols_answers_find(loc, state.request);

	return answer ? answer : recall_twin(loc);
}

/* True when an unloaded module's file cannot be read any more. */
static bool is_lost(const struct pa_module *module)
{
	return pa_load_relaxed(&module->dead) &&
		(!module->symbols ||
			(module->symbols->table.count == 0 &&
				module->symbols->debug != PA_SYMBOLS_DEBUG_OPEN));
}

static uint32_t lookup_location(const struct pa_loc *loc, struct pa_frame *frames)
{
	const struct pa_symbols_answer *answer = recall_answer(loc);
	uint32_t count;
	bool cut;

	if (answer) {
		memcpy(frames, answer->frames, answer->count * sizeof(*frames));
		return answer->count;
	}
	if (pa_maps_is_loose(loc->module))
		return 0; /* by pa_symbols_jit_prepare alone: a look-up reads a whole file */
	count = find_frames(loc->module, loc->pc, frames, &cut);
	/* What was found earlier without lines is better than nothing. */
	answer = is_lost(loc->module) ? pa_symbols_answers_earlier(loc) : NULL;
	if (answer) {
		count = answer->count;
		memcpy(frames, answer->frames, count * sizeof(*frames));
		cut = false;
	}
	pa_symbols_answers_put(loc, frames, count, cut ? state.request : 0);
	return count;
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
	if (state.mode != PA_ENV_SYMBOLS_NONE) {
		pa_store_relaxed(&state.busy, true);
		count = lookup_location(loc, found);
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
		pa_unmap(state.wanted, state.wanted_bytes);
	state.wanted_bytes = count * sizeof(*state.wanted);
	state.wanted = pa_map(state.wanted_bytes);
	for (uint32_t i = 0; state.wanted && i < count; i++) {
		const struct pa_loc *loc = pa_stack_table_loc(loc_ids[i]);

		if (loc->pc >= PA_PSEUDO_LIMIT && loc->module && !pa_maps_is_loose(loc->module) &&
			!recall_answer(loc))
			state.wanted[(*wanted_count)++] =
				(struct wanted){ loc, module_rank(loc->module), 0 };
	}
	return state.wanted != NULL;
}

/* Sorts the locations of the first one's module by unit, so that each unit is opened once. Returns
 * their number. */
static uint32_t sort_by_unit(struct wanted *wanted, uint32_t count)
{
	struct pa_module *module = wanted->loc->module;
	struct pa_symbols *symbols = symbols_of(module);
	int64_t now_ns = pa_clock_thread_cpu_ns();
	uint32_t same = 1;
	bool late;

	while (same < count && wanted[same].loc->module == module)
		same++;
	if (!symbols || state.mode != PA_ENV_SYMBOLS_LINES || !module->is_elf ||
		debug_left_ns() <= 0 || !pa_symbols_load_debug(module, symbols))
		return same;
	if (pa_symbols_dwarf_list(symbols->dwarf, now_ns + debug_left_ns(), &late)) {
		for (uint32_t i = 0; i < same; i++)
			wanted[i].unit = pa_symbols_dwarf_unit(symbols->dwarf,
				wanted[i].loc->pc - symbols->bias);
		qsort(wanted, same, sizeof(*wanted), by_place);
	}
	state.spent_ns += pa_clock_thread_cpu_ns() - now_ns;
	return same;
}

static void look_up_wanted(uint32_t count, bool (*go_on)(void *arg), void *arg)
{
	struct pa_frame unused[PA_SYMBOLS_INLINE_MAX];
	uint32_t same;

	qsort(state.wanted, count, sizeof(*state.wanted), by_place);
	for (uint32_t first = 0; first < count; first += same) {
		same = sort_by_unit(&state.wanted[first], count - first);
		for (uint32_t i = first; i < first + same; i++) {
			pa_store_relaxed(&state.busy, false);
			pa_thread_slot_checkpoint();
			if (go_on && !go_on(arg))
				return;
			pa_store_relaxed(&state.busy, true);
			lookup_location(state.wanted[i].loc, unused);
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

	if (state.mode == PA_ENV_SYMBOLS_NONE || count == 0)
		return 0;
	pa_store_relaxed(&state.busy, true);
	begin_request();
	pa_symbols_jit_prepare(loc_ids, count);
	if (collect_wanted(loc_ids, count, &wanted))
		look_up_wanted(wanted, go_on, arg);
	for (uint32_t i = 0; i < count; i++) {
		const struct pa_loc *loc = pa_stack_table_loc(loc_ids[i]);
		const struct pa_symbols_answer *answer =
			loc->pc >= PA_PSEUDO_LIMIT && loc->module ? recall_answer(loc) : NULL;

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
	struct pa_module *module = state.mode == PA_ENV_SYMBOLS_NONE ? NULL : module_at(address);
	struct pa_function *function = NULL;
	struct pa_symbols *symbols;

	if (!module)
		return NULL;
	pa_store_relaxed(&state.busy, true);
	symbols = pa_maps_is_loose(module) ? NULL : symbols_of(module);
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
		pa_unmap(state.wanted, state.wanted_bytes);
	state.wanted = NULL;
	begin_request();
	pa_store_relaxed(&state.busy, false);
}

PA_BOOT void pa_symbols_reset(void)
{
	enum pa_env_symbols mode = state.mode;

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
	memset(&state, 0, sizeof(state));
	state.mode = mode;
	state.request = 1;
}
