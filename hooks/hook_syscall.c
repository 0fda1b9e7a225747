/*
 * prctl and syscall: the doors by which a program changes what it may do, or copies itself. Of what
 * passes here only a few calls are looked at; all others are jumped on with registers and stack as
 * they came.
 *
 * To look at one more: name it in is_watched or is_watched_option, and say in watch() what is to be
 * done before and after it.
 */
#include <errno.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../agent/record/on.h"
#include "../agent/record/process.h"
#include "../agent/record/regs.h"
#include "../agent/record/sandbox.h"
#include "given.h"
#include "real.h"

#include "../agent/base/banned.h"

/* A system call of up to five arguments, by the function that the program chose. */
struct call {
	long number, a, b, c, d, e;
	bool by_prctl;
	uintptr_t stack; /* set in a child that goes on there, as if the call came back on it */
};

static long make(const struct call *call)
{
	if (call->by_prctl)
		return PA_REAL(prctl)(call->a, call->b, call->c, call->d, call->e);
	return PA_REAL(syscall)(call->number, call->a, call->b, call->c, call->d, call->e, 0);
}

/* ---- seccomp ---- */

/* True when the call puts a filter on; not when it asks what the kernel can do. */
static bool enters_sandbox(const struct call *call, struct pa_sandbox_step *step)
{
	bool by_prctl = call->number == SYS_prctl;
	bool strict = by_prctl ? call->b == SECCOMP_MODE_STRICT
		: call->a == SECCOMP_SET_MODE_STRICT;
	bool filters = by_prctl ? call->b == SECCOMP_MODE_FILTER
		: call->a == SECCOMP_SET_MODE_FILTER;
	const struct sock_fprog *filter = (const struct sock_fprog *)call->c;
	*step = (struct pa_sandbox_step){
		.filter = strict ? NULL : filter,
		.all_threads = !by_prctl && call->b & SECCOMP_FILTER_FLAG_TSYNC,
	};
	return strict || (filters && filter);
}

/*
 * What the step denies to our own threads. A filter for all threads is put on ours as well: they
 * end, and are made anew under the filter if it lets them work. In strict mode the program's only
 * thread ends by exit(2), and with it, when none of ours is there, the process.
 */
static uint32_t denied_to_ours(const struct pa_sandbox_step *step)
{
	const uint32_t of_others = PA_CALLS_LOOK | PA_CALLS_FORK;
	if (!step->filter)
		return pa_process_is_alone() ? PA_CALLS_ALL : 0;
	return step->all_threads ? step->denied & ~of_others : 0;
}

/* Those of ours that stay away, since a filter on the calling thread forbids to make them, too. */
static void go_on(uint32_t denied, bool entered)
{
	if ((entered && denied & PA_CALLS_VITAL) ||
	    !pa_sandbox_may(&pa_thread_self, PA_CALLS_VITAL))
		pa_process_stay_away();
	else
		pa_process_come_back();
}

static long seccomp(const struct call *call)
{
	struct pa_thread *self = &pa_thread_self;
	struct pa_sandbox_step step;
	if (!enters_sandbox(call, &step))
		return make(call);
	pa_sandbox_look(&step, self);
	uint32_t denied = denied_to_ours(&step);
	bool aside = denied && pa_process_step_aside(PA_ASIDE_FILTER_NS,
		denied & PA_CALLS_VITAL);
	pa_sandbox_enter(&step, self);
	long result = make(call);
	/* Above 0: the thread that TSYNC failed at. */
	bool entered = result == 0 || (result > 0 && !step.all_threads);
	if (!entered)
		pa_sandbox_stay_out(&step, self);
	if (aside)
		go_on(denied, entered);
	return result;
}

/* ---- copies of the process ---- */

PA_DEFINE_HOP();

/*
 * True when the call makes a child that has a copy of this memory. One that has the memory itself
 * must not come back from here before its parent.
 */
