/* SPDX-License-Identifier: Apache-2.0 */
#include "lock_waits.h"

#include <errno.h>
#include <string.h>

#include "../arch/arch.h"
#include "../base/clock.h"
#include "registry.h"
#include "sample.h"

#include "../base/banned.h"

#define COUNT_BITS 16
#define COUNT_MASK ((1u << COUNT_BITS) - 1)

/* Upper bound of the delay in one event, however large the rates are: 36 years. */
#define DELAY_MAX_NS ((uint64_t)1 << 60)

_Static_assert(PA_LOCK_WAITS_BUCKETS == 1u << (64 - 54),
	"as pa_lock_waits_bucket_of takes the hash");
_Static_assert(sizeof(struct pa_lock_waits_bucket) == 128, "two cache lines");

PA_WIPED struct pa_lock_waits_bucket pa_lock_waits_table[PA_LOCK_WAITS_BUCKETS]
	__attribute__((aligned(PA_PAGE_BYTES)));

void pa_lock_waits_rates(uint64_t block_rate_ns, uint64_t mutex_fraction)
{
	pa_store_relaxed(&pa_switches->block_rate_ns, block_rate_ns);
	pa_store_relaxed(&pa_switches->mutex_fraction, mutex_fraction);
	pa_store_relaxed(&pa_switches->contend, block_rate_ns || mutex_fraction);
}

/* ---- the table of contended locks ---- */

static bool is_futex_wait(uint32_t kind)
{
	return kind == PA_WAIT_FUTEX || kind == PA_WAIT_FUTEX_PI;
}

static const void *lock_of_wait(const struct pa_wait *wait)
{
	const void *object = (const void *)wait->object;
	return is_futex_wait(wait->kind) ? pa_lock_waits_futex(object) : object;
}

static uint64_t lock_key_of(const void *lock, uint64_t waiters)
{
	return (uint64_t)(uintptr_t)lock << COUNT_BITS | waiters;
}

static uint64_t waiters_of(uint64_t key)
{
	return key & COUNT_MASK;
}

static bool is_key_of(uint64_t key, const void *lock)
{
	return key && key >> COUNT_BITS == (uintptr_t)lock;
}

/* Adds a waiter to a slot of the lock. False: the slot is not the lock's any more, or has no
 * room. */
static bool join_slot(struct pa_lock_waits_slot *slot, const void *lock, int64_t now_ns)
{
	struct pa_pair seen = pa_arch_peek_pair(&slot->pair);
	/* Ends: the exchange fails only when another thread's exchange succeeds. */
	while (is_key_of(seen.low, lock) && waiters_of(seen.low) < COUNT_MASK) {
		struct pa_pair wanted = { seen.low + 1, seen.high + (uint64_t)now_ns };
		if (pa_arch_cas_pair(&slot->pair, &seen, wanted))
			return true;
	}
	return false;
}

/* Claims a free slot; takes_idle: one that another lock used and that has no waiters. */
static bool claim_wait_slot(struct pa_lock_waits_bucket *bucket, struct pa_lock_waits_slot *slot,
	const void *lock, int64_t now_ns, bool takes_idle)
{
	struct pa_pair seen = pa_arch_peek_pair(&slot->pair);
	if (takes_idle ? waiters_of(seen.low) != 0 : seen.low != 0)
		return false;
	struct pa_pair wanted = { lock_key_of(lock, 1), (uint64_t)now_ns };
	bool was_free = seen.low == 0;
	if (!pa_arch_cas_pair(&slot->pair, &seen, wanted))
		return false;
	if (was_free)
		pa_add_relaxed(&bucket->used, 1);
	else
		PA_COUNT_EVENT(lost_waiters);
	return true;
}

/* One pass over the bucket. A lock may get two slots when two threads enter at once: the holder's
 * unlock looks at all. */
