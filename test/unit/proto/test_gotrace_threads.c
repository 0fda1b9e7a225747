/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/kept_pages.h"
#include "test/lib/c/trace_fixture.h"

#include "proto/gotrace_threads.h"
#include "proto/scratch.h"

#define OBJECT 0x1000

static struct pa_gotrace_bytes bytes;
static struct pa_gotrace_tables tables;
static struct pa_gotrace_threads threads;
static const struct pa_stack *stack;
static size_t mapped;

/* The writer without the events: Gomaxprocs is there, and the rest is up to the test. */
static int begin(void **unused)
{
	(void)unused;
	memset(&bytes, 0, sizeof(bytes));
	memset(&tables, 0, sizeof(tables));
	memset(&threads, 0, sizeof(threads));
	out.count = 0;
	mapped = pa_map_bytes();
	stack = STACK(IN_LOCK, IN_MAIN);
	pa_gotrace_bytes_begin(&bytes, &sink);
	assert_int_equal(pa_gotrace_tables_init(&tables, &bytes), 0);
	assert_true(pa_gotrace_threads_init(&threads, &bytes, &tables));
	threads.ts = PA_GOTRACE_TICK_CREATED;
	assert_non_null(pa_gotrace_threads_create(&threads, 0, 1, 0, STACK(IN_MAIN), 0));
	pa_gotrace_bytes_record(&bytes, PA_GOTRACE_FREQUENCY, PA_GOTRACE_ARGS(1000000000));
	threads.ts = PA_GOTRACE_TICK_PROCESSORS;
	pa_gotrace_threads_event(&threads, 0, PA_GOTRACE_GOMAXPROCS, PA_GOTRACE_ARGS(2, 0));
	threads.ts = PA_GOTRACE_TICK_BEGUN;
	return 0;
}

static int end(void **unused)
{
	(void)unused;
	trace_free(&trace);
	pa_gotrace_threads_free(&threads);
	pa_gotrace_tables_free(&tables);
	pa_kept_pages_trim();
	assert_int_equal(pa_map_bytes(), mapped);
	return 0;
}

static void finish(void)
{
	pa_gotrace_threads_stop_all(&threads);
	assert_int_equal(pa_gotrace_tables_write(&tables), 0);
	read_out();
}

static struct pa_gotrace_thread *running(int32_t tid)
{
	threads.ts += 10;
	return pa_gotrace_threads_running(&threads, tid, stack);
}

static void block(int32_t tid, enum pa_trace_events_wait wait)
{
	pa_gotrace_threads_block(&threads, running(tid), wait, stack, wait, OBJECT);
}

static void wake(int32_t by, int32_t tid, uintptr_t object)
{
	pa_gotrace_threads_wake(&threads, running(by), tid, object, stack);
}

static void thread_is_found_by_tid_and_by_serial(void **unused)
{
	(void)unused;
	struct pa_gotrace_thread *child =
		pa_gotrace_threads_create(&threads, 0, 0, 77, STACK(IN_WORKER), 0);
	assert_ptr_equal(pa_gotrace_threads_find(&threads, PA_GOTRACE_BY_SERIAL, 77), child);
	assert_null(pa_gotrace_threads_find(&threads, PA_GOTRACE_BY_TID, 77));
	assert_null(pa_gotrace_threads_find(&threads, PA_GOTRACE_BY_SERIAL, 0));
	assert_null(pa_gotrace_threads_find(&threads, PA_GOTRACE_BY_TID, 0));
	assert_true(pa_gotrace_threads_call(&threads, child, 5));
	assert_ptr_equal(pa_gotrace_threads_find(&threads, PA_GOTRACE_BY_TID, 5), child);
	assert_int_equal(threads.count, 2);
	finish();
}

static void goroutine_is_called_by_its_tid_the_first_time(void **unused)
{
	(void)unused;
	struct pa_gotrace_thread *thread = running(5);
	assert_int_equal(thread->goroutine, 5);
	pa_gotrace_threads_end(&threads, thread);
	assert_int_equal(pa_gotrace_threads_create(&threads, 0, 5, 0, stack, 0)->goroutine,
		10000000);
	assert_int_equal(pa_gotrace_threads_create(&threads, 0, 0, 9, stack, 0)->goroutine,
		10000001);
	finish();
}

static void goroutines_keep_off_ids_of_the_viewer_and_of_each_other(void **unused)
{
	static const int32_t tids[] = { 1000000, 1000010, 10000000, 10000001, 10000002, INT32_MAX,
		-1, INT32_MIN };

	(void)unused;
	assert_int_equal(running(999999)->goroutine, 999999);
	assert_int_equal(running(1000011)->goroutine, 1000011);
	for (size_t i = 0; i < PA_COUNT(tids); i++)
		assert_int_equal(running(tids[i])->goroutine, 10000000 + i);
	finish();
	assert_int_equal(trace.goroutine_count, 11);
}

