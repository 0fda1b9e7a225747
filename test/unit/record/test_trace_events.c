/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "agent/record/trace_events.h"
#include "test/lib/c/record_fixture.h"

static int boot(void **unused)
{
	(void)unused;
	fixture_boot(4 << 20, 1);
	memset(pa_trace_events_places, 0, sizeof(pa_trace_events_places));
	pa_trace_events_switch(true);
	return 0;
}

static struct pa_cursor here(void)
{
	return (struct pa_cursor){ .pc = 0x1000, .sp = (uintptr_t)__builtin_frame_address(0) };
}

/* Frames of hooks, the inner ones lower. */
#define FRAME 0x7000
#define INNER_FRAME 0x6000
#define OUTER_FRAME 0x8000

static int object, other_object;

static bool block(struct pa_thread *thread, uintptr_t frame)
{
	return pa_trace_events_block(thread, PA_TRACE_EVENTS_IN_MUTEX, &object, frame, here());
}

static void release(void)
{
	pa_trace_events_release(&pa_thread_self, &object, here());
}

static int32_t waiters_of(const void *what)
{
	return pa_load_relaxed(&pa_trace_events_place_of(what)->waiters);
}

static struct fixture_event event;

/* The next event is of that kind. */
static const struct pa_event *next(enum pa_trace_events_op op)
{
	assert_true(fixture_next(&event));
	assert_int_equal(event.head.kind, PA_EVENT_TRACE);
	assert_int_equal(pa_trace_events_op_of(event.head.skip), op);
	return &event.head;
}

static void assert_nothing(void)
{
	assert_false(fixture_next(&event));
}

static void word_is_taken_apart_as_it_was_put_together(void **unused)
{
	(void)unused;
	uint32_t word = pa_trace_events_word(PA_TRACE_EVENTS_BLOCK, PA_TRACE_EVENTS_IN_OTHER_CALL);
	assert_int_equal(pa_trace_events_op_of(word), PA_TRACE_EVENTS_BLOCK);
	assert_int_equal(pa_trace_events_wait_of(word), PA_TRACE_EVENTS_IN_OTHER_CALL);
}

static void wait_names_the_release_that_ended_it(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	assert_false(pa_trace_events_is_waited(&object));
	assert_true(block(&waiter, FRAME));
	assert_true(pa_trace_events_is_waited(&object));
	int64_t before_ns = pa_clock_mono_ns();
	release();
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_GOT);
	assert_false(pa_trace_events_is_waited(&object));
	const struct pa_event *head = next(PA_TRACE_EVENTS_BLOCK);
	assert_int_equal(pa_trace_events_wait_of(head->skip), PA_TRACE_EVENTS_IN_MUTEX);
	assert_true(head->tid == 7 && head->value[0] == 0);
	assert_int_equal(head->object, (uintptr_t)&object);
	head = next(PA_TRACE_EVENTS_RELEASE);
	uint64_t number = head->value[0];
	assert_int_not_equal(number, 0);
	assert_int_equal(head->object, (uintptr_t)&object);
	assert_true(head->depth > 0 || head->flags & PA_EVENT_DEFERRED);
	assert_true(head->time_ns >= before_ns);
	head = next(PA_TRACE_EVENTS_WOKE);
	assert_true(head->value[0] == number && head->tid == 7);
	assert_int_equal(head->depth, 0);
	assert_nothing();
	assert_int_equal(fixture_count(&pa_record.counters.trace_events), 3);
}

