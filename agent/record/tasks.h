/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of the process, as the kernel lists them: from pthread_create, from raw clone(2), and
 * the agent's own.
 *
 * Context: PA_AGENT; opens a file. Used by both shared objects. No lock. Whether /proc is that of
 * another pid namespace is looked at once in 10 ms by each thread.
 */
#ifndef PA_TASKS_H
#define PA_TASKS_H

#include "../base/base.h"

/* Calls visit with each thread's id. 0 or -errno. Threads that start or end meanwhile may be
 * missed. */
PA_API int pa_tasks_each(void (*visit)(void *arg, int32_t tid), void *arg);

/* The id by which /proc shows a thread of this process: differs when /proc is that of an outer pid
 * namespace. */
PA_APP int32_t pa_tasks_shown(int32_t tid);

/* The same for the calling thread's open descriptors, except the one used here. */
PA_AGENT int pa_tasks_each_file(void (*visit)(void *arg, int32_t fd), void *arg);

/*
 * Number of seccomp filters of a thread. A thread with more filters than the caller has entered a
 * sandbox of its own: a signal may kill it, since a filter may deny rt_sigreturn. INT32_MAX in
 * strict mode or when unknown; before Linux 5.11 only whether there is a filter is known (1).
 * PA_TASKS_ENDED: there is no such thread.
 */
#define PA_TASKS_ENDED (-1)
PA_AGENT int32_t pa_tasks_filters(int32_t tid);

/* What a profile needs to know of the calling thread. */
struct pa_tasks_own {
	/* Signals that this user may still queue (RLIMIT_SIGPENDING); a timer takes one. INT32_MAX
	 * when unknown. */
	int32_t signal_room;
	int32_t filters; /* as pa_tasks_filters */
};
PA_AGENT struct pa_tasks_own pa_tasks_own(void);

/* Reads the beginning of /proc/self/task/TID/FILE as text, with a NUL. False: unreadable. file: a
 * name in /proc, of less than 30 characters. */
PA_APP bool pa_tasks_read(int32_t tid, const char *file, char *text, size_t size);

/*
 * True for a worker thread of the kernel in this process (io_uring since 5.12, vhost since 6.4): it
 * never runs code of the program, and handles no signal but SIGKILL. The registers that /proc shows
 * for it are those of its creator.
 */
PA_AGENT bool pa_tasks_is_of_kernel(int32_t tid);

/* True for a thread that runs, or only waits for a processor. */
PA_AGENT bool pa_tasks_is_runnable(int32_t tid);

/* True when that descriptor of the thread, which may have another table than the caller, is a
 * socket. */
PA_AGENT bool pa_tasks_is_socket(int32_t tid, int fd);

/* Of a forked child. */
PA_BOOT void pa_tasks_atfork_child(void);

#endif
