#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "agent/record/tracing.h"
#include "test/unit/record_fixture.h"

static int boot(void **unused)
{
	(void)unused;
	fixture_boot(4 << 20, 1);
	memset(pa_tracing_places, 0, sizeof(pa_tracing_places));
	pa_tracing_switch(true);
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
	return pa_tracing_block(thread, PA_TRACING_IN_MUTEX, &object, frame, here());
}

static void release(void)
{
	pa_tracing_release(&pa_thread_self, &object, here());
}

static int32_t waiters_of(const void *what)
{
	return pa_load_relaxed(&pa_tracing_place_of(what)->waiters);
}

static struct fixture_event event;

/* The next event is of that kind. */
static const struct pa_event *next(enum pa_tracing_op op)
{
	assert_true(fixture_next(&event));
	assert_int_equal(event.head.kind, PA_EVENT_TRACE);
	assert_int_equal(pa_tracing_op_of(event.head.skip), op);
	return &event.head;
}

static void assert_nothing(void)
{
	assert_false(fixture_next(&event));
}

static void word_is_taken_apart_as_it_was_put_together(void **unused)
{
	(void)unused;
	uint32_t word = pa_tracing_word(PA_TRACING_BLOCK, PA_TRACING_IN_OTHER_CALL);
	assert_int_equal(pa_tracing_op_of(word), PA_TRACING_BLOCK);
	assert_int_equal(pa_tracing_wait_of(word), PA_TRACING_IN_OTHER_CALL);
}

static void wait_names_the_release_that_ended_it(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .met = 1, .tid = 7 };
	assert_false(pa_tracing_is_waited(&object));
	assert_true(block(&waiter, FRAME));
	assert_true(pa_tracing_is_waited(&object));
	int64_t before_ns = pa_clock_mono_ns();
	release();
	pa_tracing_woke(&waiter, FRAME, true);
	assert_false(pa_tracing_is_waited(&object));

	const struct pa_event *head = next(PA_TRACING_BLOCK);
	assert_int_equal(pa_tracing_wait_of(head->skip), PA_TRACING_IN_MUTEX);
	assert_int_equal(head->tid, 7);
	assert_int_equal(head->object, (uintptr_t)&object);
	assert_int_equal(head->value[0], 0);
	head = next(PA_TRACING_RELEASE);
	uint64_t number = head->value[0];
	assert_int_not_equal(number, 0);
	assert_int_equal(head->object, (uintptr_t)&object);
	assert_true(head->depth > 0 || head->flags & PA_EVENT_COLD);
	assert_true(head->time_ns >= before_ns);
	head = next(PA_TRACING_WOKE);
	assert_int_equal(head->value[0], number);
	assert_int_equal(head->tid, 7);
	assert_int_equal(head->depth, 0);
	assert_nothing();
	assert_int_equal(fixture_count(&pa_record.counters.trace_events), 3);
}

/* The waiter sleeps still, and the holder takes it again and again. */
static void releases_that_wake_nobody_are_told_once(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .met = 1, .tid = 7 }, other = { .met = 1, .tid = 8 };
	struct pa_tracing_place *place = pa_tracing_place_of(&object);
	block(&waiter, FRAME), next(PA_TRACING_BLOCK);
	release();
	uint64_t number = next(PA_TRACING_RELEASE)->value[0];
	/* Long after any other thread has run in between. */
	pa_store_relaxed(&place->release_ns, INT64_MAX / 2);
	release();
	release();
	assert_nothing();
	/* Another thread does, or it has been a while. */
	pa_tracing_release(&other, &object, here());
	next(PA_TRACING_RELEASE);
	release();
	assert_true(next(PA_TRACING_RELEASE)->value[0] > number + 1);
	pa_store_relaxed(&place->release_ns, pa_clock_mono_ns() - PA_TRACING_AGAIN_NS);
	release();
	number = next(PA_TRACING_RELEASE)->value[0];
	/* Who wakes up was woken by the last that was told. */
	pa_store_relaxed(&place->release_ns, INT64_MAX / 2);
	release();
	pa_tracing_woke(&waiter, FRAME, true);
	assert_int_equal(next(PA_TRACING_WOKE)->value[0], number);
	/* And whoever waits next has a release of his own. */
	block(&waiter, FRAME);
	pa_store_relaxed(&place->release_ns, INT64_MAX / 2);
	release();
	next(PA_TRACING_BLOCK);
	next(PA_TRACING_RELEASE);
	pa_tracing_woke(&waiter, FRAME, true);
}

