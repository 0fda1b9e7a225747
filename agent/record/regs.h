/*
 * Registers: everything about recording that depends on the architecture (x86-64 so far).
 *
 * Context: PA_SIGNAL. The unwinder's numbering is DWARF's for x86-64, so that gpr[] can be handed
 * to libunwind's remote interface unchanged: rax rdx rcx rbx rsi rdi rbp rsp r8..r15, rip.
 */
#ifndef PA_REGS_H
#define PA_REGS_H

#include <linux/audit.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "../base/atomic.h"
#include "../base/base.h"

#if !defined(__x86_64__)
#error "pprofagent: this architecture needs its own agent/record/regs.h"
#endif

enum { PA_REG_BP = 6, PA_REG_SP = 7, PA_REG_PC = 16, PA_REGS_COUNT = 17 };

struct pa_regs {
	uint64_t gpr[PA_REGS_COUNT];
};

/* The few registers that the walker steps: a call frame in motion. */
struct pa_cursor {
	uintptr_t pc;
	uintptr_t sp;
	uintptr_t bp;
};

/*
 * Bytes below sp that an interrupted function may still use. An epilogue that has popped bp already
 * is described as having it there.
 */
#define PA_RED_ZONE_BYTES 128

/* Raises SIGTRAP; execution goes on behind it when a handler returns. */
#define PA_REGS_TRAP() __asm__ volatile("int3")

/* How seccomp filters know the calls of this architecture. */
#define PA_REGS_AUDIT_ARCH AUDIT_ARCH_X86_64

/* Addresses of programs are below this; anything above is not a pc or a stack. */
#define PA_ADDRESS_LIMIT ((uintptr_t)1 << 47)

/*
 * The caller of the function that this stands in, as it is right after the call returns. The
 * function must not be inlined; asking for the frame's address gives it a frame pointer. The cfa,
 * and not what lies next to that pointer: a function that aligns its stack may keep a copy of its
 * return address there. Being a macro keeps the frame its user's own.
 */
#define PA_CURSOR_OF_CALLER()                                                                     \
	((struct pa_cursor){                                                                      \
		.pc = ((uintptr_t *)__builtin_dwarf_cfa())[-1],                                   \
		.sp = (uintptr_t)__builtin_dwarf_cfa(),                                           \
		.bp = ((uintptr_t *)__builtin_frame_address(0))[0],                               \
	})

/*
 * The function that this stands in returns on another stack: to what is written at its top, with
 * the registers that its caller counts on. For a process of one thread. The function must not be
 * inlined, as above.
 */
extern uintptr_t pa_regs_other_stack PA_HIDDEN;
extern void pa_regs_hop(void) PA_HIDDEN;
#define PA_RETURN_ON_STACK(top)                                                                   \
	do {                                                                                      \
		pa_regs_other_stack = (top);                                                      \
		((uintptr_t *)__builtin_dwarf_cfa())[-1] = (uintptr_t)pa_regs_hop;                \
	} while (0)
/* Defines the two, in the one file that uses this. */
#define PA_DEFINE_HOP()                                                                           \
	uintptr_t pa_regs_other_stack;                                                            \
	__asm__(".pushsection .text.unlikely\n"                                                   \
		".hidden pa_regs_hop\n.globl pa_regs_hop\n.type pa_regs_hop, @function\n"         \
		"pa_regs_hop:\n\tmov pa_regs_other_stack(%rip), %rsp\n\tret\n"                    \
		".size pa_regs_hop, .-pa_regs_hop\n.popsection")

/*
 * Flags under which neither our code nor libc's may run: the direction flag turns the string
 * instructions round (of copies and of struct initialisers), the one for alignment checks makes
 * copies by unaligned words fail. PA_CALM_FLAGS() stands first in every function that the program
 * calls and that does more than jump: they are clear from there on, and as they were when the
 * function returns. 7 instructions.
 */
