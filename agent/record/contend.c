#include "contend.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "../base/clock.h"
#include "sample.h"

#include "../base/banned.h"

#define COUNT_BITS 16
#define COUNT_MASK ((1u << COUNT_BITS) - 1)

/* No event says more, however large the rates are: 36 years. */
#define DELAY_MAX_NS ((uint64_t)1 << 60)

_Static_assert(PA_CONTEND_BUCKETS == 1u << (64 - 54), "as pa_contend_bucket_of takes the hash");
_Static_assert(sizeof(struct pa_contend_bucket) == 128, "two cache lines");

struct pa_contend_bucket pa_contend_table[PA_CONTEND_BUCKETS]
	__attribute__((aligned(PA_PAGE_BYTES)));

bool pa_contend_boot(void)
{
	return madvise(pa_contend_table, sizeof(pa_contend_table), MADV_WIPEONFORK) == 0;
}

void pa_contend_rates(uint64_t block_rate_ns, uint64_t mutex_fraction)
{
	pa_store_relaxed(&pa_on->block_rate_ns, block_rate_ns);
	pa_store_relaxed(&pa_on->mutex_fraction, mutex_fraction);
	pa_store_relaxed(&pa_on->contend, block_rate_ns || mutex_fraction);
}

/* ---- the table of contended locks ---- */

static uint64_t key_of(const void *lock, uint64_t waiters)
{
	return (uint64_t)(uintptr_t)lock << COUNT_BITS | waiters;
}

static uint64_t waiters_of(uint64_t key)
{
	return key & COUNT_MASK;
}

static bool is_of(uint64_t key, const void *lock)
{
	return key && key >> COUNT_BITS == (uintptr_t)lock;
}

/* One more waiter in a slot that has the lock. False: it has it no more, or no room. */
static bool join_slot(struct pa_contend_slot *slot, const void *lock, int64_t now_ns)
{
	struct pa_pair seen = pa_regs_peek_pair(&slot->pair);
	/* Ends: a failed exchange is another thread's progress. */
	while (is_of(seen.low, lock) && waiters_of(seen.low) < COUNT_MASK) {
		struct pa_pair wanted = { seen.low + 1, seen.high + (uint64_t)now_ns };
		if (pa_regs_cas_pair(&slot->pair, &seen, wanted))
			return true;
	}
	return false;
}

/* A slot that is free, or, with rob, one that nobody waits in any more. */
static bool claim_slot(struct pa_contend_bucket *bucket, struct pa_contend_slot *slot,
	const void *lock, int64_t now_ns, bool rob)
{
	struct pa_pair seen = pa_regs_peek_pair(&slot->pair);
	if (rob ? waiters_of(seen.low) != 0 : seen.low != 0)
		return false;
	struct pa_pair wanted = { key_of(lock, 1), (uint64_t)now_ns };
	bool was_free = seen.low == 0;
	if (!pa_regs_cas_pair(&slot->pair, &seen, wanted))
		return false;
	if (was_free)
		pa_add_relaxed(&bucket->used, 1);
	else
		PA_COUNT_EVENT(lost_waiters);
	return true;
}

/* One look at the bucket. A lock may get two slots when two threads come at once: who gives it up
 * looks at all. */
static struct pa_contend_slot *try_enter(struct pa_contend_bucket *bucket, const void *lock,
	int64_t now_ns)
{
	for (int i = 0; i < PA_CONTEND_SLOTS; i++)
		if (join_slot(&bucket->slots[i], lock, now_ns))
			return &bucket->slots[i];
	for (int rob = 0; rob < 2; rob++)
		for (int i = 0; i < PA_CONTEND_SLOTS; i++)
			if (claim_slot(bucket, &bucket->slots[i], lock, now_ns, rob) ||
			    join_slot(&bucket->slots[i], lock, now_ns))
				return &bucket->slots[i];
	return NULL;
}

static struct pa_contend_slot *enter(const void *lock, int64_t now_ns)
{
	struct pa_contend_slot *slot = try_enter(pa_contend_bucket_of(lock), lock, now_ns);
	if (!slot)
		PA_COUNT_EVENT(lost_waiters);
	return slot;
}

