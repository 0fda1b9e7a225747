/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/collect_fixture.h"

static void bytes_come_through_in_order(void **unused)
{
	struct work work = { .bytes = 100000 };
	struct pa_job *job;
	(void)unused;
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_int_equal(read_all(job), 100000);
	pa_render_thread_leave(job);
	wait_until(&work.dropped, 1);
}

static void more_than_the_buffer_comes_through(void **unused)
{
	struct work work = { .bytes = 3 * PA_RENDER_THREAD_BYTES + 12345 };
	struct pa_job *job;
	(void)unused;
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_int_equal(read_all(job), (int64_t)work.bytes);
	pa_render_thread_leave(job);
	wait_until(&work.dropped, 1);
}

static void empty_job_ends(void **unused)
{
	struct work work = { 0 };
	struct pa_job *job;
	size_t whole = 1;
	(void)unused;
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_int_equal(read_all(job), 0);
	assert_true(pa_render_thread_is_whole(job, &whole));
	assert_int_equal(whole, 0);
	pa_render_thread_leave(job);
	wait_until(&work.dropped, 1);
}

static void small_job_is_known_whole(void **unused)
{
	struct work work = { .bytes = 5000 };
	struct pa_job *job;
	const char *bytes;
	size_t whole = 0;
	(void)unused;
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_int_equal(pa_render_thread_read(job, 64 << 10, &bytes), 5000);
	assert_true(pa_render_thread_is_whole(job, &whole));
	assert_int_equal(whole, 5000);
	pa_render_thread_leave(job);
	wait_until(&work.dropped, 1);
}

static void large_job_is_not_known_whole(void **unused)
{
	struct work work = { .bytes = 2 * PA_RENDER_THREAD_BYTES };
	struct pa_job *job;
	const char *bytes;
	size_t whole;
	(void)unused;
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_true(pa_render_thread_read(job, 64 << 10, &bytes) >= 64 << 10);
	assert_false(pa_render_thread_is_whole(job, &whole));
	pa_render_thread_leave(job);
	wait_until(&work.dropped, 1);
}

static void error_of_the_job_is_told(void **unused)
{
	struct work work = { .bytes = 10, .error = -ENODATA };
	struct pa_job *job;
	const char *bytes;
	size_t whole;
	(void)unused;
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_int_equal(pa_render_thread_read(job, 64 << 10, &bytes), -ENODATA);
	assert_false(pa_render_thread_is_whole(job, &whole));
	pa_render_thread_leave(job);
	wait_until(&work.dropped, 1);
}

static void leaving_stops_the_job(void **unused)
{
	struct work work = { .bytes = (size_t)1 << 40 };
	struct pa_job *job;
	const char *bytes;
	(void)unused;
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_true(pa_render_thread_read(job, 1, &bytes) > 0);
	pa_render_thread_leave(job);
	wait_until(&work.dropped, 1);
	assert_int_equal(work.result, 2);
}

static void job_left_before_its_turn_never_runs(void **unused)
{
	PA_ATOMIC(int) held = 1;
	struct work first = { .held = &held }, second = { 0 };
	struct pa_job *jobs[2];
	(void)unused;
	assert_int_equal(submit(&first, LONG_NS, &jobs[0]), 0);
	assert_int_equal(submit(&second, LONG_NS, &jobs[1]), 0);
	pa_render_thread_leave(jobs[1]);
	pa_store_release(&held, 0);
	pa_render_thread_leave(jobs[0]);
	wait_until(&second.dropped, 1);
	assert_int_equal(second.started, 0);
	wait_until(&first.dropped, 1);
}

/* A client that reads nothing is not waited for when another one waits. */
static void stalled_job_makes_way(void **unused)
{
	struct work stalled = { .bytes = 4 * PA_RENDER_THREAD_BYTES }, good = { .bytes = 1000 };
	struct pa_job *jobs[2];
	const char *bytes;
	int64_t start_ns = pa_clock_mono_ns();
	(void)unused;
	assert_int_equal(submit(&stalled, LONG_NS, &jobs[0]), 0);
	assert_int_equal(submit(&good, LONG_NS, &jobs[1]), 0);
	assert_int_equal(read_all(jobs[1]), 1000);
	assert_true(pa_clock_mono_ns() - start_ns < 2 * PA_NS_PER_S);
	assert_int_equal(stalled.result, 2);
	assert_int_equal(pa_render_thread_read(jobs[0], 1, &bytes), -ECANCELED);
	pa_render_thread_leave(jobs[0]);
	pa_render_thread_leave(jobs[1]);
	wait_until(&stalled.dropped, 1);
	wait_until(&good.dropped, 1);
}

