/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prctl and syscall: the functions by which a program changes its privileges or copies itself. Only
 * a few calls are examined; all others jump on with registers and stack unchanged.
 *
 * To watch another call: add it to is_number_watched or is_watched_option, and add the actions
 * before and after it to watch_syscall(). hook_futex.c has the waits on futexes.
 */
#include <errno.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../agent/base/clock.h"
#include "../agent/record/switches.h"
#include "../agent/record/process.h"
#include "../agent/arch/arch.h"
#include "../agent/record/dispatch.h"
#include "../agent/record/sandbox.h"
#include "../agent/record/seccomp.h"
#include "futex.h"
#include "hook_privileges.h"
#include "signal_mask.h"
#include "real.h"

#include "../agent/base/banned.h"

/* A system call, through the function that the program called. */
struct call {
	long number, a, b, c, d, e, f;
	bool by_prctl;
	uintptr_t stack; /* set in a child that continues on that stack, as if the call returned
			  * there */
};

static long make_syscall(const struct call *call)
{
	if (call->by_prctl)
		return PA_REAL(prctl)(call->a, call->b, call->c, call->d, call->e);
	return PA_REAL(syscall)(call->number, call->a, call->b, call->c, call->d, call->e, call->f);
}

/* ---- seccomp ---- */

/* True when the call installs a filter; false when it queries the kernel. */
static bool enters_sandbox(const struct call *call, struct pa_seccomp_step *step)
{
	bool by_prctl = call->number == SYS_prctl;
	bool strict =
		by_prctl ? call->b == SECCOMP_MODE_STRICT : call->a == SECCOMP_SET_MODE_STRICT;
	bool filters =
		by_prctl ? call->b == SECCOMP_MODE_FILTER : call->a == SECCOMP_SET_MODE_FILTER;
	const struct sock_fprog *filter = (const struct sock_fprog *)call->c;
	*step = (struct pa_seccomp_step){
		.filter = strict ? NULL : filter,
		.all_threads = !by_prctl && call->b & SECCOMP_FILTER_FLAG_TSYNC,
	};
	return strict || (filters && filter);
}

/*
 * The calls that the step denies to the agent's threads. A filter for all threads includes these:
 * they end, and are created anew under the filter if it lets them work. In strict mode the
 * program's only thread ends by exit(2), and with it, without agent threads, the process.
 */
static uint32_t denied_to_agent(const struct pa_seccomp_step *step)
{
	const uint32_t of_others = PA_CALLS_INSPECT | PA_CALLS_FORK | PA_CALLS_UNLOCK;
	if (!step->filter)
		return pa_process->is_alone() ? PA_CALLS_ALL : 0;
	return step->all_threads ? step->denied & ~of_others : 0;
}

/* Agent threads are not resumed when a filter on the calling thread denies their creation. */
static void continue_after_filter(uint32_t denied, bool entered)
{
	if ((entered && denied & PA_CALLS_VITAL) ||
		!pa_sandbox_may(&pa_thread_self, PA_CALLS_VITAL))
		pa_process->stay_suspended();
	else
		pa_process->resume();
}

static long enter_seccomp(const struct call *call)
{
	struct pa_thread *self = &pa_thread_self;
	struct pa_seccomp_step step;
	if (!enters_sandbox(call, &step))
		return make_syscall(call);
	pa_seccomp_inspect(&step, self);
	uint32_t denied = denied_to_agent(&step);
	bool suspended = denied &&
		pa_process->suspend(PA_PROCESS_SUSPEND_FILTER_NS, denied & PA_CALLS_VITAL);
	pa_seccomp_enter(&step, self);
	long result = make_syscall(call);
	/* Above 0: the id of the thread at which TSYNC failed (seccomp(2)). */
	bool entered = result == 0 || (result > 0 && !step.all_threads);
	if (!entered)
		pa_seccomp_cancel(&step, self);
	if (suspended)
		continue_after_filter(denied, entered);
	return result;
}

/* ---- syscall user dispatch ---- */

#ifndef PR_SET_SYSCALL_USER_DISPATCH /* Linux 5.11 */
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_OFF 0
#endif