#define PA_FLAGS_DIRECTION ((uint64_t)1 << 10)
#define PA_FLAGS_ALIGNMENT ((uint64_t)1 << 18)
#define PA_FLAGS_UNUSUAL (PA_FLAGS_DIRECTION | PA_FLAGS_ALIGNMENT)

/* Below the red zone. The compiler's own function pops into the wrong word of an aligned stack: gcc
 * 12 with -O0. */
PA_INLINE uint64_t pa_regs_flags(void)
{
	uint64_t flags;
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tpop %0\n\tlea 128(%%rsp), %%rsp"
			 : "=r"(flags) : : "memory");
	return flags;
}

PA_INLINE void pa_regs_set_flags(uint64_t flags)
{
	__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpush %0\n\tpopfq\n\tlea 128(%%rsp), %%rsp"
			 : : "r"(flags) : "memory", "cc");
}

PA_INLINE uint64_t pa_regs_calm_flags(void)
{
	uint64_t flags = pa_regs_flags();
	if (pa_unlikely(flags & PA_FLAGS_UNUSUAL))
		pa_regs_set_flags(flags & ~PA_FLAGS_UNUSUAL);
	return flags & PA_FLAGS_UNUSUAL;
}

PA_INLINE void pa_regs_restore_flags(const uint64_t *unusual)
{
	if (pa_unlikely(*unusual))
		pa_regs_set_flags(pa_regs_flags() | *unusual);
}

#define PA_CALM_FLAGS()                                                                           \
	__attribute__((cleanup(pa_regs_restore_flags), unused))                                   \
	const uint64_t unusual_flags = pa_regs_calm_flags()

/*
 * The floating-point unit, for code of the core that runs on a thread of the program: it
 * calculates, and the program may have changed rounding or precision, or trap what happens then.
 * All of its registers, control words and flags but the upper halves of the vectors, which no call
 * keeps.
 */
struct pa_fpu {
	uint8_t saved[512];
} __attribute__((aligned(16)));

/* As the ABI wants it at the start of a process. */
PA_INLINE void pa_regs_fresh_fpu(void)
{
	const uint32_t all_masked = 0x1f80;
	__asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(all_masked) : "memory");
}

PA_INLINE void pa_regs_save_fpu(struct pa_fpu *fpu)
{
	__asm__ volatile("fxsave64 %0" : "=m"(*fpu) : : "memory");
	pa_regs_fresh_fpu();
}

PA_INLINE void pa_regs_restore_fpu(const struct pa_fpu *fpu)
{
	__asm__ volatile("fxrstor64 %0" : : "m"(*fpu) : "memory");
}

/* From here to the end of the block. */
#define PA_FRESH_FPU()                                                                            \
	__attribute__((cleanup(pa_regs_restore_fpu))) struct pa_fpu program_fpu;                  \
	pa_regs_save_fpu(&program_fpu)

/* The interrupted registers of a signal handler's third argument. */
PA_INLINE void pa_regs_from_context(struct pa_regs *regs, const ucontext_t *context)
{
	static const uint8_t greg_of_dwarf[PA_REGS_COUNT] = {
		REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
		REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP,
	};
	for (int i = 0; i < PA_REGS_COUNT; i++)
		regs->gpr[i] = (uint64_t)context->uc_mcontext.gregs[greg_of_dwarf[i]];
}

PA_INLINE struct pa_cursor pa_regs_cursor(const struct pa_regs *regs)
{
	return (struct pa_cursor){
		.pc = regs->gpr[PA_REG_PC], .sp = regs->gpr[PA_REG_SP], .bp = regs->gpr[PA_REG_BP]
	};
}

/*
 * The frame of a signal delivery (rt_sigreturn's caller): the interrupted registers lie in the
 * ucontext at sp. Offsets of pc, sp and bp from sp, fixed by the kernel's ABI.
 */
enum {
	PA_SIGFRAME_BP = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RBP * 8,
	PA_SIGFRAME_SP = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RSP * 8,
	PA_SIGFRAME_PC = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RIP * 8,
	PA_SIGFRAME_CS = offsetof(ucontext_t, uc_mcontext.gregs) + REG_CSGSFS * 8,
};

