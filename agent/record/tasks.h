/*
 * The threads of the process, as the kernel lists them: those of pthread_create, of raw clone, and
 * our own.
 *
 * Context: PA_AGENT; opens a file. Used on both sides of the wall, without state.
 */
#ifndef PA_TASKS_H
#define PA_TASKS_H

#include "../base/base.h"

/* Calls visit for each thread's id. 0 or -errno. Who comes or goes meanwhile may be missed. */
PA_AGENT int pa_tasks_each(void (*visit)(void *arg, int32_t tid), void *arg);

#endif
