/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_writer.h"

#include <sys/syscall.h>

/* The goroutine's first wake-up: the goroutine that did it (0: none), and when. */
static void assert_woken_by(uint64_t g, uint64_t by, uint64_t ns)
{
	const struct trace_event *woken = event_of(g, TRACE_GO_UNBLOCK);

	assert_int_equal(woken->by, by);
	assert_int_equal(woken->ts, 1003 + ns);
}

/* ---- the beginning ---- */

static void trace_of_nothing_has_one_thread(void **unused)
{
	(void)unused;
	pa_gotrace_begin(writer, &made_up_process, NULL, START_NS);
	finish();
	assert_int_equal(trace.goroutine_count, 1);
	assert_int_equal(pa_gotrace_stats(writer).threads, 1);
}

static void threads_that_are_there_run_from_the_start_on(void **unused)
{
	(void)unused;
	begin_with_three();
	finish();
	assert_life(ANNA, "GoCreate GoStart GoPreempt");
	assert_string_equal(trace_function(&trace, event_of(ANNA, TRACE_GO_CREATE)->args[1], 0),
		"main");
	assert_int_equal(trace.counts[TRACE_PROC_START], 4);
	assert_int_equal(trace.counts[TRACE_PROC_STOP], 4);
	assert_int_equal(event_of(CARL, TRACE_GO_PREEMPT)->ts, 1003 + 1000000);
}

static void threads_that_are_blocked_at_the_start_are_so_in_the_trace(void **unused)
{
	static const struct {
		struct pa_thread_info info;
		const char *life;
	} threads[] = {
		{ { .syscall = -1 }, "GoCreate GoStart GoPreempt" },
		{ { .syscall = SYS_futex }, "GoCreate GoStart GoBlockSync" },
		{ { .syscall = SYS_futex, .wait = PA_WAIT_COND }, "GoCreate GoStart GoBlockCond" },
		{ { .syscall = SYS_futex, .wait = PA_WAIT_SEM }, "GoCreate GoStart GoBlockSync" },
		{ { .syscall = SYS_poll }, "GoCreate GoStart GoBlockNet" },
		{ { .syscall = SYS_epoll_wait }, "GoCreate GoStart GoBlockNet" },
		{ { .syscall = SYS_accept4 }, "GoCreate GoStart GoBlockNet" },
		{ { .syscall = SYS_clock_nanosleep }, "GoCreate GoStart GoSleep" },
		{ { .syscall = SYS_read }, "GoCreate GoStart GoSysCall GoSysBlock" },
		{ { .syscall = SYS_wait4 }, "GoCreate GoStart GoSysCall GoSysBlock" },
	};
	struct pa_sample blocked[PA_COUNT(threads)];
	const struct pa_snapshot snapshot = { .samples = blocked,
		.sample_count = PA_COUNT(threads) };

	(void)unused;
	for (int32_t i = 0; i < (int32_t)PA_COUNT(threads); i++)
		blocked[i] = (struct pa_sample){
			.stack = other_stack, .tid = 50 + i, .info = &threads[i].info
		};
	pa_gotrace_begin(writer, &made_up_process, &snapshot, START_NS);
	finish();
	for (uint64_t i = 0; i < PA_COUNT(threads); i++)
		assert_life(50 + i, threads[i].life);
	/* Their stack has the call already. */
	assert_string_equal(trace_function(&trace, event_of(51, TRACE_GO_BLOCK_SYNC)->stack, 0),
		"other");
}