static struct pa_lock_waits_slot *try_enter(struct pa_lock_waits_bucket *bucket, const void *lock,
	int64_t now_ns)
{
	for (int i = 0; i < PA_LOCK_WAITS_SLOTS; i++)
		if (join_slot(&bucket->slots[i], lock, now_ns))
			return &bucket->slots[i];
	for (int takes_idle = 0; takes_idle < 2; takes_idle++)
		for (int i = 0; i < PA_LOCK_WAITS_SLOTS; i++)
			if (claim_wait_slot(bucket, &bucket->slots[i], lock, now_ns, takes_idle) ||
				join_slot(&bucket->slots[i], lock, now_ns))
				return &bucket->slots[i];
	return NULL;
}

static struct pa_lock_waits_slot *enter_slot(const void *lock, int64_t now_ns)
{
	struct pa_lock_waits_slot *slot = try_enter(pa_lock_waits_bucket_of(lock), lock, now_ns);
	if (!slot)
		PA_COUNT_EVENT(lost_waiters);
	return slot;
}

/* The slot's pair without one waiter, whose start time is began_ns. */
static struct pa_pair without_waiter(struct pa_pair pair, int64_t began_ns)
{
	struct pa_pair left = { pair.low - 1, pair.high - (uint64_t)began_ns };
	if (waiters_of(left.low) == 0 && left.high == 0)
		left.low = 0;
	return left;
}

/*
 * Ends the wait. A waiter that got the lock takes its time since the last charge with it: no holder
 * kept the lock from it then. A waiter that gave up leaves its time in the slot, as if it started
 * now.
 */
static void leave_slot(const struct pa_wait *wait, const void *lock, bool got, int64_t now_ns)
{
	struct pa_lock_waits_bucket *bucket = pa_lock_waits_bucket_of(lock);
	struct pa_lock_waits_slot *slot = wait->slot;
	PA_ASSERT(slot >= bucket->slots && slot < bucket->slots + PA_LOCK_WAITS_SLOTS);
	int64_t restarted_ns = pa_load_acquire(&bucket->restarted_ns[slot - bucket->slots]);
	int64_t began_ns = !got               ? now_ns :
		restarted_ns > wait->start_ns ? restarted_ns :
						wait->start_ns;
	struct pa_pair seen = pa_arch_peek_pair(&slot->pair);
	/* Ends: the exchange fails only when another thread's exchange succeeds. */
	while (is_key_of(seen.low, lock) && waiters_of(seen.low)) {
		struct pa_pair wanted = without_waiter(seen, began_ns);
		/* The last waiter clears what rounding and races left in the sum. */
		if (got && waiters_of(wanted.low) == 0)
			wanted = (struct pa_pair){ 0, 0 };
		if (pa_arch_cas_pair(&slot->pair, &seen, wanted)) {
			if (wanted.low == 0)
				pa_sub_relaxed(&bucket->used, 1);
			return;
		}
	}
}

/* Monotonic: when readers unlock concurrently, the latest timestamp is kept. */
static void restart_clocks(PA_ATOMIC(int64_t) *restarted_ns, int64_t now_ns)
{
	int64_t seen = pa_load_relaxed(restarted_ns);
	/* Ends: the exchange fails only when another thread's exchange succeeds. */
	while (seen < now_ns && !pa_cas_acq_rel(restarted_ns, &seen, now_ns))
		;
}

static uint64_t take_slot(struct pa_lock_waits_bucket *bucket, int i, const void *lock,
	int64_t now_ns)
{
	PA_ASSERT(i >= 0 && i < PA_LOCK_WAITS_SLOTS);
	struct pa_lock_waits_slot *slot = &bucket->slots[i];
	struct pa_pair seen = pa_arch_peek_pair(&slot->pair);
	/* Ends: the exchange fails only when another thread's exchange succeeds. */
	while (is_key_of(seen.low, lock)) {
		uint64_t now_sum = waiters_of(seen.low) * (uint64_t)now_ns;
		struct pa_pair wanted = { waiters_of(seen.low) ? seen.low : 0, now_sum };
		uint64_t charge_ns = now_sum - seen.high;
		if (!pa_arch_cas_pair(&slot->pair, &seen, wanted))
			continue;
		restart_clocks(&bucket->restarted_ns[i], now_ns);
		if (wanted.low == 0)
			pa_sub_relaxed(&bucket->used, 1);
		/* A waiter may store a time that it read after this function read the clock:
		 * slightly negative. */
		return (int64_t)charge_ns > 0 ? charge_ns : 0;
	}
	return 0;
}

