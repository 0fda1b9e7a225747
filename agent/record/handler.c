#include "handler.h"

#include <signal.h>
#include <sys/syscall.h>

#include "on.h"
#include "peek.h"
#include "regs.h"
#include "sandbox.h"
#include "thread.h"

#include "../base/banned.h"

/* libc's text is smaller, and all of it is closer than this to any part of it. */
#define LIBC_BYTES ((uintptr_t)2 << 20)

/* How far above the interrupted sp a return address is looked for: the system calls and string
 * functions that an allocator calls have hardly a frame; abort() and the message before it have. */
#define LEAF_BYTES ((uintptr_t)256)
#define ABORT_BYTES ((uintptr_t)2 << 10)

/* How far a signal frame is looked for on a stack whose end is not known. */
#define UNKNOWN_BYTES ((uintptr_t)16 << 10)

/* Handlers within handlers. */
#define NESTED_MAX 16

/* The kernel's struct sigaction. */
struct action {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

/* Where libc's handlers return to; 0: not known. Its own for setuid() is there since the first
 * thread, and cannot be asked for through libc. */
static uintptr_t restorer(void)
{
	const int sigsetxid = 33;
	struct action action = { 0 };
	long error = pa_regs_syscall(SYS_rt_sigaction, sigsetxid, 0, (long)&action, 8);
	return error ? 0 : action.restorer;
}

/* Words of the stack, in order: the thread's own as they are, others copied. */
struct words {
	uintptr_t own_lo, own_hi;
	uintptr_t lo, hi; /* copied: copy */
	uintptr_t copy[32];
};

/* False: it cannot be read. */
static PA_NO_ASAN bool word_at(struct words *words, uintptr_t at, uintptr_t *word)
{
	if (at >= words->own_lo && at < words->own_hi) {
		*word = *(const uintptr_t *)at;
		return true;
	}
	if (at < words->lo || at >= words->hi) {
		words->lo = at;
		words->hi = at + (pa_peek(words->copy, at, sizeof(words->copy)) & ~(size_t)7);
	}
	*word = words->copy[(at - words->lo) / sizeof(*word)];
	return at < words->hi;
}

/* End of the stack that at is on, or of what is looked at where that is not known. */
static uintptr_t stack_end(const struct words *words, uintptr_t at)
{
	stack_t alternate = { .ss_flags = SS_DISABLE };
	if (at >= words->own_lo && at < words->own_hi)
		return words->own_hi;
	pa_regs_syscall(SYS_sigaltstack, 0, (long)&alternate, 0, 0);
	uintptr_t lo = (uintptr_t)alternate.ss_sp;
	if (!(alternate.ss_flags & SS_DISABLE) && at >= lo && at < lo + alternate.ss_size)
		return lo + alternate.ss_size;
	return at + UNKNOWN_BYTES;
}

static bool read_frame(struct words *words, uintptr_t context, struct pa_sigframe *frame)
{
	return word_at(words, context + PA_SIGFRAME_PC, &frame->pc) &&
		word_at(words, context + PA_SIGFRAME_SP, &frame->sp) &&
		word_at(words, context + PA_SIGFRAME_DI, &frame->di) &&
		word_at(words, context + PA_SIGFRAME_DX, &frame->dx);
}

/* The next signal frame above at. False: there is none. */
static bool next_frame(struct words *words, uintptr_t at, uintptr_t mark,
	struct pa_sigframe *frame)
{
	uintptr_t end = stack_end(words, at), word;
	for (; at + sizeof(word) + sizeof(ucontext_t) <= end; at += sizeof(word)) {
		uintptr_t context = at + sizeof(word);
		if (!word_at(words, at, &word))
			return false;
		if (word == mark && word_at(words, context + PA_SIGFRAME_CS, &word) &&
		    pa_regs_is_sigframe(word))
			return read_frame(words, context, frame);
	}
	return false;
}

PA_INLINE bool is_in(struct pa_code code, uintptr_t pc)
{
	return pc >= code.lo && pc < code.hi;
}

/* The thread was at pc with what lies from sp to end on its stack. */
static bool was_in(struct words *words, struct pa_code code, uintptr_t pc, uintptr_t sp,
	uintptr_t end)
{
	uintptr_t word;
	if (is_in(code, pc))
		return true;
	if (pc + LIBC_BYTES < code.lo || pc > code.hi + LIBC_BYTES)
		return false;
	for (; sp + sizeof(word) <= end && word_at(words, sp, &word); sp += sizeof(word))
		if (is_in(code, word))
			return true;
	return false;
}

bool pa_handler_cut_into(struct pa_code code)
{
	struct pa_thread *self = &pa_thread_self;
	if (!pa_sandbox_may(self, PA_CALLS_FORK))
		return false;
	uintptr_t at = (uintptr_t)__builtin_frame_address(0);
	uintptr_t mark = restorer();
	if (!self->met)
		pa_thread_meet(self);
	if (pa_thread_may_extend(self, at))
		pa_thread_extend_stack(at);
	struct words words = { .own_lo = self->stack_lo, .own_hi = self->stack_hi };
	struct pa_sigframe frame;
	for (int i = 0; mark && code.lo && i < NESTED_MAX; i++) {
		if (!next_frame(&words, at, mark, &frame))
			return false;
		at = frame.sp & ~(uintptr_t)7;
		bool aborts = pa_regs_raises(&frame, pa_record.pid, SIGABRT);
		uintptr_t end = stack_end(&words, at);
		uintptr_t limit = at + (aborts ? ABORT_BYTES : LEAF_BYTES);
		if (was_in(&words, code, frame.pc, at, limit < end ? limit : end))
			return true;
	}
	return false;
}