static void threads_that_were_blocked_at_the_start_go_on(void **unused)
{
	const struct pa_thread_info in_futex = { .syscall = SYS_futex };
	const struct pa_thread_info in_read = { .syscall = SYS_read };
	struct pa_sample blocked[] = {
		{ .stack = other_stack, .tid = 50, .info = &in_futex, .thread = "pool" },
		{ .stack = other_stack, .tid = 51, .info = &in_read, .thread = "disk" },
	};
	const struct pa_snapshot snapshot = { .samples = blocked, .sample_count = 2 };

	(void)unused;
	pa_gotrace_begin(writer, &made_up_process, &snapshot, START_NS);
	feed(block_of(100, 50, PA_TRACE_EVENTS_IN_MUTEX, OBJECT, lock_stack));
	feed(block_of(200, 51, PA_TRACE_EVENTS_IN_MUTEX, OBJECT, lock_stack));
	finish();
	assert_life(50, "GoCreate GoStartLabel GoBlockSync GoUnblock GoStartLabel GoBlockSync");
	assert_life(51,
		"GoCreate GoStartLabel GoSysCall GoSysBlock GoSysExit GoStartLabel "
		"GoBlockSync");
	const struct trace_event *start = event_of(51, TRACE_GO_START_LABEL);
	assert_string_equal(trace_string(&trace, start->args[2]), "disk");
}

/* Events are recorded from before the threads are asked what they do. */
static void thread_that_started_while_threads_were_asked_is_there_once(void **unused)
{
	struct pa_trace_queue_item create = item_at(-200, ANNA, PA_TRACE_EVENTS_CREATE);
	struct pa_trace_queue_item start = item_at(-100, BERT, PA_TRACE_EVENTS_START);

	(void)unused;
	create.link = start.link = 5;
	create.entry = start.entry = worker_stack;
	begin_with_three();
	feed(create);
	feed(start);
	feed(block_of(100, BERT, PA_TRACE_EVENTS_IN_SLEEP, 0, other_stack));
	finish();
	assert_int_equal(trace.goroutine_count, 3);
	assert_life(BERT, "GoCreate GoStart GoSleep");
}

static void thread_that_was_created_while_threads_were_asked_starts_later(void **unused)
{
	struct pa_trace_queue_item create = item_at(-200, ANNA, PA_TRACE_EVENTS_CREATE);
	struct pa_trace_queue_item start = item_at(100, 99, PA_TRACE_EVENTS_START);

	(void)unused;
	create.link = start.link = 5;
	create.entry = start.entry = worker_stack;
	begin_with_three();
	feed(create);
	feed(start);
	finish();
	assert_int_equal(trace.goroutine_count, 4);
	assert_life(99, "GoCreate GoStart GoPreempt");
}

/* Its id was that of a thread that ended meanwhile. */
static void tid_that_is_used_again_while_threads_were_asked_is_not_dead(void **unused)
{
	struct pa_trace_queue_item start = item_at(-100, BERT, PA_TRACE_EVENTS_START);

	(void)unused;
	start.link = 5;
	begin_with_three();
	feed(item_at(-200, BERT, PA_TRACE_EVENTS_END));
	feed(start);
	feed(block_of(100, BERT, PA_TRACE_EVENTS_IN_SLEEP, 0, other_stack));
	finish();
	assert_life(10000000, "GoCreate GoStart GoSleep");
}

/* ---- lives ---- */

static void created_thread_is_its_parents_child(void **unused)
{
	struct pa_trace_queue_item create = item_at(100, ANNA, PA_TRACE_EVENTS_CREATE);
	struct pa_trace_queue_item start = item_at(200, 99, PA_TRACE_EVENTS_START);
	struct pa_trace_queue_item end = item_at(300, 99, PA_TRACE_EVENTS_END);

	(void)unused;
	create.link = start.link = 5;
	create.entry = start.entry = worker_stack;
	create.stack = lock_stack;
	begin_with_three();
	feed(create);
	feed(start);
	feed(end);
	finish();
	assert_life(10000000, "GoCreate GoStart GoEnd");
	const struct trace_event *made = event_of(10000000, TRACE_GO_CREATE);
	assert_int_equal(made->by, ANNA);
	assert_string_equal(trace_function(&trace, made->args[1], 0), "worker");
	assert_string_equal(trace_function(&trace, made->stack, 0), "take_lock");
	assert_int_equal(event_of(10000000, TRACE_GO_START)->ts, 1203);
}

