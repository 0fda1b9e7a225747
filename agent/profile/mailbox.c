/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox.h"

#include <errno.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/thread_slot.h"
#include "../core/core.h"

#define SLOTS 16

/*
 * FREE -> CLAIMED -> PENDING -> DONE -> FREE, or PENDING -> ABANDONED -> FREE after a timeout. The
 * requesting thread makes the first two steps, the collector PENDING -> DONE and ABANDONED -> FREE.
 */
enum { FREE, CLAIMED, PENDING, DONE, ABANDONED };

struct slot {
	PA_ATOMIC(uint32_t) state; /* futex; release and acquire at each step guard the other fields
				    */
	struct pa_mailbox_request request;
	bool of_program; /* requested by a thread of the program */
	uint64_t tail;   /* tail of the ring at the request */
	int error;
	/* The collector's until DONE, then the requesting thread's. Published before it is filled,
	 * so that a forked child finds it: release in pa_mailbox_perform_fn. */
	PA_ATOMIC(struct pa_snapshot *) snapshot;
};

static struct {
	struct slot slots[SLOTS];
} state;

static struct slot *claim_request(void)
{
	for (size_t i = 0; i < SLOTS; i++) {
		uint32_t expected = FREE;
		if (pa_cas_acq_rel(&state.slots[i].state, &expected, CLAIMED))
			return &state.slots[i];
	}
	return NULL;
}

/* False: timeout, or the collector has left. The slot then belongs to the collector. */
static bool wait_done(struct slot *slot)
{
	int64_t deadline_ns = pa_clock_mono_ns() + PA_MAILBOX_TIMEOUT_NS;
	int64_t left_ns = PA_MAILBOX_TIMEOUT_NS;
	while (pa_load_acquire(&slot->state) == PENDING && left_ns > 0 &&
		!pa_thread_slot_must_end()) {
		pa_futex_wait(&slot->state, PENDING, left_ns);
		left_ns = deadline_ns - pa_clock_mono_ns();
	}
	uint32_t expected = PENDING;
	return !pa_cas_acq_rel(&slot->state, &expected, ABANDONED);
}

int pa_mailbox_ask(const struct pa_mailbox_request *request, struct pa_snapshot **snapshot)
{
	uint64_t tail = pa_ring_tail(pa_core_bridge->ring);
	struct slot *slot = claim_request();
	if (!slot)
		return -EBUSY;
	slot->request = *request;
	PA_ASSERT(pa_load_relaxed(&slot->state) == CLAIMED);
	slot->of_program = pa_core_bridge->slot && !pa_core_bridge->slot();
	slot->tail = tail;
	pa_store_relaxed(&slot->snapshot, NULL);
	pa_store_release(&slot->state, PENDING);
	pa_ring_kick(pa_core_bridge->ring);
	if (!wait_done(slot))
		return -ETIMEDOUT;

	int error = slot->error;
	if (snapshot)
		*snapshot = pa_load_relaxed(&slot->snapshot);
	pa_store_release(&slot->state, FREE);
	return error;
}

static void drop_request_snapshot(struct slot *slot)
{
	struct pa_snapshot *snapshot = pa_load_relaxed(&slot->snapshot);
	pa_store_release(&slot->snapshot, NULL);
	pa_snapshot_free(snapshot);
}

static void answer_slot(struct slot *slot, pa_mailbox_perform_fn *perform)
{
	PA_ASSERT_AGENT();
	uint32_t expected = PENDING;
	slot->error = perform(&slot->request, &slot->snapshot);
	if (pa_cas_acq_rel(&slot->state, &expected, DONE)) {
		pa_futex_wake(&slot->state, 1);
		return;
	}
	drop_request_snapshot(slot);
	pa_store_release(&slot->state, FREE);
}

bool pa_mailbox_answer(pa_mailbox_perform_fn *perform)
{
	PA_ASSERT_AGENT();
	PA_ASSERT(perform);
	bool left = false;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &state.slots[i];
		uint32_t now = pa_load_acquire(&slot->state);
		if (now == ABANDONED)
			pa_store_release(&slot->state, FREE);
		if (now != PENDING)
			continue;
		if (pa_ring_passed(pa_core_bridge->ring, slot->tail))
			answer_slot(slot, perform);
		else
			left = true;
	}
	return left;
}

void pa_mailbox_forget_agents(void)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &state.slots[i];
		uint32_t now = pa_load_acquire(&slot->state);
		if (slot->of_program || (now != PENDING && now != DONE && now != ABANDONED))
			continue;
		drop_request_snapshot(slot);
		pa_store_release(&slot->state, FREE);
	}
}

void pa_mailbox_atfork_child(void)
{
	for (size_t i = 0; i < SLOTS; i++) {
		uint32_t now = pa_load_acquire(&state.slots[i].state);
		if (now == PENDING || now == DONE || now == ABANDONED)
			drop_request_snapshot(&state.slots[i]);
		pa_store_relaxed(&state.slots[i].state, FREE);
	}
}