/* The waiter sleeps still, and the holder takes it again and again. */
static void releases_without_a_waiter_are_told_once(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 },
			 other = { .registered = 1, .tid = 8 };
	struct pa_trace_events_place *place = pa_trace_events_place_of(&object);
	block(&waiter, FRAME), next(PA_TRACE_EVENTS_BLOCK);
	release();
	uint64_t number = next(PA_TRACE_EVENTS_RELEASE)->value[0];
	/* Long after any other thread has run in between. */
	pa_store_relaxed(&place->release_ns, INT64_MAX / 2);
	release();
	release();
	assert_nothing();
	/* Another thread does, or it has been a while. */
	pa_trace_events_release(&other, &object, here());
	next(PA_TRACE_EVENTS_RELEASE);
	release();
	assert_true(next(PA_TRACE_EVENTS_RELEASE)->value[0] > number + 1);
	pa_store_relaxed(&place->release_ns, pa_clock_mono_ns() - PA_TRACE_EVENTS_AGAIN_NS);
	release();
	number = next(PA_TRACE_EVENTS_RELEASE)->value[0];
	/* The waiter was woken by the last release that was reported. */
	pa_store_relaxed(&place->release_ns, INT64_MAX / 2);
	release();
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_GOT);
	assert_int_equal(next(PA_TRACE_EVENTS_WOKE)->value[0], number);
	/* And the next waiter has a release of its own. */
	block(&waiter, FRAME);
	pa_store_relaxed(&place->release_ns, INT64_MAX / 2);
	release();
	next(PA_TRACE_EVENTS_BLOCK);
	next(PA_TRACE_EVENTS_RELEASE);
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_GOT);
}

static void wait_that_nothing_released_names_nothing(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	block(&waiter, FRAME);
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_GOT);
	next(PA_TRACE_EVENTS_BLOCK);
	assert_int_equal(next(PA_TRACE_EVENTS_WOKE)->value[0], 0);
	/* The timeout passed, although the lock was released. */
	block(&waiter, FRAME);
	release();
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_GAVE_UP);
	next(PA_TRACE_EVENTS_BLOCK);
	next(PA_TRACE_EVENTS_RELEASE);
	assert_int_equal(next(PA_TRACE_EVENTS_WOKE)->value[0], 0);
	block(&waiter, FRAME);
	next(PA_TRACE_EVENTS_BLOCK);
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_REFUSED);
	assert_true(next(PA_TRACE_EVENTS_WOKE)->value[0] == PA_TRACE_EVENTS_NO_WAIT);
	assert_true(pa_trace_events_block(&waiter, PA_TRACE_EVENTS_IN_POLL, NULL, FRAME, here()));
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_GOT);
	assert_int_equal(next(PA_TRACE_EVENTS_BLOCK)->object, 0);
	assert_int_equal(next(PA_TRACE_EVENTS_WOKE)->value[0], 0);
}

static void block_has_the_threads_name(void **unused)
{
	(void)unused;
	char name[PA_EVENT_NAME_BYTES];
	pthread_getname_np(pthread_self(), name, sizeof(name));
	block(&pa_thread_self, FRAME);
	pa_trace_events_woke(&pa_thread_self, FRAME, PA_WAIT_GOT);
	assert_string_equal(next(PA_TRACE_EVENTS_BLOCK)->name, name);
}

/* The last thread to arrive does not wait, but its number is there when the others wake up. */
static void barrier_is_released_by_the_last_thread(void **unused)
{
	(void)unused;
	struct pa_thread first = { .registered = 1, .tid = 7 },
			 last = { .registered = 1, .tid = 8 };
	pa_trace_events_block(&first, PA_TRACE_EVENTS_IN_BARRIER, &object, FRAME, here());
	pa_trace_events_block(&last, PA_TRACE_EVENTS_IN_BARRIER, &object, FRAME, here());
	pa_trace_events_woke(&last, FRAME, PA_WAIT_GOT);
	pa_trace_events_woke(&first, FRAME, PA_WAIT_GOT);
	uint64_t first_number = next(PA_TRACE_EVENTS_BLOCK)->value[0];
	uint64_t last_number = next(PA_TRACE_EVENTS_BLOCK)->value[0];
	assert_true(first_number && last_number > first_number);
	assert_int_equal(next(PA_TRACE_EVENTS_WOKE)->value[0], last_number);
	assert_int_equal(next(PA_TRACE_EVENTS_WOKE)->value[0], last_number);
	assert_int_equal(waiters_of(&object), 0);
}

static void wait_on_top_of_a_wait_is_left_out(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	assert_true(block(&waiter, FRAME));
	assert_false(pa_trace_events_block(&waiter, PA_TRACE_EVENTS_IN_SEM, &other_object,
		INNER_FRAME, here()));
	pa_trace_events_woke(&waiter, INNER_FRAME, PA_WAIT_GOT);
	assert_int_equal(waiters_of(&object), 1);
	assert_int_equal(waiters_of(&other_object), 0);
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_GOT);
	next(PA_TRACE_EVENTS_BLOCK);
	next(PA_TRACE_EVENTS_WOKE);
	assert_nothing();
	assert_int_equal(waiters_of(&object), 0);
}

