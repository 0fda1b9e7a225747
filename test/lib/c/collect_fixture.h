/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of render_thread.c share: jobs that write a pattern, and a render thread that runs
 * them.
 */
#ifndef COLLECT_FIXTURE_H
#define COLLECT_FIXTURE_H

#include "agent/serve/render_thread.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/atomic.h"
#include "agent/base/clock.h"

/* A job that writes its pattern, and can be held at its start. */
struct work {
	size_t bytes;
	int error;
	PA_ATOMIC(int) *held;  /* waits while not 0 */
	bool sleeps;           /* meanwhile; it uses a processor otherwise */
	PA_ATOMIC(int) *turns; /* counted when it starts */
	int turn;              /* what that gave */
	bool single;
	PA_ATOMIC(int) started;
	PA_ATOMIC(int) written; /* bytes the sink took, in KiB */
	PA_ATOMIC(int) result;  /* 1: ran to its end, 2: the sink said stop */
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

	if (work->turns)
		work->turn = pa_add_acq_rel(work->turns, 1);
	pa_store_release(&work->started, 1);
	while (work->held && pa_load_acquire(work->held)) {
		if (work->sleeps)
			usleep(1000);
		else
			sched_yield();
	}
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

#define LONG_NS (20 * PA_NS_PER_S)

static int submit(struct work *work, int64_t wait_ns, struct pa_job **job)
{
	const struct pa_job_work given = {
		.run = run, .drop = drop, .arg = work, .single = work->single
	};
	return pa_render_thread_submit(&given, wait_ns, job);
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

	while ((count = pa_render_thread_read(job, 1, &bytes)) > 0) {
		for (int64_t i = 0; i < count; i++)
			assert_int_equal(bytes[i], pattern((size_t)(at + i)));
		at += count;
		pa_render_thread_consume(job, (size_t)count);
	}
	return count < 0 ? count : at;
}

static struct {
	pthread_t thread;
	PA_ATOMIC(int) over;
} rendering;

static bool is_over(void)
{
	return pa_load_acquire(&rendering.over) != 0;
}

static void *render(void *unused)
{
	pa_render_thread_run(is_over);
	return unused;
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
	(void)unused;
	pa_render_thread_reset();
	pa_render_thread_idle(count_idle);
	return pthread_create(&rendering.thread, NULL, render, NULL);
}

static int stop_render_thread(void **unused)
{
	(void)unused;
	pa_store_release(&rendering.over, 1);
	pa_render_thread_wake();
	return pthread_join(rendering.thread, NULL);
}

static void do_one_job(void)
{
	struct work work = { .bytes = 1 };
	struct pa_job *job;
	assert_int_equal(submit(&work, LONG_NS, &job), 0);
	assert_int_equal(read_all(job), 1);
	pa_render_thread_leave(job);
	wait_until(&work.dropped, 1);
}

#endif
