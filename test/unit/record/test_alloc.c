/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "agent/record/alloc.h"
#include "agent/record/alloc_set.h"
#include "agent/record/sample.h"
#include "test/lib/c/record_fixture.h"

static __attribute__((noinline)) struct pa_thread *self(void)
{
	return &pa_thread_self;
}

/* There an atomic access takes 50 times as long, and it looks at races, not at how much fits. */
#ifdef __SANITIZE_THREAD__
enum { LIVE = 20000, THREADS = 4, EACH = 3000 };
#else
enum { LIVE = 1000000, THREADS = 4, EACH = 30000 };
#endif

/* A pc that ends the stack, so that records are small. */
static const struct pa_cursor known = { .pc = 0x1234, .sp = 0x1000 };

static void boot(size_t ring_bytes, uint64_t rate)
{
	const struct pa_rule end = { .kind = PA_RULE_END };
	fixture_boot(ring_bytes, rate);
	pa_frame_cache_insert(pa_record.frames, known.pc, false, &end, 0);
}

static void *fake(uintptr_t number)
{
	return (void *)(0x7f0000000000 + number * 48);
}

static void record(void *pointer, size_t bytes)
{
	pa_alloc_record(self(), pointer, bytes, known);
}

static bool forget(void *pointer)
{
	return pa_alloc_forget(self(), pointer).was_sampled;
}

static void only_recorded_objects_are_forgotten_and_once(void **unused)
{
	(void)unused;
	boot(1 << 20, 1);
	record(fake(1), 10);
	assert_true(pa_alloc_maybe_sampled(fake(1)));
	assert_false(forget(fake(2)));
	assert_true(forget(fake(1)));
	assert_false(forget(fake(1)));
	assert_false(pa_alloc_maybe_sampled(fake(1)));
}

/* free(NULL) comes here where NULL shares its byte of the filter with a page that has samples. */
static void null_is_no_sampled_object(void **unused)
{
	(void)unused;
	boot(1 << 20, 1);
	struct fixture_event *event = malloc(sizeof(*event));
	record(fake(1), 10);
	assert_true(fixture_next(event));
	assert_false(forget(NULL));
	assert_false(fixture_next(event));
	assert_true(forget(fake(1)));
	free(event);
}

static void allocation_and_free_are_in_the_ring_in_order(void **unused)
{
	(void)unused;
	boot(1 << 20, 1);
	struct fixture_event *event = malloc(sizeof(*event));
	record(fake(1), 10);
	forget(fake(1));
	record(fake(1), 20);
	const struct {
		int kind;
		uint64_t bytes;
	} want[] = { { PA_EVENT_ALLOC, 10 }, { PA_EVENT_FREE, 0 }, { PA_EVENT_ALLOC, 20 } };
	for (size_t i = 0; i < PA_COUNT(want); i++) {
		assert_true(fixture_next(event));
		assert_int_equal(event->head.kind, want[i].kind);
		assert_int_equal(event->head.value[0], want[i].bytes);
		assert_int_equal(event->head.object, (uintptr_t)fake(1));
		assert_int_equal(event->head.time_ns != 0, want[i].kind == PA_EVENT_ALLOC);
	}
	assert_false(fixture_next(event));
	forget(fake(1));
	free(event);
}

static void revived_object_can_be_freed_again(void **unused)
{
	(void)unused;
	boot(1 << 20, 1);
	record(fake(3), 10);
	struct pa_alloc_forgotten forgotten = pa_alloc_forget(self(), fake(3));
	assert_true(forgotten.was_sampled);
	pa_alloc_revive(self(), fake(3), forgotten);
	assert_true(pa_alloc_maybe_sampled(fake(3)));
	assert_true(forget(fake(3)));
}

static void address_that_comes_again_without_a_free_takes_one_place(void **unused)
{
	(void)unused;
	boot(1 << 20, 1);
	struct fixture_event *event = malloc(sizeof(*event));
	for (int i = 0; i < 1000; i++) {
		record(fake(7), 10);
		assert_true(fixture_next(event));
		assert_int_equal(event->head.kind, PA_EVENT_ALLOC);
	}
	assert_true(forget(fake(7)));
	assert_false(forget(fake(7)));
	assert_false(pa_alloc_maybe_sampled(fake(7)));
	free(event);
}

