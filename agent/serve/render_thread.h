/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Render thread and its jobs: symbolizing, encoding and compressing run here, never on a worker of
 * the HTTP server.
 *
 * A worker submits a job and reads its output. Jobs run one at a time, first come, first served. A
 * job gets a buffer of PA_RENDER_THREAD_BYTES when it begins (most profiles fit); when the buffer
 * is full the render thread waits for the worker, for a limited time: a job with a slow client is
 * ended when other jobs wait, or when nothing moves at all. The unused part of a finished job's
 * buffer is given back at once.
 *
 * Context: PA_AGENT. pa_render_thread_run on one thread, the others on any other thread. Lock:
 * PA_LOCK_COLLECT around the queue. Buffers are charged to the budget (client_budget.h): while slow
 * clients hold all of them the next job waits. When PA_RENDER_THREAD_QUEUE jobs wait: -EBUSY.
 *
 * | for one job           | calls of the worker | render thread |
 * | read, consume, leave  | one thread          | concurrently  |
 */
#ifndef PA_RENDER_THREAD_H
#define PA_RENDER_THREAD_H

#include "../../proto/encode.h"
#include "render_buffer.h"

#define PA_RENDER_THREAD_QUEUE 16
#define PA_RENDER_THREAD_BYTES PA_RENDER_BUFFER_BYTES

/* A worker is woken when that much can be read, until it has asked for another number of bytes. */
#define PA_RENDER_THREAD_FIRST_BYTES ((size_t)64 << 10)

/* Queue timeout of a request that the client can simply repeat. */
#define PA_RENDER_THREAD_QUEUE_TIMEOUT_NS (10 * PA_NS_PER_S)

/* Limits for a slow client: one stall while others wait, all stalls together while others wait, one
 * stall while no job waits. */
#define PA_RENDER_THREAD_BUSY_STALL_NS (500 * PA_NS_PER_MS)
#define PA_RENDER_THREAD_BUSY_TOTAL_NS (2 * PA_NS_PER_S)
#define PA_RENDER_THREAD_STALL_NS (35 * PA_NS_PER_S)
/* How long a worker waits for the next bytes of the render thread. */
#define PA_RENDER_THREAD_READ_TIMEOUT_NS (120 * PA_NS_PER_S)

/*
 * Memory of a snapshot, the job's buffer and temporary symbol tables, for a program of usual size.
 */
#define PA_RENDER_THREAD_ROOM_BYTES ((uint64_t)24 << 20)

struct pa_job;

struct pa_job_work {
	/* On the render thread. Returns 0 or -errno; -ECANCELED after the sink returned false. */
	int (*run)(void *arg, const struct pa_sink *sink);
	/* Called when arg is no longer needed, on either thread. */
	void (*drop)(void *arg);
	void *arg;
	bool single; /* -EBUSY while another such job waits or runs */
};

/*
 * Queues a job that has to begin within queue_ns (by the clock of queue_clock.h). Returns 0;
 * -EBUSY: the queue is full; -ENOMEM; -EDQUOT: a limit leaves less than
 * PA_RENDER_THREAD_ROOM_BYTES (pa_mem_headroom_lacks returns its name). drop is called in every
 * case in the end. Each 0 needs one pa_render_thread_leave. Jobs of the program's own threads get
 * places beyond PA_RENDER_THREAD_QUEUE, because their output cannot be requested again.
 */
PA_API int pa_render_thread_submit(const struct pa_job_work *work, int64_t queue_ns,
	struct pa_job **job);

/*
 * Waits until the job is seen to have begun, for ns at most: its first bytes and its end end the
 * wait, its begin alone does not. True: it has begun, is done, or its queue timeout is over.
 */
PA_API bool pa_render_thread_has_begun(struct pa_job *job, int64_t ns);

/*
 * Waits until the job is done or at least want bytes can be read (want <= PA_RENDER_THREAD_BYTES).
 * Returns the number of contiguous bytes at *bytes; 0: done and everything is read; -errno of run;
 * -EBUSY: it did not begin in time; -ETIMEDOUT: the render thread makes no progress.
 */
PA_API int64_t pa_render_thread_read(struct pa_job *job, size_t want, const char **bytes);

/* True if the job is done and its whole remaining output, *count bytes, is in the buffer. */
PA_AGENT bool pa_render_thread_is_whole(const struct pa_job *job, size_t *count);

/* Releases count bytes returned by pa_render_thread_read. False: other jobs wait for a buffer and
 * this job has been done for longer than they may wait: the worker must leave it. */
PA_API bool pa_render_thread_consume(struct pa_job *job, size_t count);

/* Releases the job, finished or not: output not produced yet is dropped. A job that has not begun
 * is removed from the queue. */
PA_API void pa_render_thread_leave(struct pa_job *job);

/* True if jobs wait for buffers held by slow clients, or the queue is full. */
PA_API bool pa_render_thread_is_full(void);

/* Number of jobs that wait, and the one that runs. */
PA_API uint32_t pa_render_thread_jobs(void);

/*
 * Registers a function that the render thread calls before each job and while there is none. It
 * returns ns until its next call at the latest; -1: with the next job. Before pa_render_thread_run.
 */
PA_AGENT void pa_render_thread_idle(int64_t (*idle)(void));

/* True: the caller must make a thread call pa_render_thread_run. False: one exists and sees all
 * jobs submitted before this call. */
PA_API bool pa_render_thread_claim(void);

/* The same for a thread that has nothing else to do: waits while another one is the render thread,
 * which may end at any moment. False: is_over returned true; pa_render_thread_wake makes it be
 * called again. */
PA_AGENT bool pa_render_thread_await_claim(bool (*is_over)(void));

/* Withdraws the claim: no such thread will run. */
PA_API void pa_render_thread_disclaim(void);

/* Body of the render thread. Returns, without the claim, when is_over returns true and no job is
 * queued; NULL: never. */
PA_AGENT void pa_render_thread_run(bool (*is_over)(void));

/* Makes the render thread, and those that wait to be it, call is_over again. */
PA_AGENT void pa_render_thread_wake(void);

/* Runs queued jobs and the idle function once if there is no render thread. Returns as idle. */
PA_AGENT int64_t pa_render_thread_run_idle(void);

/* After the agent's threads were suspended: releases the jobs of our threads. Threads of the
 * program still wait; their jobs end with -ECANCELED. */
PA_AGENT void pa_render_thread_abandon(void);

/* In a forked child: forgets all jobs and threads of the parent. */
PA_BOOT void pa_render_thread_reset(void);

#endif
