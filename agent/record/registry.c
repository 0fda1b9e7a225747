/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "../arch/arch.h"
#include "../base/atomic.h"
#include "../base/libc.h"
#include "thread_ends.h"
#include "switches.h"
#include "peek.h"
#include "sandbox.h"
#include "stack_bounds.h"

#include "../base/banned.h"

/* glibc's thread descriptor (2.3 KiB in 2.36) is above the thread pointer, at the top of the
 * stack's memory; memory below the bounds plus this slack belongs to the stack. */
#define DESCRIPTOR_SLACK ((size_t)8 << 10)

/* Tids of agent threads, 0 = free: collector, server, civetweb's master and workers. */
#define AGENT_THREADS 32
static struct {
	PA_ATOMIC(int32_t) agents[AGENT_THREADS]; /* release in become_agent, acquire in is_agent */
	PA_ATOMIC(uint32_t) libc_knows_tids;      /* relaxed: threads store the same value */
	uintptr_t self_offset; /* of pa_thread_self from the thread pointer, in each thread */
} state;

/*
 * Addresses of the threads' struct pa_thread, by tid. A later thread with the same index overwrites
 * an entry: readers compare the tid.
 */
#define PLACES 65536u
static PA_LARGE PA_ATOMIC(const struct pa_thread *) places[PLACES]; /* relaxed: only an address */

static void be_found(const struct pa_thread *self)
{
	PA_ASSERT(self->registered);
	pa_store_relaxed(&places[(uint32_t)self->tid % PLACES], self);
}

void pa_registry_boot(uintptr_t thread_pointer)
{
	PA_ASSERT(thread_pointer);
	state.self_offset = (uintptr_t)&pa_thread_self - thread_pointer;
}

static bool is_registered_as(const struct pa_thread *known, int32_t tid)
{
	return known && pa_arch_readable((uintptr_t)&known->tid) && known->registered &&
		known->tid == tid;
}

PA_INLINE const struct pa_thread *thread_in_place(int32_t tid)
{
	return pa_load_relaxed(&places[(uint32_t)tid % PLACES]);
}

bool pa_registry_is_in_place(uintptr_t thread_pointer)
{
	int32_t tid = (int32_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0);
	return (uintptr_t)thread_in_place(tid) == thread_pointer + state.self_offset;
}

/* A thread that is not registered: what is there is libc's, or belongs to the emulated code. */
bool pa_registry_is_own(uintptr_t thread_pointer)
{
	if (pa_likely(pa_registry_is_in_place(thread_pointer)))
		return true;
	int32_t tid = (int32_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0);
	return !is_registered_as(thread_in_place(tid), tid) && pa_arch_is_of_libc(thread_pointer);
}

bool pa_registry_copy(int32_t tid, struct pa_thread *copy)
{
	const struct pa_thread *from = pa_load_relaxed(&places[(uint32_t)tid % PLACES]);
	if (pa_peek(copy, (uintptr_t)from, sizeof(*copy)) != sizeof(*copy))
		return false;
	return copy->registered && copy->tid == tid;
}

struct pa_registry_view pa_registry_look(int32_t tid)
{
	struct pa_thread copy;
	const uint32_t needs = PA_CALLS_TIMER | PA_CALLS_RETURN;
	struct pa_registry_view view = { .is_known = pa_registry_copy(tid, &copy) };
	view.refuses_signal = pa_load_relaxed(&pa_sandbox_all) & needs ||
		(view.is_known &&
			(pa_load_relaxed(&copy.small_altstack) ||
				pa_load_relaxed(&copy.denied) & needs));
	return view;
}

static int32_t own_tid(void)
{
	if (!pa_sandbox_begin(&pa_thread_self, PA_CALLS_IDENTITY))
		return pa_libc_tid();
	int32_t tid = (int32_t)syscall(SYS_gettid);
	pa_sandbox_end();
	return tid;
}

/*
 * In a thread that libc has just created: libc has its id from clone(2), and with a system call
 * create+join would be 2 % slower. Asks the kernel until libc has named a thread as the kernel
 * does: a library loaded before may have mutexes of its own.
 */
static int32_t started_tid(void)
{
	int32_t by_libc = pa_libc_tid();
	if (pa_likely(pa_load_relaxed(&state.libc_knows_tids)))
		return by_libc;
	int32_t tid = own_tid();
	if (tid == by_libc)
		pa_store_relaxed(&state.libc_knows_tids, 1);
	return tid;
}

void pa_registry_add(struct pa_thread *thread)
{
	thread->tid = own_tid();
	thread->registered = 1;
	if (thread != &pa_thread_self)
		return;
	if (thread->tid == pa_record.pid)
		pa_stack_bounds_set(thread, pa_record.main_stack_least, pa_record.main_stack_lo,
			pa_record.main_stack_hi);
	be_found(thread);
}

void pa_registry_started(struct pa_thread *thread, const struct pa_registry_stack_size *size)
{
	uintptr_t top = (uintptr_t)__builtin_thread_pointer();
	size_t margin = size->guard_bytes + DESCRIPTOR_SLACK;
	thread->tid = started_tid();
	if (size->bytes > margin) {
		uintptr_t least = top - size->bytes + margin;
		uintptr_t here = (uintptr_t)__builtin_frame_address(0);
		pa_stack_bounds_set(thread, least, size->of_program ? here : least, top);
	}
	thread->registered = 1;
	be_found(thread);
}

static void enlist_thread(int32_t tid)
{
	for (int i = 0; i < AGENT_THREADS; i++) {
		int32_t nobody = 0;
		if (pa_cas_acq_rel(&state.agents[i], &nobody, tid))
			return;
	}
}

void pa_registry_add_agent(void)
{
	struct pa_thread *self = &pa_thread_self;
	self->role = PA_ROLE_AGENT;
	self->heap_left = 0; /* every allocation takes the slow half of the hook, which uses
			      * own_memory.c */
	self->tid = own_tid();
	self->registered = 1;
	enlist_thread(self->tid);
	PA_ASSERT(pa_registry_is_agent(self->tid));
}

void pa_registry_remove_agent(void)
{
	PA_ASSERT(pa_thread_self.role == PA_ROLE_AGENT);
	for (int i = 0; i < AGENT_THREADS; i++) {
		int32_t own = pa_thread_self.tid;
		if (pa_cas_acq_rel(&state.agents[i], &own, 0))
			return;
	}
}

bool pa_registry_is_agent(int32_t tid)
{
	for (int i = 0; i < AGENT_THREADS; i++)
		if (pa_load_acquire(&state.agents[i]) == tid)
			return true;
	return false;
}

void pa_registry_atfork_child(void)
{
	for (int i = 0; i < AGENT_THREADS; i++)
		pa_reset(&state.agents[i], 0);
	struct pa_thread *self = &pa_thread_self;
	pa_thread_ends_atfork_child(self);
	bool was_main = self->tid == pa_record.pid;
	pa_record.pid = getpid();
	self->tid = pa_record.pid; /* the id of the main thread */
	/* The thread that forked is the child's main thread, but runs on its old stack. */
	if (!was_main && !self->stack_hi)
		self->registered = 1;
	if (self->registered)
		be_found(self);
	self->depth = 0;
	self->wait = (struct pa_wait){ 0 };
}