/* Its free has no event, and is counted. */
static void allocation_that_found_no_room_is_counted_until_its_free(void **unused)
{
	(void)unused;
	boot(64 << 10, 1);
	uintptr_t number = 0;
	while (!fixture_count(&pa_record.counters.lost_alloc_ring))
		record(fake(number++), 1);
	assert_int_equal(fixture_count(&pa_record.counters.frees_of_lost), 0);
	assert_int_equal(fixture_count(&pa_record.counters.alloc_events), number - 1);
	assert_int_equal(fixture_count(&pa_record.counters.bytes_of_lost_allocs), 1);
	assert_true(pa_alloc_maybe_sampled(fake(number - 1)));
	assert_false(forget(fake(number - 1)));
	assert_int_equal(fixture_count(&pa_record.counters.frees_of_lost), 1);
	assert_false(forget(fake(number - 1)));
	assert_int_equal(fixture_count(&pa_record.counters.frees_of_lost), 1);
	for (uintptr_t i = 0; i + 1 < number; i++)
		assert_true(forget(fake(i)));
	/* A few frees still fit where an allocation with its stack did not. */
	uint64_t kept = fixture_count(&pa_record.counters.free_events);
	uint64_t lost = fixture_count(&pa_record.counters.lost_free_ring);
	assert_int_equal(kept + lost, number - 1);
	assert_true(lost > kept);
}

static void errno_is_kept(void **unused)
{
	(void)unused;
	boot(64 << 10, 1);
	for (uintptr_t i = 0; i < 2000; i++) {
		errno = 1234;
		record(fake(i), 1);
		assert_int_equal(errno, 1234);
	}
	for (uintptr_t i = 0; i < 2000; i++)
		forget(fake(i));
	assert_int_equal(errno, 1234);
}

static void marked_range_stays_marked(void **unused)
{
	(void)unused;
	boot(64 << 10, 1);
	static char range[3 * 4096] __attribute__((aligned(4096)));
	pa_alloc_mark_range(range, sizeof(range));
	record(range, 1);
	forget(range);
	for (size_t i = 0; i < sizeof(range); i += 64)
		assert_true(pa_alloc_maybe_sampled(range + i));
}

static void own_work_and_agent_threads_are_never_due(void **unused)
{
	(void)unused;
	boot(64 << 10, 1);
	assert_true(pa_alloc_due(self(), 100));
	self()->depth = 1;
	assert_false(pa_alloc_due(self(), 100));
	assert_int_equal(fixture_count(&pa_record.counters.lost_reentrant), 1);
	self()->depth = 0;
	self()->role = PA_ROLE_AGENT;
	assert_false(pa_alloc_due(self(), 100));
	self()->role = PA_ROLE_PROGRAM;
	pa_store_relaxed(&pa_switches->heap, 0);
	assert_false(pa_alloc_due(self(), 100));
	assert_true(self()->heap_left == UINT64_MAX);
	pa_store_relaxed(&pa_switches->heap, 1);
}

static void paused_thread_is_neither_sampled_nor_counted(void **unused)
{
	(void)unused;
	boot(1 << 20, 1);
	self()->heap_left = 0;
	uint64_t left = pa_alloc_pause(self());
	for (int i = 0; i < 1000; i++)
		assert_true(pa_alloc_skip((size_t)1 << 40));
	pa_alloc_resume(self(), left);
	assert_false(pa_alloc_skip(1));
	assert_true(pa_alloc_due(self(), 1));
	assert_int_equal(fixture_count(&pa_record.counters.lost_reentrant), 0);

	/* Each allocation of a thread of the agent has to come to the slow half. */
	uint8_t role = self()->role;
	self()->role = PA_ROLE_AGENT;
	self()->heap_left = 0;
	left = pa_alloc_pause(self());
	assert_false(pa_alloc_skip(1));
	self()->heap_left = 0;
	pa_alloc_resume(self(), left);
	assert_false(pa_alloc_skip(1));
	self()->role = role;
}

