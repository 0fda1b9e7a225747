/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distance of sp below the frame pointer, from analysis of the machine code. Part of the interface
 * of arch.h; a machine without it returns false.
 *
 * For a sleeping thread the kernel reports pc and sp (proc(5), syscall) but not bp. Where call
 * frame information defines the CFA by bp, this module derives bp: it follows the function's code
 * from its first instruction along every jump and adds up the effect of each instruction on sp.
 * Assumptions: calls preserve sp and bp; vector and BMI instructions do not write them; code
 * reached only by an indirect jump or an exception starts with no call arguments pushed; parts of
 * the function that are elsewhere (.text.unlikely) leave sp as it is. The caller checks the return
 * address above the frame.
 *
 * False is always a safe result, and the result for: code that cannot be read or decoded, sp set
 * from a register (alloca, realigned frames), sp that depends on the path (the stack probe loop of
 * a large frame), returns that leave something on the stack, jumps out of the function with
 * registers saved and no frame pointer, and functions above PA_PROLOGUE_BYTES.
 *
 * Context: PA_AGENT, the collector thread only, so no lock. Reads code through a pa_code_reader.
 */
#ifndef PA_PROLOGUE_H
#define PA_PROLOGUE_H

#include "../base/base.h"

#define PA_PROLOGUE_BYTES (16 * 1024)

/* Reads code; read and read_cached copy bytes from an address and return false unless all are
 * there. */
struct pa_code_reader {
	bool (*read)(void *to, uintptr_t at, size_t bytes);
	/* Not for code that the program may write at any time. */
	bool (*read_cached)(void *to, uintptr_t at, size_t bytes);
	bool (*is_code)(uintptr_t at); /* the address is in a mapped file */
};

/*
 * True when the function [start, limit) has a call or a system call that ends at pc, and saved bp
 * and set it as frame pointer before: bp = sp + *bytes, with sp after the call.
 */
PA_AGENT bool pa_prologue_find(const struct pa_code_reader *reader, uintptr_t start,
	uintptr_t limit, uintptr_t pc, uintptr_t *bytes);

/* A decoded call instruction. */
struct pa_prologue_call {
	uintptr_t target;  /* of a direct call; else 0 */
	uintptr_t word_at; /* address of the word with the target of a call *x(%rip); else 0 */
};

/* Decodes the call that returns to return_address. False when there is none before it; when *call
 * has a target then, only is_code has rejected that target. */
PA_AGENT bool pa_prologue_call_before(const struct pa_code_reader *reader, uintptr_t return_address,
	struct pa_prologue_call *call);

#endif
