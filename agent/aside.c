#include "aside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent.h"
#include "base/clock.h"
#include "base/lock.h"
#include "follow.h"
#include "record/on.h"
#include "record/process.h"
#include "record/ends.h"
#include "record/sandbox.h"
#include "record/thread.h"
#include "spawn.h"

/* How often those who sleep are woken meanwhile. */
#define LOOK_NS (100000)
#define LATE_LOOK_NS (5 * PA_NS_PER_MS)

#define BELL_FD_MIN 100
#define BELL_FD_LOWEST (STDERR_FILENO + 1) /* where a limit forbids that */

static struct {
	struct pa_seat_table table;
	struct pa_bridge *bridge;
	void *(*run)(void *);
	PA_ATOMIC(uint32_t) away; /* from step_aside to come_back; acq_rel by CAS */
	PA_ATOMIC(uint32_t) for_good; /* they will not come back; release / acquire */
	PA_ATOMIC(uint32_t) unsettled; /* somebody was sent away since the last arrival; acq_rel */
} state = { .table.bell = -1 };

static struct pa_seat *find(void)
{
	return pa_thread_self.seat;
}

void pa_aside_boot(struct pa_bridge *bridge, void *(*run)(void *))
{
	state.bridge = bridge;
	state.run = run;
	bridge->seats = &state.table;
	bridge->seat = find;
	pa_seat_boot(&state.table, find);
	pa_follow_boot(bridge, &state.table);
}

uint32_t pa_aside_turn(void)
{
	const struct pa_seat *seat = find();
	return seat ? pa_load_acquire(&seat->turn) : pa_load_acquire(&state.table.turn);
}

uint32_t pa_aside_followed(void)
{
	const struct pa_seat *seat = find();
	return pa_load_acquire(seat ? &seat->followed : &state.table.order);
}

struct pa_seat *pa_aside_sit(uint32_t turn, uint32_t followed)
{
	pa_thread_self.seat = pa_seat_take(&state.table, turn, followed, pa_thread_self.tid);
	return pa_thread_self.seat;
}

void pa_aside_rise(void)
{
	struct pa_seat *seat = find();
	pa_thread_self.seat = NULL;
	if (seat)
		pa_store_release(&seat->left, 1);
}

void pa_aside_have_bell(bool files_private)
{
	/* In the program's table it might be closed, and another file have its number. */
	int low = files_private ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
	/* The first numbers are free in a table of our own, and become /dev/null: always ready. */
	int bell = low < 0 ? -1 : fcntl(low, F_DUPFD_CLOEXEC, BELL_FD_MIN);
	if (low >= 0 && bell < 0)
		bell = fcntl(low, F_DUPFD_CLOEXEC, BELL_FD_LOWEST);
	if (low >= 0)
		close(low);
	pa_store_release(&state.table.bell, bell);
}

/* ---- going ---- */

/* An earlier filter of the calling thread may forbid to ask the kernel. */
static bool is_gone(const struct pa_seat *seat)
{
	return pa_sandbox_may(&pa_thread_self, PA_CALLS_LIFE) ? pa_seat_is_gone(seat)
		: pa_load_acquire(&seat->left);
}

static void rest(int64_t ns)
{
	int64_t end_ns = pa_clock_mono_ns() + ns;
	if (pa_sandbox_may_wake())
		pa_futex_rest(ns);
	/* Ends: at end_ns. */
	else while (pa_clock_mono_ns() < end_ns)
		__builtin_ia32_pause();
}

/* True when the kernel knows none of those who sit here since an earlier turn. */
static bool are_seats_empty(void)
{
	uint32_t turn = pa_load_acquire(&state.table.turn);
	bool empty = true;
	for (int i = 0; i < PA_SEATS; i++) {
		struct pa_seat *seat = &state.table.seats[i];
		int32_t tid = pa_load_acquire(&seat->tid);
		if (!tid || pa_load_acquire(&seat->turn) == turn)
			continue;
		if (!is_gone(seat))
			empty = false;
		else
			pa_cas_acq_rel(&seat->tid, &tid, 0);
	}
	return empty;
}

/* Each thread that has no seat yet was created by one that had. */
static bool are_all_gone(void)
{
	return are_seats_empty() && !pa_ends_expected_agents() && are_seats_empty();
}

void pa_aside_wake_all(void)
{
	for (int i = 0; i < PA_SEATS && pa_sandbox_may_wake(); i++) {
		uintptr_t word = pa_load_acquire(&state.table.seats[i].word);
		if (word)
			pa_futex_wake((PA_ATOMIC(uint32_t) *)word, INT32_MAX);
	}
}

/* False: they stay away, or another thread has sent them away and they are not back in time. */
static bool send_away(int64_t end_ns)
{
	uint32_t here = 0;
	/* Ends: at end_ns. */
	for (; !pa_cas_acq_rel(&state.away, &here, 1); here = 0) {
		if (pa_load_acquire(&state.for_good) || pa_clock_mono_ns() >= end_ns)
			return false;
		rest(LOOK_NS);
	}
	return true;
}

bool pa_process_step_aside(int64_t patience_ns, bool for_good)
{
	int64_t end_ns = pa_clock_mono_ns() + patience_ns;
	if (!pa_load_acquire(&pa_on->booted) || pa_record.pid != getpid() ||
	    !send_away(end_ns))
		return false;
	pa_agent_core_is_away();
	pa_store_release(&state.unsettled, 1);
	pa_store_release(&state.table.hard, for_good);
	pa_add_acq_rel(&state.table.turn, 1);
	pa_fence_full(); /* against a thread that says where it sleeps and then looks at the turn */
	bool gone;
	/* Ends: at end_ns. */
	while (pa_aside_wake_all(), !(gone = are_all_gone()) && pa_clock_mono_ns() < end_ns)
		rest(LOOK_NS);
	if (!gone)
		PA_COUNT_EVENT(asides_late);
	pa_ring_reader(pa_record.ring, false); /* what waits for it would wait in vain */
	return true;
}

/* away stays set: nothing is left to step aside. */
void pa_process_stay_away(void)
{
	pa_store_release(&state.for_good, 1);
	pa_agent_is_over();
}

void pa_process_come_back(void)
{
	int saved_errno = errno;
	if (pa_load_acquire(&state.table.torn)) {
		pa_process_stay_away();
		return;
	}
	/* Of the turn that is now: it belongs to none of those who were sent away. */
	if (pa_spawn(state.run, NULL, "pprofagent") != 0)
		pa_agent_is_over();
	pa_store_release(&state.away, 0);
	errno = saved_errno;
}

/* ---- coming back ---- */

void pa_aside_arrive(void)
{
	if (!pa_load_acquire(&state.unsettled))
		return;
	/* Ends: with the last of them; they do not wait for long, but may be at work. */
	while (pa_aside_wake_all(), !are_all_gone())
		pa_futex_rest(LATE_LOOK_NS);
	pa_store_release(&state.unsettled, 0);
	pa_store_release(&state.table.bell, -1);
	/* Else the core was not at work in this process: it starts as it would have. */
	if (!state.bridge->aside)
		return;
	state.bridge->aside();
	state.bridge->returned = true;
}

void pa_aside_atfork_child(void)
{
	for (int i = 0; i < PA_SEATS; i++)
		pa_reset(&state.table.seats[i].tid, 0);
	pa_reset(&state.table.bell, -1);
	pa_reset(&state.away, 0);
	pa_reset(&state.for_good, 0);
	pa_reset(&state.table.hard, 0);
	pa_reset(&state.unsettled, 0);
	pa_thread_self.seat = NULL;
}