static void unregistered_thread_is_made_and_runs(void **unused)
{
	(void)unused;
	assert_int_equal(running(5)->state, PA_GOTRACE_RUNNING);
	finish();
	assert_string_equal(trace_life(&trace, 5), "GoCreate GoStart GoPreempt");
}

static void each_kind_of_wait_is_shown_as_what_it_is(void **unused)
{
	static const struct {
		enum pa_trace_events_wait wait;
		const char *life;
	} kinds[] = {
		{ PA_TRACE_EVENTS_IN_MUTEX,
			"GoCreate GoStart GoBlockSync GoUnblock GoStart GoPreempt" },
		{ PA_TRACE_EVENTS_IN_COND,
			"GoCreate GoStart GoBlockCond GoUnblock GoStart GoPreempt" },
		{ PA_TRACE_EVENTS_IN_EPOLL,
			"GoCreate GoStart GoBlockNet GoUnblock GoStart GoPreempt" },
		{ PA_TRACE_EVENTS_IN_SLEEP,
			"GoCreate GoStart GoSleep GoUnblock GoStart GoPreempt" },
		{ PA_TRACE_EVENTS_IN_FUTEX,
			"GoCreate GoStart GoBlockSync GoUnblock GoStart GoPreempt" },
		{ PA_TRACE_EVENTS_IN_READ,
			"GoCreate GoStart GoSysCall GoSysBlock GoSysExit GoStart "
			"GoPreempt" },
		{ (enum pa_trace_events_wait)200,
			"GoCreate GoStart GoBlockSync GoUnblock GoStart GoPreempt" },
	};

	(void)unused;
	for (int32_t i = 0; i < (int32_t)PA_COUNT(kinds); i++) {
		block(10 + i, kinds[i].wait);
		assert_int_equal(running(10 + i)->state, PA_GOTRACE_RUNNING);
	}
	finish();
	for (size_t i = 0; i < PA_COUNT(kinds); i++)
		assert_string_equal(trace_life(&trace, 10 + i), kinds[i].life);
	const struct trace_event *blocked = trace_event_of(&trace, 10, TRACE_GO_BLOCK_SYNC, 0);
	assert_string_equal(trace_function(&trace, blocked->stack, 0), "pthread_mutex_lock");
	assert_string_equal(trace_function(&trace, blocked->stack, 1), "take_lock");
}

static void waiter_is_woken_by_the_releasing_thread(void **unused)
{
	(void)unused;
	running(5);
	block(6, PA_TRACE_EVENTS_IN_MUTEX);
	wake(5, 6, OBJECT);
	running(6);
	finish();
	const struct trace_event *woken = trace_event_of(&trace, 6, TRACE_GO_UNBLOCK, 0);
	assert_int_equal(woken->by, 5);
	assert_string_equal(trace_function(&trace, woken->stack, 0), "take_lock");
	assert_null(trace_event_of(&trace, 6, TRACE_GO_UNBLOCK, 1));
}

static void no_other_thread_is_woken(void **unused)
{
	(void)unused;
	block(6, PA_TRACE_EVENTS_IN_MUTEX);
	block(7, PA_TRACE_EVENTS_IN_READ);
	running(8);
	pa_gotrace_threads_end(&threads, running(9));
	wake(5, 6, OBJECT + 1);
	wake(5, 7, OBJECT);
	wake(5, 8, OBJECT);
	wake(5, 9, OBJECT);
	wake(5, 10, OBJECT);
	wake(5, 5, OBJECT);
	finish();
	assert_int_equal(trace.counts[TRACE_GO_UNBLOCK], 0);
}

static void ended_thread_does_not_come_back(void **unused)
{
	(void)unused;
	pa_gotrace_threads_end(&threads, running(5));
	assert_null(running(5));
	finish();
	assert_string_equal(trace_life(&trace, 5), "GoCreate GoStart GoEnd");
}

static void name_is_the_label_of_later_starts(void **unused)
{
	char name[PA_EVENT_NAME_BYTES] = "sixteen bytes no";

	(void)unused;
	pa_gotrace_threads_name(&threads, running(5), name);
	block(5, PA_TRACE_EVENTS_IN_SLEEP);
	running(5);
	memset(name, 0, sizeof(name));
	pa_gotrace_threads_name(&threads, running(5), name);
	finish();
	const struct trace_event *start = trace_event_of(&trace, 5, TRACE_GO_START_LABEL, 0);
	assert_string_equal(trace_string(&trace, start->args[2]), "sixteen bytes no");
	assert_int_equal(trace.counts[TRACE_GO_START], 1);
}