static long set_dispatch(const struct call *call)
{
	struct pa_thread *self = &pa_thread_self;
	bool off = call->b == PR_SYS_DISPATCH_OFF;
	bool was_on = self->dispatched;
	if (!off)
		pa_dispatch_begin(self);
	long result = make_syscall(call);
	if (off ? result == 0 : result != 0 && !was_on)
		pa_dispatch_end(self);
	return result;
}

/* ---- copies of the process ---- */

PA_DEFINE_HOP();

/*
 * True when the call creates a child with a copy of this memory. A child that shares the memory
 * must not return from here before its parent.
 */
static PA_NOINLINE bool copies_process(long number, long a, long b)
{
	if (number == SYS_clone)
		return !(a & CLONE_VM);
	if (number != SYS_clone3)
		return number == PA_SYS_FORK;
	const struct clone_args *args = (const struct clone_args *)a;
	const size_t least = 64; /* CLONE_ARGS_SIZE_VER0 */
	return (size_t)b >= least && (size_t)b <= sizeof(*args) &&
		pa_arch_readable((uintptr_t)&args->flags) &&
		pa_arch_readable((uintptr_t)args + (size_t)b - 1) && !(args->flags & CLONE_VM);
}

/* The child returns on its copy of this stack: the stack that it was given is stored. */
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

static long copy_process(struct call *call)
{
	struct clone_args args;
	struct pa_process_hold hold;
	uintptr_t stack = take_stack(call, &args);
	pa_process->hold(&hold, !pa_hooks_would_wait_for_itself());
	long pid = make_syscall(call);
	if (pid == 0) {
		pa_process->copied(&hold);
		call->stack = stack;
	} else {
		pa_process->release(&hold);
	}
	return pid;
}

PA_INLINE bool is_clone(long number)
{
	return number == SYS_clone || number == PA_SYS_FORK || number == SYS_clone3;
}

/* ---- signals ---- */

/* Not all such calls concern the agent's signal: see pa_send_is_watched. */
PA_INLINE bool may_send(long number)
{
	return number == SYS_kill || number == SYS_tkill || number == SYS_tgkill ||
		number == SYS_rt_sigqueueinfo || number == SYS_rt_tgsigqueueinfo;
}

static long send_signal(const struct call *call)
{
	bool to_thread = call->number == SYS_rt_tgsigqueueinfo;
	struct pa_send send = pa_send_begin(to_thread ? (int)call->b : 0);
	long result = make_syscall(call);
	pa_send_end(send);
	return result;
}

/* ---- the time stamp counter ---- */

static bool may_read_clock(void)
{
	return pa_sandbox_may(&pa_thread_self, PA_CALLS_TIMER);
}

/* From the call on, reading the counter raises SIGSEGV on this thread, also in the vDSO. */
static long set_time_stamps(const struct call *call)
{
	if (call->b == PR_TSC_SIGSEGV)
		pa_clock_use_calls(may_read_clock);
	return make_syscall(call);
}

/* ---- all ---- */

static bool is_ours_to_watch(void)
{
	return pa_load_acquire(&pa_switches->booted) && pa_thread_self.role != PA_ROLE_AGENT;
}

static long watch_syscall(struct call *call)
{
	if (call->number == SYS_prctl && call->a == PR_SET_TSC)
		return set_time_stamps(call);
	if (!is_ours_to_watch())
		return make_syscall(call);
	if (is_clone(call->number))
		return copy_process(call);
	bool by_prctl = call->number == SYS_prctl;
	if (call->number == SYS_seccomp || (by_prctl && call->a == PR_SET_SECCOMP))
		return enter_seccomp(call);
	if (by_prctl && call->a == PR_SET_SYSCALL_USER_DISPATCH)
		return set_dispatch(call);
	if (pa_send_is_watched(call->number, call->a, call->b, call->c))
		return send_signal(call);
	const struct pa_process_privilege_call given = { call->number, call->a, call->b, call->c,
		call->d, call->e };
	bool suspended = pa_hook_privileges_before(&given);
	long result = make_syscall(call);
	pa_hook_privileges_after(&given, result, suspended);
	return result;
}

