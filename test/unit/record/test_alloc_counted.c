/* SPDX-License-Identifier: Apache-2.0 */
/* Allocations of alloc.c that the collector has published a number for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "agent/record/alloc.h"
#include "agent/record/registry.h"
#include "test/lib/c/record_fixture.h"

static __attribute__((noinline)) struct pa_thread *self(void)
{
	return &pa_thread_self;
}

/* A pc that ends the stack; this stack pointer is not on the thread's own stack. */
static const struct pa_cursor known = { .pc = 0x1234, .sp = 0x1000 };

static void boot(void)
{
	const struct pa_rule end = { .kind = PA_RULE_END };
	fixture_boot(1 << 20, 1);
	pa_frame_cache_insert(pa_record.frames, known.pc, false, &end, 0);
}

static void *fake(uintptr_t number)
{
	return (void *)(0x7f0000000000 + number * 48);
}

static bool forget(void *pointer)
{
	return pa_alloc_forget(self(), pointer).was_sampled;
}

/* The stack of known has a number for objects of that size; the main thread's own stack. */
static struct pa_cursor publish(size_t bytes, uint32_t number)
{
	if (!pa_record.alloc_counts)
		pa_record.alloc_counts = pa_alloc_counts_create();
	pa_alloc_counts_publish(pa_record.alloc_counts,
		pa_alloc_counts_key(pa_record.alloc_counts, &known.pc, 1, false, bytes, 0), number);
	pa_registry_add(self());
	return (struct pa_cursor){ .pc = known.pc,
		.sp = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)15 };
}

static void assert_counts(uint32_t number, int64_t made, int64_t freed)
{
	struct pa_alloc_counts_taken taken = pa_alloc_counts_take(pa_record.alloc_counts, number);
	assert_int_equal(taken.made, made);
	assert_int_equal(taken.freed, freed);
}

static bool has_event(uint8_t kind)
{
	struct fixture_event *event = malloc(sizeof(*event));
	bool found = fixture_next(event) && event->head.kind == kind;
	free(event);
	return found;
}

static bool is_ring_empty(void)
{
	return !pa_ring_stats(pa_record.ring).used_bytes;
}

static void known_stack_and_size_are_counted_without_events(void **unused)
{
	(void)unused;
	boot();
	struct pa_cursor from = publish(10, 5);
	pa_alloc_record(self(), fake(1), 10, from);
	assert_true(pa_alloc_maybe_sampled(fake(1)));
	assert_counts(5, 1, 0);
	assert_true(forget(fake(1)));
	assert_counts(5, 0, 1);
	assert_false(forget(fake(1)));
	assert_false(pa_alloc_maybe_sampled(fake(1)));
	assert_true(is_ring_empty());
}

static void another_size_or_stack_is_an_event(void **unused)
{
	(void)unused;
	boot();
	struct pa_cursor from = publish(10, 5), foreign = known;
	pa_alloc_record(self(), fake(1), 11, from);
	assert_true(has_event(PA_EVENT_ALLOC));
	pa_alloc_record(self(), fake(2), 10, foreign);
	assert_true(has_event(PA_EVENT_ALLOC));
	pa_frame_cache_new_epoch(pa_record.frames);
	pa_alloc_record(self(), fake(3), 10, from);
	assert_true(has_event(PA_EVENT_ALLOC));
	for (uintptr_t i = 1; i <= 3; i++) {
		assert_true(forget(fake(i)));
		assert_true(has_event(PA_EVENT_FREE));
	}
	assert_counts(5, 0, 0);
}

static void free_is_recorded_as_its_allocation_was(void **unused)
{
	(void)unused;
	boot();
	struct pa_cursor from = publish(10, 5);
	pa_alloc_record(self(), fake(1), 20, from);
	assert_true(has_event(PA_EVENT_ALLOC));
	publish(20, 6);
	pa_alloc_record(self(), fake(2), 20, from);
	pa_alloc_counts_forget_keys(pa_record.alloc_counts);
	assert_true(forget(fake(1)));
	assert_true(has_event(PA_EVENT_FREE));
	assert_true(forget(fake(2)));
	assert_counts(6, 1, 1);
	assert_true(is_ring_empty());
}

