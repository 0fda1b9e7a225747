/*
 * pthread_create and fork: threads are met at their start, forked children get the agent back.
 */
#include <errno.h>
#include <sched.h>

#include "../agent/record/on.h"
#include "../agent/record/process.h"
#include "../agent/record/thread.h"
#include "../agent/record/tick.h"
#include "real.h"

#include "../agent/base/banned.h"

/* What a new thread needs, from its creator; lives in the program's allocator until it starts. */
struct start {
	void *(*run)(void *);
	void *arg;
	size_t stack_bytes, guard_bytes;
	bool masks_signal; /* the creator's mask, as the program sees it, is inherited */
};

static struct {
	pthread_key_t exit_key; /* its destructor runs at the exit of threads that have a timer */
	bool have_key;
} state;

static void on_thread_exit(void *thread)
{
	pa_tick_thread_end(thread);
}

void pa_hooks_thread_boot(void)
{
	if (!state.have_key)
		state.have_key = pthread_key_create(&state.exit_key, on_thread_exit) == 0;
}

int pa_hooks_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg)
{
	return PA_REAL(pthread_create)(thread, attr, run, arg);
}

static void begin_ticks(struct pa_thread *self, void *(*run)(void *))
{
	self->start_routine = (uintptr_t)run;
	pa_tick_thread_begin(self);
	if (self->tick_slot && state.have_key)
		pthread_setspecific(state.exit_key, self);
}

/* First code of every thread of the program; the jump at the end leaves no frame of ours on its
 * stack. */
static void *run_thread(void *given)
{
	struct start start = *(struct start *)given;
	struct pa_thread *self = &pa_thread_self;
	pa_real.free(given);
	self->masks_signal = start.masks_signal;
	pa_thread_started(self, start.stack_bytes, start.guard_bytes);
	if (pa_unlikely(pa_load_relaxed(&pa_on->cpu)))
		begin_ticks(self, start.run);
	return start.run(start.arg);
}

static void read_stack_size(struct start *start, const pthread_attr_t *attr)
{
	start->stack_bytes = pa_record.default_stack_bytes;
	start->guard_bytes = PA_PAGE_BYTES;
	if (!attr)
		return;
	pthread_attr_getguardsize(attr, &start->guard_bytes);
	if (pthread_attr_getstacksize(attr, &start->stack_bytes) != 0)
		start->stack_bytes = 0;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	struct start *start = NULL;
	if (pa_load_acquire(&pa_on->booted) && pa_thread_self.role != PA_ROLE_AGENT)
		start = pa_real.malloc(sizeof(*start));
	if (!start)
		return PA_REAL(pthread_create)(thread, attr, run, arg);

	*start = (struct start){ .run = run, .arg = arg };
	start->masks_signal = pa_thread_self.masks_signal;
	read_stack_size(start, attr);
	int error = pa_real.pthread_create(thread, attr, run_thread, start);
	if (error)
		pa_real.free(start);
	return error;
}

pid_t fork(void)
{
	pid_t pid = PA_REAL(fork)();
	if (pid == 0)
		pa_process_forked();
	return pid;
}

/* Forks inside libc, where the hook of fork is not asked. */
int daemon(int nochdir, int noclose)
{
	int result = PA_REAL(daemon)(nochdir, noclose);
	if (result == 0)
		pa_process_forked();
	return result;
}