static void wait_that_nothing_released_names_nothing(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .met = 1, .tid = 7 };
	block(&waiter, FRAME);
	pa_tracing_woke(&waiter, FRAME, true);
	next(PA_TRACING_BLOCK);
	assert_int_equal(next(PA_TRACING_WOKE)->value[0], 0);
	/* Time was up, although somebody released it. */
	block(&waiter, FRAME);
	release();
	pa_tracing_woke(&waiter, FRAME, false);
	next(PA_TRACING_BLOCK);
	next(PA_TRACING_RELEASE);
	assert_int_equal(next(PA_TRACING_WOKE)->value[0], 0);
	/* Nobody in this process can. */
	assert_true(pa_tracing_block(&waiter, PA_TRACING_IN_POLL, NULL, FRAME, here()));
	pa_tracing_woke(&waiter, FRAME, true);
	assert_int_equal(next(PA_TRACING_BLOCK)->object, 0);
	assert_int_equal(next(PA_TRACING_WOKE)->value[0], 0);
}

static void block_has_the_threads_name(void **unused)
{
	(void)unused;
	char name[PA_THREAD_NAME_BYTES];
	pthread_getname_np(pthread_self(), name, sizeof(name));
	block(&pa_thread_self, FRAME);
	pa_tracing_woke(&pa_thread_self, FRAME, true);
	assert_string_equal(next(PA_TRACING_BLOCK)->name, name);
}

/* Who comes last never waits, but its number is there when the others wake up. */
static void barrier_is_released_by_who_comes_last(void **unused)
{
	(void)unused;
	struct pa_thread first = { .met = 1, .tid = 7 }, last = { .met = 1, .tid = 8 };
	pa_tracing_block(&first, PA_TRACING_IN_BARRIER, &object, FRAME, here());
	pa_tracing_block(&last, PA_TRACING_IN_BARRIER, &object, FRAME, here());
	pa_tracing_woke(&last, FRAME, true);
	pa_tracing_woke(&first, FRAME, true);
	uint64_t first_number = next(PA_TRACING_BLOCK)->value[0];
	uint64_t last_number = next(PA_TRACING_BLOCK)->value[0];
	assert_true(first_number && last_number > first_number);
	assert_int_equal(next(PA_TRACING_WOKE)->value[0], last_number);
	assert_int_equal(next(PA_TRACING_WOKE)->value[0], last_number);
	assert_int_equal(waiters_of(&object), 0);
}

static void wait_on_top_of_a_wait_is_left_out(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .met = 1, .tid = 7 };
	assert_true(block(&waiter, FRAME));
	assert_false(pa_tracing_block(&waiter, PA_TRACING_IN_SEM, &other_object, INNER_FRAME,
		here()));
	pa_tracing_woke(&waiter, INNER_FRAME, true);
	assert_int_equal(waiters_of(&object), 1);
	assert_int_equal(waiters_of(&other_object), 0);
	pa_tracing_woke(&waiter, FRAME, true);
	next(PA_TRACING_BLOCK);
	next(PA_TRACING_WOKE);
	assert_nothing();
	assert_int_equal(waiters_of(&object), 0);
}

/* Its thread jumped out of it, and now waits from a frame further up, or in the same place. */
static void wait_whose_frame_is_gone_is_counted_no_more(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .met = 1, .tid = 7 };
	block(&waiter, FRAME);
	assert_true(pa_tracing_block(&waiter, PA_TRACING_IN_SEM, &other_object, OUTER_FRAME,
		here()));
	assert_int_equal(waiters_of(&object), 0);
	assert_int_equal(waiters_of(&other_object), 1);
	assert_true(block(&waiter, OUTER_FRAME));
	assert_int_equal(waiters_of(&object), 1);
	assert_int_equal(waiters_of(&other_object), 0);
	pa_tracing_end(&waiter, NULL);
	assert_int_equal(waiters_of(&object), 0);
	assert_null(waiter.trace_place);
}

static void wait_that_began_in_a_trace_is_counted_no_more_when_that_is_over(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .met = 1, .tid = 7 };
	block(&waiter, FRAME);
	pa_tracing_switch(false);
	pa_tracing_woke(&waiter, FRAME, true);
	assert_int_equal(waiters_of(&object), 0);
	next(PA_TRACING_BLOCK);
	assert_nothing();
	/* And one that began before the trace is not known to it. */
	assert_false(block(&waiter, FRAME));
	pa_tracing_switch(true);
	pa_tracing_woke(&waiter, FRAME, true);
	assert_nothing();
}

