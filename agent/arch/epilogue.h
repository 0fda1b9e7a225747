/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind rules for functions without unwind information, from analysis of the machine code. Part of
 * the interface of arch.h; a machine without it returns false.
 *
 * Follows the code from pc along every jump to the returns that it reaches, and adds up the effect
 * of each instruction on the stack pointer and the frame pointer; at a return the stack pointer is
 * the address of the return address. All returns must agree. The start of the function need not be
 * known. Assumption: calls preserve both registers, and return.
 *
 * False is always a safe result, and the result for: no return within PA_EPILOGUE_INSNS
 * instructions, code that cannot be read or decoded, a stack pointer set from another register that
 * the code, or a function that it calls, may have written.
 *
 * Context: PA_AGENT, the collector thread only, so no lock. Reads code through a pa_code_reader.
 */
#ifndef PA_EPILOGUE_H
#define PA_EPILOGUE_H

#include "prologue.h"

#define PA_EPILOGUE_INSNS 4096

/* The base of the CFA. */
enum pa_epilogue_base {
	PA_EPILOGUE_SP,       /* cfa = sp + cfa_offset */
	PA_EPILOGUE_BP,       /* cfa = bp + cfa_offset */
	PA_EPILOGUE_SP_DEREF, /* cfa = *(sp + base_offset) + cfa_offset */
	PA_EPILOGUE_BP_DEREF, /* cfa = *(bp + base_offset) + cfa_offset */
	PA_EPILOGUE_REG       /* cfa = the register reg + cfa_offset: no rule for walkers, which
			       * know sp and bp only */
};

/* Offsets are multiples of 8 bytes. The return address is at cfa - 8. */
struct pa_epilogue {
	enum pa_epilogue_base base;
	int64_t cfa_offset, base_offset;
	int64_t bp_offset; /* the caller's bp is at cfa + bp_offset; 0: bp is unchanged */
	bool bp_lost;      /* the caller's bp is not restored: no rule for walkers either */
	uint32_t reg;      /* of PA_EPILOGUE_REG: DWARF's number */
	uint32_t written;  /* registers that the code may write before it returns, but sp; bit i:
			    * the one with DWARF's number i */
};

/*
 * True when the function that begins at start leads to pc, the next instruction that runs, and has
 * set a frame pointer there: the caller's bp is at bp, the return address at bp + 8.
 */
PA_AGENT bool pa_epilogue_frame_is_set(const struct pa_code_reader *reader, uintptr_t start,
	uintptr_t pc);

/*
 * True when the last few instructions of a function are left, and none of them writes bp: the
 * caller's is restored already. gcc's call frame information says otherwise there, in functions
 * that realign their stack.
 */
PA_AGENT bool pa_epilogue_keeps_bp(const struct pa_code_reader *reader, uintptr_t pc);

/* The rule at pc, the next instruction that runs. False: unknown. */
PA_AGENT bool pa_epilogue_find(const struct pa_code_reader *reader, uintptr_t pc,
	struct pa_epilogue *out);

#endif
