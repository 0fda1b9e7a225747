/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the text forms have in common: the made-up program, its memory, stacks of it,
 * and a sink that keeps the text. Included by one file of a test; reset comes before each.
 */
#ifndef TEXT_FIXTURE_H
#define TEXT_FIXTURE_H

#include <errno.h>
#include <stdio.h>

#include "agent/base/kept_pages.h"
#include "proto/scratch.h"
#include "proto/text.h"
#include "proto/text_forms.h"
#include "agent/profile/heap_scale.h"
#include "test/lib/c/fake_program.h"

#define FIXTURE_STACKS 64

static struct pa_memstats memory; /* of all snapshots that are printed */

/* Each sample stands for two: so scaled and unscaled numbers differ. */
PA_AGENT void pa_heap_scale_estimate(int64_t count, int64_t bytes, int64_t rate, double round_up,
	int64_t *scaled_count, int64_t *scaled_bytes)
{
	(void)round_up;
	(void)rate;
	*scaled_count = count * 2;
	*scaled_bytes = bytes * 2;
}

PA_AGENT double pa_heap_scale_rounding(const struct pa_stack *stack, int64_t size_bytes)
{
	(void)stack;
	(void)size_bytes;
	return 0;
}

static struct {
	size_t writes, stop_at, bytes;
	char text[1 << 20];
} out;

static bool write_out(void *arg, const void *bytes, size_t count)
{
	(void)arg;
	if (++out.writes == out.stop_at)
		return false;
	assert_true(out.bytes + count < sizeof(out.text));
	memcpy(out.text + out.bytes, bytes, count);
	out.bytes += count;
	out.text[out.bytes] = '\0';
	return true;
}

static const struct pa_sink sink = { .write = write_out };

static inline int reset(void **unused)
{
	(void)unused;
	pa_kept_pages_trim();
	memset(&kernel, 0, sizeof(kernel));
	memset(&out, 0, sizeof(out));
	memory = (struct pa_memstats){ 0 };
	look_ups = 0;
	return 0;
}

static inline struct pa_stack *stack_of(uint32_t depth, const uint32_t *locs)
{
	static union {
		struct pa_stack stack;
		char room[sizeof(struct pa_stack) + 64];
	} stacks[FIXTURE_STACKS];
	static unsigned next;
	struct pa_stack *stack = &stacks[next++ % FIXTURE_STACKS].stack;

	assert_true(depth * sizeof(*locs) <= 64);
	stack->depth = depth;
	if (depth)
		memcpy(stack->locs, locs, depth * sizeof(*locs));
	return stack;
}
#define STACK(...) stack_of(sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (uint32_t[]){ __VA_ARGS__ })
#define NO_STACK stack_of(0, NULL)

static inline int print_snapshot(const struct pa_snapshot *snapshot, int64_t debug)
{
	struct pa_snapshot with_memory = *snapshot;

	with_memory.memory = memory;
	int result = pa_text_profile(&with_memory, debug, &sink);

	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
	return result;
}

/*
 * With the kernel out of memory at each of its calls in turn, until the text is whole. Returns at
 * how many calls that could happen.
 */
static inline size_t missing_memory(const struct pa_snapshot *snapshot, int64_t debug)
{
	size_t fail_at;

	for (fail_at = 1;; fail_at++) {
		reset(NULL);
		kernel.fail_at = fail_at;
		int result = print_snapshot(snapshot, debug);
		if (result == 0)
			return fail_at - 1;
		assert_int_equal(result, -ENOMEM);
	}
}

#endif
