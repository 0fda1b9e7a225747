/* SPDX-License-Identifier: Apache-2.0 */
#include "render_thread.h"

#include <errno.h>
#include <string.h>

#include "../arch/arch.h"
#include "../base/kept_pages.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/wake_word.h"
#include "../core/core.h"
#include "../symbols/mem_headroom.h"
#include "client_budget.h"
#include "queue_clock.h"
#include "render_buffer.h"

/* Places for the running job and waiting jobs; more for jobs of the program's threads. */
#define PLACES (1 + PA_RENDER_THREAD_QUEUE)
#define PLACES_OF_PROGRAM (PLACES + 3)
/* Including finished jobs that are still being read. */
#define JOBS_MAX (2 * PLACES_OF_PROGRAM)

/* Sleep of the render thread before a full buffer, until it checks its timeouts. */
#define NAP_NS (100 * PA_NS_PER_MS)

_Static_assert(PA_RENDER_THREAD_BYTES == PA_RENDER_BUFFER_BYTES, "a job has one buffer");
_Static_assert((PA_RENDER_THREAD_BYTES & (PA_RENDER_THREAD_BYTES - 1)) == 0,
	"positions wrap in the buffer");

/* Positions count bytes since the start and wrap at 2^32; the index in the buffer is the position
 * modulo its size. */
struct pa_job {
	struct pa_job_work work;
	PA_ATOMIC(uint32_t) owners;   /* worker and render thread; the last one frees; acq_rel */
	PA_ATOMIC(uint32_t) begun;    /* under the lock; release in begin_first, acquire in read */
	PA_ATOMIC(uint32_t) produced; /* release in put_bytes, acquire in read */
	PA_ATOMIC(uint32_t) taken;    /* by the worker; release in consume, acquire in room_of */
	PA_ATOMIC(uint32_t) done;     /* release in finish_job, acquire in read */
	PA_ATOMIC(uint32_t) left; /* the worker has left; release in leave, acquire in put_bytes */
	PA_ATOMIC(size_t) wanted; /* by the worker; release in read, acquire in put_bytes */
	/* Bumped when the wanted bytes are produced, and when done changes. */
	struct pa_wake_word to_worker;
	struct pa_wake_word to_render; /* bumped when taken or left changes */
	int error;                     /* of run; written before done, read after it */
	int64_t queue_end_ns;          /* latest time to begin, by the queue clock */
	int64_t done_ns;               /* written before done, read after it */
	int64_t waited_ns;             /* render thread: total time before a full buffer */
	size_t total;                  /* render thread: bytes produced */
	bool of_program;               /* submitted by a thread of the program */
	struct pa_render_buffer
		buffer; /* from begun on; the unused end is given back before done */
};

static struct {
	struct pa_lock lock;
	/* guard: lock */
	uint32_t count;                          /* running and waiting jobs */
	struct pa_job *queue[PLACES_OF_PROGRAM]; /* the first one runs, or is next */
	struct pa_job *jobs[JOBS_MAX]; /* until both sides have released them; NULL: a free place */
	bool starved;                  /* the next job waits for a buffer */
	struct pa_wake_word changes;   /* of the render thread */
	int64_t (*idle)(void);         /* or NULL; called by the render thread */
	PA_ATOMIC(uint32_t) claimed;   /* a render thread exists or will exist; acq_rel by CAS */
	struct pa_wake_word claims;    /* of threads that wait until none does */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_COLLECT) };

void pa_render_thread_reset(void)
{
	pa_lock_reset(&state.lock);
	pa_queue_clock_reset();
	state.count = 0;
	state.starved = false;
	pa_store_relaxed(&state.claimed, 0);
	memset(state.queue, 0, sizeof(state.queue));
	memset(state.jobs, 0, sizeof(state.jobs));
	pa_render_buffer_reset();
	pa_client_budget_forget(PA_CLIENT_BUDGET_JOBS);
}

static void destroy_job(struct pa_job *job)
{
	job->work.drop(job->work.arg);
	pa_render_buffer_cut(&job->buffer, 0);
	pa_kept_pages_unmap(job, sizeof(*job));
}

/* Replaces an entry of jobs. False: from is not there. */
static bool change_place_locked(const struct pa_job *from, struct pa_job *to)
{
	PA_ASSERT_HELD(PA_LOCK_COLLECT);
	for (size_t i = 0; i < JOBS_MAX; i++) {
		if (state.jobs[i] == from) {
			state.jobs[i] = to;
			return true;
		}
	}
	return false;
}

