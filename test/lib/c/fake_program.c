/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/fake_program.h"

struct kernel_state kernel;
struct pa_loc extra_locs[LOC_EXTRA_COUNT];
size_t look_ups;

PA_APP void *pa_map(size_t bytes)
{
	if (++kernel.calls == kernel.fail_at)
		return NULL;
	kernel.open += bytes;
	return calloc(1, bytes);
}

PA_APP void pa_unmap(void *memory, size_t bytes)
{
	kernel.open -= memory ? bytes : 0;
	free(memory);
}

/* The program: an executable, a library that is gone, one that is gone but in use, one loaded. */
/* clang-format off */
struct pa_module modules[] = {
	{ .id = 1, .is_main = true, .start = 0x1000, .limit = 0x2000, .segment_count = 1,
		.segments = { { 0x1000, 0x2000, 0x400 } }, .path = "/bin/prog",
		.build_id = { 0xde, 0xad, 0x0b }, .build_id_bytes = 3 },
	{ .id = 2, .dead = true, .start = 0x3000, .limit = 0x4000, .segment_count = 1,
		.segments = { { 0x3000, 0x4000, 0 } }, .path = "/lib/gone.so" },
	{ .id = 3, .dead = true, .start = 0x5000, .limit = 0x6000, .segment_count = 1,
		.segments = { { 0x5000, 0x6000, 0 } }, .path = "/lib/used.so" },
	{ .id = 4, .start = 0x7000, .limit = 0x9000, .bias = 0x6000, .is_elf = true,
		.segment_count = 2,
		.segments = { { 0x7000, 0x7800, 0 }, { 0x8000, 0x9000, 0x1000 } },
		.path = "/lib/two.so" },
};
/* clang-format on */

PA_AGENT uint32_t pa_maps_count(void)
{
	return 4;
}

PA_AGENT struct pa_module *pa_maps_get(uint32_t id)
{
	return &modules[id - 1];
}

struct pa_function fn_main = {
	.name = "main", .system_name = "main", .file = "p.c", .start_line = 3, .entry = 0x1100
};
struct pa_function fn_in = {
	.name = "ns::in<int>(int)", .system_name = "_ZN2ns2inIiEEvi", .file = "in.h"
};
struct pa_function fn_used = { .name = "used", .system_name = "used", .file = "" };
struct pa_function fn_two = { .name = "tw\xFFo", .system_name = "tw\xFFo", .file = "t.c" };
struct pa_function fn_lost = {
	.name = "pprofagent.lostEvents", .system_name = "pprofagent.lostEvents", .file = ""
};
struct pa_function fn_no_answer = {
	.name = "[no answer]", .system_name = "[no answer]", .file = ""
};

/* The frames of each location. */
static const struct {
	struct pa_loc loc;
	uint32_t count;
	struct pa_frame frames[2];
	/* clang-format off */
} locations[] = {
	[LOC_MAIN] = { { 0x1110, 0x1111, &modules[0] }, 1, { { &fn_main, 5 } } },
	[LOC_INLINED] = { { 0x1120, 0x1121, &modules[0] }, 2, { { &fn_in, 70 }, { &fn_main, 6 } } },
	[LOC_USED] = { { 0x5010, 0x5011, &modules[2] }, 1, { { &fn_used, 0 } } },
	[LOC_TWO] = { { 0x8010, 0x8011, &modules[3] }, 1, { { &fn_two, 8 } } },
	[LOC_NAMELESS] = { { 0x8020, 0x8021, &modules[3] }, 0, { { NULL, 0 } } },
	[LOC_LOST] = { { PA_PSEUDO_LOST, PA_PSEUDO_LOST, NULL }, 1, { { &fn_lost, 0 } } },
	[LOC_NOWHERE] = { { 0xA000, 0xA001, NULL }, 0, { { NULL, 0 } } },
	[LOC_GAP] = { { 0x7900, 0x7901, &modules[3] }, 0, { { NULL, 0 } } },
	[LOC_NO_ANSWER] = { { PA_PSEUDO_NO_ANSWER, PA_PSEUDO_NO_ANSWER, NULL }, 1,
		{ { &fn_no_answer, 0 } } },
};
/* clang-format on */

PA_AGENT const struct pa_loc *pa_stack_table_loc(uint32_t id)
{
	if (id - LOC_EXTRA < LOC_EXTRA_COUNT)
		return &extra_locs[id - LOC_EXTRA];
	return &locations[id % PA_COUNT(locations)].loc;
}

PA_AGENT uint32_t pa_stack_table_loc_count(void)
{
	return PA_COUNT(locations);
}

PA_AGENT uint32_t pa_symbols_lookup(const struct pa_loc *loc, struct pa_frame *frames, uint32_t max)
{
	size_t i = 0;

	look_ups++;
	while (i < PA_COUNT(locations) && &locations[i].loc != loc)
		i++;
	if (i == PA_COUNT(locations))
		return 0;
	assert_true(locations[i].count <= max);
	memcpy(frames, locations[i].frames, locations[i].count * sizeof(*frames));
	return locations[i].count;
}