uint64_t pa_lock_waits_take(const void *lock)
{
	struct pa_lock_waits_bucket *bucket = pa_lock_waits_bucket_of(lock);
	int64_t now_ns = pa_clock_mono_ns();
	uint64_t sum_ns = 0;
	for (int i = 0; i < PA_LOCK_WAITS_SLOTS; i++)
		sum_ns += take_slot(bucket, i, lock, now_ns);
	return sum_ns;
}

void pa_lock_waits_give_back(const void *lock, uint64_t taken_ns)
{
	struct pa_lock_waits_bucket *bucket = pa_lock_waits_bucket_of(lock);
	for (int i = 0; i < PA_LOCK_WAITS_SLOTS; i++) {
		struct pa_lock_waits_slot *slot = &bucket->slots[i];
		struct pa_pair seen = pa_arch_peek_pair(&slot->pair);
		/* Ends: a failed exchange is another thread's progress. */
		while (is_key_of(seen.low, lock) && waiters_of(seen.low)) {
			struct pa_pair wanted = { seen.low, seen.high - taken_ns };
			if (pa_arch_cas_pair(&slot->pair, &seen, wanted))
				return;
		}
	}
}

/* ---- events ---- */

static bool record_wait(struct pa_thread *thread, enum pa_event_kind kind, const void *object,
	uint64_t count, uint64_t of, uint64_t delay_ns, struct pa_cursor caller)
{
	PA_ASSERT(count && of);
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
	uint64_t rate_ns = pa_load_relaxed(&pa_switches->block_rate_ns);
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
	if (record_wait(thread, PA_EVENT_BLOCK, (const void *)wait->object, count, of, delay_ns,
		    caller)) {
		PA_COUNT_EVENT(block_events);
	} else {
		PA_COUNT_EVENT(lost_block_ring);
		PA_COUNT_EVENTS(ns_of_lost_blocks, delay_ns);
	}
}

/* The delay that is to be recorded, scaled; 0: none is. */
static uint64_t charged_delay_of(struct pa_thread *thread, uint64_t taken_ns, uint64_t fraction)
{
	uint64_t delay_ns;
	if (!fraction || !taken_ns || thread->depth || thread->role == PA_ROLE_AGENT)
		return 0;
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	if (fraction > 1 && pa_thread_random(thread) % fraction != 0)
		return 0;
	if (__builtin_mul_overflow(taken_ns, fraction, &delay_ns) || delay_ns > DELAY_MAX_NS)
		return DELAY_MAX_NS;
	return delay_ns;
}

void pa_lock_waits_charge(struct pa_thread *thread, const void *lock, uint64_t taken_ns,
	struct pa_cursor caller)
{
	uint64_t fraction = pa_load_relaxed(&pa_switches->mutex_fraction);
	uint64_t delay_ns = charged_delay_of(thread, taken_ns, fraction);
	if (!delay_ns)
		return;
	if (record_wait(thread, PA_EVENT_MUTEX, lock, fraction, 1, delay_ns, caller)) {
		PA_COUNT_EVENT(mutex_events);
	} else {
		PA_COUNT_EVENT(lost_mutex_ring);
		PA_COUNT_EVENTS(ns_of_lost_mutexes, delay_ns);
	}
}

/* Lost time is not counted as a mutex's: most wakes of futexes are of conditions. */
void pa_lock_waits_charge_futex(struct pa_thread *thread, const void *word, uint64_t taken_ns,
	struct pa_cursor caller)
{
	uint64_t fraction = pa_load_relaxed(&pa_switches->mutex_fraction);
	uint64_t delay_ns = charged_delay_of(thread, taken_ns, fraction);
	if (!delay_ns)
		return;
	if (record_wait(thread, PA_EVENT_WAKE, word, fraction, 1, delay_ns, caller))
		PA_COUNT_EVENT(wake_events);
	else
		PA_COUNT_EVENT(lost_wake_ring);
}

/* ---- waits ---- */

