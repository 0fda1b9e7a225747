/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry of threads: the program's threads that have run agent code so far, by tid, and the
 * agent's own.
 *
 * A thread of the program registers itself at its first event. Other threads read its struct
 * pa_thread through a copy (pa_registry_copy), since its TLS is freed when it ends.
 *
 * Context: as marked. No lock. When all entries of agent threads are in use, a further one is not
 * recognized.
 */
#ifndef PA_REGISTRY_H
#define PA_REGISTRY_H

#include "thread.h"

/* Sets tid of the calling thread: 1 system call. thread: its own, which gets its stack bounds and
 * becomes visible to pa_registry_copy, or a temporary one. */
PA_SIGNAL void pa_registry_add(struct pa_thread *thread);

/*
 * Copies the struct pa_thread of the thread with that id, which may end at any moment. False: it
 * never registered, has ended, or the kernel denies the read.
 */
PA_AGENT bool pa_registry_copy(int32_t tid, struct pa_thread *copy);

/*
 * Whether the calling thread has its own thread variables, with that thread pointer: in a signal
 * handler it may be that of code which the thread emulates. One or a few system calls.
 */
PA_SIGNAL bool pa_registry_is_own(uintptr_t thread_pointer);
/* The same where there is hardly any stack: false also for a thread that is not registered, or
 * whose place another one has. 8 bytes of stack. */
PA_SIGNAL bool pa_registry_is_in_place(uintptr_t thread_pointer);
PA_BOOT void pa_registry_boot(uintptr_t thread_pointer);

/* What the state of a thread says about signals to it. */
struct pa_registry_view {
	bool is_known;       /* as pa_registry_copy: it runs code of the program */
	bool refuses_signal; /* it must not get the agent's signal */
};
PA_AGENT struct pa_registry_view pa_registry_look(int32_t tid);

/* The thread's id; registers it if needed. */
PA_INLINE int32_t pa_registry_tid(struct pa_thread *thread)
{
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	return thread->tid;
}

/* Stack of a new thread, from its attributes. */
struct pa_registry_stack_size {
	size_t bytes; /* 0: unknown */
	size_t guard_bytes;
	bool of_program; /* memory given by the program: only the part above sp is known */
};

/* In a new thread, before the program's start routine. */
PA_APP void pa_registry_started(struct pa_thread *thread,
	const struct pa_registry_stack_size *size);

/* Registers the calling thread as an agent thread; counted in is_agent. */
PA_AGENT void pa_registry_add_agent(void);
/* Before an agent thread ends: its id may be reused. */
PA_AGENT void pa_registry_remove_agent(void);
PA_SIGNAL bool pa_registry_is_agent(int32_t tid);

/* In a forked child: one thread, with another tid, and no agent threads. */
PA_BOOT void pa_registry_atfork_child(void);

#endif
