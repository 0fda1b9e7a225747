/* SPDX-License-Identifier: Apache-2.0 */
#include "suspend.h"

#include <errno.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/lock.h"
#include "core_handle.h"
#include "record/switches.h"
#include "record/process.h"
#include "record/thread_ends.h"
#include "record/sandbox.h"
#include "record/thread.h"
#include "slot_table.h"
#include "agent_thread.h"

/* How often sleeping threads are woken meanwhile. */
#define POLL_NS (100000)
#define LATE_POLL_NS (5 * PA_NS_PER_MS)

static struct {
	struct pa_bridge *bridge;
	void *(*run)(void *);
	PA_ATOMIC(uint32_t) suspended; /* from suspend to resume; acq_rel by CAS */
	PA_ATOMIC(uint32_t) for_good;  /* not restarted; release / acquire */
	PA_ATOMIC(uint32_t) unsettled; /* threads were ended since the last start; acq_rel */
} state;

void pa_suspend_boot(struct pa_bridge *bridge, void *(*run)(void *))
{
	state.bridge = bridge;
	state.run = run;
}

/* ---- suspend ---- */

/* An earlier filter of the calling thread may deny the check by the kernel. */
static bool is_gone(const struct pa_thread_slot *slot)
{
	return pa_sandbox_may(&pa_thread_self, PA_CALLS_LIFE) ? pa_thread_slot_is_gone(slot) :
								pa_load_acquire(&slot->left);
}

static void sleep_poll_interval(int64_t ns)
{
	int64_t end_ns = pa_clock_mono_ns() + ns;
	if (pa_sandbox_may_wake())
		pa_futex_sleep(ns);
	/* Ends: at end_ns. */
	else
		while (pa_clock_mono_ns() < end_ns)
			PA_ARCH_PAUSE();
}

/* True when the kernel knows no thread with a slot of an earlier generation any more. */
static bool are_slots_empty(void)
{
	uint32_t generation = pa_load_acquire(&pa_slot_table_table.generation);
	bool empty = true;
	for (int i = 0; i < PA_THREAD_SLOT_COUNT; i++) {
		struct pa_thread_slot *slot = &pa_slot_table_table.slots[i];
		int32_t tid = pa_load_acquire(&slot->tid);
		if (!tid || pa_load_acquire(&slot->generation) == generation)
			continue;
		if (!is_gone(slot))
			empty = false;
		else
			pa_cas_acq_rel(&slot->tid, &tid, 0);
	}
	return empty;
}

/* A thread that has no slot yet was created by a thread that has one. */
static bool are_all_gone(void)
{
	return are_slots_empty() && !pa_thread_ends_expected_agents() && are_slots_empty();
}

/* False: ended for good, or another thread has suspended them and they are not back in time. */
static bool end_threads(int64_t end_ns)
{
	uint32_t here = 0;
	/* Ends: at end_ns. */
	for (; !pa_cas_acq_rel(&state.suspended, &here, 1); here = 0) {
		if (pa_load_acquire(&state.for_good) || pa_clock_mono_ns() >= end_ns)
			return false;
		sleep_poll_interval(POLL_NS);
	}
	return true;
}

bool pa_suspend_suspend(int64_t timeout_ns, bool for_good)
{
	int64_t end_ns = pa_clock_mono_ns() + timeout_ns;
	if (!pa_load_acquire(&pa_switches->booted) || pa_record.pid != getpid() ||
		!end_threads(end_ns))
		return false;
	pa_core_handle_suspended();
	pa_store_release(&state.unsettled, 1);
	pa_store_release(&pa_slot_table_table.hard, for_good);
	pa_add_acq_rel(&pa_slot_table_table.generation, 1);
	pa_fence_full(); /* pairs with a thread that stores its futex word and then reads the
			  * generation */
	bool gone;
	/* Ends: at end_ns. */
	while (pa_slot_table_wake_all(), !(gone = are_all_gone()) && pa_clock_mono_ns() < end_ns)
		sleep_poll_interval(POLL_NS);
	if (!gone)
		PA_COUNT_EVENT(suspends_late);
	pa_ring_reader(pa_record.ring, false); /* writers must not wait for the reader */
	return true;
}

/* suspended stays set: no threads remain to suspend. */
void pa_suspend_stay(void)
{
	pa_store_release(&state.for_good, 1);
	pa_core_handle_over();
}

void pa_suspend_resume(void)
{
	int saved_errno = errno;
	if (pa_load_acquire(&pa_slot_table_table.torn)) {
		pa_suspend_stay();
		return;
	}
	/* Of the current generation: it has none of the ended threads. */
	if (pa_agent_thread(state.run, NULL, "pprofagent") != 0)
		pa_core_handle_over();
	pa_store_release(&state.suspended, 0);
	errno = saved_errno;
}

/* ---- resume ---- */

void pa_suspend_arrive(void)
{
	if (!pa_load_acquire(&state.unsettled))
		return;
	/* Ends with the last of them; they do not wait long, but may be at work. */
	while (pa_slot_table_wake_all(), !are_all_gone())
		pa_futex_sleep(LATE_POLL_NS);
	pa_store_release(&state.unsettled, 0);
	pa_store_release(&pa_slot_table_table.wake_fd, -1);
	/* Otherwise the core was not running in this process: it starts as usual. */
	if (!state.bridge->settle)
		return;
	state.bridge->settle();
	state.bridge->returned = true;
}

void pa_suspend_atfork_child(void)
{
	pa_slot_table_atfork_child();
	pa_reset(&state.suspended, 0);
	pa_reset(&state.for_good, 0);
	pa_reset(&state.unsettled, 0);
}
