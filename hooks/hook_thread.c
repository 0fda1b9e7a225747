/*
 * pthread_create, thrd_create: threads are met at their start, their creation is recorded.
 */
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "../agent/record/ends.h"
#include "../agent/record/on.h"
#include "../agent/record/process.h"
#include "../agent/record/sandbox.h"
#include "../agent/record/thread.h"
#include "../agent/record/tick.h"
#include "../agent/record/tracing.h"
#include "real.h"

#include "../agent/base/banned.h"

/* What a new thread needs, from its creator; lives in the program's allocator until it starts. */
struct start {
	union {
		void *(*run)(void *);
		thrd_start_t run_c11;
	};
	void *arg;
	struct pa_stack_size stack;
	bool default_stack; /* its size was not given */
	uintptr_t creator_pc;
	int32_t creator_tid;
	uint32_t denied; /* to the creator, by filters of system calls: inherited */
	uint64_t serial; /* in a trace; else 0 */
	const struct pa_labels *labels; /* of the creator: inherited */
};

int pa_hooks_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg)
{
	return PA_REAL(pthread_create)(thread, attr, run, arg);
}

/* Of threads whose attributes do not say. pthread_setattr_default_np changes it. */
static size_t default_stack_bytes(void)
{
	size_t bytes = 0;
	pthread_attr_t says_nothing;
	pthread_attr_init(&says_nothing);
	pthread_attr_getstacksize(&says_nothing, &bytes);
	return bytes;
}

/* In the new thread, before anything of the program. */
static struct start begin(void *given)
{
	struct start start = *(struct start *)given;
	struct pa_thread *self = &pa_thread_self;
	pa_sandbox_inherit(self, start.denied);
	pa_real.free(given);
	self->start_routine = (uintptr_t)start.run;
	self->creator_pc = start.creator_pc;
	self->creator_tid = start.creator_tid;
	self->labels = start.labels;
	if (start.default_stack) {
		/* It may have changed while this thread was being made. */
		size_t bytes = default_stack_bytes();
		if (bytes < start.stack.bytes)
			start.stack.bytes = bytes;
	}
	pa_thread_started(self, &start.stack);
	pa_hooks_note_exit(self);
	pa_ends_thread_begin(self);
	if (pa_unlikely(pa_load_relaxed(&pa_on->cpu)))
		pa_tick_thread_begin(self);
	if (pa_unlikely(pa_tracing_is_on()))
		pa_tracing_start(self, start.serial);
	return start;
}

/* Without a key: hears of pthread_exit and cancellation too. */
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

/* First code of the program's threads; the jump at the end leaves no frame of ours on the stack. */
static void *run_thread(void *given)
{
	struct start start = begin(given);
	if (pa_unlikely(!pa_hooks_have_key()))
		return run_to_end(start.run, start.arg);
	return start.run(start.arg);
}

static int run_thread_c11(void *given)
{
	struct start start = begin(given);
	if (pa_unlikely(!pa_hooks_have_key()))
		return run_to_end_c11(start.run_c11, start.arg);
	return start.run_c11(start.arg);
}

/* Of threads that are created without attributes. */
static void read_default_stack(struct pa_stack_size *size)
{
	pthread_attr_t attr;
	if (pthread_getattr_default_np(&attr) != 0)
		return;
	pthread_attr_getstacksize(&attr, &size->bytes);
	pthread_attr_getguardsize(&attr, &size->guard_bytes);
	pthread_attr_destroy(&attr);
}

static void read_stack_size(struct start *start, const pthread_attr_t *attr)
{
	struct pa_stack_size *size = &start->stack;
	void *memory = NULL;
	size_t bytes = 0;
	start->default_stack = true;
	if (!attr) {
		read_default_stack(size);
		return;
	}
	pthread_attr_getguardsize(attr, &size->guard_bytes);
	/* Attributes without memory of the program's have both 0. */
	if (pthread_attr_getstack(attr, &memory, &bytes) == 0)
		size->of_program = (uintptr_t)memory + bytes != 0;
	start->default_stack = !bytes;
	size->bytes = bytes ? bytes : default_stack_bytes();
}

/* NULL: the thread starts without us. */
static struct start *prepare(const pthread_attr_t *attr, void *arg, struct pa_cursor caller)
{
	struct pa_thread *self = &pa_thread_self;
	if (!pa_load_acquire(&pa_on->booted) || self->role == PA_ROLE_AGENT)
		return NULL;
	struct start *start = pa_real.malloc(sizeof(*start));
	if (!start)
		return NULL;
	*start = (struct start){
		.arg = arg,
		.creator_pc = caller.pc,
		.creator_tid = pa_thread_tid(self),
		.labels = self->labels,
		.denied = pa_load_relaxed(&self->denied),
	};
	read_stack_size(start, attr);
	return start;
}

/* The real call came back. */
static void conclude(struct start *start, bool created, struct pa_cursor caller)
{
	if (created)
		pa_thread_created(&pa_thread_self, caller);
	else
		pa_real.free(start);
}

/* result: of a call that we had no part in. */
static int proven(int result, int success)
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
	struct start *start = prepare(attr, arg, caller);
	if (!start)
		return proven(PA_REAL(pthread_create)(thread, attr, run, arg), 0);
	start->run = run;
	start->serial = pa_tracing_create(&pa_thread_self, run, caller);
	int error = pa_real.pthread_create(thread, attr, run_thread, start);
	conclude(start, error == 0, caller);
	return error;
}

PA_ENTRY int thrd_create(thrd_t *thread, thrd_start_t run, void *arg)
{
	PA_CALM_FLAGS();
	struct pa_cursor caller = PA_CURSOR_OF_CALLER();
	struct start *start = prepare(NULL, arg, caller);
	if (!start)
		return proven(PA_REAL(thrd_create)(thread, run, arg), thrd_success);
	start->run_c11 = run;
	start->serial = pa_tracing_create(&pa_thread_self, run, caller);
	int result = pa_real.thrd_create(thread, run_thread_c11, start);
	conclude(start, result == thrd_success, caller);
	return result;
}

/* The program may end here without any handler being called: last chance for its files. */

PA_ENTRY void _exit(int status)
{
	PA_CALM_FLAGS();
	pa_process_exits();
	PA_REAL(_exit)(status);
	__builtin_unreachable();
}

PA_ENTRY void _Exit(int status)
{
	PA_CALM_FLAGS();
	pa_process_exits();
	PA_REAL(_Exit)(status);
	__builtin_unreachable();
}
