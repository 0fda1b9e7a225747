/*
 * Signals on the program's threads: writes of ours that raise none, and what a mask of ours must
 * not hold.
 *
 * Context: PA_SIGNAL. No state.
 */
#ifndef PA_QUIET_H
#define PA_QUIET_H

#include <signal.h>
#include <sys/types.h>

#include "base.h"

/*
 * write(2), but for two things. A closed pipe and a limit on the size of files are errors (EPIPE,
 * EFBIG) and no signal that the program could see or die of, whatever it does with SIGPIPE and
 * SIGXFSZ. And it is no cancellation point: pthreads(7) counts write() among them, but not the
 * functions of the program in which ours run.
 */
PA_SIGNAL ssize_t pa_quiet_write(int fd, const void *bytes, size_t count);

/*
 * All signals but those that an instruction or a system call of the thread itself raises: where
 * they are blocked, the kernel ends the process in spite of the program's handler (force_sig in
 * signal.c of the kernel). A seccomp filter with SECCOMP_RET_TRAP counts on its SIGSYS handler in
 * every thread.
 */
PA_SIGNAL void pa_quiet_fill(sigset_t *set);

#endif