/* By what the hooks do for each allocation: skip, else ask. */
static bool allocate(size_t bytes)
{
	return !pa_alloc_skip(bytes) && pa_alloc_due(self(), bytes);
}

static void sampled_share_of_all_sizes_is_that_of_a_poisson_process(void **unused)
{
	(void)unused;
	/* 1 - exp(-size/rate): a sample stands for 1 / that many objects. */
	const struct {
		size_t bytes;
		double share;
	} sizes[] = { { 1024, 0.01550 }, { 65536, 0.63212 }, { 400000, 0.99776 },
		{ 16, 0.000244 } };
	boot(64 << 10, 65536);
	for (size_t i = 0; i < PA_COUNT(sizes); i++) {
		enum { COUNT = 2000000 };
		int sampled = 0;
		for (int n = 0; n < COUNT; n++)
			sampled += allocate(sizes[i].bytes);
		double want = sizes[i].share * COUNT;
		/* At least 488 samples each: 20 % is more than four standard deviations. */
		assert_true(sampled > want * 0.8 && sampled < want * 1.2);
		if (sizes[i].share > 0.5)
			assert_true(sampled > want * 0.99 && sampled < want * 1.01);
	}
}

static void first_allocation_of_a_thread_is_sampled_by_its_size(void **unused)
{
	(void)unused;
	boot(64 << 10, 65536);
	int small = 0, large = 0;
	for (int i = 0; i < 20000; i++) {
		*self() = (struct pa_thread){ 0 };
		self()->random = 0;
		small += allocate(64);
		*self() = (struct pa_thread){ 0 };
		large += allocate(1 << 20);
	}
	assert_true(small < 100);
	assert_true(large > 19900);
}

static void million_live_objects_fit_into_the_set(void **unused)
{
	(void)unused;
	boot(64 << 10, 1);
	uintptr_t i = 0;
	struct fixture_event *event = malloc(sizeof(*event));
	for (; i < LIVE; i++) {
		record(fake(i), 1);
		while (pa_ring_stats(pa_record.ring).used_bytes > (32 << 10))
			fixture_next(event);
	}
	free(event);
	assert_int_equal(fixture_count(&pa_record.counters.alloc_events), LIVE);
	assert_int_equal(fixture_count(&pa_record.counters.lost_alloc_live), 0);
	assert_true(pa_alloc_set_bytes() <= (32 << 20));
	while (i--)
		assert_true(forget(fake(i)));
}

/* Those of large blocks of malloc(), which the kernel maps. */
static void objects_at_the_start_of_pages_fit_into_the_set(void **unused)
{
	(void)unused;
	enum { MAPPED = 200000, STEP = 16 << 10 };
	boot(64 << 10, 524288);
	struct fixture_event *event = malloc(sizeof(*event));
	for (uintptr_t i = 0; i < MAPPED; i++) {
		record((void *)(0x7e0000000010 + i * STEP), 1 << 20);
		while (fixture_next(event))
			;
	}
	assert_int_equal(fixture_count(&pa_record.counters.lost_alloc_live), 0);
	for (uintptr_t i = 0; i < MAPPED; i++) {
		assert_true(forget((void *)(0x7e0000000010 + i * STEP)));
		while (fixture_next(event))
			;
	}
	free(event);
}

/* Drops the events, and returns how many of them were allocations without an object. */
static uintptr_t record_many(uintptr_t count)
{
	struct fixture_event *event = malloc(sizeof(*event));
	uintptr_t without = 0;
	for (uintptr_t i = 0; i < count; i++) {
		record(fake(i), 3);
		while (fixture_next(event))
			without += event->head.kind == PA_EVENT_ALLOC && !event->head.object;
	}
	free(event);
	return without;
}

static uintptr_t forget_many(uintptr_t count)
{
	struct fixture_event *event = malloc(sizeof(*event));
	uintptr_t found = 0;
	for (uintptr_t i = 0; i < count; i++) {
		found += forget(fake(i));
		while (fixture_next(event))
			;
	}
	free(event);
	return found;
}

