/* SPDX-License-Identifier: Apache-2.0 */
#include "signal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "altstack.h"
#include "switches.h"
#include "../arch/arch.h"
#include "registry.h"
#include "requeue.h"
#include "sandbox.h"
#include "tasks.h"

#include "../base/banned.h"

/* How long to wait for a thread stopped by a tracer, and how often to check it. */
#define TRACED_TIMEOUT_NS PA_NS_PER_S
#define TRACED_POLL_NS PA_NS_PER_MS
/* Longest CPU time of a thread between its stop with a signal and the signal's action:
 * microseconds. */
#define TRACED_RUN_NS PA_NS_PER_MS
/* Stack use of the agent's handler, beside the kernel's frame; 1,208 bytes were measured, in the
 * answer to a thread dump that wakes the collector. */
#define HANDLER_BYTES ((size_t)2 << 10)

/* How long a thread of the program waits for an agent thread that takes or releases the signal. */
#define NOW_TIMEOUT_NS (100 * PA_NS_PER_MS)

static struct {
	struct pa_lock lock; /* take, release; PA_LOCK_SIGNAL */
	const struct pa_signal_callbacks *handlers;
	bool fast_tls;             /* see pa_arch_thread_pointer */
	size_t frame_bytes;        /* upper bound of the kernel's signal frame */
	unsigned takers;           /* guard: lock */
	bool learned;              /* handlers->learn has returned true; guard: lock */
	PA_ATOMIC(uint32_t) asked; /* see pa_signal_ask_to_learn; release / acquire, futex */
	bool unanswered;           /* a signal of the agent may be pending still; guard: lock */
	PA_ATOMIC(uint32_t) kept;  /* the default action would end the program; relaxed */
	PA_ATOMIC(uint32_t) taken; /* the program uses the signal itself; relaxed */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_SIGNAL) };

/* A signal of the program. True: hide the interruption from the interrupted thread. */
static bool pass_on_signal(int signal, siginfo_t *info, void *context)
{
	if (pa_disposition_is_shared() &&
		pa_requeue_signal(signal, info, context,
			state.handlers->passed_mask(context, signal)))
		return true;
	return !pa_disposition_forward(signal, info, context);
}

/*
 * An alternate stack counts as large enough only if the hook of sigaltstack(2) has checked it: a
 * thread may have set it by a raw system call, and AMX enlarges the kernel's frame after first use.
 */
static bool has_stack_room(const ucontext_t *context)
{
	const stack_t *stack = &context->uc_stack;
	uintptr_t above = (uintptr_t)__builtin_frame_address(0) - (uintptr_t)stack->ss_sp;
	return stack->ss_flags & SS_DISABLE || above >= stack->ss_size || above >= HANDLER_BYTES;
}

static bool is_of_timer(const siginfo_t *info)
{
	return info->si_code == SI_TIMER && info->si_overrun >= 0;
}

/* A handler of the program that runs on the alternate stack let the signal through: siglongjmp()
 * sets the mask before it leaves the stack. */
static bool is_nested(const ucontext_t *context)
{
	uintptr_t sp = *(const uintptr_t *)((const char *)context + PA_SIGFRAME_SP);
	return sp - (uintptr_t)context->uc_stack.ss_sp < context->uc_stack.ss_size;
}

static void count_lost(const siginfo_t *info)
{
	if (is_of_timer(info))
		PA_COUNT_EVENT(lost_cpu_thread);
}

/* Does nothing else: the stack may have only a hundred bytes. A thread whose stack is too small
 * also without another handler on it is not signalled again. */
static PA_NOINLINE void drop_signal(const siginfo_t *info, const ucontext_t *context)
{
	count_lost(info);
	if (!is_nested(context) && pa_registry_is_in_place(pa_arch_thread_pointer(state.fast_tls)))
		pa_store_relaxed(&pa_thread_self.small_altstack, 1);
}

static PA_NOINLINE void handle_signal(int signal, siginfo_t *info, void *context)
{
	pa_altstack_check(context);
	bool ours = is_of_timer(info);
	pa_add_acq_rel(&pa_sandbox_calls, 1); /* see sandbox.h; counted although denied, since
					       * the signal has arrived */
	if (ours)
		state.handlers->on_timer(info, context);
	else
		ours = state.handlers->on_queued(info, context);
	pa_sandbox_end();
	if (ours || pass_on_signal(signal, info, context))
		state.handlers->before_return(context);
}

static PA_NOINLINE void take_signal(int signal, siginfo_t *info, void *context)
{
	PA_CALM_FLAGS(); /* the kernel clears only DF for handlers */
	uintptr_t thread_pointer = pa_arch_thread_pointer(state.fast_tls);
	if (pa_likely(thread_pointer && pa_registry_is_own(thread_pointer)))
		handle_signal(signal, info, context);
	else
		count_lost(info);
}

/* Needs next to no stack itself. */
static PA_SIGNAL void on_signal(int signal, siginfo_t *info, void *context)
{
	if (pa_likely(has_stack_room(context)))
		take_signal(signal, info, context);
	else
		drop_signal(info, context);
}

void pa_signal_boot(pa_sigaction_fn *real_sigaction, const struct pa_signal_callbacks *handlers)
{
	PA_ASSERT(handlers && real_sigaction);
	state.handlers = handlers;
	state.fast_tls = pa_arch_tls_is_fast();
	pa_registry_boot(pa_arch_thread_pointer(state.fast_tls));
	state.frame_bytes = pa_arch_signal_frame_bytes(getauxval(AT_MINSIGSTKSZ));
	pa_disposition_boot(real_sigaction, on_signal);
}

void pa_signal_is_taken(void)
{
	pa_store_relaxed(&state.taken, 1);
}