/* Also of a thread that never waits; the name of a thread that is given again changes nothing. */
static void name_is_the_label_from_then_on(void **unused)
{
	static const char *const lives[] = { "GoCreate GoStart GoPreempt GoStartLabel GoEnd",
		"GoCreate GoStart GoPreempt GoStartLabel GoPreempt GoStartLabel GoEnd" };
	static const char first[PA_EVENT_NAME_BYTES] = "first",
			  second[PA_EVENT_NAME_BYTES] = "second";

	(void)unused;
	for (int32_t tid = 5; tid < 7; tid++) {
		pa_gotrace_threads_name(&threads, running(tid), first);
		pa_gotrace_threads_name(&threads, running(tid), first);
		if (tid == 6)
			pa_gotrace_threads_name(&threads, running(tid), second);
		pa_gotrace_threads_end(&threads, running(tid));
	}
	finish();
	assert_string_equal(trace_life(&trace, 5), lives[0]);
	assert_string_equal(trace_life(&trace, 6), lives[1]);
	const struct trace_event *start = trace_event_of(&trace, 6, TRACE_GO_START_LABEL, 1);
	assert_string_equal(trace_string(&trace, start->args[2]), "second");
}

/* A thread that waits is called by it when it starts again. */
static void name_of_a_waiting_thread_does_not_end_its_wait(void **unused)
{
	static const char name[PA_EVENT_NAME_BYTES] = "anna";

	(void)unused;
	block(5, PA_TRACE_EVENTS_IN_SLEEP);
	pa_gotrace_threads_name(&threads, pa_gotrace_threads_find(&threads, PA_GOTRACE_BY_TID, 5),
		name);
	running(5);
	finish();
	assert_string_equal(trace_life(&trace, 5),
		"GoCreate GoStart GoSleep GoUnblock GoStartLabel GoPreempt");
}

static void start_routine_is_known_or_taken_from_the_first_stack(void **unused)
{
	(void)unused;
	pa_gotrace_threads_running(&threads, 5, NULL);
	pa_gotrace_threads_running(&threads, 6, NULL);
	pa_gotrace_threads_running(&threads, 6, STACK(IN_OTHER, IN_WORKER, IN_START_THREAD));
	pa_gotrace_threads_running(&threads, 6, STACK(IN_MAIN));
	pa_gotrace_threads_create(&threads, 0, 7, 0, STACK(IN_WORKER), 0);
	running(7);
	finish();
	static const char *const names[] = { "[unknown]", "worker", "worker" };
	for (uint64_t g = 5; g <= 7; g++) {
		const struct trace_event *made = trace_event_of(&trace, g, TRACE_GO_CREATE, 0);
		assert_string_equal(trace_function(&trace, made->args[1], 0), names[g - 5]);
	}
}

static void threads_that_wait_at_the_end_stay_so(void **unused)
{
	(void)unused;
	running(5);
	block(6, PA_TRACE_EVENTS_IN_MUTEX);
	block(7, PA_TRACE_EVENTS_IN_READ);
	pa_gotrace_threads_create(&threads, 0, 8, 0, stack, 0);
	finish();
	assert_string_equal(trace_life(&trace, 5), "GoCreate GoStart GoPreempt");
	assert_string_equal(trace_life(&trace, 6), "GoCreate GoStart GoBlockSync");
	assert_string_equal(trace_life(&trace, 7), "GoCreate GoStart GoSysCall GoSysBlock");
	assert_string_equal(trace_life(&trace, 8), "GoCreate");
}

/* And they take no memory, however often they come. */
static void threads_above_the_limit_are_not_in_the_trace(void **unused)
{
	uint32_t keys;

	(void)unused;
	for (int32_t tid = 2; tid <= (int32_t)PA_GOTRACE_MAX_THREADS; tid++)
		assert_non_null(pa_gotrace_threads_create(&threads, 0, tid, 0, stack, 0));
	keys = tables.key_count;
	for (int i = 0; i < 1000; i++) {
		assert_null(pa_gotrace_threads_running(&threads, 100001, NULL));
		assert_null(pa_gotrace_threads_create(&threads, 0, 0, 5, stack, 0));
	}
	assert_int_equal(tables.key_count, keys);
	assert_int_equal(threads.count, PA_GOTRACE_MAX_THREADS);
	assert_non_null(running(1));
	finish();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(thread_is_found_by_tid_and_by_serial),
		TEST(goroutine_is_called_by_its_tid_the_first_time),
		TEST(goroutines_keep_off_ids_of_the_viewer_and_of_each_other),
		TEST(unregistered_thread_is_made_and_runs),
		TEST(each_kind_of_wait_is_shown_as_what_it_is),
		TEST(waiter_is_woken_by_the_releasing_thread),
		TEST(no_other_thread_is_woken),
		TEST(ended_thread_does_not_come_back),
		TEST(name_is_the_label_of_later_starts),
		TEST(name_is_the_label_from_then_on),
		TEST(name_of_a_waiting_thread_does_not_end_its_wait),
		TEST(start_routine_is_known_or_taken_from_the_first_stack),
		TEST(threads_that_wait_at_the_end_stay_so),
		TEST(threads_above_the_limit_are_not_in_the_trace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
