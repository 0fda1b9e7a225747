#include "handler.h"

#include <signal.h>
#include <sys/syscall.h>

#include "on.h"
#include "regs.h"
#include "thread.h"

#include "../base/banned.h"

/* libc's text is smaller, and all of it is closer than this to any part of it. */
#define LIBC_BYTES ((uintptr_t)2 << 20)

/* How far above the interrupted sp a return address is looked for: the system calls and string
 * functions that an allocator calls have hardly a frame; abort() and the message before it have. */
#define LEAF_BYTES ((uintptr_t)256)
#define ABORT_BYTES ((uintptr_t)2 << 10)

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

/* End of the stack that at is on, or of its page when that is not known. */
static uintptr_t stack_end(const struct pa_thread *self, uintptr_t at)
{
	stack_t alternate = { .ss_flags = SS_DISABLE };
	if (at >= self->stack_lo && at < self->stack_hi)
		return self->stack_hi;
	pa_regs_syscall(SYS_sigaltstack, 0, (long)&alternate, 0, 0);
	uintptr_t lo = (uintptr_t)alternate.ss_sp;
	if (!(alternate.ss_flags & SS_DISABLE) && at >= lo && at < lo + alternate.ss_size)
		return lo + alternate.ss_size;
	return (at | (PA_PAGE_BYTES - 1)) + 1;
}

/* The ucontext of the next signal frame above at, 0 for none. */
static PA_NO_ASAN uintptr_t next_frame(uintptr_t at, uintptr_t end, uintptr_t mark)
{
	for (; at + sizeof(uintptr_t) + sizeof(ucontext_t) <= end; at += sizeof(uintptr_t)) {
		uintptr_t context = at + sizeof(uintptr_t);
		if (*(const uintptr_t *)at == mark && pa_regs_is_sigframe(context))
			return context;
	}
	return 0;
}

PA_INLINE bool is_in(struct pa_code code, uintptr_t pc)
{
	return pc >= code.lo && pc < code.hi;
}

/* The thread was at pc with what lies from sp to end on its stack. */
static PA_NO_ASAN bool was_in(struct pa_code code, uintptr_t pc, uintptr_t sp, uintptr_t end)
{
	if (is_in(code, pc))
		return true;
	if (pc + LIBC_BYTES < code.lo || pc > code.hi + LIBC_BYTES)
		return false;
	for (; sp + sizeof(uintptr_t) <= end; sp += sizeof(uintptr_t))
		if (is_in(code, *(const uintptr_t *)sp))
			return true;
	return false;
}

bool pa_handler_cut_into(struct pa_code code)
{
	struct pa_thread *self = &pa_thread_self;
	uintptr_t at = (uintptr_t)__builtin_frame_address(0);
	uintptr_t mark = restorer();
	if (!self->met)
		pa_thread_meet(self);
	for (int i = 0; mark && code.lo && i < NESTED_MAX; i++) {
		uintptr_t context = next_frame(at, stack_end(self, at), mark);
		if (!context)
			return false;
		struct pa_regs regs;
		pa_regs_from_context(&regs, (const ucontext_t *)context);
		at = regs.gpr[PA_REG_SP] & ~(uintptr_t)7;
		bool aborts = pa_regs_raises(&regs, pa_record.pid, SIGABRT);
		uintptr_t end = stack_end(self, at);
		uintptr_t limit = at + (aborts ? ABORT_BYTES : LEAF_BYTES);
		if (was_in(code, regs.gpr[PA_REG_PC], at, limit < end ? limit : end))
			return true;
	}
	return false;
}
