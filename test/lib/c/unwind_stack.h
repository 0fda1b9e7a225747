/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of pa_unwind_finish: events as hooks leave them in the ring, made from the stack of
 * the running test, and what libc's own unwinder says of the same stack.
 */
#ifndef UNWIND_STACK_H
#define UNWIND_STACK_H

#include "test/lib/c/unwind_fixture.h"

#include <pthread.h>

#include "agent/unwind/unwind.h"

#if defined(__clang__)
#define NO_FRAME_POINTER PA_NOINLINE
#else
#define NO_FRAME_POINTER PA_NOINLINE __attribute__((optimize("omit-frame-pointer")))
#endif
/* Behind a call: it stays a call and does not become a jump. */
#define NOT_A_TAIL_CALL() __asm__ volatile("")

enum { COPY_BYTES = 64 * 1024, PCS = 128, OWN_PCS = 4 };

/* One event as a hook leaves it in the ring, and what came out of it. */
static struct {
	struct pa_frame_cache *frames;
	uint64_t record[(sizeof(struct pa_event) + OWN_PCS * 8 + sizeof(struct pa_deferred)) / 8 +
		COPY_BYTES / 8];
	uintptr_t pcs[PCS];
	uint32_t max;
	size_t copy_bytes;
	struct pa_unwind_result result;
	void *expected[PCS]; /* what libc's own unwinder says */
	int expected_depth;
	int64_t time_ns;                     /* of events */
	struct pa_unwind_result trap_result; /* from the ucontext of a signal handler */
	uintptr_t trap_pcs[PCS];
} run;

/* End of the calling thread's stack; not in a signal handler the first time. */
static uintptr_t stack_limit(void)
{
	static __thread uintptr_t limit;
	pthread_attr_t attributes;
	void *stack;
	size_t bytes;
	if (limit)
		return limit;
	pthread_getattr_np(pthread_self(), &attributes);
	pthread_attr_getstack(&attributes, &stack, &bytes);
	pthread_attr_destroy(&attributes);
	limit = (uintptr_t)stack + bytes;
	return limit;
}

static inline struct pa_deferred *make_event(const uintptr_t *own, uint16_t depth, bool leaf)
{
	struct pa_event *event = (struct pa_event *)run.record;
	*event = (struct pa_event){ .kind = PA_EVENT_CPU,
		.depth = depth,
		.flags = PA_EVENT_DEFERRED | (leaf ? PA_EVENT_LEAF : 0),
		.time_ns = run.time_ns,
		.value = { 0, run.frames ? pa_frame_cache_epoch(run.frames) : 0 } };
	if (depth)
		memcpy(event + 1, own, depth * sizeof(*own));
	struct pa_deferred *deferred = (struct pa_deferred *)((uintptr_t *)(event + 1) + depth);
	memset(deferred, 0, sizeof(*deferred));
	deferred->leaf = leaf;
	return deferred;
}

static void finish(void)
{
	memset(run.pcs, 0, sizeof(run.pcs));
	run.result =
		pa_unwind_finish((const struct pa_event *)run.record, run.frames, run.pcs, run.max);
}

static inline void finish_from(const struct pa_regs *regs, const uintptr_t *own, uint16_t depth,
	bool leaf)
{
	struct pa_deferred *deferred = make_event(own, depth, leaf);
	deferred->regs = *regs;
	deferred->stack_at = regs->gpr[PA_REG_SP] & ~7ul;
	size_t bytes = stack_limit() - deferred->stack_at;
	deferred->stack_bytes = (uint32_t)(bytes < run.copy_bytes ? bytes : run.copy_bytes);
	assert_true(pa_maps_read_memory(deferred + 1, deferred->stack_at, deferred->stack_bytes));
	finish();
}

/* libc's own view of the stack, so that expected[1] is the given frame. */
static PA_NOINLINE void expect_from(uintptr_t pc)
{
	int at = 0;
	run.expected_depth = libc_backtrace(run.expected, PCS);
	while (at < run.expected_depth && (uintptr_t)run.expected[at] != pc)
		at++;
	assert_in_range(at, 1, run.expected_depth - 1);
	run.expected_depth -= at - 1;
	memmove(run.expected, run.expected + at - 1, run.expected_depth * sizeof(*run.expected));
}

/* The stack of the caller, off line and by libc. */
static PA_NOINLINE __attribute__((unused)) void capture(void)
{
	struct pa_cursor cursor = PA_CURSOR_OF_CALLER();
	struct pa_regs regs = {
		.gpr = { [PA_REG_PC] = cursor.pc, [PA_REG_SP] = cursor.sp, [PA_REG_BP] = cursor.bp }
	};
	expect_from(cursor.pc);
	finish_from(&regs, NULL, 0, false);
}

/* pcs from their from-th on are what libc found from its skip-th on, to the end of the stack. */
static inline void assert_same_stack(const uintptr_t *pcs, struct pa_unwind_result result, int from,
	int skip)
{
	assert_true(result.complete);
	assert_false(result.cut);
	assert_int_equal(result.depth - (uint32_t)from, run.expected_depth - skip);
	for (int i = skip; i < run.expected_depth; i++)
		assert_int_equal(pcs[from + i - skip], (uintptr_t)run.expected[i]);
}

static inline int setup(void **arg)
{
	(void)arg;
	memset(&run.result, 0, sizeof(run.result));
	run.max = PCS;
	run.copy_bytes = COPY_BYTES;
	if (!run.frames)
		run.frames = pa_frame_cache_create();
	/* Mappings of tests before are gone, and others may lie there. */
	if (run.frames)
		pa_frame_cache_new_epoch(run.frames);
	return !stack_limit() || !run.frames || pa_unwind_init() != 0;
}

#endif