/* What the slot holds without one waiter, whose clock began at began_ns. */
static struct pa_pair without(struct pa_pair pair, int64_t began_ns)
{
	struct pa_pair left = { pair.low - 1, pair.high - (uint64_t)began_ns };
	if (waiters_of(left.low) == 0 && left.high == 0)
		left.low = 0;
	return left;
}

/*
 * The wait is over. Who got the lock takes its time since the last charge with it: nobody held the
 * lock against it then. Who gave up leaves its time there: as if its clock began now.
 */
static void leave(const struct pa_wait *wait, bool got, int64_t now_ns)
{
	struct pa_contend_bucket *bucket = pa_contend_bucket_of((const void *)wait->object);
	struct pa_contend_slot *slot = wait->slot;
	int64_t restarted_ns = pa_load_acquire(&bucket->restarted_ns[slot - bucket->slots]);
	int64_t began_ns = !got ? now_ns
		: restarted_ns > wait->start_ns ? restarted_ns
						: wait->start_ns;
	struct pa_pair seen = pa_regs_peek_pair(&slot->pair);
	/* Ends: a failed exchange is another thread's progress. */
	while (is_of(seen.low, (const void *)wait->object) && waiters_of(seen.low)) {
		struct pa_pair wanted = without(seen, began_ns);
		/* The last one: what rounding and races left is nobody's. */
		if (got && waiters_of(wanted.low) == 0)
			wanted = (struct pa_pair){ 0, 0 };
		if (pa_regs_cas_pair(&slot->pair, &seen, wanted)) {
			if (wanted.low == 0)
				pa_sub_relaxed(&bucket->used, 1);
			return;
		}
	}
}

/* Only forward: of two who release at once (readers), the later charge counts. */
static void restart_clocks(PA_ATOMIC(int64_t) *restarted_ns, int64_t now_ns)
{
	int64_t seen = pa_load_relaxed(restarted_ns);
	/* Ends: a failed exchange is another thread's progress. */
	while (seen < now_ns && !pa_cas_acq_rel(restarted_ns, &seen, now_ns))
		;
}

static uint64_t take_slot(struct pa_contend_bucket *bucket, int i, const void *lock, int64_t now_ns)
{
	struct pa_contend_slot *slot = &bucket->slots[i];
	struct pa_pair seen = pa_regs_peek_pair(&slot->pair);
	/* Ends: a failed exchange is another thread's progress. */
	while (is_of(seen.low, lock)) {
		uint64_t now_sum = waiters_of(seen.low) * (uint64_t)now_ns;
		struct pa_pair wanted = { waiters_of(seen.low) ? seen.low : 0, now_sum };
		uint64_t charge_ns = now_sum - seen.high;
		if (!pa_regs_cas_pair(&slot->pair, &seen, wanted))
			continue;
		restart_clocks(&bucket->restarted_ns[i], now_ns);
		if (wanted.low == 0)
			pa_sub_relaxed(&bucket->used, 1);
		/* Clocks read before this one and stored after it: a little less than nothing. */
		return (int64_t)charge_ns > 0 ? charge_ns : 0;
	}
	return 0;
}

uint64_t pa_contend_take(const void *lock)
{
	struct pa_contend_bucket *bucket = pa_contend_bucket_of(lock);
	int64_t now_ns = pa_clock_mono_ns();
	uint64_t sum_ns = 0;
	for (int i = 0; i < PA_CONTEND_SLOTS; i++)
		sum_ns += take_slot(bucket, i, lock, now_ns);
	return sum_ns;
}

/* ---- events ---- */

static bool record(struct pa_thread *thread, enum pa_event_kind kind, const void *object,
	uint64_t count, uint64_t of, uint64_t delay_ns, struct pa_cursor caller)
{
	struct pa_event event = {
		.kind = (uint8_t)kind,
		.tid = thread->tid,
		.time_ns = pa_clock_mono_ns(),
		.value = { delay_ns },
		.object = (uintptr_t)object,
		.contentions = { count, of },
	};
	int saved_errno = errno;
	thread->depth++;
	bool kept = pa_sample_stack(&event, thread, caller, NULL, false);
	thread->depth--;
	errno = saved_errno;
	return kept;
}

