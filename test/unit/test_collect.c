#include "agent/serve/collect.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/atomic.h"
#include "agent/base/clock.h"

/* A job that writes its pattern, and can be held at its start. */
struct work {
	size_t bytes;
	int error;
	PA_ATOMIC(int) *held;    /* waits while not 0 */
	PA_ATOMIC(int) started;
	PA_ATOMIC(int) written;  /* bytes the sink took, in KiB */
	PA_ATOMIC(int) result;   /* 1: ran to its end, 2: the sink said stop */
	PA_ATOMIC(int) dropped;
};

static char pattern(size_t at)
{
	return (char)(at * 7 + at / 251);
}

static int run(void *arg, const struct pa_sink *sink)
{
	struct work *work = arg;
	char piece[1024];

	pa_store_release(&work->started, 1);
	while (work->held && pa_load_acquire(work->held))
		sched_yield();
	for (size_t at = 0; at < work->bytes;) {
		size_t count = work->bytes - at < sizeof(piece) ? work->bytes - at : sizeof(piece);
		for (size_t i = 0; i < count; i++)
			piece[i] = pattern(at + i);
		if (!sink->write(sink->arg, piece, count)) {
			pa_store_release(&work->result, 2);
			return -ECANCELED;
		}
		at += count;
		pa_add_relaxed(&work->written, 1);
	}
	pa_store_release(&work->result, 1);
	return work->error;
}

static void drop(void *arg)
{
	pa_add_acq_rel(&((struct work *)arg)->dropped, 1);
}

static int submit(struct work *work, int64_t wait_ns, struct pa_job **job)
{
	const struct pa_job_work given = { .run = run, .drop = drop, .arg = work };
	return pa_collect_submit(&given, wait_ns, job);
}

static void wait_until(PA_ATOMIC(int) *word, int value)
{
	int64_t end_ns = pa_clock_mono_ns() + 20 * PA_NS_PER_S;
	while (pa_load_acquire(word) != value) {
		assert_true(pa_clock_mono_ns() < end_ns);
		sched_yield();
	}
}

/* Reads to the end, checks the pattern; the number of bytes, or the error. */
static int64_t read_all(struct pa_job *job)
{
	const char *bytes;
	int64_t count, at = 0;

	while ((count = pa_collect_read(job, 1, &bytes)) > 0) {
		for (int64_t i = 0; i < count; i++)
			assert_int_equal(bytes[i], pattern((size_t)(at + i)));
		at += count;
		pa_collect_took(job, (size_t)count);
	}
	return count < 0 ? count : at;
}

static void *render(void *unused)
{
	(void)unused;
	pa_collect_run();
}

static struct {
	PA_ATOMIC(int) calls;
	PA_ATOMIC(int64_t) wait_ns;
} idle = { .wait_ns = -1 };

static int64_t count_idle(void)
{
	pa_add_acq_rel(&idle.calls, 1);
	return pa_load_acquire(&idle.wait_ns);
}

static int start_render_thread(void **unused)
{
	pthread_t thread;
	(void)unused;
	pa_collect_reset();
	pa_collect_idle(count_idle);
	return pthread_create(&thread, NULL, render, NULL);
}

static void bytes_come_through_in_order(void **unused)
{
	struct work work = { .bytes = 100000 };
	struct pa_job *job;
	(void)unused;
	assert_int_equal(submit(&work, 0, &job), 0);
	assert_int_equal(read_all(job), 100000);
	pa_collect_leave(job);
	wait_until(&work.dropped, 1);
}

static void more_than_the_buffer_comes_through(void **unused)
{
	struct work work = { .bytes = 3 * PA_COLLECT_BYTES + 12345 };
	struct pa_job *job;
	(void)unused;
	assert_int_equal(submit(&work, 0, &job), 0);
	assert_int_equal(read_all(job), (int64_t)work.bytes);
	pa_collect_leave(job);
	wait_until(&work.dropped, 1);
}

