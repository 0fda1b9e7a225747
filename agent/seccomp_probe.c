/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/env.h"
#include "base/decimal.h"
#include "base/log.h"
#include "base/small_file.h"
#include "record/switches.h"
#include "arch/arch.h"

/* ---- installed filters ---- */

struct filters {
	int mode, count; /* as in proc(5): mode 2 = filters; count is unknown before Linux 5.9 */
	int parent;      /* 0: outside of this pid namespace */
};

static int number_behind(const char *text, const char *name, int otherwise)
{
	const char *at = strstr(text, name);
	if (!at)
		return otherwise;
	for (at += strlen(name); *at == ' ' || *at == '\t';)
		at++;
	int number = 0;
	/* Not atoi, whose code and tables are pages that no other part of the start reads. */
	for (; *at >= '0' && *at <= '9'; at++)
		number = number * 10 + (*at - '0');
	return number;
}

static bool read_filters(const char *path, struct filters *filters)
{
	char text[4096];
	if (pa_small_file_text(open(path, O_RDONLY | O_CLOEXEC), text, sizeof(text)) <= 0)
		return false;
	filters->mode = number_behind(text, "\nSeccomp:", -1);
	filters->count = number_behind(text, "\nSeccomp_filters:", 1);
	filters->parent = number_behind(text, "\nPPid:", -1);
	return filters->mode >= 0;
}

static bool read_parent(int pid, struct filters *filters)
{
	char path[40] = "/proc/", *end = path + sizeof(path) - sizeof("/status");
	memcpy(end, "/status", sizeof("/status"));
	char *digit = pa_decimal_before(end, (uint64_t)pid);
	memmove(path + strlen("/proc/"), digit, strlen(digit) + 1);
	return read_filters(path, filters);
}

enum pa_seccomp_probe_state pa_seccomp_probe_read(void)
{
	struct filters own, parent;
	if (!read_filters("/proc/self/status", &own))
		return PA_SECCOMP_PROBE_UNSEEN;
	if (own.mode == 0)
		return PA_SECCOMP_PROBE_FREE;
	if (own.parent == 0)
		return PA_SECCOMP_PROBE_PROVEN;
	if (own.parent < 0 || !read_parent(own.parent, &parent))
		return PA_SECCOMP_PROBE_UNKNOWN;
	return parent.mode && parent.count >= own.count ? PA_SECCOMP_PROBE_PROVEN :
							  PA_SECCOMP_PROBE_UNKNOWN;
}

/* ---- denied calls ---- */

static const struct {
	int number;
	bool is_needed; /* a denial is as bad as the end of the process */
	uint32_t what_for;
	uint64_t arguments[6];
} calls[] = {
#define X(name, what_for, may_be_refused, ...) \
	{ SYS_##name, !(may_be_refused), (what_for), { __VA_ARGS__ } },
	PA_CALLS(X)
#undef X
};

/* Written by a child, read by this process. */
struct progress {
	uint32_t at;     /* index of the current call, and of those below */
	uint32_t denied; /* enum pa_calls */
	bool reapable;   /* wait4 returned */
};
enum { AT_WAIT = PA_COUNT(calls), AT_RETURN, AT_EXIT, AT_END };

static bool is_refused(long result)
{
	return result == -EPERM || result == -ENOSYS || result == -EACCES;
}

static PA_SIGNAL void ignore_signal(int signal)
{
	(void)signal;
}

/* A handler runs without a system call; its return needs one. */
static void return_from_handler(void)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	uint64_t mask = (uint64_t)1 << (SIGTRAP - 1);
	sigaction(SIGTRAP, &action, NULL);
	pa_arch_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&mask, 0, sizeof(mask));
	PA_ARCH_TRAP();
}

static void make_call(volatile struct progress *progress, uint32_t i)
{
	const uint64_t *a = calls[i].arguments;
	/* Denied already for one of its purposes; the exit comes last. */
	if (!(calls[i].what_for & ~progress->denied) || calls[i].number == SYS_exit)
		return;
	long result = pa_arch_syscall6(calls[i].number, (long)a[0], (long)a[1], (long)a[2],
		(long)a[3], (long)a[4], (long)a[5]);
	if (calls[i].is_needed && is_refused(result))
		progress->denied |= calls[i].what_for;
}

