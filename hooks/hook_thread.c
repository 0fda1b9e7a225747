/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pthread_create, thrd_create: threads are registered at their start, their creation is recorded.
 */
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "../agent/arch/arch.h"
#include "../agent/base/arena.h"
#include "../agent/record/creation.h"
#include "../agent/record/thread_ends.h"
#include "../agent/record/switches.h"
#include "../agent/record/alloc.h"
#include "../agent/record/process.h"
#include "../agent/record/registry.h"
#include "../agent/record/dispatch.h"
#include "../agent/record/sandbox.h"
#include "../agent/record/thread.h"
#include "../agent/record/tick.h"
#include "../agent/record/trace_events.h"
#include "real.h"

#include "../agent/base/banned.h"

/* Data for a new thread, from its creator. */
struct start {
	union {
		void *(*run)(void *);
		thrd_start_t run_c11;
	};
	void *arg;
	struct pa_registry_stack_size stack;
	bool default_stack; /* the attributes did not set its size */
	uintptr_t creator_pc;
	int32_t creator_tid;
	uint32_t denied;                /* system calls denied to the creator by seccomp filters:
					 * inherited */
	uint64_t serial;                /* in a trace; otherwise 0 */
	const struct pa_labels *labels; /* of the creator: inherited */
};

/*
 * Holds the data until the thread starts. In a forked child places of threads that were starting
 * stay in use.
 *
 * Not in memory of malloc: the new thread's first free() would create an arena (64 MiB of address
 * space) that it may not need. And where the executable defines malloc, the next one is libc's,
 * which the program does not use: both move the end of the heap then, and sbrk(2) has no lock, so
 * that gperftools and libc get the same memory.
 */
#define PLACES 64
#define BLOCK_PLACES 600

struct place {
	struct start start;        /* first: both have the same address */
	PA_ATOMIC(uint32_t) taken; /* acq_rel by CAS, release in leave_start */
};

/* More places, for a program that creates threads faster than they start. Never unmapped. */
struct block {
	struct block *next;
	struct place places[BLOCK_PLACES];
};

static PA_LARGE struct place first_places[PLACES];
static PA_ATOMIC(struct block *) blocks; /* newest first; release by CAS, acquire */

static struct start *take_start_in(struct place *places, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t none = 0;
		if (!pa_load_relaxed(&places[i].taken) &&
			pa_cas_acq_rel(&places[i].taken, &none, 1))
			return &places[i].start;
	}
	return NULL;
}

static struct start *take_start_of_new_block(void)
{
	if (!pa_sandbox_may(&pa_thread_self, PA_CALLS_MAP))
		return NULL;
	struct block *block = pa_map_table(sizeof(*block));
	if (!block)
		return NULL;
	struct start *start = take_start_in(block->places, 1);
	block->next = pa_load_acquire(&blocks);
	/* Ends: each failure means that another thread added a block. */
	while (!pa_cas_acq_rel(&blocks, &block->next, block))
		;
	return start;
}

/* NULL: no memory. */
static struct start *take_start(void)
{
	struct start *start = take_start_in(first_places, PLACES);
	for (struct block *block = pa_load_acquire(&blocks); !start && block; block = block->next)
		start = take_start_in(block->places, BLOCK_PLACES);
	return start ? start : take_start_of_new_block();
}

static void leave_start(struct start *start)
{
	pa_store_release(&((struct place *)start)->taken, 0);
}

int pa_hooks_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg)
{
	struct pa_thread *self = &pa_thread_self;
	uint64_t left = pa_alloc_pause(self);
	int error = PA_REAL(pthread_create)(thread, attr, run, arg);
	pa_alloc_resume(self, left);
	return error;
}

/* For attributes without a stack size. pthread_setattr_default_np changes it. */
static size_t default_stack_bytes(void)
{
	size_t bytes = 0;
	pthread_attr_t says_nothing;
	pthread_attr_init(&says_nothing);
	pthread_attr_getstacksize(&says_nothing, &bytes);
	return bytes;
}

/* In the new thread, before any code of the program. */
static struct start begin_in_thread(void *given)
{
	struct start start = *(struct start *)given;
	struct pa_thread *self = &pa_thread_self;
	pa_sandbox_inherit(self, start.denied);
	leave_start(given);
	self->start_routine = (uintptr_t)start.run;
	self->creator_pc = start.creator_pc;
	self->creator_tid = start.creator_tid;
	self->labels = start.labels;
	if (start.default_stack) {
		/* The default may have changed while this thread was being created. */
		size_t bytes = default_stack_bytes();
		if (bytes < start.stack.bytes)
			start.stack.bytes = bytes;
	}
	pa_registry_started(self, &start.stack);
	pa_hooks_note_exit(self);
	pa_thread_ends_thread_begin(self);
	if (pa_unlikely(pa_load_relaxed(&pa_switches->cpu)))
		pa_tick_thread_begin(self);
	if (pa_unlikely(pa_trace_events_is_on()))
		pa_trace_events_start(self, start.serial);
	return start;
}