static void disown_job(struct pa_job *job)
{
	if (pa_add_acq_rel(&job->owners, -1u) != 1)
		return;
	pa_lock(&state.lock);
	change_place_locked(job, NULL);
	pa_unlock(&state.lock);
	destroy_job(job);
	pa_lock(&state.lock);
	bool starved = state.starved; /* the next job may get a buffer now */
	pa_unlock(&state.lock);
	if (starved)
		pa_wake_word_bump(&state.changes);
}

/* ---- the queue ---- */

static bool has_room_locked(const struct pa_job *job)
{
	PA_ASSERT_HELD(PA_LOCK_COLLECT);
	for (uint32_t i = 0; job->work.single && i < state.count; i++)
		if (state.queue[i]->work.single)
			return false;
	return state.count < (job->of_program ? PLACES_OF_PROGRAM : PLACES);
}

static bool enqueue_job(struct pa_job *job)
{
	pa_lock(&state.lock);
	bool room = has_room_locked(job) && change_place_locked(NULL, job);
	if (room) {
		state.queue[state.count++] = job;
		pa_queue_clock_busy(true);
	}
	pa_unlock(&state.lock);
	if (room)
		pa_wake_word_bump(&state.changes);
	return room;
}

/* Place in the queue; state.count: it has none. */
static uint32_t place_of_locked(const struct pa_job *job)
{
	PA_ASSERT_HELD(PA_LOCK_COLLECT);
	uint32_t i = 0;
	while (i < state.count && state.queue[i] != job)
		i++;
	return i;
}

static bool dequeue_locked(const struct pa_job *job)
{
	uint32_t i = place_of_locked(job);
	PA_ASSERT_HELD(PA_LOCK_COLLECT);
	if (i == state.count)
		return false;
	state.count--;
	memmove(state.queue + i, state.queue + i + 1, (state.count - i) * sizeof(*state.queue));
	pa_queue_clock_busy(state.count > 0);
	return true;
}

static void dequeue_job(const struct pa_job *job)
{
	pa_lock(&state.lock);
	dequeue_locked(job);
	pa_unlock(&state.lock);
}

static void finish_job(struct pa_job *job, int error)
{
	job->error = error;
	job->done_ns = pa_clock_mono_ns();
	pa_store_release(&job->done, 1);
	pa_wake_word_bump(&job->to_worker);
	disown_job(job);
}

/* Removes a job that has not begun from the queue. */
static void withdraw_job(struct pa_job *job)
{
	pa_lock(&state.lock);
	bool waits = !pa_load_relaxed(&job->begun) && dequeue_locked(job);
	pa_unlock(&state.lock);
	if (!waits)
		return;
	finish_job(job, -EBUSY);
	pa_wake_word_bump(&state.changes);
}

bool pa_render_thread_is_full(void)
{
	pa_lock(&state.lock);
	bool full = state.starved || state.count >= PLACES;
	pa_unlock(&state.lock);
	return full;
}

uint32_t pa_render_thread_jobs(void)
{
	pa_lock(&state.lock);
	uint32_t jobs = state.count;
	pa_unlock(&state.lock);
	return jobs;
}

int pa_render_thread_submit(const struct pa_job_work *work, int64_t queue_ns, struct pa_job **out)
{
	const char *lacking = pa_mem_headroom_lacks(PA_RENDER_THREAD_ROOM_BYTES);
	struct pa_job *job = lacking ? NULL : pa_kept_pages_map(sizeof(*job));

	if (!job) {
		work->drop(work->arg);
		return lacking ? -EDQUOT : -ENOMEM;
	}
	job->work = *work;
	job->queue_end_ns = pa_queue_clock_ns() + queue_ns;
	job->of_program = pa_core_bridge && pa_core_bridge->slot && !pa_core_bridge->slot();
	pa_store_relaxed(&job->owners, 2);
	pa_store_relaxed(&job->wanted, PA_RENDER_THREAD_FIRST_BYTES);
	if (!enqueue_job(job)) {
		destroy_job(job);
		return -EBUSY;
	}
	*out = job;
	return 0;
}

/* Releases a job whose worker, render thread or both no longer exist. */
static void abandon_job(struct pa_job *job, bool queued)
{
	bool of_program = job->of_program;
	if (queued)
		finish_job(job, -ECANCELED);
	if (!of_program)
		disown_job(job);
}