PA_INLINE bool is_watched_option(long option)
{
	return option == PR_SET_SECCOMP || option == PR_SET_TSC ||
		option == PR_SET_SYSCALL_USER_DISPATCH ||
		pa_hook_privileges_is_watched_option(option);
}

static PA_SLOW long prctl_slow(long option, long a, long b, long c, long d)
{
	PA_CALM_FLAGS();
	struct call call = { SYS_prctl, option, a, b, c, d, 0, .by_prctl = true };
	return watch_syscall(&call);
}

int pa_variadic_prctl(long option, long a, long b, long c, long d)
{
	if (pa_unlikely(is_watched_option((int)option)))
		return (int)prctl_slow(option, a, b, c, d);
	return PA_REAL(prctl)(option, a, b, c, d);
}

PA_INLINE bool is_number_watched(long number, long first)
{
	return number == SYS_seccomp || pa_hook_privileges_is_watched(number) ||
		(number == SYS_prctl && is_watched_option((int)first));
}

static PA_SLOW long syscall_slow(long number, long a, long b, long c, long d, long e, long f)
{
	PA_CALM_FLAGS();
	struct call call = { number, a, b, c, d, e, f, .by_prctl = false };
	long result = watch_syscall(&call);
	if (call.stack)
		PA_RETURN_ON_STACK(call.stack);
	return result;
}

/* ---- the gate: syscall() itself ---- */

PA_ATOMIC(uint8_t) pa_hooks_looked_at[PA_GATE_NUMBERS];
PA_DEFINE_GATE(syscall, pa_hooks_looked_at, pa_hooks_syscall_pass, pa_hooks_choose);
void (*pa_hooks_syscall_pass)(void) = PA_GATE_CHOOSES(syscall);

static bool fast_tls; /* see pa_arch_has_tls */

/* Only an assert calls it. */
static __attribute__((unused)) bool may_be_watched_number(long number)
{
	return number == SYS_prctl || is_number_watched(number, 0) || is_clone(number) ||
		may_send(number);
}

/* A thread of a raw clone may have no TLS: then nothing of it is known. */
static pa_syscall_function *watched_futex(long word, long operation, long other_word)
{
	return pa_arch_has_tls(fast_tls) ? pa_hooks_futex(word, operation, other_word) : NULL;
}

pa_syscall_function *pa_hooks_choose(long number, long a, long b, long c, long d, long e)
{
	pa_syscall_function *watched = NULL;
	(void)d;
	if (number == SYS_futex)
		watched = watched_futex(a, b, e);
	else if (is_number_watched(number, a) ||
		(is_clone(number) && copies_process(number, a, b) && is_ours_to_watch()) ||
		(may_send(number) && pa_send_is_watched(number, a, b, c)))
		watched = syscall_slow;
	return watched ? watched : PA_REAL(syscall);
}

/* All numbers for which may_be_watched_number is true: to ask it for each number would be a twelfth
 * of the instructions of a start. */
static const uint16_t watched_numbers[] = { SYS_prctl, SYS_seccomp, SYS_clone, PA_SYS_FORK,
	SYS_clone3, SYS_kill, SYS_tkill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo,
	SYS_unshare, SYS_setns, SYS_capset, SYS_chroot, SYS_landlock_restrict_self, SYS_setuid,
	SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid };

void pa_hooks_syscall_boot(void)
{
	fast_tls = pa_arch_tls_is_fast();
	for (size_t i = 0; i < PA_COUNT(watched_numbers); i++)
		pa_reset(&pa_hooks_looked_at[watched_numbers[i]], 1);
	for (long number = 0; number < PA_GATE_NUMBERS; number++)
		PA_ASSERT(pa_load_relaxed(&pa_hooks_looked_at[number]) ==
			may_be_watched_number(number));
	pa_hooks_syscall_pass = (void (*)(void))PA_REAL(syscall);
}

void pa_hooks_watch_futexes(bool on)
{
	pa_reset(&pa_hooks_looked_at[SYS_futex], (uint8_t)on);
}
