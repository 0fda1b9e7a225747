/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface to the machine: everything in recording and unwinding that depends on the
 * architecture. arch/x86_64/ implements it; arch/none/ is the minimum that compiles.
 *
 * machine.h of a machine has the constants, types and macros named here; inline.h the inline
 * functions; prologue.c and plt.c the parts for the collector (prologue.h, plt.h).
 *
 * Context: PA_SIGNAL unless stated otherwise. No lock, no memory.
 */
#ifndef PA_ARCH_H
#define PA_ARCH_H

#include <linux/audit.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "../base/atomic.h"
#include "../base/base.h"

#if defined(PA_ARCH_NONE)
#include "none/machine.h"
#elif defined(__x86_64__)
#include "x86_64/machine.h"
#else
#error "pprofagent: this machine needs a folder in agent/arch/"
#endif

/*
 * machine.h defines:
 *
 *   PA_REG_BP, PA_REG_SP, PA_REG_PC, PA_REGS_COUNT
 *                           DWARF's numbers of registers, so that gpr[] can be handed to
 *                           libunwind's remote interface unchanged
 *   PA_RED_ZONE_BYTES       below sp, what an interrupted function may still use. An epilogue that
 *                           has popped bp already is described as having it there.
 *   PA_PAGE_SHIFT           of the smallest page
 *   PA_ADDRESS_LIMIT        addresses of programs are below; anything above is no pc and no stack
 *   PA_ARCH_AUDIT           AUDIT_ARCH_* of the machine, for seccomp filters
 *   PA_ARCH_TRAP()          raises SIGTRAP; execution continues behind it when a handler returns
 *   PA_ARCH_PAUSE()         in a loop that waits
 *   PA_ENTRY                on a function that the program calls and that calls others: old
 *                           compilers, assembly and JITs call with a stack that is 8 bytes off, and
 *                           libc keeps vectors there. Such a function cannot end in a jump. See
 *                           also PA_CALM_FLAGS.
 *   PA_ARCH_LIBUNWIND_H     the header of libunwind's remote interface
 *   PA_ARCH_COND_VERSION    the symbol version of today's pthread_cond_t; NULL: there is one only
 *   struct pa_fpu           what pa_arch_save_fpu saves
 *   PA_SIGFRAME_*           offsets in a ucontext: bp, sp, pc, a word that marks one, the first and
 *                           the third argument of a call
 *   PA_SYSCALL_BYTES, PA_CALL_CODE_BYTES   see pa_arch_pass_syscall, pa_arch_call_number
 *   PA_CALL_BYTES           see pa_arch_call_target
 *   PA_PLT_BYTES, PA_PLT_ALIGN             see plt.h
 *   PA_SYS_*                system calls that not all machines have; a negative number where not
 *   PA_ARCH_OLD_CALLS(CALL) CALL(name) for each of those in which programs block
 *   PA_CURSOR_OF_CALLER(), PA_RETURN_ON_STACK(top), PA_DEFINE_HOP(), PA_DEFINE_GATE()   see below
 */

#define PA_PAGE_BYTES ((uintptr_t)1 << PA_PAGE_SHIFT)

/*
 * The slow half of a hook, entered by a jump from the fast half. Not PA_COLD: in code optimized for
 * size gcc pushes a second return address on a realigned stack, and PA_CURSOR_OF_CALLER would read
 * that one (`make lint` checks it).
 */
#define PA_SLOW PA_ENTRY __attribute__((noinline, section(".text.unlikely")))

struct pa_regs {
	uint64_t gpr[PA_REGS_COUNT];
};

/* The registers that a stack walk steps: one frame's pc, sp, bp. */
struct pa_cursor {
	uintptr_t pc;
	uintptr_t sp;
	uintptr_t bp;
};

