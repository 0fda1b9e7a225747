/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls by which a program gives up privileges or changes namespaces, with which the agent's
 * threads interfere.
 *
 * The kernel moves a thread into another user or time namespace only if it is the only one, and
 * into another mount namespace only if it shares its directories with no other (unshare(2),
 * setns(2)). While the program has one thread, the agent is suspended for such a call and resumed
 * after it, in the program's new place. With several threads of its own the program's call would
 * fail without the agent too. Capabilities etc. belong to a thread: the agent's threads drop theirs
 * after the program's.
 *
 * The real functions are looked up at the first call: most programs never make one.
 */
#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "../agent/arch/arch.h"
#include "../agent/record/switches.h"
#include "../agent/record/process.h"
#include "../agent/record/registry.h"
#include "../agent/record/sandbox.h"
#include "hook_privileges.h"
#include "real.h"

#include "../agent/base/banned.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define GET_NAMESPACE_TYPE _IO(0xb7, 3) /* linux/nsfs.h, NS_GET_NSTYPE */

/* unshare(2) allows each of them only in a process with one thread. */
#define ALONE_FLAGS (CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)
/* The agent's threads would stay behind, and keep directories of the old place busy. */
#define PLACE_FLAGS CLONE_NEWNS

static bool is_privilege_watched(void)
{
	return pa_load_acquire(&pa_switches->booted) && pa_thread_self.role != PA_ROLE_AGENT &&
		pa_sandbox_may(&pa_thread_self, PA_CALLS_WAKE);
}

/* Resuming creates a thread: a seccomp filter may deny that. */
static bool may_resume(void)
{
	return pa_sandbox_may(&pa_thread_self, PA_CALLS_FORK | PA_CALLS_VITAL);
}

static bool suspend_agent(bool wanted)
{
	return wanted && is_privilege_watched() && pa_process->is_alone() && may_resume() &&
		pa_process->suspend(PA_PROCESS_SUSPEND_NS, false);
}

/* The caller's flags, or if 0 the type that the kernel reports for a namespace descriptor. */
static int namespace_type(int fd, int said)
{
	int saved_errno = errno;
	int type = said ? said : ioctl(fd, GET_NAMESPACE_TYPE);
	errno = saved_errno;
	return type > 0 ? type : 0;
}

/*
 * Privileges that the program's only thread, or its first, drops are dropped by the agent's threads
 * too. The first represents the others, which have to drop theirs each; the agent's threads follow
 * once.
 */
static void follow_privileges(const struct pa_process_privilege_call *call)
{
	if (is_privilege_watched() &&
		(pa_process->is_alone() || pa_registry_tid(&pa_thread_self) == pa_record.pid))
		pa_process->follow(call);
}

/* All threads share one root: also in a program with several threads. */
static void follow_root(const struct pa_process_privilege_call *call)
{
	if (is_privilege_watched() && !pa_process->follow(call) && may_resume() &&
		pa_process->suspend(PA_PROCESS_SUSPEND_NS, false))
		pa_process->resume();
}

bool pa_hook_privileges_before(const struct pa_process_privilege_call *call)
{
	if (call->number == SYS_unshare)
		return suspend_agent(call->a & (ALONE_FLAGS | PLACE_FLAGS));
	if (call->number == SYS_setns)
		return suspend_agent(namespace_type((int)call->a, (int)call->b) &
			(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWTIME));
	return false;
}

void pa_hook_privileges_after(const struct pa_process_privilege_call *call, long result,
	bool suspended)
{
	/* Its restrictions are inherited, and the call cannot be repeated: its ruleset is a
	 * descriptor of the program (landlock_restrict_self(2)). */
	if (call->number == SYS_landlock_restrict_self && result == 0)
		suspended = suspend_agent(true);
	else if (call->number == SYS_chroot && result == 0)
		follow_root(call);
	else if (call->number != SYS_unshare && call->number != SYS_setns && result == 0)
		follow_privileges(call);
	if (suspended)
		pa_process->resume();
}

PA_ENTRY int unshare(int flags)
{
	PA_CALM_FLAGS();
	const struct pa_process_privilege_call call = { .number = SYS_unshare, .a = flags };
	bool suspended = pa_hook_privileges_before(&call);
	int result = PA_REAL_LATE(unshare)(flags);
	pa_hook_privileges_after(&call, result, suspended);
	return result;
}

PA_ENTRY int setns(int fd, int type)
{
	PA_CALM_FLAGS();
	const struct pa_process_privilege_call call = { .number = SYS_setns, .a = fd, .b = type };
	bool suspended = pa_hook_privileges_before(&call);
	int result = PA_REAL_LATE(setns)(fd, type);
	pa_hook_privileges_after(&call, result, suspended);
	return result;
}

PA_ENTRY int capset(void *header, void *data)
{
	PA_CALM_FLAGS();
	const struct pa_process_privilege_call call = {
		.number = SYS_capset, .a = (long)header, .b = (long)data
	};
	int result = PA_REAL_LATE(capset)(header, data);
	pa_hook_privileges_after(&call, result, false);
	return result;
}

PA_ENTRY int chroot(const char *path)
{
	PA_CALM_FLAGS();
	const struct pa_process_privilege_call call = { .number = SYS_chroot };
	int result = PA_REAL_LATE(chroot)(path);
	pa_hook_privileges_after(&call, result, false);
	return result;
}