static void objects_beyond_the_set_are_counted_until_their_frees(void **unused)
{
	(void)unused;
	enum { MANY = 2900000, KEPT = 2290000 };
	boot(64 << 10, 1);
	uintptr_t without = record_many(MANY);
	assert_true(pa_alloc_set_bytes() <= (20 << 20));
	assert_in_range(without, MANY - (20 << 20) / 8, MANY - KEPT);
	assert_int_equal(fixture_count(&pa_record.counters.alloc_events), MANY);
	assert_int_equal(fixture_count(&pa_record.counters.lost_alloc_live), without);
	assert_int_equal(forget_many(MANY), MANY - without);
	assert_int_equal(fixture_count(&pa_record.counters.frees_of_lost), without);
	/* Of none of them, therefore. */
	assert_int_equal(forget_many(MANY), 0);
	assert_int_equal(fixture_count(&pa_record.counters.frees_of_lost), without);

	/* With a rate it may be of any object. */
	boot(64 << 10, 2);
	without = record_many(MANY);
	assert_int_equal(fixture_count(&pa_record.counters.lost_alloc_live), without);
	assert_int_equal(forget_many(MANY), MANY - without);
	assert_int_equal(fixture_count(&pa_record.counters.frees_of_lost), 0);
}

static void *churn(void *arg)
{
	uintptr_t first = (uintptr_t)arg * EACH;
	for (int round = 0; round < 3; round++) {
		for (uintptr_t i = 0; i < EACH; i++)
			record(fake(first + i), 1);
		for (uintptr_t i = 0; i < EACH; i++)
			if (!forget(fake(first + i)))
				return (void *)1;
	}
	return NULL;
}

static void *drain(void *stop)
{
	struct fixture_event *event = malloc(sizeof(*event));
	uint64_t allocs = 0;
	while (!pa_load_acquire((PA_ATOMIC(uint32_t) *)stop))
		while (fixture_next(event))
			allocs += event->head.kind == PA_EVENT_ALLOC;
	while (fixture_next(event))
		allocs += event->head.kind == PA_EVENT_ALLOC;
	free(event);
	return (void *)allocs;
}

static void threads_do_not_lose_each_others_objects(void **unused)
{
	(void)unused;
	boot(8 << 20, 1);
	PA_ATOMIC(uint32_t) stop = 0;
	pthread_t reader, threads[THREADS];
	void *result;
	pthread_create(&reader, NULL, drain, &stop);
	/* Only recorded objects can be forgotten: the ring must never be full. */
	pa_ring_reader(pa_record.ring, true);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, churn, (void *)i);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		if (!fixture_count(&pa_record.counters.lost_alloc_ring))
			assert_null(result);
	}
	pa_store_release(&stop, 1);
	pthread_join(reader, &result);
	assert_int_equal((uint64_t)result, fixture_count(&pa_record.counters.alloc_events));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_recorded_objects_are_forgotten_and_once),
		cmocka_unit_test(null_is_no_sampled_object),
		cmocka_unit_test(allocation_and_free_are_in_the_ring_in_order),
		cmocka_unit_test(revived_object_can_be_freed_again),
		cmocka_unit_test(address_that_comes_again_without_a_free_takes_one_place),
		cmocka_unit_test(allocation_that_found_no_room_is_counted_until_its_free),
		cmocka_unit_test(errno_is_kept),
		cmocka_unit_test(marked_range_stays_marked),
		cmocka_unit_test(own_work_and_agent_threads_are_never_due),
		cmocka_unit_test(paused_thread_is_neither_sampled_nor_counted),
		cmocka_unit_test(sampled_share_of_all_sizes_is_that_of_a_poisson_process),
		cmocka_unit_test(first_allocation_of_a_thread_is_sampled_by_its_size),
		cmocka_unit_test(million_live_objects_fit_into_the_set),
#ifndef __SANITIZE_THREAD__
		cmocka_unit_test(objects_at_the_start_of_pages_fit_into_the_set),
		cmocka_unit_test(objects_beyond_the_set_are_counted_until_their_frees),
#endif
		cmocka_unit_test(threads_do_not_lose_each_others_objects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