/*
 * PA_CURSOR_OF_CALLER(): the caller of the function that contains the macro, as it is right after
 * the call returns. The function must not be inlined; the use of the frame address gives it a frame
 * pointer. Uses the CFA and not the words next to the frame pointer: a function that realigns its
 * stack may keep a copy of its return address there. A macro, so that the frame is that of its
 * user.
 *
 * PA_RETURN_ON_STACK(top): the function that contains it returns on another stack, to the address
 * at its top, with the callee-saved registers restored. For a process of one thread. The function
 * must not be inlined. The one file that uses it contains PA_DEFINE_HOP().
 *
 * PA_DEFINE_GATE(name, table, pass, choose) defines the exported function name(number, ...): a jump
 * to *pass where the byte table[number] is 0 or number is PA_GATE_NUMBERS or more; else a jump to
 * the result of choose(number and the next five arguments). *pass is PA_GATE_CHOOSES(name) until
 * the real function is known. All arguments arrive as they were passed, those on the stack too. C
 * cannot do that: without optimization a jump becomes a call, and with it gcc writes the arguments
 * on the stack back to the caller's frame, where another thread may change them at that moment.
 */
#define PA_GATE_NUMBERS 512

/*
 * PA_CALM_FLAGS() comes first in every function that the program calls and that does more than
 * jump. It clears flags under which neither the agent nor libc works (x86-64: DF reverses string
 * instructions, AC faults on unaligned copies) and restores them when the function returns. 7
 * instructions.
 */
PA_INLINE uint64_t pa_arch_calm_flags(void);
PA_INLINE void pa_arch_restore_flags(const uint64_t *unusual);

#define PA_CALM_FLAGS()                                                                        \
	__attribute__((cleanup(pa_arch_restore_flags), unused)) const uint64_t unusual_flags = \
		pa_arch_calm_flags()

/*
 * The floating-point unit, for code of the core that calculates on a thread of the program: the
 * program may have changed rounding or precision, or enabled traps. Fresh: the ABI's state at
 * process start. Saved: all registers, control words and flags but the upper halves of the vectors,
 * which are caller-saved.
 */
PA_INLINE void pa_arch_fresh_fpu(void);
PA_INLINE void pa_arch_save_fpu(struct pa_fpu *fpu); /* and sets the fresh state */
PA_INLINE void pa_arch_restore_fpu(const struct pa_fpu *fpu);

/* From here to the end of the block. */
#define PA_FRESH_FPU()                                                           \
	__attribute__((cleanup(pa_arch_restore_fpu))) struct pa_fpu program_fpu; \
	pa_arch_save_fpu(&program_fpu)

/*
 * 0 in a thread without TLS (raw clone(2) without CLONE_SETTLS in a program that cleared it): a
 * handler must not touch thread variables there, nor while an emulator has set the thread pointer
 * of the code that it runs (arch_prctl(2), ARCH_SET_FS). fast: the result of pa_arch_tls_is_fast at
 * boot; without it this is a system call.
 */
PA_INLINE uintptr_t pa_arch_thread_pointer(bool fast);
PA_INLINE bool pa_arch_has_tls(bool fast)
{
	return pa_arch_thread_pointer(fast) != 0;
}
/* True when libc's descriptor of a thread is there. One system call. */
PA_INLINE bool pa_arch_is_of_libc(uintptr_t thread_pointer);
PA_INLINE bool pa_arch_readable(uintptr_t at); /* see below */
PA_INLINE bool pa_arch_tls_is_fast(void);

/*
 * Upper bound of the bytes that the kernel puts on a stack for a signal. most: AT_MINSIGSTKSZ
 * (getauxval(3)), which includes state that a thread has only after the program requested it: 8 KiB
 * of AMX (Documentation/arch/x86/xstate.rst of Linux).
 */
PA_INLINE size_t pa_arch_signal_frame_bytes(size_t most);

/* The interrupted registers of a signal handler's third argument. */
PA_INLINE void pa_arch_from_context(struct pa_regs *regs, const ucontext_t *context);

PA_INLINE struct pa_cursor pa_arch_cursor(const struct pa_regs *regs)
{
	return (struct pa_cursor){
		.pc = regs->gpr[PA_REG_PC], .sp = regs->gpr[PA_REG_SP], .bp = regs->gpr[PA_REG_BP]
	};
}

/*
 * Words of the ucontext in the signal frame of an interrupted thread. first, third: arguments of
 * the system call that it was in.
 */
