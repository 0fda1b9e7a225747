/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/c/trace_reader.h"

#include "test/lib/c/trace_bytes.h"

/* ---------------------------------------------------------------- causes and effects */

/* Goroutine 1 waits from 3000 on, 2 wakes it and it runs again, until the end. */
static void put_wait(uint64_t wake_ts, uint64_t wake_seq, uint64_t start_ts, uint64_t start_seq)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_BLOCK_SYNC, 0, MAIN);
	put_batch(2, wake_ts);
	PUT(TRACE_GO_UNBLOCK, 0, 1, wake_seq, WORKER);
	put_batch(1, start_ts);
	PUT(TRACE_GO_START, 0, 1, start_seq);
	put_end();
}

static void wake_is_earlier_than_its_wait(bool wrong)
{
	put_wait(wrong ? 2999 : 3000, 2, 3000, 3);
}

static void start_is_earlier_than_its_wake(bool wrong)
{
	put_wait(4000, 2, wrong ? 3999 : 4000, 3);
}

static void start_has_another_seq(bool wrong)
{
	put_wait(4000, 2, 4000, wrong ? 2 : 3);
}

static void wake_has_another_seq(bool wrong)
{
	put_wait(4000, wrong ? 3 : 2, 4000, 3);
}

static void start_is_earlier_than_its_creation(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_CREATE, 0, 3, WORKER, MAIN);
	put_start(3, wrong ? 2999 : 3000, 3, 1);
	put_stop(3);
	put_end();
}

static void wake_comes_twice(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_BLOCK_COND, 0, MAIN);
	PUT(TRACE_PROC_STOP, 0);
	put_batch(2, 4000);
	PUT(TRACE_GO_UNBLOCK, 0, 1, 2, WORKER);
	blame();
	if (wrong)
		PUT(TRACE_GO_UNBLOCK, 0, 1, 3, WORKER);
	put_stop(2);
}

static void start_comes_without_wake(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_SLEEP, 0, MAIN);
	put_batch(0, 3500);
	if (!wrong)
		PUT(TRACE_GO_UNBLOCK, 0, 1, 2, 0);
	put_batch(1, 4000);
	blame();
	PUT(TRACE_GO_START, 0, 1, wrong ? 2 : 3);
	put_end();
}

static void start_comes_after_the_end(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	if (wrong)
		PUT(TRACE_GO_END, 0);
	else
		PUT(TRACE_GO_SCHED, 0, MAIN);
	blame();
	PUT(TRACE_GO_START, 0, 1, 2);
	put_end();
}

static void wait_comes_after_the_end(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_END, 0);
	blame();
	if (wrong)
		PUT(TRACE_GO_BLOCK_NET, 1, MAIN);
	PUT(TRACE_PROC_STOP, 0);
	put_stop(2);
}

static void only_a_created_goroutine_starts(bool wrong)
{
	put_world();
	if (!wrong) {
		put_batch(0, 3000);
		PUT(TRACE_GO_CREATE, 0, 3, MAIN, 0);
	}
	put_start(3, 3000, 3, 1);
	put_stop(3);
	put_end();
}

static void goid_comes_again_after_the_end(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_END, 0);
	put_batch(2, 4000);
	blame();
	PUT(TRACE_GO_CREATE, 0, wrong ? 1 : 3, WORKER, 0);
	put_stop(2);
}

static void time_runs_backwards_on_a_p(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_HEAP_ALLOC, 5, 77);
	put_batch(1, wrong ? 3004 : 3005);
	blame();
	PUT(TRACE_HEAP_GOAL, 0, 77);
	put_end();
}

static void first_time_is_only_for_creations(bool wrong)
{
	put_header();
	put_tables();
	PUT(TRACE_GO_CREATE, 0, 1, MAIN, 0);
	put_batch(1, wrong ? 1000 : 1001);
	blame();
	PUT(TRACE_PROC_START, 0, 11);
	PUT(TRACE_GO_START, 1, 1, 1);
	put_batch(0, 1003);
	PUT(TRACE_GOMAXPROCS, 0, 2, 0);
	put_stop(1);
}

static void sample_may_not_have_the_first_time(bool wrong)
{
	put_world();
	blame();
	PUT(TRACE_CPU_SAMPLE, 0, wrong ? 1000 : 1001, 0, 0, 0);
	put_end();
}

/* ---------------------------------------------------------------- Ps */

static void p_runs_another_goroutine(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_CREATE, 0, 3, WORKER, 0);
	if (!wrong)
		PUT(TRACE_GO_BLOCK, 0, MAIN);
	blame();
	PUT(TRACE_GO_START, 1, 3, 1);
	put_end();
}