/* Its thread jumped out of it, and now waits from a frame further up, or in the same place. */
static void wait_whose_frame_is_gone_is_counted_no_more(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	block(&waiter, FRAME);
	assert_true(pa_trace_events_block(&waiter, PA_TRACE_EVENTS_IN_SEM, &other_object,
		OUTER_FRAME, here()));
	assert_int_equal(waiters_of(&object), 0);
	assert_int_equal(waiters_of(&other_object), 1);
	assert_true(block(&waiter, OUTER_FRAME));
	assert_int_equal(waiters_of(&object), 1);
	assert_int_equal(waiters_of(&other_object), 0);
	pa_trace_events_end(&waiter, NULL);
	assert_int_equal(waiters_of(&object), 0);
	assert_null(waiter.trace_place);
}

static void wait_that_began_in_a_trace_is_counted_no_more_when_that_is_over(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	block(&waiter, FRAME);
	pa_trace_events_switch(false);
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_GOT);
	assert_int_equal(waiters_of(&object), 0);
	next(PA_TRACE_EVENTS_BLOCK);
	assert_nothing();
	/* And one that began before the trace is not known to it. */
	assert_false(block(&waiter, FRAME));
	pa_trace_events_switch(true);
	pa_trace_events_woke(&waiter, FRAME, PA_WAIT_GOT);
	assert_nothing();
}

static void do_all(struct pa_thread *thread)
{
	assert_false(block(thread, FRAME));
	pa_trace_events_woke(thread, FRAME, PA_WAIT_GOT);
	pa_trace_events_release(thread, &object, here());
	assert_int_equal(pa_trace_events_create(thread, &object, here()), 0);
	pa_trace_events_start(thread, 1);
	pa_trace_events_end(thread, &object);
	pa_trace_events_annotate(thread, PA_TRACE_EVENTS_REGION, 1, 0, "text", NULL, here());
}

/* As hooks find it: off, our own thread, our own work. */
static void own_threads_nested_calls_and_switched_off_are_not_reported(void **unused)
{
	(void)unused;
	struct pa_thread thread = { .registered = 1, .tid = 1, .role = PA_ROLE_AGENT };
	do_all(&thread);
	thread = (struct pa_thread){ .registered = 1, .tid = 1, .depth = 1 };
	do_all(&thread);
	thread.depth = 0;
	pa_trace_events_switch(false);
	do_all(&thread);
	assert_nothing();
	assert_int_equal(waiters_of(&object), 0);
	assert_int_equal(pa_load_relaxed(&pa_trace_events_place_of(&object)->release), 0);
	assert_int_equal(fixture_count(&pa_record.counters.trace_events), 0);
}

static void thread_has_the_serial_of_its_creation(void **unused)
{
	(void)unused;
	uint64_t first = pa_trace_events_create(&pa_thread_self, &object, here());
	uint64_t second = pa_trace_events_create(&pa_thread_self, &object, here());
	assert_true(first && second > first);
	struct pa_thread child = { .registered = 1, .tid = 7, .start_routine = (uintptr_t)&object };
	pa_trace_events_start(&child, second);
	pa_trace_events_end(&child, &other_object);
	assert_int_equal(next(PA_TRACE_EVENTS_CREATE)->value[0], first);
	const struct pa_event *head = next(PA_TRACE_EVENTS_CREATE);
	assert_int_equal(head->object, (uintptr_t)&object);
	assert_int_equal(head->tid, pa_thread_self.tid);
	head = next(PA_TRACE_EVENTS_START);
	assert_int_equal(head->value[0], second);
	assert_int_equal(head->object, (uintptr_t)&object);
	assert_int_equal(head->tid, 7);
	head = next(PA_TRACE_EVENTS_END);
	assert_int_equal(head->object, (uintptr_t)&other_object);
	assert_int_equal(head->value[0],
		pa_load_relaxed(&pa_trace_events_place_of(&other_object)->release));
}