/* Without a key: also runs at pthread_exit and cancellation. */
static PA_NOINLINE void *run_to_end(void *(*run)(void *), void *arg)
{
	void *result;
	pthread_cleanup_push(pa_hooks_thread_exits, &pa_thread_self);
	result = run(arg);
	pthread_cleanup_pop(1);
	return result;
}

static PA_NOINLINE int run_to_end_c11(thrd_start_t run, void *arg)
{
	int result;
	pthread_cleanup_push(pa_hooks_thread_exits, &pa_thread_self);
	result = run(arg);
	pthread_cleanup_pop(1);
	return result;
}

/* clang makes no jump of a call by itself where a local variable had an address. */
#ifdef __clang__
#define PA_TAIL_CALL __attribute__((musttail))
#else
#define PA_TAIL_CALL
#endif

/* First code of the program's threads; the final jump leaves no frame of the agent on the stack. */
static void *run_thread(void *given)
{
	struct start start = begin_in_thread(given);
	if (pa_unlikely(!pa_hooks_have_key()))
		return run_to_end(start.run, start.arg);
	PA_TAIL_CALL return start.run(start.arg);
}

static int run_thread_c11(void *given)
{
	struct start start = begin_in_thread(given);
	if (pa_unlikely(!pa_hooks_have_key()))
		return run_to_end_c11(start.run_c11, start.arg);
	PA_TAIL_CALL return start.run_c11(start.arg);
}

/* glibc 2.18; the preloaded object loads with older ones as well. */
#pragma weak pthread_getattr_default_np

/* For threads created without attributes. */
static void read_default_stack(struct pa_registry_stack_size *size)
{
	pthread_attr_t attr;
	if (!pthread_getattr_default_np || pthread_getattr_default_np(&attr) != 0)
		return;
	pthread_attr_getstacksize(&attr, &size->bytes);
	pthread_attr_getguardsize(&attr, &size->guard_bytes);
	pthread_attr_destroy(&attr);
}

static void read_stack_size(struct start *start, const pthread_attr_t *attr)
{
	struct pa_registry_stack_size *size = &start->stack;
	void *memory = NULL;
	size_t bytes = 0;
	start->default_stack = true;
	if (!attr) {
		read_default_stack(size);
		return;
	}
	pthread_attr_getguardsize(attr, &size->guard_bytes);
	/* Without a stack of the program's both are 0. */
	if (pthread_attr_getstack(attr, &memory, &bytes) == 0)
		size->of_program = (uintptr_t)memory + bytes != 0;
	start->default_stack = !bytes;
	size->bytes = bytes ? bytes : default_stack_bytes();
}

/* NULL: the thread starts without the agent. */
static struct start *prepare_start(const pthread_attr_t *attr, void *arg, struct pa_cursor caller)
{
	struct pa_thread *self = &pa_thread_self;
	if (!pa_load_acquire(&pa_switches->booted) || self->role == PA_ROLE_AGENT)
		return NULL;
	struct start *start = take_start();
	if (!start)
		return NULL;
	*start = (struct start){
		.arg = arg,
		.creator_pc = caller.pc,
		.creator_tid = pa_registry_tid(self),
		.labels = self->labels,
		.denied = pa_dispatch_inherited(self),
	};
	read_stack_size(start, attr);
	return start;
}

/* After the real call. */
static void conclude_start(struct start *start, bool created, struct pa_cursor caller)
{
	if (created)
		pa_creation_record(&pa_thread_self, caller);
	else
		leave_start(start);
}

/* result: of a call that the agent did not make. */
static int proven_by_result(int result, int success)
{
	if (result == success)
		pa_process_proven(true);
	return result;
}

PA_ENTRY int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg)
{
	PA_CALM_FLAGS();
	struct pa_cursor caller = PA_CURSOR_OF_CALLER();
	struct start *start = prepare_start(attr, arg, caller);
	if (!start)
		return proven_by_result(PA_REAL(pthread_create)(thread, attr, run, arg), 0);
	start->run = run;
	start->serial = pa_trace_events_create(&pa_thread_self, run, caller);
	int error = pa_real.pthread_create(thread, attr, run_thread, start);
	conclude_start(start, error == 0, caller);
	return error;
}

PA_ENTRY int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
	PA_CALM_FLAGS();
	struct pa_cursor caller = PA_CURSOR_OF_CALLER();
	struct start *start = prepare_start(NULL, arg, caller);
	if (!start)
		return proven_by_result(PA_REAL(thrd_create)(thread, run, arg), thrd_success);
	start->run_c11 = run;
	start->serial = pa_trace_events_create(&pa_thread_self, run, caller);
	int result = pa_real.thrd_create(thread, run_thread_c11, start);
	conclude_start(start, result == thrd_success, caller);
	return result;
}

/* The program may end here without exit handlers: last chance to write its files. */

PA_ENTRY void _exit(int status)
{
	PA_CALM_FLAGS();
	pa_process->exits();
	PA_REAL(_exit)(status);
	__builtin_unreachable();
}

PA_ENTRY void _Exit(int status)
{
	PA_CALM_FLAGS();
	pa_process->exits();
	PA_REAL(_Exit)(status);
	__builtin_unreachable();
}