/* What tells of an interrupted thread: words of its ucontext. di and dx: of a system call that it
 * was in, the first and the third argument. */
struct pa_sigframe {
	uintptr_t pc, sp, di, dx;
};
enum {
	PA_SIGFRAME_DI = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RDI * 8,
	PA_SIGFRAME_DX = offsetof(ucontext_t, uc_mcontext.gregs) + REG_RDX * 8,
};

/* True of a thread that has sent itself that signal, by tgkill(pid, tid, signal). */
PA_INLINE bool pa_regs_raises(const struct pa_sigframe *frame, int32_t pid, int signal)
{
	return (int32_t)frame->di == pid && (int)frame->dx == signal;
}

/* True when the word at PA_SIGFRAME_CS may be that of a ucontext of this process: its code
 * segment. */
PA_INLINE bool pa_regs_is_sigframe(uintptr_t word)
{
	const uint16_t user_code = 0x33;
	return (uint16_t)word == user_code;
}

/*
 * Takes amount off *counter. True when more than amount was left; else *counter has wrapped below
 * zero or is zero. In place: the two instructions of the hot path, which the compiler does not
 * find.
 */
PA_INLINE bool pa_regs_count_down(uint64_t *counter, uint64_t amount)
{
	bool enough;
	__asm__("subq %2, %0" : "+m"(*counter), "=@cca"(enough) : "r"(amount));
	return enough;
}

/* True when *byte is not 0: one instruction with the load in it. Relaxed. */
PA_INLINE bool pa_regs_is_set(const PA_ATOMIC(uint8_t) *byte)
{
	bool set;
	__asm__("cmpb $0, %1" : "=@ccne"(set) : "m"(*byte));
	return set;
}

/* Two words that change together. */
struct pa_pair {
	uint64_t low, high;
} __attribute__((aligned(16)));

/* Two loads, whose words may not belong together: the exchange that follows finds out. */
PA_INLINE struct pa_pair pa_regs_peek_pair(const struct pa_pair *pair)
{
	return (struct pa_pair){
		.low = __atomic_load_n(&pair->low, __ATOMIC_RELAXED),
		.high = __atomic_load_n(&pair->high, __ATOMIC_RELAXED),
	};
}

/*
 * True when *pair was *expected and is wanted now; else *expected is what was found. Full barrier.
 * The instruction is older than any x86-64 that runs a libc of ours; the compiler would call a
 * library for it.
 */
PA_INLINE bool pa_regs_cas_pair(struct pa_pair *pair, struct pa_pair *expected,
	struct pa_pair wanted)
{
	bool swapped;
	__asm__ volatile("lock cmpxchg16b %1"
			 : "=@ccz"(swapped), "+m"(*pair), "+a"(expected->low),
			 "+d"(expected->high)
			 : "b"(wanted.low), "c"(wanted.high)
			 : "memory");
	return swapped;
}

/* A system call of at most six, or four, arguments without libc: errno (which is TLS) stays
 * untouched. The result is the kernel's, -errno on failure. */
PA_INLINE long pa_regs_syscall6(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long fourth __asm__("r10") = d;
	register long fifth __asm__("r8") = e;
	register long sixth __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
			 : "rcx", "r11", "memory");
	return result;
}

PA_INLINE long pa_regs_syscall(long number, long a, long b, long c, long d)
{
	long result;
	register long fourth __asm__("r10") = d;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
			 : "rcx", "r11", "memory");
	return result;
}

/*
 * True when the kernel can read 8 bytes at the address: rt_sigprocmask copies the set in before it
 * finds that there is no such "how" (-EFAULT, else -EINVAL). It needs no descriptor, changes
 * nothing, and every seccomp filter has to allow it. 0.1 us. True only of that moment.
 */
PA_INLINE bool pa_regs_readable(uintptr_t at)
{
	return pa_regs_syscall(SYS_rt_sigprocmask, -1, (long)at, 0, 8) != -14;
}

