/* SPDX-License-Identifier: Apache-2.0 */
#include "handler_frame.h"

#include <signal.h>
#include <sys/syscall.h>

#include "switches.h"
#include "peek.h"
#include "registry.h"
#include "../arch/arch.h"
#include "sandbox.h"
#include "stack_bounds.h"
#include "thread.h"

#include "../base/banned.h"

/* libc's text is smaller: no part of it is farther than this from any other. */
#define LIBC_BYTES ((uintptr_t)2 << 20)

/* Distance above the interrupted sp in which to search for a return address: system calls and
 * string functions called by an allocator have almost no frame; abort() and its message have. */
#define LEAF_BYTES ((uintptr_t)256)
#define ABORT_BYTES ((uintptr_t)2 << 10)

/* Search distance for a signal frame on a stack whose end is unknown. */
#define UNKNOWN_BYTES ((uintptr_t)16 << 10)

/* Nested handlers. */
#define NESTED_MAX 16

/* The kernel's struct sigaction. */
struct action {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

/* Return address of libc's signal handlers; 0: unknown. libc installs its own handler for setuid()
 * before the first thread, and its sigaction does not return that one. */
static uintptr_t kernel_restorer(void)
{
	const int sigsetxid = 33;
	struct action action = { 0 };
	long error = pa_arch_syscall(SYS_rt_sigaction, sigsetxid, 0, (long)&action, 8);
	return error ? 0 : action.restorer;
}

/* Words of the stack in ascending order: the own stack is read in place, others are copied. */
struct words {
	uintptr_t own_lo, own_hi;
	uintptr_t lo, hi; /* range in copy */
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

/* End of the stack that contains at, or of the searched range where that is unknown. */
static uintptr_t stack_end(const struct words *words, uintptr_t at)
{
	stack_t alternate = { .ss_flags = SS_DISABLE };
	if (at >= words->own_lo && at < words->own_hi)
		return words->own_hi;
	pa_arch_syscall(SYS_sigaltstack, 0, (long)&alternate, 0, 0);
	uintptr_t lo = (uintptr_t)alternate.ss_sp;
	if (!(alternate.ss_flags & SS_DISABLE) && at >= lo && at < lo + alternate.ss_size)
		return lo + alternate.ss_size;
	return at + UNKNOWN_BYTES;
}

static bool read_frame(struct words *words, uintptr_t context, struct pa_sigframe *frame)
{
	return word_at(words, context + PA_SIGFRAME_PC, &frame->pc) &&
		word_at(words, context + PA_SIGFRAME_SP, &frame->sp) &&
		word_at(words, context + PA_SIGFRAME_FIRST, &frame->first) &&
		word_at(words, context + PA_SIGFRAME_THIRD, &frame->third);
}

/* The next signal frame above at. False: none. */
static bool next_frame(struct words *words, uintptr_t at, uintptr_t mark, struct pa_sigframe *frame)
{
	uintptr_t end = stack_end(words, at), word;
	for (; at + sizeof(word) + sizeof(ucontext_t) <= end; at += sizeof(word)) {
		uintptr_t context = at + sizeof(word);
		if (!word_at(words, at, &word))
			return false;
		if (word == mark && word_at(words, context + PA_SIGFRAME_MARK, &word) &&
			pa_arch_is_sigframe(word))
			return read_frame(words, context, frame);
	}
	return false;
}

PA_INLINE bool is_in_code(struct pa_code code, uintptr_t pc)
{
	return pc >= code.lo && pc < code.hi;
}

/* True when the thread was interrupted in code: pc is in it, or a return address between sp and
 * end. */
static bool was_in(struct words *words, struct pa_code code, uintptr_t pc, uintptr_t sp,
	uintptr_t end)
{
	uintptr_t word;
	if (is_in_code(code, pc))
		return true;
	if (pc + LIBC_BYTES < code.lo || pc > code.hi + LIBC_BYTES)
		return false;
	for (; sp + sizeof(word) <= end && word_at(words, sp, &word); sp += sizeof(word))
		if (is_in_code(code, word))
			return true;
	return false;
}

bool pa_handler_frame_cut_into(struct pa_code code)
{
	struct pa_thread *self = &pa_thread_self;
	if (!pa_sandbox_may(self, PA_CALLS_FORK))
		return false;
	uintptr_t at = (uintptr_t)__builtin_frame_address(0);
	uintptr_t mark = kernel_restorer();
	if (!self->registered)
		pa_registry_add(self);
	if (pa_stack_bounds_may_extend(self, at))
		pa_stack_bounds_extend(at);
	struct words words = { .own_lo = self->stack_lo, .own_hi = self->stack_hi };
	struct pa_sigframe frame;
	for (int i = 0; mark && code.lo && i < NESTED_MAX; i++) {
		if (!next_frame(&words, at, mark, &frame))
			return false;
		at = frame.sp & ~(uintptr_t)7;
		bool aborts = pa_arch_raises(&frame, pa_record.pid, SIGABRT);
		uintptr_t end = stack_end(&words, at);
		uintptr_t limit = at + (aborts ? ABORT_BYTES : LEAF_BYTES);
		if (was_in(&words, code, frame.pc, at, limit < end ? limit : end))
			return true;
	}
	return false;
}