static void do_all(struct pa_thread *thread)
{
	assert_false(block(thread, FRAME));
	pa_tracing_woke(thread, FRAME, true);
	pa_tracing_release(thread, &object, here());
	assert_int_equal(pa_tracing_create(thread, &object, here()), 0);
	pa_tracing_start(thread, 1);
	pa_tracing_end(thread, &object);
	pa_tracing_annotate(thread, PA_TRACING_REGION, 1, 0, "text", NULL, here());
}

/* As hooks find it: off, our own thread, our own work. */
static void nobody_is_told_of_what_is_nobodys_business(void **unused)
{
	(void)unused;
	struct pa_thread thread = { .met = 1, .tid = 1, .role = PA_ROLE_AGENT };
	do_all(&thread);
	thread = (struct pa_thread){ .met = 1, .tid = 1, .depth = 1 };
	do_all(&thread);
	thread.depth = 0;
	pa_tracing_switch(false);
	do_all(&thread);
	assert_nothing();
	assert_int_equal(waiters_of(&object), 0);
	assert_int_equal(pa_load_relaxed(&pa_tracing_place_of(&object)->release), 0);
	assert_int_equal(fixture_count(&pa_record.counters.trace_events), 0);
}

static void thread_has_the_serial_of_its_creation(void **unused)
{
	(void)unused;
	uint64_t first = pa_tracing_create(&pa_thread_self, &object, here());
	uint64_t second = pa_tracing_create(&pa_thread_self, &object, here());
	assert_true(first && second > first);
	struct pa_thread child = { .met = 1, .tid = 7, .start_routine = (uintptr_t)&object };
	pa_tracing_start(&child, second);
	pa_tracing_end(&child, &other_object);
	assert_int_equal(next(PA_TRACING_CREATE)->value[0], first);
	const struct pa_event *head = next(PA_TRACING_CREATE);
	assert_int_equal(head->object, (uintptr_t)&object);
	assert_int_equal(head->tid, pa_thread_self.tid);
	head = next(PA_TRACING_START);
	assert_int_equal(head->value[0], second);
	assert_int_equal(head->object, (uintptr_t)&object);
	assert_int_equal(head->tid, 7);
	head = next(PA_TRACING_END);
	assert_int_equal(head->object, (uintptr_t)&other_object);
	assert_int_equal(head->value[0],
		pa_load_relaxed(&pa_tracing_place_of(&other_object)->release));
}

static void unmet_thread_is_met(void **unused)
{
	(void)unused;
	struct pa_thread thread = { 0 };
	release();
	assert_int_equal(next(PA_TRACING_RELEASE)->tid, getpid());
	pa_tracing_start(&thread, 1);
	assert_int_not_equal(next(PA_TRACING_START)->tid, 0);
}

/* ---- the program's own ---- */

/* The text in front of the next event, which is of that kind; its length. */
static size_t next_text(char *text, enum pa_tracing_op op)
{
	const struct pa_event *head = next(PA_TRACING_TEXT);
	size_t bytes = head->value[0];
	assert_true(bytes <= head->depth * sizeof(uintptr_t));
	assert_true(bytes <= PA_TRACING_TEXT_BYTES);
	memcpy(text, event.pcs, bytes);
	next(op);
	return bytes;
}

static void annotate(const char *first, const char *second)
{
	pa_tracing_annotate(&pa_thread_self, PA_TRACING_LOG, 3, 4, first, second, here());
}

static void text_comes_before_its_event(void **unused)
{
	(void)unused;
	char text[PA_TRACING_TEXT_BYTES];
	annotate("first", NULL);
	assert_int_equal(next_text(text, PA_TRACING_LOG), 5);
	assert_memory_equal(text, "first", 5);
	assert_int_equal(event.head.value[0], 3);
	assert_int_equal(event.head.object, 4);
	annotate("first", "second");
	assert_int_equal(next_text(text, PA_TRACING_LOG), 12);
	assert_memory_equal(text, "first\0second", 12);
	annotate("", "");
	assert_int_equal(next_text(text, PA_TRACING_LOG), 1);
	annotate(NULL, NULL);
	next(PA_TRACING_LOG);
	assert_nothing();
}

