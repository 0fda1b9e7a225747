/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "agent/record/registry.h"
#include "agent/record/sample.h"
#include "test/lib/c/record_fixture.h"

#define RATE 524288.0

static uint64_t interval(void)
{
	return pa_sample_interval(&pa_thread_self, (uint64_t)RATE);
}

/* The same numbers in each run: what is tested is how they are drawn, not luck. */
static void draw_the_same_again(void)
{
	fixture_boot(64 << 10, 1);
	pa_thread_self.random = 1;
}

static void intervals_have_the_rate_as_mean(void **unused)
{
	(void)unused;
	enum { DRAWS = 16000000 };
	double sum = 0;
	draw_the_same_again();
	for (int i = 0; i < DRAWS; i++)
		sum += (double)interval();
	/* 0.025 % is one standard deviation. */
	assert_true(fabs(sum / DRAWS / RATE - 1) < 0.001);
}

static int compare(const void *a, const void *b)
{
	const double *left = a, *right = b;
	return (*left > *right) - (*left < *right);
}

/* Kolmogorov and Smirnov: one in 1,000 samples of the distribution is further away than this. */
static void intervals_are_exponential(void **unused)
{
	(void)unused;
	enum { DRAWS = 1000000 };
	static double drawn[DRAWS];
	draw_the_same_again();
	for (int i = 0; i < DRAWS; i++)
		drawn[i] = (double)interval();
	qsort(drawn, DRAWS, sizeof(drawn[0]), compare);
	double distance = 0;
	for (int i = 0; i < DRAWS; i++)
		distance = fmax(distance, fabs(1 - exp(-drawn[i] / RATE) - (i + 0.5) / DRAWS));
	assert_true(distance < 1.95 / sqrt(DRAWS));
}

static void intervals_of_huge_rates_do_not_wrap(void **unused)
{
	(void)unused;
	draw_the_same_again();
	int above_half = 0;
	for (int i = 0; i < 1000; i++)
		above_half += pa_sample_interval(&pa_thread_self, UINT64_MAX) > UINT64_MAX / 2;
	assert_in_range(above_half, 550, 660); /* 1000 / sqrt(e) = 607 */
}

static void rate_one_samples_everything(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	assert_int_equal(pa_sample_interval(&pa_thread_self, 1), 0);
	assert_int_equal(pa_sample_interval(&pa_thread_self, 0), 0);
}

static struct pa_event head_of(enum pa_event_kind kind)
{
	return (struct pa_event){ .kind = (uint8_t)kind, .tid = 7, .time_ns = 5, .value = { 99 } };
}

static struct pa_thread *met(void)
{
	pa_registry_add(&pa_thread_self);
	return &pa_thread_self;
}

static __attribute__((noinline)) struct pa_cursor here(void)
{
	return PA_CURSOR_OF_CALLER();
}

static void unknown_code_takes_its_registers_and_stack_along(void **unused)
{
	(void)unused;
	fixture_boot(1 << 20, 1);
	struct pa_thread *self = met();
	struct pa_event head = head_of(PA_EVENT_ALLOC);
	struct pa_cursor from = here();
	assert_true(pa_sample_stack(&head, self, from, NULL, false));
	struct fixture_event *event = malloc(sizeof(*event));
	assert_true(fixture_next(event));
	assert_int_equal(event->head.flags, PA_EVENT_DEFERRED);
	assert_int_equal(event->head.depth, 0);
	assert_int_equal(event->head.value[0], 99);
	assert_int_equal(event->deferred.regs.gpr[PA_REG_PC], from.pc);
	assert_int_equal(event->deferred.regs.gpr[PA_REG_SP], from.sp);
	assert_int_equal(event->deferred.regs.gpr[PA_REG_BP], from.bp);
	assert_int_equal(event->deferred.stack_at, from.sp & ~7ul);
	assert_true(event->deferred.stack_bytes >= 64);
	free(event);
}

static void known_code_is_published_without_a_copy(void **unused)
{
	(void)unused;
	fixture_boot(1 << 20, 1);
	struct pa_thread *self = met();
	struct pa_event head = head_of(PA_EVENT_ALLOC);
	struct pa_cursor from = here();
	const struct pa_rule end = { .kind = PA_RULE_END };
	assert_true(pa_frame_cache_insert(pa_record.frames, from.pc, false, &end, 0));
	assert_true(pa_sample_stack(&head, self, from, NULL, false));
	assert_int_equal(pa_ring_stats(pa_record.ring).used_bytes,
		PA_ALIGN_UP(sizeof(struct pa_event) + sizeof(uintptr_t), PA_RING_CELL_BYTES));
	struct fixture_event *event = malloc(sizeof(*event));
	assert_true(fixture_next(event));
	assert_int_equal(event->head.flags, 0);
	assert_int_equal(event->head.depth, 1);
	assert_int_equal(event->pcs[0], from.pc);
	free(event);
}

