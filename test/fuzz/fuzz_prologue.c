/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds arch/x86_64/prologue.c: machine code. May not happen: a frame that is no frame's, a target
 * of a call that is not in the code when it has to be.
 */
#include "fuzz.h"

#include "agent/arch/prologue.h"
#include "fuzz_memory.h"

#define DEPTH_LIMIT ((uintptr_t)1 << 30)
#define TRIES 24

static struct pa_module module = { .id = 1, .start = MEMORY_AT, .path = "" };

struct pa_module *pa_maps_find(uintptr_t pc)
{
	return pc >= module.start && pc < module.limit ? &module : NULL;
}

static bool is_mapped(uintptr_t at)
{
	return pa_maps_find(at) != NULL;
}

static const struct pa_code_reader reader = {
	.read = pa_maps_read_memory,
	.read_cached = pa_maps_read_cached,
	.is_code = is_mapped,
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	size_t step = count / TRIES + 1;
	struct pa_prologue_call call;
	uintptr_t found;

	memory_set(bytes, count);
	module.limit = MEMORY_AT + count;
	for (size_t at = 0; at <= count + 1; at += at < 32 ? 1 : step) {
		uintptr_t pc = MEMORY_AT + at;

		if (pa_prologue_find(&reader, MEMORY_AT, MEMORY_AT + count, pc, &found))
			must(found < DEPTH_LIMIT && found % 8 == 0);
		if (pa_prologue_call_before(&reader, pc, &call))
			must(!call.target || pa_maps_find(call.target));
	}
	return 0;
}