static void counted_object_is_revived(void **unused)
{
	(void)unused;
	boot();
	pa_alloc_record(self(), fake(1), 10, publish(10, 5));
	struct pa_alloc_forgotten forgotten = pa_alloc_forget(self(), fake(1));
	pa_alloc_revive(self(), fake(1), forgotten);
	assert_counts(5, 1, 0);
	assert_true(forget(fake(1)));
	assert_counts(5, 0, 1);
	assert_true(is_ring_empty());
}

/* The collector recognizes an address that comes again by the second event. */
static void address_that_comes_again_is_recorded_as_the_first_time(void **unused)
{
	(void)unused;
	boot();
	struct pa_cursor from = publish(10, 5);
	pa_alloc_record(self(), fake(1), 20, from);
	assert_true(has_event(PA_EVENT_ALLOC));
	pa_alloc_record(self(), fake(1), 10, from);
	assert_true(has_event(PA_EVENT_ALLOC));
	assert_true(forget(fake(1)));
	assert_true(has_event(PA_EVENT_FREE));
	assert_counts(5, 0, 0);

	for (int i = 0; i < 3; i++)
		pa_alloc_record(self(), fake(2), 10, from);
	assert_counts(5, 3, 2);
	assert_int_equal(pa_alloc_counts_take_missed(pa_record.alloc_counts), 2);
	assert_true(forget(fake(2)));
	assert_false(forget(fake(2)));
	assert_true(is_ring_empty());
}

static void objects_of_abandoned_counts_are_freed_by_events(void **unused)
{
	(void)unused;
	boot();
	struct pa_cursor from = publish(10, 5);
	pa_alloc_record(self(), fake(1), 10, from);
	pa_alloc_abandon_counts();
	assert_true(forget(fake(1)));
	assert_true(has_event(PA_EVENT_FREE));
	pa_alloc_record(self(), fake(1), 10, from);
	assert_true(has_event(PA_EVENT_ALLOC));
	assert_counts(5, 0, 0);
	forget(fake(1));
}

static void stacks_cut_at_the_limit_are_counted_too(void **unused)
{
	(void)unused;
	boot();
	struct pa_cursor from = publish(10, 5);
	const struct pa_rule step = { .kind = PA_RULE_SP, .cfa_offset = 16 };
	uintptr_t stack[2] = { 0, known.pc };
	pa_record.stack_depth = 1;
	pa_frame_cache_insert(pa_record.frames, 0x5678, false, &step, 0);
	from = (struct pa_cursor){ .pc = 0x5678, .sp = (uintptr_t)stack };
	pa_alloc_counts_publish(pa_record.alloc_counts,
		pa_alloc_counts_key(pa_record.alloc_counts, &from.pc, 1, true, 10, 0), 6);
	pa_alloc_record(self(), fake(1), 10, from);
	assert_counts(6, 1, 0);
	assert_int_equal(fixture_count(&pa_record.counters.cut_stacks), 1);
	pa_alloc_record(self(), fake(2), 11, from);
	struct fixture_event *event = malloc(sizeof(*event));
	assert_true(fixture_next(event));
	assert_int_equal(event->head.flags, PA_EVENT_CUT);
	assert_int_equal(event->head.depth, 1);
	free(event);
	forget(fake(1));
	forget(fake(2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_stack_and_size_are_counted_without_events),
		cmocka_unit_test(another_size_or_stack_is_an_event),
		cmocka_unit_test(free_is_recorded_as_its_allocation_was),
		cmocka_unit_test(counted_object_is_revived),
		cmocka_unit_test(address_that_comes_again_is_recorded_as_the_first_time),
		cmocka_unit_test(objects_of_abandoned_counts_are_freed_by_events),
		cmocka_unit_test(stacks_cut_at_the_limit_are_counted_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