void pa_render_thread_abandon(void)
{
	struct pa_job *jobs[JOBS_MAX];
	bool queued[JOBS_MAX];

	pa_lock(&state.lock);
	for (size_t i = 0; i < JOBS_MAX; i++) {
		jobs[i] = state.jobs[i];
		queued[i] = jobs[i] && place_of_locked(jobs[i]) < state.count;
	}
	state.count = 0;
	state.starved = false;
	pa_queue_clock_busy(false);
	pa_queue_clock_leave();
	pa_unlock(&state.lock);
	pa_store_release(&state.claimed, 0);
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (jobs[i])
			abandon_job(jobs[i], queued[i]);
}

/* ---- the worker's side ---- */

bool pa_render_thread_has_begun(struct pa_job *job, int64_t ns)
{
	int64_t end_ns = pa_clock_mono_ns() + ns;
	for (;;) {
		uint32_t before = pa_wake_word_seen(&job->to_worker);
		bool over = pa_load_acquire(&job->begun) || pa_load_acquire(&job->done);
		int64_t queue_ns = job->queue_end_ns - pa_queue_clock_ns();
		if (over || queue_ns <= 0)
			return true;
		int64_t left_ns = end_ns - pa_clock_mono_ns();
		if (left_ns <= 0)
			return false;
		pa_wake_word_wait(&job->to_worker, before, left_ns < queue_ns ? left_ns : queue_ns);
	}
}

static void wait_for_begin(struct pa_job *job)
{
	while (!pa_render_thread_has_begun(job, PA_RENDER_THREAD_READ_TIMEOUT_NS))
		;
	withdraw_job(job);
}

int64_t pa_render_thread_read(struct pa_job *job, size_t want, const char **bytes)
{
	uint32_t taken = pa_load_relaxed(&job->taken), before_produced = taken;
	pa_store_release(&job->wanted, want);
	pa_fence_full(); /* pairs with put_bytes: it sees that, or is seen below */
	wait_for_begin(job);
	int64_t end_ns = pa_clock_mono_ns() + PA_RENDER_THREAD_READ_TIMEOUT_NS;
	for (;;) {
		uint32_t before = pa_wake_word_seen(&job->to_worker);
		bool done = pa_load_acquire(&job->done);
		uint32_t produced = pa_load_acquire(&job->produced);
		size_t count = produced - taken, at = taken & (PA_RENDER_THREAD_BYTES - 1);
		size_t joined = PA_RENDER_THREAD_BYTES - at;
		if (done && job->error)
			return job->error;
		if (done || count >= want) {
			*bytes = job->buffer.at + at;
			return (int64_t)(count < joined ? count : joined);
		}
		int64_t now_ns = pa_clock_mono_ns();
		if (produced != before_produced)
			end_ns = now_ns + PA_RENDER_THREAD_READ_TIMEOUT_NS;
		before_produced = produced;
		if (now_ns >= end_ns)
			return -ETIMEDOUT;
		pa_wake_word_wait(&job->to_worker, before, end_ns - now_ns);
	}
}

bool pa_render_thread_is_whole(const struct pa_job *job, size_t *count)
{
	if (!pa_load_acquire(&job->done) || job->error)
		return false;
	*count = pa_load_acquire(&job->produced) - pa_load_relaxed(&job->taken);
	return true;
}

bool pa_render_thread_consume(struct pa_job *job, size_t count)
{
	pa_store_release(&job->taken, pa_load_relaxed(&job->taken) + (uint32_t)count);
	pa_wake_word_bump(&job->to_render);
	return !pa_load_acquire(&job->done) || !pa_render_thread_is_full() ||
		pa_clock_mono_ns() - job->done_ns < PA_RENDER_THREAD_QUEUE_TIMEOUT_NS;
}

void pa_render_thread_leave(struct pa_job *job)
{
	pa_store_release(&job->left, 1);
	pa_wake_word_bump(&job->to_render);
	withdraw_job(job);
	disown_job(job);
}

/* ---- the render thread's side ---- */

/* Returns the free bytes, waiting for some. 0: the worker has left, or is too slow. */
static size_t room_of(struct pa_job *job)
{
	uint32_t produced = pa_load_relaxed(&job->produced);
	int64_t stalled_ns = 0;

	for (;;) {
		uint32_t before = pa_wake_word_seen(&job->to_render);
		size_t used = produced - pa_load_acquire(&job->taken);
		if (pa_load_acquire(&job->left))
			return 0;
		if (used < PA_RENDER_THREAD_BYTES)
			return PA_RENDER_THREAD_BYTES - used;
		bool too_slow = stalled_ns >= PA_RENDER_THREAD_BUSY_STALL_NS ||
			job->waited_ns >= PA_RENDER_THREAD_BUSY_TOTAL_NS;
		if (stalled_ns >= PA_RENDER_THREAD_STALL_NS ||
			(too_slow && pa_render_thread_jobs() > 1))
			return 0;
		int64_t slept_ns = pa_queue_clock_wait(&job->to_render, before, NAP_NS, true);
		job->waited_ns += slept_ns;
		stalled_ns += slept_ns;
	}
}