static PA_NOINLINE bool copies(long number, long a, long b)
{
	if (number == SYS_clone)
		return !(a & CLONE_VM);
	if (number != SYS_clone3)
		return number == SYS_fork;
	const struct clone_args *args = (const struct clone_args *)a;
	const size_t least = 64; /* CLONE_ARGS_SIZE_VER0 */
	return (size_t)b >= least && (size_t)b <= sizeof(*args) &&
		pa_regs_readable((uintptr_t)&args->flags) &&
		pa_regs_readable((uintptr_t)args + (size_t)b - 1) && !(args->flags & CLONE_VM);
}

/* The child comes back on its copy of this stack: the one that it was given is set aside. */
static uintptr_t take_stack(struct call *call, struct clone_args *args)
{
	uintptr_t stack = 0;
	if (call->number == SYS_clone) {
		stack = (uintptr_t)call->b;
		call->b = 0;
	} else if (call->number == SYS_clone3) {
		memcpy(args, (const void *)call->a, (size_t)call->b);
		call->a = (long)args;
		stack = args->stack ? args->stack + args->stack_size : 0;
		args->stack = args->stack_size = 0;
	}
	return stack;
}

static long copy(struct call *call)
{
	struct clone_args args;
	struct pa_hold hold;
	uintptr_t stack = take_stack(call, &args);
	pa_process_hold(&hold, !pa_hooks_would_wait_for_itself());
	long pid = make(call);
	if (pid == 0) {
		pa_process_copied(&hold);
		call->stack = stack;
	} else {
		pa_process_release(&hold);
	}
	return pid;
}

PA_INLINE bool is_clone(long number)
{
	return number == SYS_clone || number == SYS_fork || number == SYS_clone3;
}

/* ---- all ---- */

static bool is_ours_to_watch(void)
{
	return pa_load_acquire(&pa_on->booted) && pa_thread_self.role != PA_ROLE_AGENT;
}

static long watch(struct call *call)
{
	if (!is_ours_to_watch())
		return make(call);
	if (is_clone(call->number))
		return copy(call);
	bool by_prctl = call->number == SYS_prctl;
	if (call->number == SYS_seccomp || (by_prctl && call->a == PR_SET_SECCOMP))
		return seccomp(call);
	const struct pa_given given = {
		call->number, call->a, call->b, call->c, call->d, call->e
	};
	bool aside = pa_given_before(&given);
	long result = make(call);
	pa_given_after(&given, result, aside);
	return result;
}

PA_INLINE bool is_watched_option(long option)
{
	return option == PR_SET_SECCOMP || pa_given_is_watched_option(option);
}

static PA_SLOW long prctl_slow(long option, long a, long b, long c, long d)
{
	PA_CALM_FLAGS();
	struct call call = { SYS_prctl, option, a, b, c, d, .by_prctl = true };
	return watch(&call);
}

int pa_variadic_prctl(long option, long a, long b, long c, long d)
{
	if (pa_unlikely(is_watched_option((int)option)))
		return (int)prctl_slow(option, a, b, c, d);
	return PA_REAL(prctl)(option, a, b, c, d);
}

PA_INLINE bool is_watched(long number, long first)
{
	return number == SYS_seccomp || pa_given_is_watched(number) ||
		(number == SYS_prctl && is_watched_option((int)first));
}

static PA_SLOW long syscall_slow(long number, long a, long b, long c, long d, long e)
{
	PA_CALM_FLAGS();
	struct call call = { number, a, b, c, d, e, .by_prctl = false };
	long result = watch(&call);
	if (call.stack)
		PA_RETURN_ON_STACK(call.stack);
	return result;
}

/* The seventh parameter lies on the stack and stays there: the jump leaves it where libc's function
 * looks for it. */
long pa_variadic_syscall(long number, long a, long b, long c, long d, long e)
{
	if (pa_unlikely(is_watched(number, a)))
		return syscall_slow(number, a, b, c, d, e);
	if (pa_unlikely(is_clone(number)) && copies(number, a, b) && is_ours_to_watch())
		return syscall_slow(number, a, b, c, d, e);
	long (*jump)(long, long, long, long, long, long) = (void *)PA_REAL(syscall);
	return jump(number, a, b, c, d, e);
}