/* Whatever the lengths of both: never more than there is room for. */
static void long_texts_are_cut(void **unused)
{
	(void)unused;
	static char first[3000], second[3000];
	char text[PA_TRACING_TEXT_BYTES];
	const size_t lengths[] = { 0, 1, 7, 8, 500, 991, 992, 997, 998, 999, 1000, 1001, 2999 };
	for (size_t i = 0; i < PA_COUNT(lengths); i++) {
		for (size_t n = 0; n < PA_COUNT(lengths); n++) {
			memset(first, 0, sizeof(first));
			memset(second, 0, sizeof(second));
			memset(first, 'a', lengths[i]);
			memset(second, 'b', lengths[n]);
			annotate(first, second);
			size_t bytes = next_text(text, PA_TRACING_LOG);
			size_t whole = lengths[i] + 1 + lengths[n];
			assert_true(bytes <= whole);
			assert_true(bytes == whole || bytes >= PA_TRACING_TEXT_BYTES - 2);
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
	uint64_t first = pa_tracing_new_task();
	assert_true(first);
	assert_int_equal(pa_tracing_new_task(), first + 1);
	pa_tracing_switch(false);
	assert_int_equal(pa_tracing_new_task(), first + 2);
}

/* ---- manners ---- */

static void errno_is_kept(void **unused)
{
	(void)unused;
	struct pa_thread *self = &pa_thread_self;
	errno = 77;
	block(self, FRAME);
	pa_tracing_woke(self, FRAME, true);
	release();
	pa_tracing_create(self, &object, here());
	pa_tracing_start(self, 1);
	annotate("first", "second");
	pa_tracing_end(self, &object);
	assert_int_equal(errno, 77);
	assert_int_equal(self->depth, 0);
}

static void full_ring_is_counted_and_waiters_stay_balanced(void **unused)
{
	(void)unused;
	fixture_boot(1 << 16, 1);
	pa_tracing_switch(true);
	errno = 77;
	for (int i = 0; i < 3000; i++) {
		assert_true(block(&pa_thread_self, FRAME));
		release();
		pa_tracing_woke(&pa_thread_self, FRAME, true);
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
		pa_tracing_block(&pa_thread_self, PA_TRACING_IN_SEM, what, FRAME, here());
		pa_tracing_release(&pa_thread_self, what, here());
		if (i % 5)
			pa_tracing_woke(&pa_thread_self, FRAME, i % 3);
	}
	pa_tracing_end(&pa_thread_self, NULL);
	return NULL;
}

static void nobody_is_left_waiting_after_a_crowd_was_there(void **unused)
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
		enum pa_tracing_op op = pa_tracing_op_of(event.head.skip);
		if (op != PA_TRACING_RELEASE && op != PA_TRACING_END)
			continue;
		base = base ? base : event.head.value[0] - CROWD * ROUNDS;
		assert_in_range(event.head.value[0] - base, 0, sizeof(seen) - 1);
		assert_int_equal(seen[event.head.value[0] - base]++, 0);
	}
	assert_true(base);
}

static void nobody_waits_in_a_child(void **unused)
{
	(void)unused;
	assert_true(pa_tracing_boot());
	block(&pa_thread_self, FRAME);
	pid_t child = fork();
	if (child == 0) {
		pa_tracing_atfork_child();
		_exit(pa_tracing_is_on() || pa_tracing_is_waited(&object) ||
			pa_thread_self.trace_place || pa_thread_self.trace_frame);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pa_tracing_woke(&pa_thread_self, FRAME, true);
}

#define TEST(name) cmocka_unit_test_setup(name, boot)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(word_is_taken_apart_as_it_was_put_together),
		TEST(wait_names_the_release_that_ended_it),
		TEST(releases_that_wake_nobody_are_told_once),
		TEST(wait_that_nothing_released_names_nothing),
		TEST(block_has_the_threads_name),
		TEST(barrier_is_released_by_who_comes_last),
		TEST(wait_on_top_of_a_wait_is_left_out),
		TEST(wait_whose_frame_is_gone_is_counted_no_more),
		TEST(wait_that_began_in_a_trace_is_counted_no_more_when_that_is_over),
		TEST(nobody_is_told_of_what_is_nobodys_business),
		TEST(thread_has_the_serial_of_its_creation),
		TEST(unmet_thread_is_met),
		TEST(text_comes_before_its_event),
		TEST(long_texts_are_cut),
		TEST(tasks_have_numbers_of_their_own),
		TEST(errno_is_kept),
		TEST(full_ring_is_counted_and_waiters_stay_balanced),
		TEST(nobody_is_left_waiting_after_a_crowd_was_there),
		TEST(nobody_waits_in_a_child),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