void pa_signal_keep(void)
{
	pa_store_relaxed(&state.kept, 1);
}

size_t pa_signal_stack_bytes(void)
{
	return state.frame_bytes + HANDLER_BYTES;
}

bool pa_signal_is_of_program(void)
{
	return pa_load_relaxed(&state.taken) || pa_disposition_is_handled();
}

/* ---- release ---- */

struct held {
	int64_t end_ns;
	int32_t self;
	bool stays;
};

/* CPU time of a thread; 0 when it has ended. */
static uint64_t run_ns(int32_t tid)
{
	char text[64];
	return pa_tasks_read(tid, "schedstat", text, sizeof(text)) ? strtoul(text, NULL, 10) : 0;
}

/*
 * False: by its state the thread holds no signal that was reported to its tracer. A stopped thread
 * may, and one that was resumed and waits for a CPU. status also has TracerPid, which is 0 for a
 * tracer in another container: was_stopped replaces it.
 */
static bool may_hold(int32_t tid, bool *was_stopped)
{
	static const char tracer[] = "\nTracerPid:\t", state_of[] = "\nState:\t";
	char text[512];
	if (!pa_tasks_read(tid, "status", text, sizeof(text)))
		return false;
	const char *at = strstr(text, state_of), *pid = strstr(text, tracer);
	char now = at ? at[sizeof(state_of) - 1] : 'R';
	*was_stopped |= now == 't';
	bool is_traced = *was_stopped || (pid && pid[sizeof(tracer) - 1] != '0');
	return now == 't' || (now == 'R' && is_traced);
}

static PA_APP void wait_for_tracer(void *arg, int32_t tid)
{
	struct held *held = arg;
	bool was_stopped = false;
	/* The agent's threads get no signal of the agent. */
	if (tid == held->self || pa_registry_is_agent(tid) || !may_hold(tid, &was_stopped))
		return;
	uint64_t before_ns = run_ns(tid);
	/* Ends: at end_ns. */
	while (may_hold(tid, &was_stopped) && run_ns(tid) - before_ns < TRACED_RUN_NS) {
		if (pa_clock_mono_ns() >= held->end_ns) {
			held->stays = true;
			return;
		}
		pa_futex_sleep(TRACED_POLL_NS);
	}
}

/*
 * A tracer (strace, gdb) is shown a signal after it left the queue; the thread acts on it, by the
 * disposition of that moment, when the tracer resumes it and it runs (get_signal in
 * kernel/signal.c, ptrace(2)). True: no thread holds such a signal.
 */
static bool have_all_registered(void)
{
	struct held held = { .end_ns = pa_clock_mono_ns() + TRACED_TIMEOUT_NS };
	held.self = (int32_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0);
	pa_tasks_each(wait_for_tracer, &held);
	return !held.stays;
}

/*
 * Restores the program's disposition when no signal of the agent is pending: one that met the
 * default action would end the program.
 */
static void give_back_signal(void)
{
	PA_ASSERT_HELD(PA_LOCK_SIGNAL);
	PA_ASSERT(!state.takers);
	if (state.unanswered)
		pa_disposition_drop_pending();
	if (state.unanswered && !have_all_registered())
		return;
	state.unanswered = false;
	pa_disposition_restore(pa_load_relaxed(&state.kept));
}

static void learn_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_SIGNAL);
	state.learned = state.learned || state.handlers->learn();
}

int pa_signal_take(void)
{
	pa_lock(&state.lock);
	int error = 0;
	if (pa_disposition_is_shared())
		error = -EADDRINUSE;
	else if (pa_load_relaxed(&state.taken))
		error = state.takers ? 0 : -EADDRINUSE;
	else if (!state.takers)
		error = pa_disposition_install();
	if (!error) {
		state.takers++;
		learn_locked();
	}
	pa_unlock(&state.lock);
	return error;
}

void pa_signal_ask_to_learn(void)
{
	if (!pa_disposition_is_shared() || !pa_sandbox_may_wake())
		return;
	pa_store_release(&state.asked, 1);
	pa_ring_kick(pa_record.ring);
	pa_futex_wait(&state.asked, 1, NOW_TIMEOUT_NS);
}

void pa_signal_learn_if_asked(void)
{
	if (!pa_load_acquire(&state.asked))
		return;
	pa_lock(&state.lock);
	if (pa_disposition_is_shared()) /* the handler is installed, and stays */
		learn_locked();
	pa_unlock(&state.lock);
	pa_store_release(&state.asked, 0);
	pa_futex_wake(&state.asked, INT32_MAX);
}

void pa_signal_release(bool all_answered)
{
	pa_lock(&state.lock);
	PA_ASSERT(state.takers);
	state.unanswered |= !all_answered;
	if (--state.takers == 0)
		give_back_signal();
	pa_unlock(&state.lock);
}

void pa_signal_release_now(void)
{
	if (!pa_lock_timed(&state.lock, NOW_TIMEOUT_NS))
		return;
	PA_ASSERT(state.takers);
	pa_disposition_drop_pending();
	if (--state.takers == 0) {
		state.unanswered = false;
		pa_disposition_restore(pa_load_relaxed(&state.kept));
	}
	pa_unlock(&state.lock);
}

void pa_signal_atfork_child(void)
{
	pa_lock_reset(&state.lock);
	if (state.takers || state.unanswered) {
		state.takers = 0;
		state.unanswered = false;
	}
	pa_reset(&state.asked, 0);
	pa_reset(&state.kept, 0); /* timers are not inherited by fork (timer_create(2)) */
	pa_disposition_atfork_child();
	state.handlers->atfork_child();
	pa_requeue_atfork_child();
	pa_altstack_atfork_child();
}