/* The end of a job is shown by finish_job: a worker that wants more than all is woken once. */
static void show_bytes(struct pa_job *job, uint32_t produced)
{
	pa_store_release(&job->produced, produced);
	pa_fence_full(); /* pairs with pa_render_thread_read */
	if (produced - pa_load_acquire(&job->taken) >= pa_load_acquire(&job->wanted))
		pa_wake_word_bump(&job->to_worker);
}

static bool put_bytes(void *arg, const void *bytes, size_t count)
{
	struct pa_job *job = arg;
	const char *from = bytes;

	while (count) {
		size_t room = room_of(job);
		if (!room)
			return false;
		uint32_t produced = pa_load_relaxed(&job->produced);
		size_t at = produced & (PA_RENDER_THREAD_BYTES - 1);
		size_t part = count < room ? count : room;
		if (part > PA_RENDER_THREAD_BYTES - at)
			part = PA_RENDER_THREAD_BYTES - at;
		memcpy(job->buffer.at + at, from, part);
		job->total += part;
		show_bytes(job, produced + (uint32_t)part);
		from += part;
		count -= part;
	}
	return !pa_load_acquire(&job->left);
}

static void work_on(struct pa_job *job)
{
	const struct pa_sink sink = { .write = put_bytes, .arg = job };
	bool wanted = !pa_load_acquire(&job->left);
	int error = !wanted     ? -ECANCELED :
		!job->buffer.at ? -ENOMEM :
				  job->work.run(job->work.arg, &sink);

	const bool wrapped = job->total > PA_RENDER_THREAD_BYTES;
	pa_render_buffer_cut(&job->buffer, wrapped ? PA_RENDER_THREAD_BYTES : job->total);
	dequeue_job(job);
	finish_job(job, error);
}

/* Returns the next job if there is a buffer for it; otherwise NULL. */
static struct pa_job *begin_first(void)
{
	pa_lock(&state.lock);
	struct pa_job *job = state.count ? state.queue[0] : NULL;
	state.starved = job && !pa_render_buffer_take(&job->buffer);
	if (state.starved)
		job = NULL;
	if (job)
		pa_store_release(&job->begun, 1);
	pa_unlock(&state.lock);
	return job;
}

void pa_render_thread_idle(int64_t (*idle)(void))
{
	state.idle = idle;
}

bool pa_render_thread_claim(void)
{
	uint32_t nobody = 0;
	return pa_cas_acq_rel(&state.claimed, &nobody, 1);
}

bool pa_render_thread_await_claim(bool (*is_over)(void))
{
	uint32_t before;
	while (before = pa_wake_word_seen(&state.claims), !pa_render_thread_claim()) {
		if (is_over())
			return false;
		pa_wake_word_wait(&state.claims, before, -1); /* a render thread that ends bumps */
	}
	return true;
}

void pa_render_thread_disclaim(void)
{
	pa_store_release(&state.claimed, 0);
	pa_wake_word_bump(&state.claims);
}

/* False: jobs are queued, which only the claimed thread runs. */
static bool give_up_claim(void)
{
	pa_lock(&state.lock);
	bool empty = state.count == 0;
	if (empty) {
		pa_queue_clock_leave();
		pa_render_thread_disclaim();
	}
	pa_unlock(&state.lock);
	return empty;
}

void pa_render_thread_wake(void)
{
	pa_wake_word_bump(&state.changes);
	pa_wake_word_bump(&state.claims);
}

void pa_render_thread_run(bool (*is_over)(void))
{
	pa_queue_clock_attend();
	for (;;) {
		uint32_t before = pa_wake_word_seen(&state.changes);
		int64_t wait_ns = state.idle ? state.idle() : -1;
		struct pa_job *job = begin_first();
		if (job)
			work_on(job);
		else if (is_over && is_over() && give_up_claim())
			return;
		else
			/* Slow clients hold all buffers if there is a job that did not begin. */
			pa_queue_clock_wait(&state.changes, before, wait_ns,
				pa_render_thread_is_full());
	}
}

static bool at_once(void)
{
	return true;
}

int64_t pa_render_thread_run_idle(void)
{
	if (!pa_render_thread_claim())
		return -1;
	int64_t wait_ns = state.idle ? state.idle() : -1;
	pa_render_thread_run(at_once);
	return wait_ns;
}
