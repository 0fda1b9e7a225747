/* SPDX-License-Identifier: Apache-2.0 */
/*
 * General registers that code may write, also in part or without naming them. Errors are on the
 * side of too many. Bit i of a result: the register with the number i in instructions. Changes of
 * sp by push, pop, call and return do not count.
 *
 * Context: PA_AGENT, the collector thread only, so no lock.
 */
#ifndef PA_CLOBBERS_H
#define PA_CLOBBERS_H

#include "../prologue.h"
#include "insn.h"

#define PA_CLOBBERS_ALL ((uint16_t)0xffff)
#define PA_CLOBBERS_CALLER_SAVED ((uint16_t)0x0fc7) /* rax, rcx, rdx, rsi, rdi, r8 to r11 */

/* By one instruction; by a call, what the ABI lets the callee write. */
PA_AGENT uint16_t pa_clobbers_insn(const struct pa_insn *insn);

/*
 * By a function from its start to its returns. PA_CLOBBERS_ALL where it is not known: it calls
 * others, jumps by a table, is long, or cannot be decoded.
 */
PA_AGENT uint16_t pa_clobbers_callee(const struct pa_code_reader *reader, uintptr_t start);

#endif
