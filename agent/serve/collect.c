#include "collect.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../profile/core.h"

#define PLACES (1 + PA_COLLECT_QUEUE)

/* How long the render thread sleeps in front of a full buffer before it looks around. */
#define NAP_NS (100 * PA_NS_PER_MS)

_Static_assert((PA_COLLECT_BYTES & (PA_COLLECT_BYTES - 1)) == 0, "positions wrap in the buffer");

/*
 * Lies in front of its buffer, in one mapping. Positions count bytes since the start and wrap at
 * 2^32; the buffer's index is the position modulo its size.
 */
struct pa_job {
	struct pa_job_work work;
	PA_ATOMIC(uint32_t) owners;    /* worker, render thread; the last one frees; acq_rel */
	PA_ATOMIC(uint32_t) produced;  /* by the render thread; release in put, acquire in read */
	PA_ATOMIC(uint32_t) taken;     /* by the worker; release in took, acquire in room_of */
	PA_ATOMIC(uint32_t) done;      /* release in finish, acquire in read */
	PA_ATOMIC(uint32_t) left;      /* the worker went; release in leave, acquire in put */
	PA_ATOMIC(uint32_t) to_worker; /* futex: bumped when produced or done changes */
	PA_ATOMIC(uint32_t) to_render; /* futex: bumped when taken or left changes */
	int error;                     /* of run; written before done, read after it */
	int64_t waited_ns;             /* render thread: in front of a full buffer */
	bool of_program;               /* submitted by a thread of the program */
	char buffer[];
};

#define JOB_BYTES (sizeof(struct pa_job) + PA_COLLECT_BYTES)

static struct {
	struct pa_lock lock;
	/* guard: lock */
	uint32_t places; /* taken: jobs until both sides are done with them */
	uint32_t count;  /* jobs at work and waiting */
	struct pa_job *jobs[PLACES]; /* the first is the one at work */
	struct pa_job *taken[PLACES]; /* who has the places */
	/* futexes, bumped under the lock */
	PA_ATOMIC(uint32_t) arrivals;   /* acq_rel, for the render thread */
	PA_ATOMIC(uint32_t) departures; /* acq_rel, for those who wait for a place */
	int64_t (*idle)(void); /* or NULL; the render thread's */
	PA_ATOMIC(uint32_t) claimed; /* there is a render thread, or will be; acq_rel by CAS */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_COLLECT) };

void pa_collect_reset(void)
{
	pa_lock_reset(&state.lock);
	state.places = 0;
	state.count = 0;
	pa_store_relaxed(&state.claimed, 0);
	memset(state.jobs, 0, sizeof(state.jobs));
	memset(state.taken, 0, sizeof(state.taken));
}

/* All who sleep: one that gave up just now must not be the only one woken. */
static void bump(PA_ATOMIC(uint32_t) *word)
{
	pa_add_acq_rel(word, 1);
	pa_futex_wake(word, INT_MAX);
}

static void destroy(struct pa_job *job)
{
	job->work.drop(job->work.arg);
	pa_unmap(job, JOB_BYTES);
}

static void change_taken_locked(const struct pa_job *from, struct pa_job *to)
{
	for (size_t i = 0; i < PLACES; i++) {
		if (state.taken[i] == from) {
			state.taken[i] = to;
			return;
		}
	}
}

static void disown(struct pa_job *job)
{
	if (pa_add_acq_rel(&job->owners, -1u) != 1)
		return;
	pa_lock(&state.lock);
	state.places--;
	change_taken_locked(job, NULL);
	bump(&state.departures);
	pa_unlock(&state.lock);
	destroy(job);
}

/* ---- the queue ---- */

static bool enqueue(struct pa_job *job)
{
	pa_lock(&state.lock);
	bool room = state.places < PLACES;
	if (room) {
		state.places++;
		change_taken_locked(NULL, job);
		state.jobs[state.count++] = job;
		bump(&state.arrivals);
	}
	pa_unlock(&state.lock);
	return room;
}

static void dequeue_first(void)
{
	pa_lock(&state.lock);
	state.count--;
	memmove(state.jobs, state.jobs + 1, state.count * sizeof(*state.jobs));
	pa_unlock(&state.lock);
}

static struct pa_job *first_job(void)
{
	pa_lock(&state.lock);
	struct pa_job *job = state.count ? state.jobs[0] : NULL;
	pa_unlock(&state.lock);
	return job;
}

bool pa_collect_is_full(void)
{
	pa_lock(&state.lock);
	bool full = state.places == PLACES;
	pa_unlock(&state.lock);
	return full;
}

static bool others_wait(void)
{
	pa_lock(&state.lock);
	bool others = state.count > 1;
	pa_unlock(&state.lock);
	return others;
}

int pa_collect_submit(const struct pa_job_work *work, int64_t wait_ns, struct pa_job **out)
{
	const int64_t end_ns = pa_clock_mono_ns() + wait_ns;
	struct pa_job *job = pa_map(JOB_BYTES);

	if (!job) {
		work->drop(work->arg);
		return -ENOMEM;
	}
	job->work = *work;
	job->of_program = pa_core_bridge && pa_core_bridge->seat && !pa_core_bridge->seat();
	pa_store_relaxed(&job->owners, 2);
	for (;;) {
		uint32_t before = pa_load_acquire(&state.departures);
		int64_t left_ns = end_ns - pa_clock_mono_ns();
		if (enqueue(job))
			break;
		if (left_ns <= 0) {
			destroy(job);
			return -EBUSY;
		}
		pa_futex_wait(&state.departures, before, left_ns);
	}
	*out = job;
	return 0;
}