struct pa_sigframe {
	uintptr_t pc, sp, first, third;
};

/* True for a thread that has sent itself that signal by tgkill(pid, tid, signal). */
PA_INLINE bool pa_arch_raises(const struct pa_sigframe *frame, int32_t pid, int signal);

/* True when the word at PA_SIGFRAME_MARK may be that of a ucontext of this process. */
PA_INLINE bool pa_arch_is_sigframe(uintptr_t word);

/*
 * Subtracts amount from *counter. True when more than amount was left; else *counter is zero or has
 * wrapped. One read-modify-write in memory: the hot path of malloc.
 */
PA_INLINE bool pa_arch_count_down(uint64_t *counter, uint64_t amount);

/* True when *byte is not 0. Relaxed; the hot path of free. */
PA_INLINE bool pa_arch_is_set(const PA_ATOMIC(uint8_t) *byte);

/* Two words that change together. */
struct pa_pair {
	uint64_t low, high;
} __attribute__((aligned(16)));

/* Two loads, which may be torn: the exchange that follows detects it. */
PA_INLINE struct pa_pair pa_arch_peek_pair(const struct pa_pair *pair)
{
	return (struct pa_pair){
		.low = __atomic_load_n(&pair->low, __ATOMIC_RELAXED),
		.high = __atomic_load_n(&pair->high, __ATOMIC_RELAXED),
	};
}

/*
 * True when *pair was *expected and is now wanted; else *expected becomes the value found. Full
 * barrier. Inline, where the compiler would call libatomic.
 */
PA_INLINE bool pa_arch_cas_pair(struct pa_pair *pair, struct pa_pair *expected,
	struct pa_pair wanted);

/* A system call of at most six, or four, arguments without libc: errno (which is TLS) is untouched.
 * Returns the kernel's result, -errno on failure. */
PA_INLINE long pa_arch_syscall6(long number, long a, long b, long c, long d, long e, long f);
PA_INLINE long pa_arch_syscall(long number, long a, long b, long c, long d);

/*
 * A thread that a signal interrupted in a system call has its pc at the instruction, for a restart,
 * or behind it. Moves pc behind it in both cases, so that equal waits have equal stacks. code: a
 * copy of PA_SYSCALL_BYTES at its pc.
 */
PA_INLINE void pa_arch_pass_syscall(struct pa_regs *regs, const uint8_t *code);

/* A system call from a thread's registers: its number (-1: none) and arguments. */
struct pa_call {
	long number;
	long arguments[6];
};

/*
 * The number of the system call whose instruction ends at code, or -1; reads PA_CALL_CODE_BYTES
 * before it. Compilers load the number right before the instruction, or before loads of arguments
 * from the stack.
 */
PA_INLINE long pa_arch_call_number(const uint8_t *code);

/* Target of the direct call that ends at end; code: a copy of its PA_CALL_BYTES. 0: it is none. */
PA_INLINE uintptr_t pa_arch_call_target(const uint8_t *code, uintptr_t end);

/*
 * True when the interrupted thread's last system call ended with EINTR right before the signal
 * handler. The registers may have lost its number, which is then in the code: pa_arch_call_number;
 * *end is where the instruction ends.
 */
PA_INLINE bool pa_arch_interrupted_call(const ucontext_t *context, struct pa_call *call,
	uintptr_t *end);

/* Makes the call run again when the handler returns, as if it had not been interrupted. */
PA_INLINE void pa_arch_call_again(ucontext_t *context, const struct pa_call *call);

#if defined(PA_ARCH_NONE)
#include "none/inline.h"
#else
#include "x86_64/inline.h"
#endif

/*
 * True when the kernel can read 8 bytes at the address: rt_sigprocmask copies the set in before it
 * checks "how" (-EFAULT, else -EINVAL). No descriptor, no side effect, and every seccomp filter has
 * to allow it. 0.1 us. Valid for that moment only.
 */
PA_INLINE bool pa_arch_readable(uintptr_t at)
{
	enum { EFAULT_RESULT = -14 };
	return pa_arch_syscall(SYS_rt_sigprocmask, -1, (long)at, 0, 8) != EFAULT_RESULT;
}

#endif
