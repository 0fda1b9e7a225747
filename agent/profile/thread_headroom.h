/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number of threads that this process may still create. The agent starts threads only if enough are
 * left for the program.
 *
 * Limits: RLIMIT_NPROC against the threads of the user (fork(2), EAGAIN), pids.max of the control
 * groups (cgroups(7)), threads-max and pid_max of the kernel. Processes of the user that are not in
 * /proc (another pid namespace, hidepid) are not counted.
 *
 * Context: PA_AGENT, any of our threads. No lock. Reads files, those of all processes if
 * RLIMIT_NPROC is near the machine's number of threads.
 */
#ifndef PA_THREAD_HEADROOM_H
#define PA_THREAD_HEADROOM_H

#include "../base/base.h"

struct pa_thread_headroom {
	uint64_t threads;  /* that may still be created; UINT64_MAX: no limit is known */
	const char *limit; /* name of the tightest limit; NULL: none */
};

PA_AGENT struct pa_thread_headroom pa_thread_headroom(void);

/* Threads that the agent may create, at most wanted: a quarter of the room, 0 if fewer than
 * PA_THREAD_HEADROOM_MIN are left. */
#define PA_THREAD_HEADROOM_MIN 16
PA_AGENT unsigned pa_thread_headroom_share(const struct pa_thread_headroom *room, unsigned wanted);

#endif
