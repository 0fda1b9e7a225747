/* SPDX-License-Identifier: Apache-2.0 */
#include "tick_timers.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/assert.h"
#include "../base/atomic.h"
#include "../base/clock.h"
#include "signal.h"
#include "switches.h"

#include "../base/banned.h"

/* A value is the kernel's timer id + 1, or one of these. A tid that the kernel gives again within a
 * profile finds its entry free again. */
enum { NO_TIMER = 0, ARMING = -1 };

struct tick_timer {
	PA_ATOMIC(int32_t) id;       /* acq_rel by CAS and swap */
	PA_ATOMIC(uint32_t) charged; /* relaxed; set by the claim, before id */
};

#define TIDS (4u << 20) /* PID_MAX_LIMIT of include/linux/threads.h */
#define CHUNK_TIDS 4096u
#define CHUNK_BYTES (CHUNK_TIDS * sizeof(struct tick_timer))
#define CHUNKS (TIDS / CHUNK_TIDS)

static PA_LARGE PA_ATOMIC(struct tick_timer *) chunks[CHUNKS]; /* mapped once; acq_rel by CAS */

static struct {
	PA_ATOMIC(uint32_t) has_chunks; /* 0: a forked child looks at none; relaxed */
	PA_ATOMIC(int32_t) room;        /* number of timers that may still be created; relaxed */
} state;

static void forget_chunks(void)
{
	for (uint32_t i = 0; i < CHUNKS && pa_load_relaxed(&state.has_chunks); i++) {
		struct tick_timer *chunk = pa_load_acquire(&chunks[i]);
		if (chunk) /* zeroes it, and holds no memory between profiles */
			madvise(chunk, CHUNK_BYTES, MADV_DONTNEED);
	}
}

void pa_tick_timers_begin(int32_t room)
{
	forget_chunks();
	pa_store_relaxed(&state.room, room);
}

void pa_tick_timers_atfork_child(void)
{
	forget_chunks();
}

/* NULL: no thread of its chunk had a timer. */
static struct tick_timer *timer_entry(int32_t tid)
{
	PA_ASSERT(tid > 0 && (uint32_t)tid < TIDS);
	struct tick_timer *chunk = pa_load_acquire(&chunks[(uint32_t)tid / CHUNK_TIDS]);
	return chunk ? chunk + (uint32_t)tid % CHUNK_TIDS : NULL;
}

static struct tick_timer *have_entry(int32_t tid)
{
	struct tick_timer *entry = timer_entry(tid), *none = NULL;
	if (entry)
		return entry;
	struct tick_timer *chunk = pa_map(CHUNK_BYTES);
	if (chunk)
		pa_store_relaxed(&state.has_chunks, 1);
	if (chunk && !pa_cas_acq_rel(&chunks[(uint32_t)tid / CHUNK_TIDS], &none, chunk))
		pa_unmap(chunk, CHUNK_BYTES);
	return timer_entry(tid);
}

bool pa_tick_timers_claim(int32_t tid, uint32_t charged)
{
	struct tick_timer *entry = have_entry(tid);
	int32_t none = NO_TIMER;
	if (!entry || !pa_cas_acq_rel(&entry->id, &none, ARMING))
		return false;
	pa_store_relaxed(&entry->charged, charged);
	return true;
}

/* Each timer takes one queued signal of RLIMIT_SIGPENDING (timer_create(2)): leaves half of them to
 * the program. */
static bool take_room(void)
{
	if (pa_sub_relaxed(&state.room, 1) > 0)
		return true;
	pa_add_relaxed(&state.room, 1);
	return false;
}

/* MAKE_THREAD_CPUCLOCK(tid, CPUCLOCK_SCHED) of the kernel. */
clockid_t pa_tick_timers_clock(int32_t tid)
{
	return (clockid_t)((~(unsigned)tid << 3) | 6);
}

static int create_timer(int32_t tid)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID };
	event.sigev_signo = pa_record.signal;
	event.sigev_value.sival_ptr = (void *)(uintptr_t)(uint32_t)tid;
	event._sigev_un._tid = tid;
	int timer;
	if (!take_room())
		return NO_TIMER;
	if (syscall(SYS_timer_create, pa_tick_timers_clock(tid), &event, &timer) == 0)
		return timer + 1;
	pa_add_relaxed(&state.room, 1);
	return NO_TIMER;
}