static bool is_queued_locked(const struct pa_job *job)
{
	for (uint32_t i = 0; i < state.count; i++) {
		if (state.jobs[i] == job)
			return true;
	}
	return false;
}

/* A job of which one side, or both, will never be heard of again. */
static void abandon(struct pa_job *job, bool queued)
{
	if (queued) {
		job->error = -ECANCELED;
		pa_store_release(&job->done, 1);
		bump(&job->to_worker);
		disown(job);
	}
	if (!job->of_program)
		disown(job);
}

void pa_collect_abandon(void)
{
	struct pa_job *jobs[PLACES];
	bool queued[PLACES];

	pa_lock(&state.lock);
	for (size_t i = 0; i < PLACES; i++) {
		jobs[i] = state.taken[i];
		queued[i] = jobs[i] && is_queued_locked(jobs[i]);
	}
	state.count = 0;
	pa_unlock(&state.lock);
	pa_store_release(&state.claimed, 0);
	for (size_t i = 0; i < PLACES; i++) {
		if (jobs[i])
			abandon(jobs[i], queued[i]);
	}
}

/* ---- the worker's side ---- */

int64_t pa_collect_read(struct pa_job *job, size_t want, const char **bytes)
{
	uint32_t taken = pa_load_relaxed(&job->taken), before_produced = taken;
	int64_t end_ns = pa_clock_mono_ns() + PA_COLLECT_PATIENCE_NS;

	for (;;) {
		uint32_t before = pa_load_acquire(&job->to_worker);
		bool done = pa_load_acquire(&job->done);
		uint32_t produced = pa_load_acquire(&job->produced);
		size_t count = produced - taken, at = taken & (PA_COLLECT_BYTES - 1);
		if (done && job->error)
			return job->error;
		if (done || count >= want) {
			*bytes = job->buffer + at;
			return (int64_t)(count < PA_COLLECT_BYTES - at ? count
								       : PA_COLLECT_BYTES - at);
		}
		int64_t now_ns = pa_clock_mono_ns();
		if (produced != before_produced)
			end_ns = now_ns + PA_COLLECT_PATIENCE_NS;
		before_produced = produced;
		if (now_ns >= end_ns)
			return -ETIMEDOUT;
		pa_futex_wait(&job->to_worker, before, end_ns - now_ns);
	}
}

bool pa_collect_is_whole(const struct pa_job *job, size_t *count)
{
	if (!pa_load_acquire(&job->done) || job->error)
		return false;
	*count = pa_load_acquire(&job->produced) - pa_load_relaxed(&job->taken);
	return true;
}

void pa_collect_took(struct pa_job *job, size_t count)
{
	pa_store_release(&job->taken, pa_load_relaxed(&job->taken) + (uint32_t)count);
	bump(&job->to_render);
}

void pa_collect_leave(struct pa_job *job)
{
	pa_store_release(&job->left, 1);
	bump(&job->to_render);
	disown(job);
}

/* ---- the render thread's side ---- */

/* Free bytes, waiting for some. 0: nobody will read them. */
static size_t room_of(struct pa_job *job)
{
	uint32_t produced = pa_load_relaxed(&job->produced);
	int64_t stalled_ns = 0;

	for (;;) {
		uint32_t before = pa_load_acquire(&job->to_render);
		size_t used = produced - pa_load_acquire(&job->taken);
		if (pa_load_acquire(&job->left))
			return 0;
		if (used < PA_COLLECT_BYTES)
			return PA_COLLECT_BYTES - used;
		bool greedy = stalled_ns >= PA_COLLECT_PAUSE_NS ||
			job->waited_ns >= PA_COLLECT_GREED_NS;
		if (stalled_ns >= PA_COLLECT_STALL_NS || (greedy && others_wait()))
			return 0;
		int64_t start_ns = pa_clock_mono_ns();
		pa_futex_wait(&job->to_render, before, NAP_NS);
		int64_t slept_ns = pa_clock_mono_ns() - start_ns;
		job->waited_ns += slept_ns;
		stalled_ns += slept_ns;
	}
}

static bool put(void *arg, const void *bytes, size_t count)
{
	struct pa_job *job = arg;
	const char *from = bytes;

	while (count) {
		size_t room = room_of(job);
		if (!room)
			return false;
		uint32_t produced = pa_load_relaxed(&job->produced);
		size_t at = produced & (PA_COLLECT_BYTES - 1);
		size_t part = count < room ? count : room;
		if (part > PA_COLLECT_BYTES - at)
			part = PA_COLLECT_BYTES - at;
		memcpy(job->buffer + at, from, part);
		pa_store_release(&job->produced, produced + (uint32_t)part);
		bump(&job->to_worker);
		from += part;
		count -= part;
	}
	return !pa_load_acquire(&job->left);
}

static void work_on(struct pa_job *job)
{
	const struct pa_sink sink = { .write = put, .arg = job };
	bool wanted = !pa_load_acquire(&job->left);

	job->error = wanted ? job->work.run(job->work.arg, &sink) : -ECANCELED;
	dequeue_first();
	pa_store_release(&job->done, 1);
	bump(&job->to_worker);
	disown(job);
}

void pa_collect_idle(int64_t (*idle)(void))
{
	state.idle = idle;
}

bool pa_collect_claim(void)
{
	uint32_t nobody = 0;
	return pa_cas_acq_rel(&state.claimed, &nobody, 1);
}

void pa_collect_run(void)
{
	for (;;) {
		uint32_t before = pa_load_acquire(&state.arrivals);
		int64_t wait_ns = state.idle ? state.idle() : -1;
		struct pa_job *job = first_job();
		if (job)
			work_on(job);
		else
			pa_futex_wait(&state.arrivals, before, wait_ns);
	}
}