static void empty_job_ends(void **unused)
{
	struct work work = { 0 };
	struct pa_job *job;
	size_t whole = 1;
	(void)unused;
	assert_int_equal(submit(&work, 0, &job), 0);
	assert_int_equal(read_all(job), 0);
	assert_true(pa_collect_is_whole(job, &whole));
	assert_int_equal(whole, 0);
	pa_collect_leave(job);
	wait_until(&work.dropped, 1);
}

static void small_job_is_known_whole(void **unused)
{
	struct work work = { .bytes = 5000 };
	struct pa_job *job;
	const char *bytes;
	size_t whole = 0;
	(void)unused;
	assert_int_equal(submit(&work, 0, &job), 0);
	assert_int_equal(pa_collect_read(job, 64 << 10, &bytes), 5000);
	assert_true(pa_collect_is_whole(job, &whole));
	assert_int_equal(whole, 5000);
	pa_collect_leave(job);
	wait_until(&work.dropped, 1);
}

static void large_job_is_not_known_whole(void **unused)
{
	struct work work = { .bytes = 2 * PA_COLLECT_BYTES };
	struct pa_job *job;
	const char *bytes;
	size_t whole;
	(void)unused;
	assert_int_equal(submit(&work, 0, &job), 0);
	assert_true(pa_collect_read(job, 64 << 10, &bytes) >= 64 << 10);
	assert_false(pa_collect_is_whole(job, &whole));
	pa_collect_leave(job);
	wait_until(&work.dropped, 1);
}

static void error_of_the_job_is_told(void **unused)
{
	struct work work = { .bytes = 10, .error = -ENODATA };
	struct pa_job *job;
	const char *bytes;
	size_t whole;
	(void)unused;
	assert_int_equal(submit(&work, 0, &job), 0);
	assert_int_equal(pa_collect_read(job, 64 << 10, &bytes), -ENODATA);
	assert_false(pa_collect_is_whole(job, &whole));
	pa_collect_leave(job);
	wait_until(&work.dropped, 1);
}

static void leaving_stops_the_job(void **unused)
{
	struct work work = { .bytes = (size_t)1 << 40 };
	struct pa_job *job;
	const char *bytes;
	(void)unused;
	assert_int_equal(submit(&work, 0, &job), 0);
	assert_true(pa_collect_read(job, 1, &bytes) > 0);
	pa_collect_leave(job);
	wait_until(&work.dropped, 1);
	assert_int_equal(work.result, 2);
}

static void job_left_before_its_turn_never_runs(void **unused)
{
	PA_ATOMIC(int) held = 1;
	struct work first = { .held = &held }, second = { 0 };
	struct pa_job *jobs[2];
	(void)unused;
	assert_int_equal(submit(&first, 0, &jobs[0]), 0);
	assert_int_equal(submit(&second, 0, &jobs[1]), 0);
	pa_collect_leave(jobs[1]);
	pa_store_release(&held, 0);
	pa_collect_leave(jobs[0]);
	wait_until(&second.dropped, 1);
	assert_int_equal(second.started, 0);
	wait_until(&first.dropped, 1);
}

static void fourth_job_is_refused(void **unused)
{
	PA_ATOMIC(int) held = 1;
	struct work works[2 + PA_COLLECT_QUEUE] = { { .held = &held } };
	struct pa_job *jobs[1 + PA_COLLECT_QUEUE], *extra;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(jobs); i++) {
		assert_false(pa_collect_is_full());
		assert_int_equal(submit(&works[i], 0, &jobs[i]), 0);
	}
	assert_true(pa_collect_is_full());
	struct work *last = &works[PA_COUNT(jobs)];
	assert_int_equal(submit(last, 0, &extra), -EBUSY);
	assert_int_equal(last->dropped, 1);
	assert_int_equal(last->started, 0);
	pa_store_release(&held, 0);
	for (size_t i = 0; i < PA_COUNT(jobs); i++) {
		assert_int_equal(read_all(jobs[i]), 0);
		pa_collect_leave(jobs[i]);
		wait_until(&works[i].dropped, 1);
	}
	assert_int_equal(submit(last, 20 * PA_NS_PER_S, &extra), 0);
	pa_collect_leave(extra);
	wait_until(&last->dropped, 2);
}