static bool set_timer(int32_t timer, int64_t due_ns, int64_t period_ns)
{
	PA_ASSERT(period_ns > 0);
	struct itimerspec spec = {
		.it_value = { due_ns / PA_NS_PER_S, due_ns % PA_NS_PER_S },
		.it_interval = { period_ns / PA_NS_PER_S, period_ns % PA_NS_PER_S },
	};
	return syscall(SYS_timer_settime, timer - 1, TIMER_ABSTIME, &spec, NULL) == 0;
}

static void delete_timer_id(int32_t timer)
{
	pa_add_relaxed(&state.room, 1);
	/* Denied by a seccomp filter: the timer runs for the life of the thread. */
	if (syscall(SYS_timer_delete, timer - 1) != 0)
		pa_signal_keep();
}

bool pa_tick_timers_arm(int32_t tid, int64_t due_ns, int64_t period_ns)
{
	struct tick_timer *entry = timer_entry(tid);
	int32_t claim = ARMING, timer = create_timer(tid);
	bool set = timer != NO_TIMER && set_timer(timer, due_ns, period_ns);
	bool kept = pa_cas_acq_rel(&entry->id, &claim, set ? timer : NO_TIMER);
	if (timer != NO_TIMER && !(set && kept))
		delete_timer_id(timer);
	return set;
}

void pa_tick_timers_set(int32_t tid, int64_t due_ns, int64_t period_ns)
{
	struct tick_timer *entry = timer_entry(tid);
	int32_t timer = entry ? pa_load_acquire(&entry->id) : NO_TIMER;
	if (timer > 0) /* goes on by the period if this fails */
		set_timer(timer, due_ns, period_ns);
}

bool pa_tick_timers_has(int32_t tid)
{
	const struct tick_timer *entry = (uint32_t)tid < TIDS ? timer_entry(tid) : NULL;
	return entry && pa_load_acquire(&entry->id) > 0;
}

static bool delete_entry(struct tick_timer *entry)
{
	/* The load avoids touching the page of an unused entry. */
	int32_t timer = pa_load_acquire(&entry->id);
	if (timer != NO_TIMER)
		timer = pa_swap_acq_rel(&entry->id, NO_TIMER);
	if (timer > 0)
		delete_timer_id(timer);
	return timer != NO_TIMER;
}

bool pa_tick_timers_delete(int32_t tid)
{
	struct tick_timer *entry = timer_entry(tid);
	return entry && delete_entry(entry);
}

/* The next used entry from that tid on, which gets its tid; NULL: there is none. */
static struct tick_timer *next_entry(int32_t *tid)
{
	for (uint32_t next = (uint32_t)*tid; next < TIDS; next++) {
		struct tick_timer *entry = timer_entry((int32_t)next);
		*tid = (int32_t)next;
		if (!entry)
			next |= CHUNK_TIDS - 1;
		else if (pa_load_acquire(&entry->id) != NO_TIMER)
			return entry;
	}
	return NULL;
}

uint32_t pa_tick_timers_delete_all(void (*then)(int32_t tid))
{
	uint32_t deleted = 0;
	struct tick_timer *entry;
	for (int32_t tid = 1; (entry = next_entry(&tid)); tid++) {
		if (!delete_entry(entry))
			continue;
		deleted++;
		if (then)
			then(tid);
	}
	return deleted;
}

void pa_tick_timers_each(void (*visit)(int32_t tid))
{
	struct tick_timer *entry;
	for (int32_t tid = 1; (entry = next_entry(&tid)); tid++)
		if (pa_load_acquire(&entry->id) > 0)
			visit(tid);
}

uint32_t pa_tick_timers_charged(int32_t tid)
{
	const struct tick_timer *entry = timer_entry(tid);
	return entry ? pa_load_relaxed(&entry->charged) : 0;
}

void pa_tick_timers_charge(int32_t tid, uint32_t ticks)
{
	struct tick_timer *entry = timer_entry(tid);
	if (entry)
		pa_add_relaxed(&entry->charged, ticks);
}
