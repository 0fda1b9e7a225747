/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of render jobs, and their buffers. */
#include "agent/arch/arch.h"
#include "test/lib/c/collect_fixture.h"

#include <stdio.h>
#include <sys/resource.h>

#include "agent/serve/client_budget.h"

static size_t bytes_of_buffers(void)
{
	return pa_client_budget_stats().used[PA_CLIENT_BUDGET_JOBS];
}

/* The first is held at its start; the others wait, in this order. */
#define JOBS (1 + PA_RENDER_THREAD_QUEUE)

struct queue {
	PA_ATOMIC(int) held, turns;
	struct work works[JOBS];
	struct pa_job *jobs[JOBS];
};

static void fill_queue(struct queue *queue)
{
	*queue = (struct queue){ .held = 1 };
	for (size_t i = 0; i < JOBS; i++) {
		queue->works[i] = (struct work){
			.held = i ? NULL : &queue->held, .turns = &queue->turns, .bytes = 10
		};
		assert_false(pa_render_thread_is_full());
		assert_int_equal(submit(&queue->works[i], LONG_NS, &queue->jobs[i]), 0);
		if (!i)
			wait_until(&queue->works[0].started, 1);
	}
}

static void empty_queue(struct queue *queue)
{
	pa_store_release(&queue->held, 0);
	for (size_t i = 0; i < JOBS; i++) {
		assert_int_equal(read_all(queue->jobs[i]), 10);
		pa_render_thread_leave(queue->jobs[i]);
		wait_until(&queue->works[i].dropped, 1);
		assert_int_equal(queue->works[i].turn, i);
	}
}

static void sixteen_wait_and_come_in_their_order(void **unused)
{
	static struct queue queue;
	(void)unused;
	assert_int_equal(PA_RENDER_THREAD_QUEUE, 16);
	fill_queue(&queue);
	for (size_t i = 1; i < JOBS; i++)
		assert_false(pa_render_thread_has_begun(queue.jobs[i], 0));
	empty_queue(&queue);
}

static void the_seventeenth_is_refused_at_once(void **unused)
{
	static struct queue queue;
	struct work extra = { 0 };
	struct pa_job *job;
	(void)unused;
	fill_queue(&queue);
	assert_true(pa_render_thread_is_full());
	assert_int_equal(submit(&extra, LONG_NS, &job), -EBUSY);
	assert_int_equal(extra.dropped, 1);
	assert_int_equal(extra.started, 0);
	empty_queue(&queue);
	assert_false(pa_render_thread_is_full());
	assert_int_equal(submit(&extra, LONG_NS, &job), 0);
	pa_render_thread_leave(job);
	wait_until(&extra.dropped, 2);
}

static void one_that_leaves_makes_room_in_the_queue(void **unused)
{
	static struct queue queue;
	(void)unused;
	fill_queue(&queue);
	pa_render_thread_leave(queue.jobs[5]);
	wait_until(&queue.works[5].dropped, 1);
	assert_int_equal(queue.works[5].started, 0);
	for (size_t i = 6; i < JOBS; i++) {
		queue.jobs[i - 1] = queue.jobs[i];
		queue.works[i].turn = -1;
	}
	struct work last = { .bytes = 10, .turns = &queue.turns };
	assert_int_equal(submit(&last, LONG_NS, &queue.jobs[JOBS - 1]), 0);
	pa_store_release(&queue.held, 0);
	for (size_t i = 0; i < JOBS; i++) {
		assert_int_equal(read_all(queue.jobs[i]), 10);
		pa_render_thread_leave(queue.jobs[i]);
	}
	wait_until(&last.dropped, 1);
	assert_int_equal(last.turn, JOBS - 1);
	assert_int_equal(queue.works[6].turn, 5);
}