/* Its answer is still on the way: it counts until the worker is done with it. */
static void place_is_kept_until_the_worker_leaves(void **unused)
{
	struct work works[2 + PA_COLLECT_QUEUE] = { { 0 } };
	struct pa_job *jobs[1 + PA_COLLECT_QUEUE], *extra;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(jobs); i++) {
		assert_int_equal(submit(&works[i], 20 * PA_NS_PER_S, &jobs[i]), 0);
		assert_int_equal(read_all(jobs[i]), 0);
	}
	assert_int_equal(submit(&works[PA_COUNT(jobs)], 0, &extra), -EBUSY);
	for (size_t i = 0; i < PA_COUNT(jobs); i++)
		pa_collect_leave(jobs[i]);
	for (size_t i = 0; i < PA_COUNT(works); i++)
		wait_until(&works[i].dropped, 1);
}

static void *release(void *held)
{
	pa_store_release((PA_ATOMIC(int) *)held, 0);
	return NULL;
}

static void patient_job_gets_the_next_place(void **unused)
{
	PA_ATOMIC(int) held = 1;
	struct work works[2 + PA_COLLECT_QUEUE] = { { .held = &held } };
	struct pa_job *jobs[2 + PA_COLLECT_QUEUE];
	pthread_t thread;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(jobs) - 1; i++)
		assert_int_equal(submit(&works[i], 20 * PA_NS_PER_S, &jobs[i]), 0);
	for (size_t i = 0; i < PA_COUNT(jobs) - 1; i++)
		pa_collect_leave(jobs[i]);
	pthread_create(&thread, NULL, release, &held);
	struct work *last = &works[PA_COUNT(jobs) - 1];
	assert_int_equal(submit(last, 20 * PA_NS_PER_S, &jobs[PA_COUNT(jobs) - 1]), 0);
	pthread_join(thread, NULL);
	pa_collect_leave(jobs[PA_COUNT(jobs) - 1]);
	for (size_t i = 0; i < PA_COUNT(works); i++)
		wait_until(&works[i].dropped, 1);
}

/* A client that reads nothing is not waited for when there is somebody else. */
static void stalled_job_makes_way(void **unused)
{
	struct work stalled = { .bytes = 4 * PA_COLLECT_BYTES }, good = { .bytes = 1000 };
	struct pa_job *jobs[2];
	const char *bytes;
	int64_t start_ns = pa_clock_mono_ns();
	(void)unused;
	assert_int_equal(submit(&stalled, 20 * PA_NS_PER_S, &jobs[0]), 0);
	assert_int_equal(submit(&good, 20 * PA_NS_PER_S, &jobs[1]), 0);
	assert_int_equal(read_all(jobs[1]), 1000);
	assert_true(pa_clock_mono_ns() - start_ns < 2 * PA_NS_PER_S);
	assert_int_equal(stalled.result, 2);
	assert_int_equal(pa_collect_read(jobs[0], 1, &bytes), -ECANCELED);
	pa_collect_leave(jobs[0]);
	pa_collect_leave(jobs[1]);
	wait_until(&stalled.dropped, 1);
	wait_until(&good.dropped, 1);
}

static void do_one_job(void)
{
	struct work work = { .bytes = 1 };
	struct pa_job *job;
	assert_int_equal(submit(&work, 20 * PA_NS_PER_S, &job), 0);
	assert_int_equal(read_all(job), 1);
	pa_collect_leave(job);
	wait_until(&work.dropped, 1);
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
		cmocka_unit_test(fourth_job_is_refused),
		cmocka_unit_test(place_is_kept_until_the_worker_leaves),
		cmocka_unit_test(patient_job_gets_the_next_place),
		cmocka_unit_test(stalled_job_makes_way),
		cmocka_unit_test(idle_is_called_with_each_job),
		cmocka_unit_test(idle_is_called_again_when_it_wants),
	};
	return cmocka_run_group_tests(tests, start_render_thread, NULL);
}
