/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes seccomp filters that are in force at the start: installed by a launcher or a container.
 *
 * The effect of a filter on a call is only known by making the call, which may kill the process. So
 * a child with its own memory makes all calls of record/calls.h first; the program does not see it
 * (no SIGCHLD, not in its wait()). Creating the child takes a call that may be denied, too: first
 * there must be evidence that processes can be created under these filters.
 *
 * Context: PA_BOOT, or PA_APP where boot was deferred. No lock.
 */
#ifndef PA_SECCOMP_PROBE_H
#define PA_SECCOMP_PROBE_H

#include "record/sandbox.h"

enum pa_seccomp_probe_state {
	PA_SECCOMP_PROBE_FREE,    /* no filter is in force */
	PA_SECCOMP_PROBE_PROVEN,  /* processes can be created: the parent has these filters, or
				   * this is the first process of a container */
	PA_SECCOMP_PROBE_UNKNOWN, /* the filters were installed just before this program */
	PA_SECCOMP_PROBE_UNSEEN   /* there may be filters: /proc/self/status cannot be read */
};

/*
 * Reads /proc/self/status, with system calls that the loader has already made. Unreadable: unseen.
 * 10 us, plus the parent's status when a filter is in force.
 */
PA_BOOT enum pa_seccomp_probe_state pa_seccomp_probe_read(void);

/*
 * The denied calls (enum pa_calls). 0.1 ms, and again for each call that kills a child. by_thread:
 * the evidence is for the creation of threads, by clone3 where available.
 */
PA_BOOT uint32_t pa_seccomp_probe_denied(bool by_thread);

/*
 * True: boot proceeds, with the denied calls in pa_sandbox_all. False: not before there is
 * evidence, or never. again: there is evidence now.
 */
PA_BOOT bool pa_seccomp_probe_boot(void);
PA_APP bool pa_seccomp_probe_again(bool by_thread);

#endif
