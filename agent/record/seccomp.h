/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of a thread into a seccomp sandbox, seen by the hooks of prctl(2) and syscall(2): finds the
 * calls of the agent that the filter denies, and stops making them before the kernel installs the
 * filter.
 *
 * Context: PA_APP, on the thread itself. No lock.
 */
#ifndef PA_SECCOMP_H
#define PA_SECCOMP_H

#include <linux/filter.h>

#include "thread.h"

/* A filter that the program is about to install. */
struct pa_seccomp_step {
	const struct sock_fprog *filter; /* NULL: strict mode */
	bool all_threads;
	uint32_t had, had_all; /* previous state, to restore */
	uint32_t denied;       /* enum pa_calls */
};

/*
 * Around the system call: look and enter before it, stay_out when it failed. look sets denied.
 * After enter the agent makes no denied call, no timer of the agent runs on the thread, and none of
 * its signals is pending for it; with a filter for all threads, on all of them. CPU sampling ends
 * for those threads. errno kept.
 */
PA_APP void pa_seccomp_inspect(struct pa_seccomp_step *step, struct pa_thread *self);
PA_APP void pa_seccomp_enter(struct pa_seccomp_step *step, struct pa_thread *self);
PA_APP void pa_seccomp_cancel(const struct pa_seccomp_step *step, struct pa_thread *self);

/* The calling thread gets these denied calls, and no signal of the agent if they forbid that: the
 * part of enter that concerns one thread. */
PA_APP void pa_seccomp_confine(struct pa_thread *self, uint32_t denied);

/* The calls (enum pa_calls) that the filter denies. An unreadable filter: all. */
PA_APP uint32_t pa_seccomp_denied(const struct sock_fprog *filter);

#endif