static void unregistered_thread_is_registered(void **unused)
{
	(void)unused;
	struct pa_thread thread = { 0 };
	release();
	assert_int_equal(next(PA_TRACE_EVENTS_RELEASE)->tid, getpid());
	pa_trace_events_start(&thread, 1);
	assert_int_not_equal(next(PA_TRACE_EVENTS_START)->tid, 0);
}

/* ---- the program's own ---- */

/* The text in front of the next event, which is of that kind; its length. */
static size_t next_text(char *text, enum pa_trace_events_op op)
{
	const struct pa_event *head = next(PA_TRACE_EVENTS_TEXT);
	size_t bytes = head->value[0];
	assert_true(bytes <= head->depth * sizeof(uintptr_t));
	assert_true(bytes <= PA_TRACE_EVENTS_TEXT_BYTES);
	memcpy(text, event.pcs, bytes);
	next(op);
	return bytes;
}

static void annotate(const char *first, const char *second)
{
	pa_trace_events_annotate(&pa_thread_self, PA_TRACE_EVENTS_LOG, 3, 4, first, second, here());
}

static void text_comes_before_its_event(void **unused)
{
	(void)unused;
	char text[PA_TRACE_EVENTS_TEXT_BYTES];
	annotate("first", NULL);
	assert_int_equal(next_text(text, PA_TRACE_EVENTS_LOG), 5);
	assert_memory_equal(text, "first", 5);
	assert_int_equal(event.head.value[0], 3);
	assert_int_equal(event.head.object, 4);
	annotate("first", "second");
	assert_int_equal(next_text(text, PA_TRACE_EVENTS_LOG), 12);
	assert_memory_equal(text, "first\0second", 12);
	annotate("", "");
	assert_int_equal(next_text(text, PA_TRACE_EVENTS_LOG), 1);
	annotate(NULL, NULL);
	next(PA_TRACE_EVENTS_LOG);
	assert_nothing();
}

/* Whatever the lengths of both: never more than there is room for. */
static void long_texts_are_cut(void **unused)
{
	(void)unused;
	static char first[3000], second[3000];
	char text[PA_TRACE_EVENTS_TEXT_BYTES];
	const size_t lengths[] = { 0, 1, 7, 8, 500, 991, 992, 997, 998, 999, 1000, 1001, 2999 };
	for (size_t i = 0; i < PA_COUNT(lengths); i++) {
		for (size_t n = 0; n < PA_COUNT(lengths); n++) {
			memset(first, 0, sizeof(first));
			memset(second, 0, sizeof(second));
			memset(first, 'a', lengths[i]);
			memset(second, 'b', lengths[n]);
			annotate(first, second);
			size_t bytes = next_text(text, PA_TRACE_EVENTS_LOG);
			size_t whole = lengths[i] + 1 + lengths[n];
			assert_true(bytes <= whole);
			assert_true(bytes == whole || bytes >= PA_TRACE_EVENTS_TEXT_BYTES - 2);
			size_t kept = lengths[i] < bytes ? lengths[i] : bytes;
			assert_memory_equal(text, first, kept);
			if (bytes > kept)
				assert_memory_equal(text + kept + 1, second, bytes - kept - 1);
		}
	}
}

static void tasks_have_numbers_of_their_own(void **unused)
{
	(void)unused;
	uint64_t first = pa_trace_events_new_task();
	assert_true(first);
	assert_int_equal(pa_trace_events_new_task(), first + 1);
	pa_trace_events_switch(false);
	assert_int_equal(pa_trace_events_new_task(), first + 2);
}

static void errno_is_kept(void **unused)
{
	(void)unused;
	struct pa_thread *self = &pa_thread_self;
	errno = 77;
	block(self, FRAME);
	pa_trace_events_woke(self, FRAME, PA_WAIT_GOT);
	release();
	pa_trace_events_create(self, &object, here());
	pa_trace_events_start(self, 1);
	annotate("first", "second");
	pa_trace_events_end(self, &object);
	assert_int_equal(errno, 77);
	assert_int_equal(self->depth, 0);
}

