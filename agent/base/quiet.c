/* SPDX-License-Identifier: Apache-2.0 */
#include "quiet.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BIT(signal) ((uint64_t)1 << ((signal)-1))

/* Used by libc itself: nptl(7). */
#define SIGCANCEL 32
#define SIGSETXID 33

/* Raw system calls, since the libc functions may be hooked; masks are the kernel's. */
static uint64_t pending_signals(void)
{
	uint64_t set = 0;
	syscall(SYS_rt_sigpending, &set, sizeof(set));
	return set;
}

static void take_back(uint64_t signals)
{
	const struct timespec now = { 0 };
	syscall(SYS_rt_sigtimedwait, &signals, NULL, &now, sizeof(signals));
}

PA_SIGNAL ssize_t pa_quiet_write(int fd, const void *bytes, size_t count)
{
	uint64_t raised = BIT(SIGPIPE) | BIT(SIGXFSZ), mask = 0;
	if (syscall(SYS_rt_sigprocmask, SIG_BLOCK, &raised, &mask, sizeof(mask)) != 0)
		return -1;
	uint64_t before = pending_signals();
	ssize_t written = syscall(SYS_write, fd, bytes, count);
	int error = errno;
	if (written < 0 && error == EPIPE)
		raised = BIT(SIGPIPE) & ~before;
	else if (written < 0 && error == EFBIG)
		raised = BIT(SIGXFSZ) & ~before;
	else
		raised = 0;
	if (raised)
		take_back(raised);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	errno = error;
	return written;
}

PA_SIGNAL void pa_quiet_fill(sigset_t *set)
{
	const uint64_t mask = ~(BIT(SIGSYS) | BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) |
		BIT(SIGILL) | BIT(SIGTRAP) | BIT(SIGCANCEL) | BIT(SIGSETXID));
	memset(set, -1, sizeof(*set));
	memcpy(set, &mask, sizeof(mask));
}