static void idle_is_called_with_each_job(void **unused)
{
	(void)unused;
	int before = pa_load_acquire(&idle.calls);
	do_one_job();
	assert_true(pa_load_acquire(&idle.calls) > before);
}

static void idle_is_called_again_when_it_wants(void **unused)
{
	int64_t end_ns = pa_clock_mono_ns() + 20 * PA_NS_PER_S;
	(void)unused;
	pa_store_release(&idle.wait_ns, PA_NS_PER_MS);
	do_one_job();
	int before = pa_load_acquire(&idle.calls);
	while (pa_load_acquire(&idle.calls) < before + 3) {
		assert_true(pa_clock_mono_ns() < end_ns);
		sched_yield();
	}
	pa_store_release(&idle.wait_ns, -1);
}

/* From here on the tests have their own render threads. */
static void render_thread_ends_when_told_but_never_before_a_job(void **unused)
{
	PA_ATOMIC(int) held = 1;
	struct work work = { .bytes = 10, .held = &held };
	struct pa_job *job;
	pthread_t thread;

	(void)unused;
	pa_render_thread_reset();
	pa_store_release(&rendering.over, 0);
	assert_true(pa_render_thread_claim());
	assert_false(pa_render_thread_claim());
	assert_int_equal(pthread_create(&thread, NULL, render, NULL), 0);
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	wait_until(&work.started, 1);
	pa_store_release(&rendering.over, 1);
	pa_store_release(&held, 0);
	assert_int_equal(read_all(job), 10);
	pa_render_thread_leave(job);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(pa_render_thread_claim());
	pa_render_thread_disclaim();
}

static void sleeping_render_thread_is_stirred(void **unused)
{
	pthread_t thread;

	(void)unused;
	pa_store_release(&rendering.over, 0);
	assert_true(pa_render_thread_claim());
	assert_int_equal(pthread_create(&thread, NULL, render, NULL), 0);
	pa_store_release(&rendering.over, 1);
	pa_render_thread_wake();
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void *render_once_the_other_ended(void *unused)
{
	if (pa_render_thread_await_claim(is_over))
		pa_render_thread_run(is_over);
	return unused;
}

/* The server waits while a thread names what is in unloaded libraries: that one ends soon. */
static void thread_that_waits_for_the_claim_renders_after_the_other(void **unused)
{
	struct work work = { .bytes = 10 };
	struct pa_job *job;
	pthread_t thread;

	(void)unused;
	pa_store_release(&rendering.over, 0);
	assert_true(pa_render_thread_claim());
	assert_int_equal(pthread_create(&thread, NULL, render_once_the_other_ended, NULL), 0);
	pa_render_thread_disclaim();
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_int_equal(read_all(job), 10);
	pa_render_thread_leave(job);
	pa_store_release(&rendering.over, 1);
	pa_render_thread_wake();
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(pa_render_thread_claim());
	assert_false(pa_render_thread_await_claim(is_over));
	pa_render_thread_disclaim();
}

static void tending_does_what_a_render_thread_would_and_no_more(void **unused)
{
	struct work work = { .bytes = 10 };
	struct pa_job *job;

	(void)unused;
	pa_store_release(&idle.wait_ns, 77);
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_int_equal(pa_render_thread_run_idle(), 77);
	assert_int_equal(read_all(job), 10);
	pa_render_thread_leave(job);
	assert_true(pa_render_thread_claim());
	assert_int_equal(pa_render_thread_run_idle(), -1);
	pa_render_thread_disclaim();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_come_through_in_order),
		cmocka_unit_test(more_than_the_buffer_comes_through),
		cmocka_unit_test(empty_job_ends),
		cmocka_unit_test(small_job_is_known_whole),
		cmocka_unit_test(large_job_is_not_known_whole),
		cmocka_unit_test(error_of_the_job_is_told),
		cmocka_unit_test(leaving_stops_the_job),
		cmocka_unit_test(job_left_before_its_turn_never_runs),
		cmocka_unit_test(stalled_job_makes_way),
		cmocka_unit_test(idle_is_called_with_each_job),
		cmocka_unit_test(idle_is_called_again_when_it_wants),
	};
	const struct CMUnitTest ends[] = {
		cmocka_unit_test(render_thread_ends_when_told_but_never_before_a_job),
		cmocka_unit_test(sleeping_render_thread_is_stirred),
		cmocka_unit_test(thread_that_waits_for_the_claim_renders_after_the_other),
		cmocka_unit_test(tending_does_what_a_render_thread_would_and_no_more),
	};
	return cmocka_run_group_tests(tests, start_render_thread, stop_render_thread) +
		cmocka_run_group_tests(ends, NULL, NULL);
}