/* Its place is free then, and it is dropped when the worker has left. */
static void a_job_whose_turn_does_not_come_in_time_is_refused(void **unused)
{
	PA_ATOMIC(int) held = 1;
	struct work first = { .held = &held }, late = { 0 };
	struct pa_job *jobs[2];
	const char *bytes;
	(void)unused;
	assert_int_equal(submit(&first, LONG_NS, &jobs[0]), 0);
	wait_until(&first.started, 1);
	assert_int_equal(submit(&late, PA_NS_PER_MS, &jobs[1]), 0);
	assert_int_equal(pa_render_thread_read(jobs[1], 1, &bytes), -EBUSY);
	assert_int_equal(pa_render_thread_read(jobs[1], 1, &bytes), -EBUSY);
	pa_render_thread_leave(jobs[1]);
	assert_int_equal(late.dropped, 1);
	assert_int_equal(late.started, 0);
	pa_store_release(&held, 0);
	assert_int_equal(read_all(jobs[0]), 0);
	pa_render_thread_leave(jobs[0]);
	wait_until(&first.dropped, 1);
}

/* As on a machine that has no processor for it. */
static void behind_a_thread_that_does_not_get_on_a_job_waits_three_times_as_long(void **unused)
{
	PA_ATOMIC(int) held = 1;
	struct work first = { .held = &held, .sleeps = true }, late = { 0 };
	struct pa_job *jobs[2];
	const char *bytes;
	(void)unused;
	assert_int_equal(submit(&first, LONG_NS, &jobs[0]), 0);
	wait_until(&first.started, 1);
	int64_t begin_ns = pa_clock_mono_ns();
	assert_int_equal(submit(&late, 100 * PA_NS_PER_MS, &jobs[1]), 0);
	assert_int_equal(pa_render_thread_read(jobs[1], 1, &bytes), -EBUSY);
	assert_true(pa_clock_mono_ns() - begin_ns >= 290 * PA_NS_PER_MS);
	pa_render_thread_leave(jobs[1]);
	pa_store_release(&held, 0);
	assert_int_equal(read_all(jobs[0]), 0);
	pa_render_thread_leave(jobs[0]);
	wait_until(&first.dropped, 1);
}

static void of_single_jobs_one_waits_or_runs_at_a_time(void **unused)
{
	PA_ATOMIC(int) held = 1;
	struct work first = { .held = &held }, single = { .single = true },
		    second = { .single = true };
	struct pa_job *jobs[2], *extra;
	(void)unused;
	assert_int_equal(submit(&first, LONG_NS, &jobs[0]), 0);
	assert_int_equal(submit(&single, LONG_NS, &jobs[1]), 0);
	assert_int_equal(submit(&second, LONG_NS, &extra), -EBUSY);
	assert_int_equal(second.dropped, 1);
	pa_store_release(&held, 0);
	assert_int_equal(read_all(jobs[1]), 0);
	assert_int_equal(submit(&second, LONG_NS, &extra), 0);
	assert_int_equal(read_all(extra), 0);
	pa_render_thread_leave(jobs[0]);
	pa_render_thread_leave(jobs[1]);
	pa_render_thread_leave(extra);
	wait_until(&first.dropped, 1);
	wait_until(&single.dropped, 1);
	wait_until(&second.dropped, 2);
}

/* ---- buffers ---- */

static void jobs_that_wait_have_no_buffer(void **unused)
{
	static struct queue queue;
	(void)unused;
	assert_int_equal(bytes_of_buffers(), 0);
	fill_queue(&queue);
	assert_int_equal(bytes_of_buffers(), PA_RENDER_THREAD_BYTES);
	empty_queue(&queue);
	assert_int_equal(bytes_of_buffers(), 0);
}

static void a_done_job_keeps_what_is_to_be_read(void **unused)
{
	struct work small = { .bytes = PA_PAGE_BYTES + 1 },
		    large = { .bytes = PA_RENDER_THREAD_BYTES };
	struct pa_job *jobs[2];
	size_t whole;
	(void)unused;
	assert_int_equal(submit(&small, LONG_NS, &jobs[0]), 0);
	assert_int_equal(submit(&large, LONG_NS, &jobs[1]), 0);
	wait_until(&large.result, 1);
	do_one_job(); /* so that its end was dealt with, too */
	assert_true(pa_render_thread_is_whole(jobs[1], &whole));
	assert_int_equal(bytes_of_buffers(), 2 * PA_PAGE_BYTES + PA_RENDER_THREAD_BYTES);
	assert_int_equal(read_all(jobs[0]), (int64_t)small.bytes);
	assert_int_equal(read_all(jobs[1]), (int64_t)large.bytes);
	pa_render_thread_leave(jobs[0]);
	pa_render_thread_leave(jobs[1]);
	assert_int_equal(bytes_of_buffers(), 0);
}

