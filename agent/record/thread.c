#include "thread.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/atomic.h"
#include "../base/clock.h"
#include "../base/libc.h"
#include "ends.h"
#include "on.h"
#include "peek.h"
#include "sample.h"
#include "sandbox.h"

#include "../base/banned.h"

PA_TLS struct pa_thread pa_thread_self;

/* glibc keeps its thread descriptor (2.3 KiB in 2.36) above the thread pointer, at the top of the
 * stack's memory; what is below the bounds plus this slack is surely the stack. */
#define DESCRIPTOR_SLACK ((size_t)8 << 10)

/* Tids of our own threads, 0 = free place: collector, server, civetweb's master and workers. */
#define AGENT_THREADS 32
static struct {
	PA_ATOMIC(int32_t) agents[AGENT_THREADS]; /* release in become_agent, acquire in is_agent */
} state;

/*
 * Where the threads keep what they keep, by tid. A later thread of the same place takes it over:
 * who looks compares the tid.
 */
#define PLACES 65536u
static PA_ATOMIC(const struct pa_thread *) places[PLACES]; /* relaxed: only an address */

static void be_found(const struct pa_thread *self)
{
	pa_store_relaxed(&places[(uint32_t)self->tid % PLACES], self);
}

bool pa_thread_copy(int32_t tid, struct pa_thread *copy)
{
	const struct pa_thread *from = pa_load_relaxed(&places[(uint32_t)tid % PLACES]);
	if (pa_peek(copy, (uintptr_t)from, sizeof(*copy)) != sizeof(*copy))
		return false;
	return copy->met && copy->tid == tid;
}

bool pa_thread_is_deaf(int32_t tid)
{
	struct pa_thread copy;
	uint32_t needs = PA_CALLS_TIMER | PA_CALLS_RETURN;
	return pa_load_relaxed(&pa_sandbox_all) & needs || (pa_thread_copy(tid, &copy) &&
		(pa_load_relaxed(&copy.deaf) || pa_load_relaxed(&copy.denied) & needs));
}