/* In the child, which ends here or earlier. It writes no core dump. */
static void run_child(volatile struct progress *progress)
{
	uint32_t first = progress->at;
	pa_arch_syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0);
	if (!progress->reapable) {
		progress->at = AT_WAIT;
		pa_arch_syscall(SYS_wait4, -1, 0, WNOHANG | __WCLONE, 0);
		progress->reapable = true;
	}
	for (uint32_t i = first; i < PA_COUNT(calls); i++) {
		progress->at = i;
		make_call(progress, i);
	}
	if (first <= AT_RETURN) {
		progress->at = AT_RETURN;
		return_from_handler();
	}
	progress->at = AT_EXIT;
	pa_arch_syscall(SYS_exit, 0, 0, 0, 0);
}

/* As libc: fork by clone, a thread by clone3 or, where unsupported, by clone. */
PA_INLINE long make_child(bool by_thread)
{
	const uint64_t arguments[8] = { CLONE_VFORK }; /* the kernel's struct clone_args */
	long pid = by_thread ?
		pa_arch_syscall(SYS_clone3, (long)arguments, sizeof(arguments), 0, 0) :
		-ENOSYS;
	return pid == -ENOSYS ? pa_arch_syscall6(SYS_clone, CLONE_VFORK, 0, 0, 0, 0, 0) : pid;
}

/* False: no child could be created. CLONE_VFORK: the child has ended when this returns. */
static bool try_rest(struct progress *progress, bool by_thread)
{
	uint32_t first = progress->at;
	int status = 0;
	long pid = make_child(by_thread);
	if (pid == 0)
		run_child(progress);
	if (pid < 0)
		return false;
	if (progress->reapable)
		pa_arch_syscall(SYS_wait4, pid, (long)&status, __WCLONE, 0);
	if (status == 0 && progress->reapable)
		progress->at = AT_END;
	else if (progress->at == AT_WAIT || progress->at == AT_EXIT || progress->at < first)
		progress->denied = PA_CALLS_ALL;
	else if (progress->at == AT_RETURN)
		progress->denied |= PA_CALLS_RETURN;
	else
		progress->denied |= calls[progress->at].what_for;
	if (progress->at != AT_END)
		progress->at++;
	return true;
}

uint32_t pa_seccomp_probe_denied(bool by_thread)
{
	uint32_t denied = PA_CALLS_ALL;
	struct progress *progress = mmap(NULL, PA_PAGE_BYTES, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (progress == MAP_FAILED)
		return denied;
	/* Ends: each iteration passes at least one call, and the last call ends it. */
	while (progress->at < AT_EXIT && !(progress->denied & PA_CALLS_VITAL) &&
		try_rest(progress, by_thread))
		;
	if (progress->at == AT_END)
		denied = progress->denied;
	munmap(progress, PA_PAGE_BYTES);
	return denied & PA_CALLS_VITAL ? PA_CALLS_ALL : denied;
}

/* ---- boot ---- */

/* Reads settings from the environment itself: they are parsed later, or never. */
static void explain_probe(const char *why)
{
	const char *log = pa_env_value(environ, "PPROFAGENT_LOG");
	if (log && strcmp(log, "info") == 0)
		pa_log("not profiling: %s", why);
}

static bool find_out(bool by_thread)
{
	uint32_t denied = pa_seccomp_probe_denied(by_thread);
	pa_store_relaxed(&pa_sandbox_all, denied);
	if (denied & PA_CALLS_VITAL) {
		pa_store_relaxed(&pa_switches->inert, 1);
		explain_probe("filters of system calls (seccomp) forbid what the agent needs");
	}
	return !(denied & PA_CALLS_VITAL);
}

bool pa_seccomp_probe_boot(void)
{
	switch (pa_seccomp_probe_read()) {
	case PA_SECCOMP_PROBE_FREE: return true;
	case PA_SECCOMP_PROBE_PROVEN: return find_out(false);
	case PA_SECCOMP_PROBE_UNSEEN:
		pa_store_relaxed(&pa_sandbox_unproven, 1);
		explain_probe(
			"/proc/self/status cannot be read: a filter of system calls (seccomp) "
			"may be in force, until the program makes a thread or a process");
		return false;
	default:
		pa_store_relaxed(&pa_sandbox_unproven, 1);
		explain_probe("a filter of system calls (seccomp) is in force, which may end the "
			      "process, until the program makes a thread or a process");
		return false;
	}
}

bool pa_seccomp_probe_again(bool by_thread)
{
	uint32_t unproven = 1;
	return pa_cas_acq_rel(&pa_sandbox_unproven, &unproven, 0) && find_out(by_thread);
}
