/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys of thread-specific data: the agent uses one for the end of threads, until the program needs
 * it. Destructors of the program are such that the agent can hold them back (destructors.h).
 */
#include <errno.h>

#include "../agent/base/clock.h"
#include "../agent/base/lock.h"
#include "../agent/record/destructors.h"
#include "../agent/record/last_walk.h"
#include "../agent/record/lock_waits.h"
#include "../agent/record/thread_ends.h"
#include "../agent/record/alloc.h"
#include "../agent/record/process.h"
#include "../agent/arch/arch.h"
#include "../agent/record/tick.h"
#include "../agent/record/trace_events.h"
#include "real.h"

#include "../agent/base/banned.h"

/* Longest wait of the program for threads that are using the agent's key. */
#define GIVE_UP_NS (10 * PA_NS_PER_MS)

static struct {
	pthread_key_t key;            /* its destructor runs at the exit of registered threads */
	PA_ATOMIC(uint32_t) have_key; /* acq_rel, against users */
	PA_ATOMIC(uint32_t) users;    /* threads that may be setting their value */
} state;

PA_ENTRY void pa_hooks_thread_exits(void *given)
{
	PA_CALM_FLAGS();
	struct pa_thread *thread = given;
	if (!thread->exit_noted)
		return;
	thread->exit_noted = 0;
	pa_tick_thread_end(thread);
	pa_lock_waits_thread_end(thread);
	pa_trace_events_end(thread, (const void *)pthread_self());
	pa_last_walk_thread_end(thread);
	pa_thread_ends_thread_end(thread);
}

bool pa_hooks_have_key(void)
{
	return pa_load_acquire(&state.have_key);
}

void pa_hooks_key_boot(void)
{
	if (!pa_hooks_have_key())
		pa_store_release(&state.have_key,
			PA_REAL(pthread_key_create)(&state.key, pa_hooks_thread_exits) == 0);
}

void pa_hooks_note_exit(struct pa_thread *self)
{
	int saved_errno = errno;
	self->exit_noted = 1;
	uint64_t left = pa_alloc_pause(self);
	pa_add_acq_rel(&state.users, 1);
	if (pa_hooks_have_key())
		pthread_setspecific(state.key, self);
	pa_add_acq_rel(&state.users, -1u);
	pa_alloc_resume(self, left);
	errno = saved_errno;
}

void pa_hooks_register_main(void)
{
	pa_thread_ends_boot(&pa_thread_self);
	pa_hooks_note_exit(&pa_thread_self);
}

/* True: one more key is free. The program may get the same number at once: no thread may use it as
 * the agent's any more. */
static bool give_up_key(void)
{
	int64_t end_ns = pa_clock_mono_ns() + GIVE_UP_NS;
	uint32_t had = 1;
	if (!pa_cas_acq_rel(&state.have_key, &had, 0))
		return false;
	/* Ends: at end_ns. */
	while (pa_load_acquire(&state.users)) {
		if (pa_clock_mono_ns() >= end_ns) {
			pa_store_release(&state.have_key, 1);
			return false;
		}
		pa_futex_sleep(PA_NS_PER_MS / 10);
	}
	return pthread_key_delete(state.key) == 0;
}

PA_ENTRY int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	PA_CALM_FLAGS();
	pa_destructors_run *wrapped = pa_destructors_wrap(destructor);
	int error = PA_REAL(pthread_key_create)(key, wrapped);
	if (pa_unlikely(error == EAGAIN) && give_up_key())
		error = PA_REAL(pthread_key_create)(key, wrapped);
	return error;
}

PA_ENTRY int tss_create(tss_t *key, tss_dtor_t destructor)
{
	PA_CALM_FLAGS();
	int result = PA_REAL(tss_create)(key, destructor);
	if (pa_unlikely(result == thrd_error) && give_up_key())
		result = PA_REAL(tss_create)(key, destructor);
	return result;
}
