#include "requests.h"

#include <errno.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/seat.h"
#include "copy.h"
#include "core.h"
#include "cpu.h"
#include "drain.h"
#include "threads.h"

#define SLOTS 16

/*
 * FREE -> CLAIMED -> PENDING -> DONE -> FREE, or PENDING -> ABANDONED -> FREE when the asker's time
 * is up. The asker makes the first two steps, the collector PENDING -> DONE and ABANDONED -> FREE.
 */
enum { FREE, CLAIMED, PENDING, DONE, ABANDONED };

struct slot {
	PA_ATOMIC(uint32_t) state; /* futex; release and acquire at each step guard the rest */
	enum pa_request_op op;
	enum pa_kind_id kind;
	int64_t argument;
	bool of_program; /* a thread of the program asks */
	uint64_t tail; /* the ring's when it was asked */
	int error;
	/* The collector's until DONE, then the asker's. Published before it is filled, so that a
	 * forked child finds it: release in perform. */
	PA_ATOMIC(struct pa_snapshot *) snapshot;
};

static struct {
	struct slot slots[SLOTS];
} state;

static struct slot *claim(void)
{
	for (size_t i = 0; i < SLOTS; i++) {
		uint32_t expected = FREE;
		if (pa_cas_acq_rel(&state.slots[i].state, &expected, CLAIMED))
			return &state.slots[i];
	}
	return NULL;
}

/* False when the time was up, or the collector has left: the slot is the collector's. */
static bool wait_done(struct slot *slot)
{
	int64_t deadline_ns = pa_clock_mono_ns() + PA_REQUESTS_TIMEOUT_NS;
	int64_t left_ns = PA_REQUESTS_TIMEOUT_NS;
	while (pa_load_acquire(&slot->state) == PENDING && left_ns > 0 &&
		!pa_seat_must_go()) {
		pa_futex_wait(&slot->state, PENDING, left_ns);
		left_ns = deadline_ns - pa_clock_mono_ns();
	}
	uint32_t expected = PENDING;
	return !pa_cas_acq_rel(&slot->state, &expected, ABANDONED);
}

int pa_requests_ask(enum pa_request_op op, enum pa_kind_id kind, int64_t argument,
	struct pa_snapshot **snapshot)
{
	uint64_t tail = pa_ring_tail(pa_core_bridge->ring);
	struct slot *slot = claim();
	if (!slot)
		return -EBUSY;
	slot->op = op;
	slot->kind = kind;
	slot->argument = argument;
	slot->of_program = pa_core_bridge->seat && !pa_core_bridge->seat();
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

static uint64_t lost_ticks(void)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
	return pa_load_relaxed(&counters->lost_cpu_ring) +
		pa_load_relaxed(&counters->lost_cpu_thread);
}

static void begin_cpu(struct slot *slot)
{
	pa_drain_lock();
	pa_cpu_begin(slot->argument, lost_ticks());
	pa_drain_unlock();
}

static void end_cpu(void)
{
	pa_drain_lock();
	pa_cpu_end();
	pa_drain_unlock();
}

static int begin_roll(struct slot *slot)
{
	const struct pa_requests_roll *told =
		(const struct pa_requests_roll *)(uintptr_t)slot->argument;
	pa_drain_lock();
	int error = pa_threads_roll_begin(&told->roll, told->details);
	pa_drain_unlock();
	return error;
}

static void end_roll(void)
{
	pa_drain_lock();
	pa_threads_roll_end();
	pa_drain_unlock();
}

static const struct pa_kind *kind_of(const struct slot *slot)
{
	if (slot->kind == PA_KIND_CUSTOM)
		return pa_kind_custom((uint32_t)slot->argument);
	return &pa_kinds[slot->kind];
}

static int copy(struct slot *slot)
{
	int64_t end_ns = slot->op == PA_REQUEST_CPU_END ? slot->argument : pa_clock_mono_ns();
	const struct pa_kind *kind = kind_of(slot);
	struct pa_snapshot *snapshot = kind ? pa_copy_new(kind) : NULL;
	if (!snapshot)
		return -ENOMEM;
	pa_store_release(&slot->snapshot, snapshot);
	pa_copy_fill(snapshot, end_ns);
	return 0;
}

static int perform(struct slot *slot)
{
	int error = 0;
	switch (slot->op) {
	case PA_REQUEST_COPY:
		return copy(slot);
	case PA_REQUEST_CPU_BEGIN:
		begin_cpu(slot);
		return 0;
	case PA_REQUEST_CPU_END:
		error = copy(slot);
		end_cpu();
		return error;
	case PA_REQUEST_ROLL_BEGIN:
		return begin_roll(slot);
	case PA_REQUEST_ROLL_END:
		end_roll();
		return 0;
	case PA_REQUEST_SYNC:
		return 0;
	}
	return -EINVAL;
}

static void drop_snapshot(struct slot *slot)
{
	struct pa_snapshot *snapshot = pa_load_relaxed(&slot->snapshot);
	pa_store_release(&slot->snapshot, NULL);
	pa_snapshot_free(snapshot);
}

static void answer(struct slot *slot)
{
	uint32_t expected = PENDING;
	slot->error = perform(slot);
	if (pa_cas_acq_rel(&slot->state, &expected, DONE)) {
		pa_futex_wake(&slot->state, 1);
		return;
	}
	drop_snapshot(slot);
	pa_store_release(&slot->state, FREE);
}

bool pa_requests_answer(void)
{
	bool left = false;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &state.slots[i];
		uint32_t now = pa_load_acquire(&slot->state);
		if (now == ABANDONED)
			pa_store_release(&slot->state, FREE);
		if (now != PENDING)
			continue;
		if (pa_ring_passed(pa_core_bridge->ring, slot->tail))
			answer(slot);
		else
			left = true;
	}
	return left;
}

void pa_requests_forget_agents(void)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &state.slots[i];
		uint32_t now = pa_load_acquire(&slot->state);
		if (slot->of_program || (now != PENDING && now != DONE && now != ABANDONED))
			continue;
		drop_snapshot(slot);
		pa_store_release(&slot->state, FREE);
	}
}

void pa_requests_atfork_child(void)
{
	for (size_t i = 0; i < SLOTS; i++) {
		uint32_t now = pa_load_acquire(&state.slots[i].state);
		if (now == PENDING || now == DONE || now == ABANDONED)
			drop_snapshot(&state.slots[i]);
		pa_store_relaxed(&state.slots[i].state, FREE);
	}
}
