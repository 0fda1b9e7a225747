/*
 * The threads of the process, as the kernel lists them: those of pthread_create, of raw clone, and
 * our own.
 *
 * Context: PA_AGENT; opens a file. Used on both sides of the wall.
 */
#ifndef PA_TASKS_H
#define PA_TASKS_H

#include "../base/base.h"

/* Calls visit for each thread's id. 0 or -errno. Who comes or goes meanwhile may be missed. */
PA_AGENT int pa_tasks_each(void (*visit)(void *arg, int32_t tid), void *arg);

/* The number by which /proc shows a thread of ours: another one where it is that of an outer pid
 * namespace. 1 system call more where it is not. */
PA_AGENT int32_t pa_tasks_shown(int32_t tid);

/* The same for the calling thread's open descriptors, but for the one that this needs. */
PA_AGENT int pa_tasks_each_file(void (*visit)(void *arg, int32_t fd), void *arg);

/*
 * How many seccomp filters a thread has; 0: itself. Who has more than we have went into a sandbox
 * of its own: a signal may end it, since not every filter allows to return from a handler. A thread
 * in strict mode, or of which nothing is known, has INT32_MAX; before Linux 5.11 only whether there
 * is a filter is known (1).
 */
PA_AGENT int32_t pa_tasks_filters(int32_t tid);

/* The beginning of /proc/self/task/TID/FILE as text, with a NUL. False: it cannot be read. file: a
 * name of the kernel's, of less than 30 characters. */
PA_AGENT bool pa_tasks_read(int32_t tid, const char *file, char *text, size_t size);

/*
 * A worker that the kernel keeps in the process (io_uring since 5.12, vhost since 6.4): it never
 * runs code of the program, and takes no signal but SIGKILL. What /proc says of its registers is
 * left over from the thread that made it.
 */
PA_AGENT bool pa_tasks_is_of_kernel(int32_t tid);

/* Signals that this user may still queue, a timer takes one; INT32_MAX when it is not known. */
PA_AGENT int32_t pa_tasks_signal_room(void);

/* Is that descriptor of the thread's (its table may be another than ours) a socket? */
PA_AGENT bool pa_tasks_is_socket(int32_t tid, int fd);

#endif
