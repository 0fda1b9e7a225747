/*
 * The render thread and its jobs: symbolizing, encoding and compressing happen here, never on a
 * worker of the HTTP server.
 *
 * A worker submits a job and reads what it produces. Each job has a buffer of PA_COLLECT_BYTES
 * (most profiles fit in whole); when it is full the render thread waits for the worker. Not for
 * long: a job whose client is slow is ended when others wait, or when nothing moves at all.
 *
 * Context: PA_AGENT. pa_collect_run on one thread, the others on any thread but that one.
 * Lock: PA_LOCK_COLLECT around the queue. A job has its place from submit until both sides are done
 * with it. When all are taken (one at work and PA_COLLECT_QUEUE more): -EBUSY.
 *
 * | for one job         | the worker's calls | the render thread |
 * | read, took, leave   | one thread         | together          |
 */
#ifndef PA_COLLECT_H
#define PA_COLLECT_H

#include "../../proto/encode.h"

#define PA_COLLECT_QUEUE 2
#define PA_COLLECT_BYTES ((size_t)2 << 20)

/* What a stalled client, and a slow one in all, may cost others that wait; and when none does. */
#define PA_COLLECT_PAUSE_NS (500 * PA_NS_PER_MS)
#define PA_COLLECT_GREED_NS (2 * PA_NS_PER_S)
#define PA_COLLECT_STALL_NS (35 * PA_NS_PER_S)
/* How long a worker waits for the next bytes of the render thread. */
#define PA_COLLECT_PATIENCE_NS (120 * PA_NS_PER_S)

struct pa_job;

struct pa_job_work {
	/* On the render thread. 0 or -errno; -ECANCELED after the sink said stop. */
	int (*run)(void *arg, const struct pa_sink *sink);
	/* When nobody needs arg any more, on either thread. */
	void (*drop)(void *arg);
	void *arg;
};

/*
 * Queues a job, waiting for a place for wait_ns at most. 0, -EBUSY, -ENOMEM. In every case work is
 * taken care of: drop is called in the end. Each 0 wants one pa_collect_leave.
 */
PA_AGENT int pa_collect_submit(const struct pa_job_work *work, int64_t wait_ns,
	struct pa_job **job);

/*
 * Waits until the job is done or at least want bytes are there (want <= PA_COLLECT_BYTES). The
 * bytes that can be read now in one piece, *bytes; 0 when it is done and all is read; -errno of
 * run, or -ETIMEDOUT when the render thread does not move.
 */
PA_AGENT int64_t pa_collect_read(struct pa_job *job, size_t want, const char **bytes);

/* All that it will ever produce is in the buffer: *count bytes from here on. */
PA_AGENT bool pa_collect_is_whole(const struct pa_job *job, size_t *count);

/* count bytes of what pa_collect_read gave are done with. */
PA_AGENT void pa_collect_took(struct pa_job *job, size_t count);

/* The worker is done with the job, finished or not: what is not produced yet never will be. */
PA_AGENT void pa_collect_leave(struct pa_job *job);

/* All places are taken. */
PA_AGENT bool pa_collect_is_full(void);

/*
 * Has the render thread call idle before each job, and when there is none: it returns ns until it
 * wants to be called again at the latest, -1: with the next job. Before pa_collect_run.
 */
PA_AGENT void pa_collect_idle(int64_t (*idle)(void));

/* True once: the caller is to see to it that some thread calls pa_collect_run. */
PA_AGENT bool pa_collect_claim(void);

/* The render thread. */
PA_AGENT void pa_collect_run(void) __attribute__((noreturn));

/* The threads of ours that had jobs or did them are gone; those of the program go on waiting, and
 * hear of their jobs that they were given up. */
PA_AGENT void pa_collect_abandon(void);

/* In a forked child: the threads of the parent are gone, and so are all jobs. */
PA_BOOT void pa_collect_reset(void);

#endif
