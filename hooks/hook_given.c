/*
 * What a program gives up, or moves away from: calls that our threads are in the way of.
 *
 * The kernel lets a thread into another user or time namespace only where it is the only one, and
 * into another mount namespace where it shares its directories with no other. While the program has
 * one thread, ours step aside for such a call and come back after it, to where the program is then.
 * With more threads of its own the program would be refused without us as well.
 *
 * The real functions are looked up at the first call: most programs never make one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../agent/record/on.h"
#include "../agent/record/process.h"
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
	return pa_load_acquire(&pa_on->booted) && pa_thread_self.role != PA_ROLE_AGENT;
}

static bool step_aside(bool wanted)
{
	return wanted && is_watched() && pa_process_is_alone() && pa_process_step_aside();
}

PA_ENTRY int unshare(int flags)
{
	PA_CALM_FLAGS();
	bool aside = step_aside(flags & (ALONE_FLAGS | PLACE_FLAGS));
	int result = NEXT(unshare)(flags);
	if (aside)
		pa_process_come_back();
	return result;
}

/* Of a descriptor of one namespace the kernel says what it is; of a process the caller does. */
static int namespace_type(int fd, int said)
{
	int saved_errno = errno;
	int type = said ? said : ioctl(fd, GET_NAMESPACE_TYPE);
	errno = saved_errno;
	return type > 0 ? type : 0;
}

PA_ENTRY int setns(int fd, int type)
{
	PA_CALM_FLAGS();
	int kinds = namespace_type(fd, type);
	bool aside = step_aside(kinds & (CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWTIME));
	int result = NEXT(setns)(fd, type);
	if (aside)
		pa_process_come_back();
	return result;
}

/*
 * What the only thread of the program, or its first, gives up for itself is given up by ours as
 * well. The first stands for the others, which have each to do it, and ours have no turn of theirs.
 */
static bool is_followed(void)
{
	return is_watched() && (pa_process_is_alone() || pa_thread_tid(&pa_thread_self) == getpid());
}

static void follow(const struct pa_given *call)
{
	if (is_followed())
		pa_process_follow(call);
}

PA_ENTRY int capset(void *header, void *data)
{
	PA_CALM_FLAGS();
	int result = NEXT(capset)(header, data);
	const struct pa_given call = { SYS_capset, (long)header, (long)data, 0, 0, 0 };
	if (result == 0)
		follow(&call);
	return result;
}

/* One root for all threads: also that of a program with many. */
PA_ENTRY int chroot(const char *path)
{
	PA_CALM_FLAGS();
	int result = NEXT(chroot)(path);
	const struct pa_given call = { SYS_chroot, 0, 0, 0, 0, 0 };
	if (result == 0 && is_watched() && !pa_process_follow(&call) && pa_process_step_aside())
		pa_process_come_back();
	return result;
}