/* A signal has interrupted known code; its caller's frame is known by all registers only. */
static void complex_frame_gets_the_registers_of_the_first_one(void **unused)
{
	(void)unused;
	fixture_boot(1 << 20, 1);
	struct pa_thread *self = met();
	uintptr_t stack[1024] __attribute__((aligned(16))) = { [1] = 0x5678 };
	const struct pa_rule leaf = { .kind = PA_RULE_SP, .cfa_offset = 16 };
	const struct pa_rule kinds[] = { { .kind = PA_RULE_COMPLEX }, { .kind = PA_RULE_NONE } };
	struct pa_regs regs = {
		.gpr = { 11, 22, [PA_REG_PC] = 0x1234, [PA_REG_SP] = (uintptr_t)stack }
	};
	struct pa_event head = head_of(PA_EVENT_CPU);
	head.flags = PA_EVENT_LEAF;
	struct fixture_event *event = malloc(sizeof(*event));
	assert_true(pa_frame_cache_insert(pa_record.frames, 0x1234, true, &leaf, 0));
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		if (kinds[i].kind)
			assert_true(pa_frame_cache_insert(pa_record.frames, 0x5678, false,
				&kinds[i], 0));
		assert_true(pa_sample_stack(&head, self, pa_arch_cursor(&regs), &regs, false));
		assert_true(fixture_next(event));
		assert_int_equal(event->head.depth, 0);
		assert_memory_equal(&event->deferred.regs, &regs, sizeof(regs));
		assert_true(event->deferred.leaf);
		/* A hook has no more registers than the walk. */
		head.flags = 0;
		assert_true(pa_sample_stack(&head, self,
			(struct pa_cursor){ .pc = 0x5678, .sp = (uintptr_t)&stack[2] }, NULL,
			false));
		assert_true(fixture_next(event));
		assert_int_equal(event->deferred.regs.gpr[PA_REG_PC], 0x5678);
		head.flags = PA_EVENT_LEAF;
	}
	free(event);
}

static void copies_are_as_long_as_stacks_before_needed(void **unused)
{
	(void)unused;
	enum { BYTES = 200 << 10 };
	fixture_boot(4 << 20, 1);
	pa_record.main_stack_lo = pa_record.main_stack_hi - (4 << 20);
	struct pa_thread *self = met();
	struct pa_event head = head_of(PA_EVENT_ALLOC);
	char buffer[BYTES];
	struct pa_cursor from = { .pc = 0x1234, .sp = ((uintptr_t)buffer + 7) & ~7ul };
	memset(buffer, 1, sizeof(buffer));
	static const struct {
		size_t needed, expected;
	} rows[] = { { 0, PA_COPY_SIZE_OWN_BYTES }, { 100 << 10, 128 << 10 } };
	for (size_t i = 0; i < PA_COUNT(rows); i++) {
		if (rows[i].needed)
			pa_copy_size_learn(&pa_record.copy_sizes, true, rows[i].needed);
		assert_true(pa_sample_stack(&head, self, from, NULL, false));
		size_t bytes;
		const struct pa_event *event = pa_ring_read(pa_record.ring, &bytes);
		assert_non_null(event);
		const struct pa_deferred *deferred = pa_event_deferred(event);
		assert_int_equal(deferred->stack_bytes, rows[i].expected);
		assert_true(deferred->own_stack);
		pa_ring_release(pa_record.ring);
	}
}

static void full_ring_is_told_to_the_caller(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	struct pa_event head = head_of(PA_EVENT_FREE);
	uint64_t kept = 0;
	while (pa_sample_plain(&head, NULL, 0))
		kept++;
	assert_int_equal(kept, (64 << 10) / PA_RING_CELL_BYTES);
	assert_false(pa_sample_stack(&head, met(), here(), NULL, false));
}

static void stack_without_room_for_its_copy_is_marked_broken(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	struct pa_thread *self = met();
	struct pa_event head = head_of(PA_EVENT_ALLOC);
	/* Room for the pcs of both tries (the first leaves padding), but not for the copy besides.
	 */
	size_t one = sizeof(struct pa_event) + 128 * sizeof(uintptr_t);
	size_t leave = 2 * one + 2 * PA_RING_CELL_BYTES;
	while (pa_ring_stats(pa_record.ring).used_bytes + leave < (64 << 10))
		assert_true(pa_sample_plain(&head, NULL, 0));
	assert_false(pa_sample_stack(&head, self, here(), NULL, true));
	assert_true(pa_sample_stack(&head, self, here(), NULL, false));
	struct fixture_event *event = malloc(sizeof(*event));
	bool broken = false;
	while (fixture_next(event))
		broken = event->head.flags == PA_EVENT_BROKEN;
	assert_true(broken);
	free(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intervals_have_the_rate_as_mean),
		cmocka_unit_test(intervals_are_exponential),
		cmocka_unit_test(intervals_of_huge_rates_do_not_wrap),
		cmocka_unit_test(rate_one_samples_everything),
		cmocka_unit_test(unknown_code_takes_its_registers_and_stack_along),
		cmocka_unit_test(known_code_is_published_without_a_copy),
		cmocka_unit_test(complex_frame_gets_the_registers_of_the_first_one),
		cmocka_unit_test(copies_are_as_long_as_stacks_before_needed),
		cmocka_unit_test(full_ring_is_told_to_the_caller),
		cmocka_unit_test(stack_without_room_for_its_copy_is_marked_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
