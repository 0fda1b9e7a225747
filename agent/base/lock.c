/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "../arch/arch.h"
#include "assert.h"
#include "clock.h"
#include "thread_slot.h"

enum { FREE = 0, HELD = 1, WAITED = 2 };

#ifdef PA_DEBUG
/* One bit per rank that the calling thread holds. */
static PA_TLS uint32_t held_ranks;
/* And for each that any thread has held; relaxed. */
static PA_ATOMIC(uint32_t) used_ranks;

bool pa_lock_is_held(enum pa_lock_rank rank)
{
	return (held_ranks | ~pa_load_relaxed(&used_ranks)) >> rank & 1;
}
#endif

static void check_order(const struct pa_lock *lock)
{
	(void)lock;
#ifdef PA_DEBUG
	PA_ASSERT(lock->rank < PA_LOCK_RANKS);
	PA_ASSERT(held_ranks >> lock->rank == 0 && "lock order, see enum pa_lock_rank");
#endif
}

static void note_held(const struct pa_lock *lock)
{
	(void)lock;
#ifdef PA_DEBUG
	held_ranks |= 1U << lock->rank;
	atomic_fetch_or_explicit(&used_ranks, 1U << lock->rank, memory_order_relaxed);
#endif
}

static void note_free(const struct pa_lock *lock)
{
	(void)lock;
#ifdef PA_DEBUG
	held_ranks &= ~(1U << lock->rank);
#endif
}

static bool take_free(struct pa_lock *lock)
{
	uint32_t expected = FREE;

	return pa_cas_acq_rel(&lock->word, &expected, HELD);
}

/*
 * Leaves the word at WAITED, also when this thread gets the lock: at worst one unneeded wake, while
 * HELD would lose the wake of a second waiter. Ends when the holder unlocks or at the timeout.
 */
static bool take_lock_slow(struct pa_lock *lock, int64_t timeout_ns)
{
	int64_t deadline = timeout_ns < 0 ? 0 : pa_clock_mono_ns() + timeout_ns;
	int64_t left = timeout_ns;

	while (pa_swap_acq_rel(&lock->word, WAITED) != FREE) {
		if (timeout_ns >= 0) {
			left = deadline - pa_clock_mono_ns();
			if (left <= 0)
				return false;
		}
		pa_futex_wait(&lock->word, WAITED, left);
	}
	return true;
}

PA_API void pa_lock(struct pa_lock *lock)
{
	check_order(lock);
	if (pa_unlikely(!take_free(lock)))
		take_lock_slow(lock, -1);
	pa_thread_slot_hold();
	note_held(lock);
}

PA_APP bool pa_lock_timed(struct pa_lock *lock, int64_t timeout_ns)
{
	/* Keeps the deadline from overflowing: at most 100 years. */
	const int64_t longest = 100LL * 365 * 24 * 3600 * PA_NS_PER_S;
	bool taken;

	check_order(lock);
	taken = take_free(lock);
	if (!taken && timeout_ns > 0)
		taken = take_lock_slow(lock, timeout_ns < longest ? timeout_ns : longest);
	if (taken) {
		pa_thread_slot_hold();
		note_held(lock);
	}
	return taken;
}

PA_APP void pa_unlock(struct pa_lock *lock)
{
	uint32_t before;

#ifdef PA_DEBUG
	PA_ASSERT(held_ranks >> lock->rank & 1 && "unlock of a lock that is not held");
#endif
	note_free(lock);
	before = pa_swap_acq_rel(&lock->word, FREE);
	if (pa_unlikely(before == WAITED))
		pa_futex_wake(&lock->word, 1);
	pa_thread_slot_release();
}

PA_BOOT void pa_lock_reset(struct pa_lock *lock)
{
	note_free(lock);
	pa_reset(&lock->word, FREE);
}

PA_APP void pa_futex_wait(PA_ATOMIC(uint32_t) *word, uint32_t expected, int64_t timeout_ns)
{
	struct timespec timeout;
	struct timespec *limit = NULL;

	if (timeout_ns >= 0) {
		timeout.tv_sec = timeout_ns / PA_NS_PER_S;
		timeout.tv_nsec = timeout_ns % PA_NS_PER_S;
		limit = &timeout;
	}
	pa_thread_slot_sleep(word);
	/* A relative FUTEX_WAIT uses CLOCK_MONOTONIC: futex(2). Not by libc's syscall(), which is
	 * hooked: on a thread of the program this would be a wait of the program. */
	pa_arch_syscall6(SYS_futex, (long)word, FUTEX_WAIT_PRIVATE, expected, (long)limit, 0, 0);
	pa_thread_slot_wake();
}

PA_SIGNAL void pa_futex_wake(PA_ATOMIC(uint32_t) *word, int how_many)
{
	pa_arch_syscall6(SYS_futex, (long)word, FUTEX_WAKE_PRIVATE, how_many, 0, 0, 0);
}

void pa_futex_sleep(int64_t ns)
{
	static PA_ATOMIC(uint32_t) never;
	pa_futex_wait(&never, 0, ns);
}