static void tid_that_is_used_again_is_another_thread(void **unused)
{
	struct pa_trace_queue_item start = item_at(200, BERT, PA_TRACE_EVENTS_START);

	(void)unused;
	start.link = 5;
	begin_with_three();
	feed(item_at(100, BERT, PA_TRACE_EVENTS_END));
	feed(item_at(150, BERT, PA_TRACE_EVENTS_TICK));
	feed(start);
	feed(item_at(300, CARL, PA_TRACE_EVENTS_END));
	/* This one's end was lost. */
	start.tid = ANNA;
	start.link = 6;
	feed(start);
	finish();
	assert_life(BERT, "GoCreate GoStart GoEnd");
	assert_life(ANNA, "GoCreate GoStart GoEnd");
	assert_life(10000000, "GoCreate GoStart GoPreempt");
	assert_life(10000001, "GoCreate GoStart GoPreempt");
}

static void events_keep_their_order_when_their_times_do_not(void **unused)
{
	(void)unused;
	begin_with_three();
	feed(block_of(500, ANNA, PA_TRACE_EVENTS_IN_SLEEP, 0, lock_stack));
	feed(block_of(400, BERT, PA_TRACE_EVENTS_IN_SLEEP, 0, lock_stack));
	feed(block_of(-100, CARL, PA_TRACE_EVENTS_IN_SLEEP, 0, lock_stack));
	finish();
	for (uint64_t g = ANNA; g <= CARL; g++)
		assert_int_equal(event_of(g, TRACE_GO_SLEEP)->ts, 1503);
}

/* ---- wake-ups ---- */

static void release_wakes_the_thread_that_got_the_lock(void **unused)
{
	(void)unused;
	begin_with_three();
	feed(block_of(100, ANNA, PA_TRACE_EVENTS_IN_MUTEX, OBJECT, lock_stack));
	feed(release_of(200, BERT, OBJECT, 1, other_stack));
	feed(release_of(300, CARL, OBJECT, 2, other_stack));
	feed(woke_of(400, ANNA, 2));
	finish();
	assert_life(ANNA, "GoCreate GoStart GoBlockSync GoUnblock GoStart GoPreempt");
	assert_woken_by(ANNA, CARL, 300);
	assert_int_equal(trace_event_of(&trace, ANNA, TRACE_GO_START, 1)->ts, 1403);
	assert_string_equal(trace_function(&trace, event_of(ANNA, TRACE_GO_UNBLOCK)->stack, 0),
		"other");
}

static void wait_that_was_none_is_not_shown(void **unused)
{
	(void)unused;
	begin_with_three();
	feed(release_of(100, BERT, OBJECT, 1, other_stack));
	feed(block_of(200, ANNA, PA_TRACE_EVENTS_IN_MUTEX, OBJECT, lock_stack));
	feed(woke_of(300, ANNA, 1));
	finish();
	assert_life(ANNA, "GoCreate GoStart GoPreempt");
}

static void timeout_has_no_waker(void **unused)
{
	(void)unused;
	begin_with_three();
	feed(block_of(100, ANNA, PA_TRACE_EVENTS_IN_COND, OBJECT, lock_stack));
	feed(release_of(200, BERT, OBJECT, 1, other_stack));
	feed(woke_of(300, ANNA, 0));
	finish();
	assert_woken_by(ANNA, 0, 300);
	/* go tool trace of Go 1.24 counts no wait that ends without a stack. */
	assert_string_equal(trace_function(&trace, event_of(ANNA, TRACE_GO_UNBLOCK)->stack, 0),
		trace_function(&trace, event_of(ANNA, TRACE_GO_BLOCK_COND)->stack, 0));
}

