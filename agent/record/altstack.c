/* SPDX-License-Identifier: Apache-2.0 */
#include "altstack.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../arch/arch.h"
#include "../base/latch.h"
#include "disposition.h"
#include "switches.h"
#include "registry.h"

#include "../base/banned.h"

#define PLACES 16384u

/* From linux/signal.h, which conflicts with libc's signal.h. */
#define PA_SS_AUTODISARM (1u << 31)

struct place {
	int32_t tid; /* 0: free */
	uintptr_t lo, hi;
};

static struct {
	struct pa_latch lock;
	struct place *places;      /* array of PLACES, mapped once; guard: lock */
	uint32_t used;             /* places from this index on were never used; guard: lock */
	PA_ATOMIC(uint32_t) count; /* places in use; written under lock, relaxed: a hint */
} state;

static bool is_alive(int32_t tid)
{
	return pa_arch_syscall(SYS_tgkill, pa_record.pid, tid, 0, 0) == 0;
}

static bool have_places(void)
{
	if (state.places)
		return true;
	long memory = pa_arch_syscall6(SYS_mmap, 0, PLACES * sizeof(struct place),
		PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory < 0 && memory > -(long)PA_PAGE_BYTES)
		return false;
	state.places = (struct place *)memory;
	return true;
}

static void empty_place(struct place *place)
{
	PA_ASSERT(!place->tid || pa_load_relaxed(&state.count));
	if (place->tid)
		pa_store_relaxed(&state.count, pa_load_relaxed(&state.count) - 1);
	*place = (struct place){ 0 };
}

/*
 * True when another live thread has a part of that memory as its alternate stack. Frees the places
 * of ended threads that it finds: later threads get the same memory, so such places do not
 * accumulate.
 */
static bool is_used_by_another(uintptr_t lo, uintptr_t hi, int32_t tid)
{
	PA_ASSERT(lo < hi);
	PA_ASSERT(state.used <= PLACES);
	bool found = false;
	for (uint32_t i = 0; i < state.used; i++) {
		struct place *place = &state.places[i];
		if (!place->tid || place->tid == tid || place->hi <= lo || place->lo >= hi)
			continue;
		if (is_alive(place->tid))
			found = true;
		else
			empty_place(place);
	}
	return found;
}

/* The thread's own place, else a free one, else NULL. */
static struct place *find_altstack_place(int32_t tid)
{
	PA_ASSERT(state.places && state.used <= PLACES);
	struct place *free_one = NULL;
	for (uint32_t i = 0; i < state.used; i++) {
		struct place *place = &state.places[i];
		if (place->tid == tid)
			return place;
		if (!place->tid && !free_one)
			free_one = place;
	}
	if (free_one || state.used == PLACES)
		return free_one;
	return &state.places[state.used++];
}

/* True when the handler must not use alternate stacks any more. */
static bool set_locked(int32_t tid, uintptr_t lo, uintptr_t hi)
{
	PA_ASSERT(lo <= hi);
	bool is_none = lo == hi;
	if (is_none && !pa_load_relaxed(&state.count))
		return false;
	if (!have_places())
		return true;
	bool shared = !is_none && is_used_by_another(lo, hi, tid);
	struct place *place = find_altstack_place(tid);
	if (!place)
		return !is_none;
	empty_place(place);
	if (!is_none) {
		*place = (struct place){ tid, lo, hi };
		pa_store_relaxed(&state.count, pa_load_relaxed(&state.count) + 1);
	}
	return shared;
}

void pa_altstack_set(struct pa_thread *self, const stack_t *stack)
{
	bool is_none = stack->ss_flags & SS_DISABLE;
	uintptr_t lo = is_none ? 0 : (uintptr_t)stack->ss_sp;
	uintptr_t hi = is_none ? 0 : lo + stack->ss_size;
	if (pa_disposition_leaves_alternate())
		return;
	int32_t tid = pa_registry_tid(self);
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	bool leave = set_locked(tid, lo, hi);
	pa_latch_leave(&state.lock, hold);
	/* SS_AUTODISARM: the stack can be set again while it is in use, below the frames on it
	 * (sigaltstack(2)). */
	if (leave || (!is_none && stack->ss_flags & (int)PA_SS_AUTODISARM))
		pa_disposition_leave_alternate();
	self->alternate_lo = lo;
}

void pa_altstack_check(const ucontext_t *context)
{
	struct pa_thread *self = &pa_thread_self;
	const stack_t *stack = &context->uc_stack;
	bool is_none = stack->ss_flags & SS_DISABLE;
	if (is_none || (uintptr_t)stack->ss_sp == self->alternate_lo)
		return;
	/* A raw clone(2) child that shares its creator's TLS must not write it. */
	if (self->registered && self->tid == (int32_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0))
		pa_altstack_set(self, stack);
}

void pa_altstack_unmapped(uintptr_t lo, uintptr_t hi)
{
	if (pa_likely(!pa_load_relaxed(&state.count)) || pa_disposition_leaves_alternate())
		return;
	struct pa_latch_hold hold = pa_latch_enter(&state.lock);
	bool leave = is_used_by_another(lo, hi, 0);
	pa_latch_leave(&state.lock, hold);
	if (leave)
		pa_disposition_leave_alternate();
}

void pa_altstack_atfork_child(void)
{
	struct pa_thread *self = &pa_thread_self;
	pa_latch_reset(&state.lock);
	for (uint32_t i = 0; i < state.used; i++) {
		struct place *place = &state.places[i];
		if (self->alternate_lo && place->lo == self->alternate_lo && place->tid)
			place->tid = (int32_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0);
		else
			empty_place(place);
	}
}
