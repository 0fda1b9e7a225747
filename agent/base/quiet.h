/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals and the agent's code on the program's threads: writes that raise no signal, and a mask
 * that blocks only what may be blocked.
 *
 * Context: PA_SIGNAL. No state.
 */
#ifndef PA_QUIET_H
#define PA_QUIET_H

#include <signal.h>
#include <sys/types.h>

#include "base.h"

/*
 * write(2) with two differences. A closed pipe and the file size limit are errors (EPIPE, EFBIG)
 * without SIGPIPE or SIGXFSZ, whatever the program does with these. And it is no cancellation
 * point: pthreads(7) lists write() as one, but not the functions of the program that run this code.
 */
PA_SIGNAL ssize_t pa_quiet_write(int fd, const void *bytes, size_t count);

/*
 * Fills set with all signals but those that an instruction or a system call of the thread itself
 * raises: when such a signal is blocked, the kernel kills the process in spite of a handler
 * (force_sig_info, kernel/signal.c). A seccomp filter with SECCOMP_RET_TRAP needs its SIGSYS
 * handler in every thread (seccomp(2)).
 */
PA_SIGNAL void pa_quiet_fill(sigset_t *set);

#endif