static void broadcast_wakes_all(void **unused)
{
	(void)unused;
	begin_with_three();
	feed(block_of(100, ANNA, PA_TRACE_EVENTS_IN_COND, OBJECT, lock_stack));
	feed(block_of(200, BERT, PA_TRACE_EVENTS_IN_COND, OBJECT, lock_stack));
	feed(release_of(300, CARL, OBJECT, 1, other_stack));
	feed(woke_of(400, BERT, 1));
	feed(woke_of(500, ANNA, 1));
	finish();
	assert_woken_by(BERT, CARL, 300);
	assert_woken_by(ANNA, CARL, 500);
	assert_string_equal(trace_function(&trace, event_of(ANNA, TRACE_GO_UNBLOCK)->stack, 0),
		"other");
}

static void thread_that_ended_wakes_no_waiter_late(void **unused)
{
	(void)unused;
	begin_with_three();
	feed(block_of(100, ANNA, PA_TRACE_EVENTS_IN_COND, OBJECT, lock_stack));
	feed(block_of(200, BERT, PA_TRACE_EVENTS_IN_COND, OBJECT, lock_stack));
	feed(release_of(300, CARL, OBJECT, 1, other_stack));
	feed(block_of(350, CARL, PA_TRACE_EVENTS_IN_SLEEP, 0, lock_stack));
	feed(woke_of(400, BERT, 1));
	feed(woke_of(500, ANNA, 1));
	finish();
	assert_woken_by(BERT, CARL, 300);
	assert_woken_by(ANNA, 0, 500);
}

static void last_one_at_a_barrier_does_not_wait(void **unused)
{
	(void)unused;
	begin_with_three();
	for (int32_t tid = ANNA; tid <= CARL; tid++) {
		struct pa_trace_queue_item item =
			block_of(100 * tid, tid, PA_TRACE_EVENTS_IN_BARRIER, OBJECT, lock_stack);
		item.link = (uint64_t)tid;
		feed(item);
	}
	for (int32_t tid = CARL; tid >= ANNA; tid--)
		feed(woke_of(2000, tid, CARL));
	finish();
	assert_life(CARL, "GoCreate GoStart GoPreempt");
	assert_woken_by(BERT, CARL, 1300);
	assert_woken_by(ANNA, CARL, 2000);
}

static void joiner_is_woken_by_the_thread_that_ends(void **unused)
{
	struct pa_trace_queue_item end = item_at(200, BERT, PA_TRACE_EVENTS_END);

	(void)unused;
	end.object = OBJECT;
	end.link = 1;
	begin_with_three();
	feed(block_of(100, ANNA, PA_TRACE_EVENTS_IN_JOIN, OBJECT, lock_stack));
	feed(end);
	feed(woke_of(300, ANNA, 1));
	finish();
	assert_woken_by(ANNA, BERT, 200);
	assert_life(BERT, "GoCreate GoStart GoEnd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(trace_of_nothing_has_one_thread),
		TEST(threads_that_are_there_run_from_the_start_on),
		TEST(threads_that_are_blocked_at_the_start_are_so_in_the_trace),
		TEST(threads_that_were_blocked_at_the_start_go_on),
		TEST(thread_that_started_while_threads_were_asked_is_there_once),
		TEST(thread_that_was_created_while_threads_were_asked_starts_later),
		TEST(tid_that_is_used_again_while_threads_were_asked_is_not_dead),
		TEST(created_thread_is_its_parents_child),
		TEST(tid_that_is_used_again_is_another_thread),
		TEST(events_keep_their_order_when_their_times_do_not),
		TEST(release_wakes_the_thread_that_got_the_lock),
		TEST(wait_that_was_none_is_not_shown),
		TEST(timeout_has_no_waker),
		TEST(broadcast_wakes_all),
		TEST(thread_that_ended_wakes_no_waiter_late),
		TEST(last_one_at_a_barrier_does_not_wait),
		TEST(joiner_is_woken_by_the_thread_that_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
