/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind_calls.h"

#include "../arch/plt.h"
#include "../base/assert.h"
#include "../core/core.h"
#include "../modules/maps.h"

static bool is_mapped(uintptr_t at)
{
	return pa_maps_find(at) != NULL;
}

const struct pa_code_reader pa_unwind_calls_code = {
	.read = pa_maps_read_memory,
	.read_cached = pa_maps_read_cached,
	.is_code = is_mapped,
};

bool pa_unwind_calls_is_code(uintptr_t at)
{
	return at < PA_ADDRESS_LIMIT && is_mapped(at);
}

/* Of files only: their code does not change. */
static const struct pa_code_reader file_code = {
	.read = pa_maps_read_cached,
	.read_cached = pa_maps_read_cached,
	.is_code = is_mapped,
};

/* The target of a call may be in code that was mapped since. */
static bool is_call_before(const struct pa_code_reader *reader, uintptr_t address)
{
	struct pa_prologue_call call = { .target = 0 };
	return pa_prologue_call_before(reader, address, &call) || call.target;
}

bool pa_unwind_calls_is_behind_call(uintptr_t address)
{
	return is_call_before(&pa_unwind_calls_code, address);
}

bool pa_unwind_calls_may_return_to(uintptr_t address)
{
	const struct pa_module *module = pa_maps_find(address);
	uint8_t code;
	if (!module || !module->is_elf || !pa_maps_read_cached(&code, address - 1, sizeof(code)))
		return true;
	return is_call_before(&file_code, address);
}

/* The word with the target of a PLT entry. */
static bool read_plt(uintptr_t entry, uintptr_t *word_at)
{
	uint8_t code[PA_PLT_BYTES];
	return pa_maps_read_cached(code, entry, sizeof(code)) &&
		pa_plt_decode(code, entry, word_at);
}

/* A target in a hook counts as the function that it wraps. */
static bool is_start(uintptr_t target, uintptr_t start)
{
	return target == start ||
		(pa_core_bridge && target >= pa_core_bridge->text_lo &&
			target < pa_core_bridge->text_hi);
}

/* Directly or through one PLT entry. */
static bool leads_to(uintptr_t target, uintptr_t start)
{
	uintptr_t word_at, word;
	if (is_start(target, start))
		return true;
	/* Not through the cache of pages: the program may write it at any time. */
	return read_plt(target, &word_at) && pa_maps_read_memory(&word, word_at, sizeof(word)) &&
		is_start(word, start);
}

bool pa_unwind_calls_is_of(uintptr_t return_address, uintptr_t start)
{
	struct pa_prologue_call call;
	uintptr_t target;
	if (!pa_unwind_calls_is_code(return_address - 1) ||
		!pa_prologue_call_before(&pa_unwind_calls_code, return_address, &call))
		return false;
	if (call.target)
		return leads_to(call.target, start);
	if (!call.word_at)
		return true;
	return pa_maps_read_memory(&target, call.word_at, sizeof(target)) &&
		leads_to(target, start);
}

bool pa_unwind_calls_find(uintptr_t return_address, uintptr_t *start)
{
	struct pa_prologue_call call;
	uintptr_t word_at;
	if (!pa_unwind_calls_is_code(return_address - 1) ||
		!pa_prologue_call_before(&pa_unwind_calls_code, return_address, &call))
		return false;
	*start = call.target;
	if (call.target ? read_plt(call.target, &word_at) : (word_at = call.word_at))
		return pa_maps_read_memory(start, word_at, sizeof(*start));
	return call.target;
}
