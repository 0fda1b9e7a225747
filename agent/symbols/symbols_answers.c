/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_answers.h"

#include <string.h>

#include "../base/hash_table.h"
#include "symbols_names.h"

#define FIRST_SLOTS 4096

static struct {
	struct pa_hash_table answers; /* pointers, by location */
	PA_ATOMIC(uint32_t) lacking;  /* of them have cut_in; relaxed, statistics only */
} state;

static uint64_t hash_of_location(uintptr_t pc, const struct pa_module *module,
	uint16_t code_version)
{
	return pa_hash_table_mix((uint64_t)code_version << 32 | module->id, pc);
}

static bool is_wanted_answer(const struct pa_hash_table *unused, const void *slot, const void *key)
{
	const struct pa_symbols_answer *answer = *(const struct pa_symbols_answer *const *)slot;
	const struct pa_loc *loc = key;

	(void)unused;
	return answer->pc == loc->pc && answer->module == loc->module &&
		answer->code_version == loc->code_version;
}

static uint64_t hash_of_answer(const struct pa_hash_table *unused, const void *slot)
{
	const struct pa_symbols_answer *answer = *(const struct pa_symbols_answer *const *)slot;

	(void)unused;
	return hash_of_location(answer->pc, answer->module, answer->code_version);
}

static const struct pa_hash_table_kind answer_kind = {
	.slot_bytes = sizeof(struct pa_symbols_answer *),
	.has_key = is_wanted_answer,
	.hash = hash_of_answer,
};

/* The slot of the location's answer, or the free slot for it. The table has slots. */
static struct pa_symbols_answer **find_slot(const struct pa_loc *loc)
{
	uint64_t hash = hash_of_location(loc->pc, loc->module, loc->code_version);

	return pa_hash_table_at(&answer_kind, &state.answers,
		pa_hash_table_find(&answer_kind, &state.answers, hash, loc));
}

PA_AGENT void pa_symbols_answers_put(const struct pa_loc *loc, const struct pa_frame *frames,
	uint32_t count, uint32_t cut_in)
{
	size_t bytes = count * sizeof(*frames);
	struct pa_symbols_answer **slot, *answer;
	bool was_lacking;

	if (!pa_hash_table_grow(&answer_kind, &state.answers, FIRST_SLOTS))
		return;
	slot = find_slot(loc);
	answer = *slot;
	was_lacking = answer && answer->cut_in;
	if (!answer || answer->count != count) {
		answer = pa_symbols_names_alloc(sizeof(*answer) + bytes);
		if (!answer)
			return;
		state.answers.used += !*slot;
	}
	answer->pc = loc->pc;
	answer->module = loc->module;
	answer->code_version = loc->code_version;
	answer->count = count;
	answer->cut_in = cut_in;
	memcpy(answer->frames, frames, bytes);
	*slot = answer;
	pa_store_relaxed(&state.lacking,
		pa_load_relaxed(&state.lacking) + (cut_in != 0) - was_lacking);
}

PA_AGENT const struct pa_symbols_answer *pa_symbols_answers_earlier(const struct pa_loc *loc)
{
	return state.answers.capacity ? *find_slot(loc) : NULL;
}

PA_AGENT const struct pa_symbols_answer *pa_symbols_answers_find(const struct pa_loc *loc,
	uint32_t request)
{
	const struct pa_symbols_answer *answer = pa_symbols_answers_earlier(loc);

	return answer && (answer->cut_in == 0 || answer->cut_in == request) ? answer : NULL;
}

PA_AGENT uint32_t pa_symbols_lacking(void)
{
	return pa_load_relaxed(&state.lacking);
}

PA_BOOT void pa_symbols_answers_reset(void)
{
	memset(&state, 0, sizeof(state));
}