/*
 * A thread that a signal took out of a system call stands in front of the instruction, to make the
 * call again, or behind it: one place for both, so that equal waits are equal stacks. code: a copy
 * of the PA_SYSCALL_BYTES at its pc.
 */
#define PA_SYSCALL_BYTES 2
PA_INLINE void pa_regs_pass_syscall(struct pa_regs *regs, const uint8_t *code)
{
	if (code[0] == 0x0f && code[1] == 0x05)
		regs->gpr[PA_REG_PC] += PA_SYSCALL_BYTES;
}

/* A system call in a thread's registers: its number, -1 for none, and its arguments. */
struct pa_call {
	long number;
	long arguments[6];
};

/* How far back the number of a system call is looked for. */
#define PA_CALL_CODE_BYTES 40

/* Bytes of a load from the stack to a register (mov N(%rsp),R) that ends at code; 0: it is none. */
PA_INLINE int pa_regs_load_bytes(const uint8_t *code)
{
	bool is_load = code[-4] == 0x8b && (code[-3] & 0xc7) == 0x44 && code[-2] == 0x24;
	if (!is_load)
		return 0;
	return (code[-5] & 0xfb) == 0x48 ? 5 : 4; /* with a prefix for 64 bits */
}

/*
 * The number of the system call whose instruction ends at code, or -1. Compilers load it right
 * before, or before loads of arguments from the stack.
 */
PA_INLINE long pa_regs_call_number(const uint8_t *code)
{
	if (code[-2] != 0x0f || code[-1] != 0x05)
		return -1;
	code -= 2;
	int bytes = 0;
	for (int i = 0; i < 6 && (i == 0 || bytes); i++) {
		bytes = pa_regs_load_bytes(code);
		code -= bytes;
	}
	if ((code[-2] == 0x31 || code[-2] == 0x33) && code[-1] == 0xc0) /* xor %eax,%eax */
		return 0;
	if (code[-5] != 0xb8) /* mov $N,%eax */
		return -1;
	return code[-4] | code[-3] << 8 | code[-2] << 16 | (long)code[-1] << 24;
}

/*
 * The call that may have ended with EINTR right before the signal handler was entered: true when
 * its result was that. Its number is gone from the registers, but stands in the code: see
 * pa_regs_call_number; *end is where its instruction ends.
 */
PA_INLINE bool pa_regs_interrupted_call(const ucontext_t *context, struct pa_call *call,
	uintptr_t *end)
{
	enum { EINTR_RESULT = -4 };
	const greg_t *gregs = context->uc_mcontext.gregs;
	*end = (uintptr_t)gregs[REG_RIP];
	*call = (struct pa_call){ -1, { gregs[REG_RDI], gregs[REG_RSI], gregs[REG_RDX],
		gregs[REG_R10], gregs[REG_R8], gregs[REG_R9] } };
	return gregs[REG_RAX] == EINTR_RESULT;
}

/* When the handler returns, that call is made again, as if it had not been interrupted. */
PA_INLINE void pa_regs_call_again(ucontext_t *context, const struct pa_call *call)
{
	context->uc_mcontext.gregs[REG_RIP] -= 2;
	context->uc_mcontext.gregs[REG_RAX] = call->number;
}

/*
 * False in a thread without TLS (raw clone with no CLONE_SETTLS in a program that cleared it):
 * there a handler of ours must not touch a thread variable. Uses the instruction where the kernel
 * allows it (bit 1 of AT_HWCAP2), else a system call.
 */
PA_INLINE bool pa_regs_has_tls(bool has_fsgsbase)
{
	unsigned long base = 0;
	if (has_fsgsbase)
		__asm__ volatile("rdfsbase %0" : "=r"(base));
	else
		pa_regs_syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, (long)&base, 0, 0);
	return base != 0;
}

/* May the instruction be used? Asked once, at boot. */
PA_INLINE bool pa_regs_fsgsbase(void)
{
	return getauxval(AT_HWCAP2) & 2;
}

#endif