static void record_block(struct pa_thread *thread, const struct pa_wait *wait, int64_t waited_ns,
	struct pa_cursor caller)
{
	uint64_t rate_ns = pa_load_relaxed(&pa_on->block_rate_ns);
	uint64_t delay_ns = waited_ns > 0 ? (uint64_t)waited_ns : 1;
	uint64_t count = 1, of = 1;
	if (!rate_ns)
		return;
	if (delay_ns < rate_ns) {
		if (pa_thread_random(thread) % rate_ns > delay_ns)
			return;
		count = rate_ns;
		of = delay_ns;
		delay_ns = rate_ns < DELAY_MAX_NS ? rate_ns : DELAY_MAX_NS;
	}
	if (record(thread, PA_EVENT_BLOCK, (const void *)wait->object, count, of, delay_ns,
		    caller)) {
		PA_COUNT_EVENT(block_events);
	} else {
		PA_COUNT_EVENT(lost_block_ring);
		PA_COUNT_EVENTS(ns_of_lost_blocks, delay_ns);
	}
}

void pa_contend_charge(struct pa_thread *thread, const void *lock, uint64_t taken_ns,
	struct pa_cursor caller)
{
	uint64_t fraction = pa_load_relaxed(&pa_on->mutex_fraction);
	if (!fraction || !taken_ns || thread->depth || thread->role == PA_ROLE_AGENT)
		return;
	if (pa_unlikely(!thread->met))
		pa_thread_meet(thread);
	if (fraction > 1 && pa_thread_random(thread) % fraction != 0)
		return;
	uint64_t delay_ns;
	if (__builtin_mul_overflow(taken_ns, fraction, &delay_ns) || delay_ns > DELAY_MAX_NS)
		delay_ns = DELAY_MAX_NS;
	if (record(thread, PA_EVENT_MUTEX, lock, fraction, 1, delay_ns, caller)) {
		PA_COUNT_EVENT(mutex_events);
	} else {
		PA_COUNT_EVENT(lost_mutex_ring);
		PA_COUNT_EVENTS(ns_of_lost_mutexes, delay_ns);
	}
}

/* ---- waits ---- */

static void forget(struct pa_thread *thread, bool got, int64_t now_ns)
{
	struct pa_wait *wait = &thread->wait;
	wait->kind = PA_WAIT_NONE;
	pa_fence_signal();
	/* After a fork the table is another one, and empty. */
	if (wait->slot)
		leave(wait, got, now_ns);
	wait->slot = NULL;
}

bool pa_contend_begin(struct pa_thread *thread, enum pa_wait_kind kind, const void *object,
	uintptr_t frame)
{
	struct pa_wait *wait = &thread->wait;
	if (!pa_contend_is_on() || thread->depth || thread->role == PA_ROLE_AGENT)
		return false;
	if (pa_unlikely(!thread->met))
		pa_thread_meet(thread);
	int64_t now_ns = pa_clock_mono_ns();
	if (wait->kind) {
		/* A signal handler waits on top of a wait; or the frame of the old one is gone. */
		if (wait->frame > frame)
			return false;
		forget(thread, false, now_ns);
	}
	wait->object = (uintptr_t)object;
	wait->start_ns = now_ns;
	wait->frame = frame;
	if (kind <= PA_WAIT_SPIN && pa_load_relaxed(&pa_on->mutex_fraction))
		wait->slot = enter(object, now_ns);
	pa_fence_signal();
	wait->kind = kind;
	return true;
}

void pa_contend_end(struct pa_thread *thread, uintptr_t frame, enum pa_wait_end end,
	struct pa_cursor caller)
{
	struct pa_wait wait = thread->wait;
	if (!wait.kind || wait.frame != frame)
		return;
	int64_t now_ns = pa_clock_mono_ns();
	forget(thread, end != PA_WAIT_GAVE_UP, now_ns);
	if (end != PA_WAIT_REFUSED)
		record_block(thread, &wait, now_ns - wait.start_ns, caller);
}

void pa_contend_thread_end(struct pa_thread *thread)
{
	if (thread->wait.kind)
		forget(thread, false, pa_clock_mono_ns());
}