static void p_is_started_twice(bool wrong)
{
	put_world();
	put_batch(wrong ? 1 : 3, 3000);
	if (wrong)
		PUT(TRACE_GO_PREEMPT, 0, MAIN);
	blame();
	PUT(TRACE_PROC_START, 0, 13);
	if (!wrong)
		put_stop(1);
	put_stop(2);
}

static void p_is_started_while_it_runs(bool wrong)
{
	put_world();
	put_batch(wrong ? 1 : 3, 3000);
	blame();
	PUT(TRACE_PROC_START, 0, 13);
	put_end();
}

static void p_is_stopped_while_it_runs(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	if (!wrong)
		PUT(TRACE_GO_END, 0);
	blame();
	PUT(TRACE_PROC_STOP, 0);
	put_stop(2);
}

static void p_is_stopped_twice(bool wrong)
{
	put_world();
	put_end();
	put_batch(1, 9001);
	if (!wrong)
		PUT(TRACE_PROC_START, 0, 13);
	blame();
	PUT(TRACE_PROC_STOP, 0);
}

static void goroutine_starts_on_a_p_that_is_not_started(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_CREATE, 0, 3, WORKER, 0);
	put_batch(3, 3000);
	if (!wrong)
		PUT(TRACE_PROC_START, 0, 13);
	blame();
	PUT(TRACE_GO_START, 0, 3, 1);
	put_batch(3, 3001);
	PUT(TRACE_GO_END, 0);
	put_end();
}

static void goroutine_runs_at_the_end(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_PREEMPT, 0, 0);
	blame();
	PUT(TRACE_GO_START, 0, 1, 2);
	if (!wrong)
		put_stop(1);
	put_stop(2);
}

/* ---------------------------------------------------------------- system calls */

/* Of goroutine 1, from 3000 on; on P1. */
static void put_call(void)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_SYS_CALL, 0, MAIN);
}

static void put_return(uint64_t seq)
{
	put_batch(1, 4000);
	PUT(TRACE_PROC_START, 0, 11);
	PUT(TRACE_GO_SYS_EXIT, 0, 1, seq, 0);
	PUT(TRACE_GO_START, 0, 1, seq + 1);
}

static void blocked_call_keeps_its_p(bool wrong)
{
	put_call();
	blame();
	PUT(TRACE_GO_SYS_BLOCK, 1);
	if (wrong)
		PUT(TRACE_HEAP_ALLOC, 0, 3);
	PUT(TRACE_PROC_STOP, 0);
	put_return(2);
	put_end();
}

static void blocked_call_at_the_end_keeps_its_p(bool wrong)
{
	put_call();
	blame();
	PUT(TRACE_GO_SYS_BLOCK, 1);
	if (!wrong)
		PUT(TRACE_PROC_STOP, 0);
	put_stop(2);
}

static void blocked_call_was_not_entered(bool wrong)
{
	put_call();
	if (wrong)
		PUT(TRACE_LOG, 0, 0, LOCK, MAIN), put_number(0);
	else
		PUT(TRACE_CPU_SAMPLE, 0, 3000, 1, 1, MAIN);
	blame();
	PUT(TRACE_GO_SYS_BLOCK, 1);
	PUT(TRACE_PROC_STOP, 0);
	put_return(2);
	put_end();
}

static void wait_ends_with_the_exit_of_a_call(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	if (!wrong)
		PUT(TRACE_GO_SYS_CALL, 0, MAIN), PUT(TRACE_GO_SYS_BLOCK, 0);
	else
		PUT(TRACE_GO_BLOCK_NET, 0, MAIN);
	PUT(TRACE_PROC_STOP, 0);
	put_return(2);
	put_end();
}

static void call_ends_with_a_wake(bool wrong)
{
	put_call();
	PUT(TRACE_GO_SYS_BLOCK, 0);
	PUT(TRACE_PROC_STOP, 0);
	put_batch(0, 4000);
	blame();
	if (wrong)
		PUT(TRACE_GO_UNBLOCK, 0, 1, 2, 0);
	else
		PUT(TRACE_GO_SYS_EXIT, 0, 1, 2, 0);
	put_stop(2);
}

static void exit_of_a_call_has_a_time(bool wrong)
{
	put_call();
	PUT(TRACE_GO_SYS_BLOCK, 0);
	PUT(TRACE_PROC_STOP, 0);
	put_batch(0, 4000);
	blame();
	PUT(TRACE_GO_SYS_EXIT, 0, 1, 2, wrong ? 3500 : 0);
	put_stop(2);
}