static int32_t own_tid(void)
{
	if (!pa_sandbox_begin(&pa_thread_self, PA_CALLS_WHO))
		return pa_libc_tid();
	int32_t tid = (int32_t)syscall(SYS_gettid);
	pa_sandbox_end();
	return tid;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t pa_thread_random(struct pa_thread *thread)
{
	if (pa_unlikely(!thread->random))
		thread->random = mix((uint64_t)pa_clock_mono_ns() ^ (uintptr_t)thread << 20) | 1;
	thread->random += 0x9e3779b97f4a7c15u; /* splitmix64: any state is a good one */
	return mix(thread->random);
}

/* What is below known has to be proven, by pa_thread_extend_stack. */
static void set_stack(struct pa_thread *thread, uintptr_t least, uintptr_t known, uintptr_t hi)
{
	thread->stack_hi = hi & ~(uintptr_t)7;
	thread->stack_lo = known & ~(PA_PAGE_BYTES - 1);
	thread->stack_least = PA_ALIGN_UP(least, PA_PAGE_BYTES);
	/* Both are not of a page: nothing is left to be proven. */
	if (thread->stack_lo <= thread->stack_least)
		thread->stack_lo = thread->stack_least = known;
}

void pa_thread_meet(struct pa_thread *thread)
{
	thread->tid = own_tid();
	thread->met = 1;
	if (thread != &pa_thread_self)
		return;
	if (thread->tid == pa_record.pid)
		set_stack(thread, pa_record.main_stack_least, pa_record.main_stack_lo,
			pa_record.main_stack_hi);
	be_found(thread);
}

void pa_thread_started(struct pa_thread *thread, const struct pa_stack_size *size)
{
	uintptr_t top = (uintptr_t)__builtin_thread_pointer();
	size_t margin = size->guard_bytes + DESCRIPTOR_SLACK;
	thread->tid = own_tid();
	if (size->bytes > margin) {
		uintptr_t least = top - size->bytes + margin;
		uintptr_t here = (uintptr_t)__builtin_frame_address(0);
		set_stack(thread, least, size->of_program ? here : least, top);
	}
	thread->met = 1;
	be_found(thread);
}

/* So many pages at most are proven at once. */
#define EXTEND_PAGES 1024

void pa_thread_extend_stack(uintptr_t sp)
{
	struct pa_thread *self = &pa_thread_self;
	uintptr_t lo = sp & ~(PA_PAGE_BYTES - 1);
	for (int i = 0; i < EXTEND_PAGES / PA_PEEK_PAGES && lo < self->stack_lo; i++) {
		uintptr_t hi = self->stack_lo, step = PA_PEEK_PAGES * PA_PAGE_BYTES;
		uintptr_t from = hi - lo > step ? hi - step : lo;
		if (!pa_peek_is_readable(from, hi))
			return;
		self->stack_lo = from;
	}
}

void pa_thread_cut_stack(uintptr_t lo, uintptr_t hi)
{
	struct pa_thread *self = &pa_thread_self;
	if (hi <= self->stack_least || lo >= self->stack_hi || hi <= lo)
		return;
	uintptr_t end = self->stack_hi;
	if (hi < end && PA_ALIGN_UP(hi, PA_PAGE_BYTES) < end)
		end = PA_ALIGN_UP(hi, PA_PAGE_BYTES);
	/* A signal handler in between finds either. */
	if (self->stack_lo < end)
		self->stack_lo = end;
	self->stack_least = end;
}

void pa_thread_created(struct pa_thread *thread, struct pa_cursor caller)
{
	if (thread->depth || !pa_load_relaxed(&pa_on->booted))
		return;
	int saved_errno = errno;
	struct pa_event event = {
		.kind = PA_EVENT_CREATE,
		.tid = pa_thread_tid(thread),
		.time_ns = pa_clock_mono_ns(),
	};
	thread->depth++;
	if (pa_sample_stack(&event, thread, caller, NULL, true) ||
	    (pa_sample_wait_room() && pa_sample_stack(&event, thread, caller, NULL, false)))
		PA_COUNT_EVENT(create_events);
	else
		PA_COUNT_EVENT(lost_create_ring);
	thread->depth--;
	errno = saved_errno;
}

static void enlist(int32_t tid)
{
	for (int i = 0; i < AGENT_THREADS; i++) {
		int32_t nobody = 0;
		if (pa_cas_acq_rel(&state.agents[i], &nobody, tid))
			return;
	}
}

void pa_thread_become_agent(void)
{
	struct pa_thread *self = &pa_thread_self;
	self->role = PA_ROLE_AGENT;
	self->heap_left = 0; /* each allocation goes to own_memory.c, by the hooks' slow halves */
	self->tid = own_tid();
	self->met = 1;
	enlist(self->tid);
}

void pa_thread_end_agent(void)
{
	for (int i = 0; i < AGENT_THREADS; i++) {
		int32_t own = pa_thread_self.tid;
		if (pa_cas_acq_rel(&state.agents[i], &own, 0))
			return;
	}
}

bool pa_thread_is_agent(int32_t tid)
{
	for (int i = 0; i < AGENT_THREADS; i++)
		if (pa_load_acquire(&state.agents[i]) == tid)
			return true;
	return false;
}

void pa_thread_atfork_child(void)
{
	for (int i = 0; i < AGENT_THREADS; i++)
		pa_reset(&state.agents[i], 0);
	struct pa_thread *self = &pa_thread_self;
	pa_ends_atfork_child(self);
	bool was_main = self->tid == pa_record.pid;
	pa_record.pid = getpid();
	self->tid = pa_record.pid; /* its first thread */
	/* A thread that forked is the child's main thread, but its stack is where it was. */
	if (!was_main && !self->stack_hi)
		self->met = 1;
	if (self->met)
		be_found(self);
	self->tick_slot = 0;
	self->depth = 0;
	self->wait = (struct pa_wait){ 0 };
}