#define BUFFERS (PA_CLIENT_BUDGET_JOBS_BYTES / PA_RENDER_THREAD_BYTES)

static void the_next_job_waits_for_a_buffer(void **unused)
{
	struct work works[BUFFERS + 1] = { 0 };
	struct pa_job *jobs[BUFFERS + 1];
	(void)unused;
	for (size_t i = 0; i <= BUFFERS; i++) {
		works[i].bytes = PA_RENDER_THREAD_BYTES;
		assert_int_equal(submit(&works[i], LONG_NS, &jobs[i]), 0);
	}
	int64_t end_ns = pa_clock_mono_ns() + LONG_NS;
	while (!pa_render_thread_is_full()) {
		assert_true(pa_clock_mono_ns() < end_ns);
		sched_yield();
	}
	assert_int_equal(bytes_of_buffers(), PA_CLIENT_BUDGET_JOBS_BYTES);
	assert_int_equal(works[BUFFERS].started, 0);
	assert_true(pa_render_thread_consume(jobs[1], 1)); /* it has had it for a moment only */
	pa_render_thread_leave(jobs[0]);
	assert_int_equal(read_all(jobs[BUFFERS]), PA_RENDER_THREAD_BYTES);
	assert_false(pa_render_thread_is_full());
	for (size_t i = 1; i <= BUFFERS; i++)
		pa_render_thread_leave(jobs[i]);
	for (size_t i = 0; i <= BUFFERS; i++)
		wait_until(&works[i].dropped, 1);
	assert_int_equal(bytes_of_buffers(), 0);
}

/* So much that 24 MiB are more than a quarter of it. */
static void limit_memory(struct rlimit *before)
{
	unsigned long pages;
	FILE *statm = fopen("/proc/self/statm", "r");

	assert_non_null(statm);
	assert_int_equal(fscanf(statm, "%lu", &pages), 1);
	fclose(statm);
	assert_int_equal(getrlimit(RLIMIT_AS, before), 0);
	struct rlimit low = *before;
	low.rlim_cur = pages * PA_PAGE_BYTES + ((rlim_t)90 << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
}

static void a_job_that_a_limit_leaves_no_room_for_is_refused(void **unused)
{
	struct work work = { .bytes = 1 };
	struct rlimit before;
	struct pa_job *job;

	(void)unused;
	limit_memory(&before);
	assert_int_equal(submit(&work, LONG_NS, &job), -EDQUOT);
	assert_int_equal(work.dropped, 1);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_int_equal(read_all(job), 1);
	pa_render_thread_leave(job);
	wait_until(&work.dropped, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sixteen_wait_and_come_in_their_order),
		cmocka_unit_test(the_seventeenth_is_refused_at_once),
		cmocka_unit_test(one_that_leaves_makes_room_in_the_queue),
		cmocka_unit_test(a_job_whose_turn_does_not_come_in_time_is_refused),
		cmocka_unit_test(
			behind_a_thread_that_does_not_get_on_a_job_waits_three_times_as_long),
		cmocka_unit_test(of_single_jobs_one_waits_or_runs_at_a_time),
		cmocka_unit_test(jobs_that_wait_have_no_buffer),
		cmocka_unit_test(a_done_job_keeps_what_is_to_be_read),
		cmocka_unit_test(the_next_job_waits_for_a_buffer),
		cmocka_unit_test(a_job_that_a_limit_leaves_no_room_for_is_refused),
	};
	return cmocka_run_group_tests(tests, start_render_thread, stop_render_thread);
}
