/*
 * What a program gives up, or moves away from: calls that our threads are in the way of.
 *
 * The kernel lets a thread into another user or time namespace only where it is the only one, and
 * into another mount namespace where it shares its directories with no other. While the program has
 * one thread, ours step aside for such a call and come back after it, to where the program is then.
 * With more threads of its own the program would be refused without us as well. Capabilities and
 * the like belong to a thread: ours give theirs up after the program's.
 *
 * The real functions are looked up at the first call: most programs never make one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "../agent/record/on.h"
#include "../agent/record/process.h"
#include "../agent/record/sandbox.h"
#include "given.h"
#include "real.h"

#include "../agent/base/banned.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define GET_NAMESPACE_TYPE _IO(0xb7, 3) /* linux/nsfs.h, NS_GET_NSTYPE */

/* unshare(2) gives each of them to a process of one thread only. */
#define ALONE_FLAGS (CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)
/* Where our threads would stay behind, and hold directories that the program means to let go. */
#define PLACE_FLAGS CLONE_NEWNS

static void *next(const char *name)
{
	int saved_errno = errno;
	void *found = dlsym(RTLD_NEXT, name);
	errno = saved_errno;
	return found;
}

#define NEXT(name) (pa_real.name ? pa_real.name : (__typeof__(pa_real.name))next(#name))

static bool is_watched(void)
{
	return pa_load_acquire(&pa_on->booted) && pa_thread_self.role != PA_ROLE_AGENT &&
		pa_sandbox_may(&pa_thread_self, PA_CALLS_WAKE);
}

/* Who comes back is a new thread: a filter of system calls may forbid to make one. */
static bool may_come_back(void)
{
	return pa_sandbox_may(&pa_thread_self, PA_CALLS_FORK | PA_CALLS_VITAL);
}

static bool step_aside(bool wanted)
{
	return wanted && is_watched() && pa_process_is_alone() &&
		may_come_back() && pa_process_step_aside(PA_ASIDE_NS, false);
}

/* Of a descriptor of one namespace the kernel says what it is; of a process the caller does. */
static int namespace_type(int fd, int said)
{
	int saved_errno = errno;
	int type = said ? said : ioctl(fd, GET_NAMESPACE_TYPE);
	errno = saved_errno;
	return type > 0 ? type : 0;
}

/*
 * What the only thread of the program, or its first, gives up for itself is given up by ours as
 * well. The first stands for the others, which have each to do it, and ours have no turn of theirs.
 */
static void follow(const struct pa_given *call)
{
	if (is_watched() && (pa_process_is_alone() ||
			      pa_thread_tid(&pa_thread_self) == pa_record.pid))
		pa_process_follow(call);
}

/* One root for all threads: also that of a program with many. */
static void follow_root(const struct pa_given *call)
{
	if (is_watched() && !pa_process_follow(call) &&
		may_come_back() && pa_process_step_aside(PA_ASIDE_NS, false))
		pa_process_come_back();
}

bool pa_given_before(const struct pa_given *call)
{
	if (call->number == SYS_unshare)
		return step_aside(call->a & (ALONE_FLAGS | PLACE_FLAGS));
	if (call->number == SYS_setns)
		return step_aside(namespace_type((int)call->a, (int)call->b) &
			(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWTIME));
	return false;
}

void pa_given_after(const struct pa_given *call, long result, bool aside)
{
	/* What it restricts is inherited, and cannot be asked for a second time: its rules are a
	 * descriptor of the program's. */
	if (call->number == SYS_landlock_restrict_self && result == 0)
		aside = step_aside(true);
	else if (call->number == SYS_chroot && result == 0)
		follow_root(call);
	else if (call->number != SYS_unshare && call->number != SYS_setns && result == 0)
		follow(call);
	if (aside)
		pa_process_come_back();
}

PA_ENTRY int unshare(int flags)
{
	PA_CALM_FLAGS();
	const struct pa_given call = { .number = SYS_unshare, .a = flags };
	bool aside = pa_given_before(&call);
	int result = NEXT(unshare)(flags);
	pa_given_after(&call, result, aside);
	return result;
}

PA_ENTRY int setns(int fd, int type)
{
	PA_CALM_FLAGS();
	const struct pa_given call = { .number = SYS_setns, .a = fd, .b = type };
	bool aside = pa_given_before(&call);
	int result = NEXT(setns)(fd, type);
	pa_given_after(&call, result, aside);
	return result;
}

PA_ENTRY int capset(void *header, void *data)
{
	PA_CALM_FLAGS();
	const struct pa_given call = { .number = SYS_capset, .a = (long)header, .b = (long)data };
	int result = NEXT(capset)(header, data);
	pa_given_after(&call, result, false);
	return result;
}

PA_ENTRY int chroot(const char *path)
{
	PA_CALM_FLAGS();
	const struct pa_given call = { .number = SYS_chroot };
	int result = NEXT(chroot)(path);
	pa_given_after(&call, result, false);
	return result;
}