static void full_ring_is_counted_and_waiters_stay_balanced(void **unused)
{
	(void)unused;
	fixture_boot(1 << 16, 1);
	pa_trace_events_switch(true);
	errno = 77;
	for (int i = 0; i < 3000; i++) {
		assert_true(block(&pa_thread_self, FRAME));
		release();
		pa_trace_events_woke(&pa_thread_self, FRAME, PA_WAIT_GOT);
	}
	uint64_t lost = fixture_count(&pa_record.counters.lost_trace_ring);
	assert_true(lost > 0);
	assert_int_equal(fixture_count(&pa_record.counters.trace_events) + lost, 9000);
	assert_int_equal(waiters_of(&object), 0);
	assert_int_equal(errno, 77);
	assert_int_equal(pa_thread_self.depth, 0);
}

/* ---- many at once ---- */

enum { CROWD = 6, ROUNDS = 500, OBJECTS = 3 };
static int crowd_objects[OBJECTS];

static void *come_and_go(void *arg)
{
	uintptr_t seed = (uintptr_t)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int *what = &crowd_objects[(seed + (uintptr_t)i) % OBJECTS];
		pa_trace_events_block(&pa_thread_self, PA_TRACE_EVENTS_IN_SEM, what, FRAME, here());
		pa_trace_events_release(&pa_thread_self, what, here());
		if (i % 5)
			pa_trace_events_woke(&pa_thread_self, FRAME, i % PA_WAIT_REFUSED);
	}
	pa_trace_events_end(&pa_thread_self, NULL);
	return NULL;
}

static void no_client_is_left_waiting_after_a_crowd(void **unused)
{
	(void)unused;
	static uint8_t seen[CROWD * ROUNDS * 8];
	pthread_t threads[CROWD];
	for (uintptr_t i = 0; i < CROWD; i++)
		pthread_create(&threads[i], NULL, come_and_go, (void *)i);
	for (int i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < OBJECTS; i++)
		assert_int_equal(waiters_of(&crowd_objects[i]), 0);
	/* No number was given out twice. */
	uint64_t base = 0;
	while (fixture_next(&event)) {
		enum pa_trace_events_op op = pa_trace_events_op_of(event.head.skip);
		if (op != PA_TRACE_EVENTS_RELEASE && op != PA_TRACE_EVENTS_END)
			continue;
		base = base ? base : event.head.value[0] - CROWD * ROUNDS;
		assert_in_range(event.head.value[0] - base, 0, sizeof(seen) - 1);
		assert_int_equal(seen[event.head.value[0] - base]++, 0);
	}
	assert_true(base);
}

static void no_wait_goes_on_in_a_child(void **unused)
{
	(void)unused;
	block(&pa_thread_self, FRAME);
	pid_t child = fork();
	if (child == 0) {
		pa_trace_events_atfork_child();
		_exit(pa_trace_events_is_on() || pa_trace_events_is_waited(&object) ||
			pa_thread_self.trace_place || pa_thread_self.trace_frame);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pa_trace_events_woke(&pa_thread_self, FRAME, PA_WAIT_GOT);
}

#define TEST(name) cmocka_unit_test_setup(name, boot)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(word_is_taken_apart_as_it_was_put_together),
		TEST(wait_names_the_release_that_ended_it),
		TEST(releases_without_a_waiter_are_told_once),
		TEST(wait_that_nothing_released_names_nothing),
		TEST(block_has_the_threads_name),
		TEST(barrier_is_released_by_the_last_thread),
		TEST(wait_on_top_of_a_wait_is_left_out),
		TEST(wait_whose_frame_is_gone_is_counted_no_more),
		TEST(wait_that_began_in_a_trace_is_counted_no_more_when_that_is_over),
		TEST(own_threads_nested_calls_and_switched_off_are_not_reported),
		TEST(thread_has_the_serial_of_its_creation),
		TEST(unregistered_thread_is_registered),
		TEST(text_comes_before_its_event),
		TEST(long_texts_are_cut),
		TEST(tasks_have_numbers_of_their_own),
		TEST(errno_is_kept),
		TEST(full_ring_is_counted_and_waiters_stay_balanced),
		TEST(no_client_is_left_waiting_after_a_crowd),
		TEST(no_wait_goes_on_in_a_child),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
