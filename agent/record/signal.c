#include "signal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "altstack.h"
#include "asleep.h"
#include "on.h"
#include "regs.h"
#include "rollcall.h"
#include "sandbox.h"
#include "tasks.h"
#include "tick.h"

#include "../base/banned.h"

/* How long a thread in the hands of a tracer is waited for, and how often it is looked at. */
#define HELD_PATIENCE_NS PA_NS_PER_S
#define HELD_LOOK_NS PA_NS_PER_MS
/* What a thread runs, at most, from the stop with a signal to the signal's action: microseconds. */
#define HELD_RUN_NS PA_NS_PER_MS
/* What our handler uses of a stack, beside the kernel's frame; 600 bytes were measured. */
#define HANDLER_BYTES ((size_t)1 << 10)

/* How long a thread of the program waits for one of ours that takes or releases the signal. */
#define NOW_PATIENCE_NS (100 * PA_NS_PER_MS)

static struct {
	struct pa_lock lock;        /* take, release; PA_LOCK_SIGNAL */
	bool fsgsbase;
	size_t frame_bytes;         /* of the kernel's for a signal, at most */
	unsigned takers;            /* guard: lock */
	bool unanswered;            /* a signal of ours may be on its way still; guard: lock */
	PA_ATOMIC(uint32_t) kept;   /* the default action would end the program; relaxed */
	PA_ATOMIC(uint32_t) taken;  /* the program uses the signal itself; relaxed */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_SIGNAL) };

static void on_signal(int signal, siginfo_t *info, void *context)
{
	PA_CALM_FLAGS(); /* the kernel clears but one of them for handlers */
	if (pa_unlikely(!pa_regs_has_tls(state.fsgsbase))) {
		if (info->si_code == SI_TIMER)
			PA_COUNT_EVENT(lost_cpu_thread);
		return;
	}
	pa_altstack_see(context);
	bool ours = info->si_code == SI_TIMER;
	pa_add_acq_rel(&pa_sandbox_calls, 1); /* see there; a signal that is here has to be met */
	if (ours)
		pa_tick_answer(info, context);
	else
		ours = pa_rollcall_answer(info, context);
	pa_sandbox_end();
	if (ours)
		pa_asleep_hide_interruption(context);
	else
		pa_disposition_forward(signal, info, context);
}

void pa_signal_boot(pa_sigaction_fn *real_sigaction)
{
	state.fsgsbase = pa_regs_fsgsbase();
	state.frame_bytes = getauxval(AT_MINSIGSTKSZ);
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

/* ---- the way back ---- */

struct held {
	int64_t end_ns;
	int32_t self;
	bool stays;
};

/* Processor time of a thread; 0 when it is gone. */
static uint64_t run_ns(int32_t tid)
{
	char text[64];
	return pa_tasks_read(tid, "schedstat", text, sizeof(text)) ? strtoul(text, NULL, 10) : 0;
}

/*
 * False: by its state a thread has no signal that its tracer was shown. A stopped one may have, and
 * one that was let go and waits for a processor. status has TracerPid too, which is 0 for a tracer
 * in another container: was_stopped stands for it.
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

static void wait_while_held(void *arg, int32_t tid)
{
	struct held *held = arg;
	if (tid == held->self)
		return;
	bool was_stopped = false;
	uint64_t before_ns = run_ns(tid);
	/* Ends: at end_ns. */
	while (may_hold(tid, &was_stopped) && run_ns(tid) - before_ns < HELD_RUN_NS) {
		if (pa_clock_mono_ns() >= held->end_ns) {
			held->stays = true;
			return;
		}
		pa_futex_rest(HELD_LOOK_NS);
	}
}

/*
 * A tracer (strace, gdb) is shown a signal after it left the queue, and the thread gets it, by the
 * disposition of that moment, when the tracer has let it go on and it runs: get_signal() of Linux.
 * True: no thread has one still.
 */
static bool have_all_met(void)
{
	struct held held = { .end_ns = pa_clock_mono_ns() + HELD_PATIENCE_NS };
	held.self = (int32_t)pa_regs_syscall(SYS_gettid, 0, 0, 0, 0);
	pa_tasks_each(wait_while_held, &held);
	return !held.stays;
}

/*
 * Back to the program's disposition, when none of ours is pending anywhere: a signal of ours that
 * met the default action would end the program.
 */
static void give_back(void)
{
	if (state.unanswered)
		pa_disposition_drop_pending();
	if (state.unanswered && !have_all_met())
		return;
	state.unanswered = false;
	pa_disposition_restore(pa_load_relaxed(&state.kept));
}

int pa_signal_take(void)
{
	pa_lock(&state.lock);
	int error = 0;
	if (pa_load_relaxed(&state.taken))
		error = state.takers ? 0 : -EADDRINUSE;
	else if (!state.takers)
		error = pa_disposition_install();
	if (!error)
		state.takers++;
	pa_unlock(&state.lock);
	return error;
}

void pa_signal_release(bool all_answered)
{
	pa_lock(&state.lock);
	state.unanswered |= !all_answered;
	if (--state.takers == 0)
		give_back();
	pa_unlock(&state.lock);
}

void pa_signal_release_now(void)
{
	if (!pa_lock_timed(&state.lock, NOW_PATIENCE_NS))
		return;
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
	pa_reset(&state.kept, 0); /* timers are not inherited */
	pa_disposition_atfork_child();
	pa_altstack_atfork_child();
}