/* ---------------------------------------------------------------- the initial state */

static void put_half_a_world(void)
{
	put_header();
	put_tables();
	PUT(TRACE_GO_CREATE, 0, 1, MAIN, 0);
	put_start(1, 1001, 1, 1);
}

static void waiting_comes_after_the_initial_state(bool wrong)
{
	put_half_a_world();
	put_batch(0, 1000);
	PUT(TRACE_GO_CREATE, 0, 2, WORKER, 0);
	put_batch(0, 1002);
	if (wrong)
		PUT(TRACE_GOMAXPROCS, 0, 2, 0), blame();
	PUT(TRACE_GO_WAITING, 0, 2);
	if (!wrong)
		PUT(TRACE_GOMAXPROCS, 0, 2, 0);
	PUT(TRACE_GO_UNBLOCK, 5, 2, 2, 0);
	put_stop(1);
}

static void second_start_in_the_initial_state(bool wrong)
{
	put_half_a_world();
	PUT(TRACE_GO_PREEMPT, 0, MAIN);
	put_batch(0, 1002);
	PUT(TRACE_GOMAXPROCS, 0, 2, 0);
	put_batch(1, wrong ? 1002 : 1003);
	blame();
	PUT(TRACE_GO_START, 0, 1, 2);
	put_stop(1);
}

static void label_in_the_initial_state(bool wrong)
{
	put_header();
	put_tables();
	PUT(TRACE_GO_CREATE, 0, 1, MAIN, 0);
	put_batch(1, wrong ? 1001 : 1003);
	PUT(TRACE_PROC_START, 0, 11);
	blame();
	PUT(TRACE_GO_START_LABEL, 0, 1, 1, LOCK);
	put_batch(0, 1002);
	PUT(TRACE_GOMAXPROCS, 0, 2, 0);
	put_stop(1);
}

/* ---------------------------------------------------------------- main */

#define NO_ORDER "no consistent order"
#define TIME_ORDER "time stamps out of order"

static const struct CMUnitTest tests[] = {
	TWINS(wake_is_earlier_than_its_wait, TIME_ORDER),
	TWINS(start_is_earlier_than_its_wake, TIME_ORDER),
	TWINS(start_is_earlier_than_its_creation, TIME_ORDER),
	TWINS(start_has_another_seq, NO_ORDER),
	TWINS(wake_has_another_seq, NO_ORDER),
	TWINS(wake_comes_twice, NO_ORDER),
	TWINS(start_comes_without_wake, NO_ORDER),
	TWINS(start_comes_after_the_end, NO_ORDER),
	TWINS(only_a_created_goroutine_starts, NO_ORDER),
	TWINS(wait_comes_after_the_end, "no g runs on p 1"),
	TWINS(goid_comes_again_after_the_end, "g 1 is created twice"),
	TWINS(time_runs_backwards_on_a_p, "time runs backwards on p 1"),
	TWINS(first_time_is_only_for_creations, "only GoCreate may be at the first time"),
	TWINS(sample_may_not_have_the_first_time, "only GoCreate may be at the first time"),
	TWINS(p_runs_another_goroutine, "p 1 is already running g 1"),
	TWINS(p_is_started_twice, "p 1 is already started"),
	TWINS(p_is_started_while_it_runs, "p 1 is running g 1"),
	TWINS(p_is_stopped_while_it_runs, "p 1 is running g 1"),
	TWINS(p_is_stopped_twice, "p 1 is not started"),
	TWINS(goroutine_starts_on_a_p_that_is_not_started, "p 3 is not started"),
	TWINS(goroutine_runs_at_the_end, "g 1 is still running at the end"),
	TWINS(blocked_call_keeps_its_p, "no ProcStop of p 1 follows"),
	TWINS(blocked_call_at_the_end_keeps_its_p, "no ProcStop of p 1 follows"),
	TWINS(blocked_call_was_not_entered, "the last event of g 1 is no GoSysCall"),
	TWINS(wait_ends_with_the_exit_of_a_call, "g 1 is in no system call"),
	TWINS(call_ends_with_a_wake, "g 1 is in a system call"),
	TWINS(exit_of_a_call_has_a_time, "its third argument is 3500"),
	TWINS(waiting_comes_after_the_initial_state, "it is not before Gomaxprocs"),
	TWINS(second_start_in_the_initial_state, "a second start of g 1"),
	TWINS(label_in_the_initial_state, "it is not after Gomaxprocs"),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
