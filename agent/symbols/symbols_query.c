/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_query.h"

#include <string.h>

#include "../base/clock.h"
#include "symbols_jit.h"
#include "symbols_names.h"
#include "symbols_resolve.h"
#include "symbols_twins.h"

/*
 * CPU time that one request may spend on debug information; after that it gets names without lines.
 * CPU time, because wall time would allow hardly any work on a busy machine. A request older than
 * OLD_NS gets less, because clients time out.
 */
#define DEBUG_BUDGET_NS (2 * PA_NS_PER_S)
#define OLD_NS (10 * PA_NS_PER_S)
#define OLD_BUDGET_NS PA_NS_PER_S

static struct {
	enum pa_env_symbols mode;
	uint32_t request;    /* number of the current request */
	int64_t begun_ns;    /* when it began */
	int64_t spent_ns;    /* CPU time spent on debug information in it */
	bool only_last_unit; /* units are being indexed: only the last one is known */
} state = { .request = 1 };

PA_AGENT void pa_symbols_query_init(enum pa_env_symbols mode)
{
	state.mode = mode;
}

PA_AGENT enum pa_env_symbols pa_symbols_query_mode(void)
{
	return state.mode;
}

PA_BOOT void pa_symbols_query_reset(void)
{
	enum pa_env_symbols mode = state.mode;

	memset(&state, 0, sizeof(state));
	state.mode = mode;
	state.request = 1;
}

/* ---------------------------------------------------------------- time */

PA_AGENT void pa_symbols_query_begin(void)
{
	pa_symbols_jit_begin_request();
	state.spent_ns = 0;
	state.begun_ns = pa_clock_mono_ns();
	state.request++;
	state.request += state.request == 0;
}

PA_AGENT int64_t pa_symbols_query_left_ns(void)
{
	bool old = pa_clock_mono_ns() - state.begun_ns > OLD_NS;

	return (old ? OLD_BUDGET_NS : DEBUG_BUDGET_NS) - state.spent_ns;
}

PA_AGENT void pa_symbols_query_spend(int64_t cpu_ns)
{
	state.spent_ns += cpu_ns;
}

/* ---------------------------------------------------------------- answers */

PA_AGENT struct pa_symbols *pa_symbols_query_module(struct pa_module *module)
{
	if (!module->symbols)
		module->symbols = pa_symbols_names_alloc(sizeof(*module->symbols));
	if (module->symbols)
		pa_symbols_load_table(module, module->symbols);
	return module->symbols;
}

/* Finds the functions at pc in the debug information. *cut: no time or no memory for it. */
static uint32_t scopes_at(const struct pa_module *module, struct pa_symbols *symbols, uintptr_t pc,
	struct pa_symbols_scope *scopes, bool *cut)
{
	int64_t now_ns = pa_clock_thread_cpu_ns(),
		deadline_ns = now_ns + pa_symbols_query_left_ns();
	uint32_t count = 0;

	if (!pa_symbols_load_debug(module, symbols)) {
		*cut = symbols->debug == PA_SYMBOLS_DEBUG_CLOSED;
		return 0;
	}
	*cut = true;
	if (now_ns >= deadline_ns)
		return 0;
	if (state.only_last_unit || pa_symbols_dwarf_list(symbols->dwarf, deadline_ns, cut))
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
	struct pa_symbols *symbols = pa_symbols_query_module(module);
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

PA_AGENT const struct pa_symbols_answer *pa_symbols_query_recall(const struct pa_loc *loc)
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

PA_AGENT uint32_t pa_symbols_query_location(const struct pa_loc *loc, struct pa_frame *frames)
{
	const struct pa_symbols_answer *answer = pa_symbols_query_recall(loc);
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

PA_AGENT void pa_symbols_query_last_unit(const struct pa_loc *loc)
{
	struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
	bool cut;

	if (pa_symbols_query_recall(loc))
		return;
	state.only_last_unit = true;
	uint32_t count = find_frames(loc->module, loc->pc, frames, &cut);
	state.only_last_unit = false;
	if (!cut)
		pa_symbols_answers_put(loc, frames, count, 0);
}