static void forget_wait(struct pa_thread *thread, bool got, int64_t now_ns)
{
	struct pa_wait *wait = &thread->wait;
	const void *lock = lock_of_wait(wait);
	/* A waiter that gave up on a futex leaves no time: the next wait on the word may be for
	 * another lock (parking lots have one word a thread). */
	got |= is_futex_wait(wait->kind);
	wait->kind = PA_WAIT_NONE;
	pa_fence_signal();
	/* After a fork the table is a new and empty one. */
	if (wait->slot)
		leave_slot(wait, lock, got, now_ns);
	wait->slot = NULL;
}

/* All of a wait but its kind, which is set last, and its place in the table. */
static bool prepare_wait(struct pa_thread *thread, const void *object, uintptr_t frame)
{
	struct pa_wait *wait = &thread->wait;
	if (!pa_lock_waits_is_on() || thread->depth || thread->role == PA_ROLE_AGENT)
		return false;
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	int64_t now_ns = pa_clock_mono_ns();
	if (wait->kind) {
		/* A wait inside a signal handler that interrupted a wait; else the frame of the
		 * earlier wait is gone. */
		if (wait->frame > frame)
			return false;
		forget_wait(thread, false, now_ns);
	}
	wait->object = (uintptr_t)object;
	wait->start_ns = now_ns;
	wait->frame = frame;
	return true;
}

bool pa_lock_waits_begin(struct pa_thread *thread, enum pa_wait_kind kind, const void *object,
	uintptr_t frame)
{
	PA_ASSERT(kind > PA_WAIT_NONE && kind < PA_WAIT_FUTEX);
	struct pa_wait *wait = &thread->wait;
	if (!prepare_wait(thread, object, frame))
		return false;
	if (kind <= PA_WAIT_SPIN && pa_load_relaxed(&pa_switches->mutex_fraction))
		wait->slot = enter_slot(object, wait->start_ns);
	pa_fence_signal();
	wait->kind = kind;
	return true;
}

/* False: the ring is full. */
static bool record_waiter(struct pa_thread *thread, const void *word, struct pa_cursor caller)
{
	struct pa_event event = {
		.kind = PA_EVENT_WAITER,
		.depth = PA_WAITER_DEPTH,
		.tid = thread->tid,
		.time_ns = thread->wait.start_ns,
		.object = (uintptr_t)word,
	};
	int saved_errno = errno;
	thread->depth++;
	bool kept = pa_sample_stack(&event, thread, caller, NULL, false);
	thread->depth--;
	errno = saved_errno;
	return kept;
}

/* A wake finds the waiter in the table, and is therefore recorded after its event. */
static void enter_futex_slot(struct pa_thread *thread, enum pa_wait_kind kind, const void *word,
	struct pa_cursor caller)
{
	struct pa_wait *wait = &thread->wait;
	if (kind == PA_WAIT_FUTEX_PI || record_waiter(thread, word, caller))
		wait->slot = enter_slot(pa_lock_waits_futex(word), wait->start_ns);
	else
		PA_COUNT_EVENT(lost_waiters);
}

bool pa_lock_waits_begin_futex(struct pa_thread *thread, enum pa_wait_kind kind, const void *word,
	uintptr_t frame, struct pa_cursor caller)
{
	PA_ASSERT(is_futex_wait(kind));
	if (!prepare_wait(thread, word, frame))
		return false;
	if (pa_load_relaxed(&pa_switches->mutex_fraction))
		enter_futex_slot(thread, kind, word, caller);
	pa_fence_signal();
	thread->wait.kind = kind;
	return true;
}

void pa_lock_waits_end(struct pa_thread *thread, uintptr_t frame, enum pa_wait_end end,
	struct pa_cursor caller)
{
	struct pa_wait wait = thread->wait;
	if (!wait.kind || wait.frame != frame)
		return;
	int64_t now_ns = pa_clock_mono_ns();
	forget_wait(thread, end != PA_WAIT_GAVE_UP, now_ns);
	if (end != PA_WAIT_REFUSED)
		record_block(thread, &wait, now_ns - wait.start_ns, caller);
}

void pa_lock_waits_thread_end(struct pa_thread *thread)
{
	if (thread->wait.kind)
		forget_wait(thread, false, pa_clock_mono_ns());
}
