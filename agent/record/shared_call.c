/* SPDX-License-Identifier: Apache-2.0 */
#include "shared_call.h"

#include <poll.h>
#include <pthread.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "../arch/arch.h"
#include "../base/quiet.h"
#include "peek.h"
#include "requeue.h"
#include "sandbox.h"
#include "signal.h"
#include "switches.h"

#include "../base/banned.h"

/* How far above sp the number may be; glibc 2.41 and 2.43 have it in word 2 to 7. */
#define STACK_WORDS 32
/* Above all numbers of system calls. */
#define NUMBERS 4096
/* A function that contains little more than the instruction. */
#define SMALL_FUNCTION_BYTES 256
/* For a probe that its signal does not end. */
#define TIMEOUT_NS 1000000

/* For thread_dump.c, which handles signals of probes that have ended: of an earlier dump. */
#define PROBE_WORD ((uintptr_t)UINT32_MAX << 32)

/* What a handler sees of a probe. */
struct sight {
	uintptr_t pc; /* 0: nothing */
	uintptr_t stack[STACK_WORDS];
	struct pa_regs regs;
};

/*
 * caller: 0, or the word at sp, where the instruction's function was called from. The number then
 * is in a frame of that caller, and other callers may have other frames.
 */
struct layout {
	PA_ATOMIC(uintptr_t) pc; /* 0: none; release in add_layout, acquire in find_layout */
	uintptr_t caller;
	uint32_t place; /* index of a word above sp, or STACK_WORDS + number of a register */
};

/* With thread cancellation enabled, and disabled. */
#define MODES 2

/* tid, 0: none; written by that thread, and read by its handler; relaxed. Each forked child reads
 * it: not on the page of the rest. */
static PA_ATOMIC(int32_t) prober_tid;

static PA_LARGE struct {
	struct sight sights[PA_SHARED_CALL_PROBES]; /* of that thread */
	struct layout layouts[MODES];               /* constant from their pc on */
} state;

/* ---- the calls ---- */

static PA_AGENT void call_ppoll(const struct timespec *timeout, const sigset_t *mask)
{
	ppoll(NULL, 0, timeout, mask);
}

static PA_AGENT void call_pselect(const struct timespec *timeout, const sigset_t *mask)
{
	pselect(0, NULL, NULL, NULL, timeout, mask);
}

const struct pa_shared_call_probe pa_shared_call_of_libc[] = {
	{ SYS_ppoll, call_ppoll },
	{ SYS_pselect6, call_pselect },
};

/* ---- in the handler ---- */

/* volatile: prevents memcpy, which a sanitizer checks against its own object bounds. */
static PA_NO_ASAN uintptr_t stack_word(uintptr_t sp, uint32_t index)
{
	return ((const volatile uintptr_t *)sp)[index];
}

static void note_sight(struct sight *seen, const ucontext_t *context)
{
	pa_arch_from_context(&seen->regs, context);
	for (uint32_t i = 0; i < STACK_WORDS; i++)
		seen->stack[i] = stack_word(seen->regs.gpr[PA_REG_SP], i);
	seen->pc = seen->regs.gpr[PA_REG_PC];
}

static void answer_probe(uint32_t index, const ucontext_t *context)
{
	struct pa_call call;
	uintptr_t end;
	PA_ASSERT(index < PA_SHARED_CALL_PROBES);
	if (pa_arch_interrupted_call(context, &call, &end))
		note_sight(&state.sights[index], context);
}

/* Signals of others would not have reached the thread without the probe's mask. */
bool pa_shared_call_answer(const siginfo_t *info, const ucontext_t *context)
{
	int32_t prober = pa_load_relaxed(&prober_tid);
	if (pa_likely(!prober) || prober != (int32_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0))
		return false;
	uintptr_t word = (uintptr_t)info->si_value.sival_ptr;
	if (info->si_code == SI_TIMER && info->si_pid == pa_record.pid &&
		word >> 32 == PROBE_WORD >> 32)
		answer_probe((uint32_t)word, context);
	else
		pa_requeue_put_back(info->si_signo, info);
	return true;
}

static const struct layout *find_layout(const struct pa_regs *regs)
{
	for (int i = 0; i < MODES; i++) {
		const struct layout *layout = &state.layouts[i];
		if (pa_load_acquire(&layout->pc) == regs->gpr[PA_REG_PC] &&
			(!layout->caller || layout->caller == stack_word(regs->gpr[PA_REG_SP], 0)))
			return layout;
	}
	return NULL;
}

long pa_shared_call_number(const ucontext_t *context)
{
	struct pa_regs regs;
	pa_arch_from_context(&regs, context);
	const struct layout *layout = regs.gpr[PA_REG_PC] ? find_layout(&regs) : NULL;
	if (!layout)
		return -1;
	uintptr_t number = layout->place < STACK_WORDS ?
		stack_word(regs.gpr[PA_REG_SP], layout->place) :
		regs.gpr[layout->place - STACK_WORDS];
	return number < NUMBERS ? (long)number : -1;
}

/* ---- learning ---- */

static bool queue_probe(int32_t tid, uintptr_t word)
{
	siginfo_t info = { .si_signo = pa_record.signal, .si_code = SI_TIMER };
	info.si_pid = pa_record.pid;
	info.si_uid = PA_SIGNAL_QUEUED_UID;
	info.si_value.sival_ptr = (void *)word;
	return pa_arch_syscall(SYS_rt_tgsigqueueinfo, pa_record.pid, tid, pa_record.signal,
		       (long)&info) == 0;
}

/* The signal is blocked, and pending before the call, which therefore does not wait. */
static bool see_call(const struct pa_shared_call_probe *probes, uint32_t index)
{
	const struct timespec timeout = { .tv_nsec = TIMEOUT_NS };
	int32_t tid = (int32_t)pa_arch_syscall(SYS_gettid, 0, 0, 0, 0);
	sigset_t mask;
	pa_quiet_fill(&mask);
	sigdelset(&mask, pa_record.signal);
	state.sights[index].pc = 0;
	if (!queue_probe(tid, PROBE_WORD | index))
		return false;
	pa_store_relaxed(&prober_tid, tid);
	probes[index].call(&timeout, &mask);
	pa_store_relaxed(&prober_tid, 0);
	return state.sights[index].pc != 0;
}

/* The place nearest to sp, in the innermost frame that has the number; -1: none. Registers come
 * last: those of callers may have it by chance. */
static int find_place(const struct pa_shared_call_probe *probes)
{
	const struct sight *a = &state.sights[0], *b = &state.sights[1];
	const uintptr_t in_a = (uintptr_t)probes[0].number, in_b = (uintptr_t)probes[1].number;
	for (int i = 0; i < STACK_WORDS; i++)
		if (a->stack[i] == in_a && b->stack[i] == in_b)
			return i;
	for (int i = 0; i < PA_REGS_COUNT; i++)
		if (a->regs.gpr[i] == in_a && b->regs.gpr[i] == in_b)
			return STACK_WORDS + i;
	return -1;
}

/* The word at sp when it is the return address of a direct call to the code that contains pc; else
 * 0. */
static uintptr_t caller_of(const struct sight *seen)
{
	uint8_t code[PA_CALL_BYTES];
	uintptr_t end = seen->stack[0];
	if (pa_peek(code, end - sizeof(code), sizeof(code)) < sizeof(code))
		return 0;
	uintptr_t target = pa_arch_call_target(code, end);
	return target && seen->pc - target < SMALL_FUNCTION_BYTES ? end : 0;
}

static struct layout *free_layout(uintptr_t pc)
{
	for (int i = 0; i < MODES; i++) {
		uintptr_t known = pa_load_relaxed(&state.layouts[i].pc);
		if (!known)
			return &state.layouts[i];
		if (known == pc)
			return NULL;
	}
	return NULL;
}

static bool is_one_instruction(void)
{
	return state.sights[0].pc == state.sights[1].pc;
}

static void add_layout(const struct pa_shared_call_probe *probes)
{
	struct layout *layout = free_layout(state.sights[0].pc);
	uintptr_t caller = caller_of(&state.sights[0]);
	int place = find_place(probes);
	if (!layout || !is_one_instruction() || caller != caller_of(&state.sights[1]) || place < 0)
		return;
	layout->caller = caller;
	layout->place = (uint32_t)place;
	pa_store_release(&layout->pc, state.sights[0].pc);
}

static bool learn_mode(int mode, const struct pa_shared_call_probe *probes)
{
	pthread_setcancelstate(mode, NULL);
	for (uint32_t i = 0; i < PA_SHARED_CALL_PROBES; i++)
		if (!see_call(probes, i))
			return false;
	add_layout(probes);
	return true;
}

static bool learn_modes(const struct pa_shared_call_probe *probes)
{
	int before;
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
	bool seen = learn_mode(PTHREAD_CANCEL_ENABLE, probes) &&
		learn_mode(PTHREAD_CANCEL_DISABLE, probes);
	pthread_setcancelstate(before, NULL);
	return seen && (!is_one_instruction() || pa_load_relaxed(&state.layouts[MODES - 1].pc));
}

/* Afterwards no signal of a probe is pending. */
bool pa_shared_call_learn(const struct pa_shared_call_probe *probes)
{
	PA_ASSERT(probes[0].number != probes[1].number);
	if (!pa_sandbox_begin(&pa_thread_self, PA_CALLS_LEARN | PA_CALLS_DUMP | PA_CALLS_RETURN))
		return false;
	const uint64_t ours = (uint64_t)1 << (pa_record.signal - 1);
	uint64_t before;
	pa_arch_syscall(SYS_rt_sigprocmask, SIG_BLOCK, (long)&ours, (long)&before, sizeof(ours));
	bool done = learn_modes(probes);
	if (!done)
		pa_arch_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&ours, 0, sizeof(ours));
	pa_arch_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before));
	pa_sandbox_end();
	return done;
}

void pa_shared_call_atfork_child(void)
{
	pa_reset(&prober_tid, 0);
}
