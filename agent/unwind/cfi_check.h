/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validation of call frame programs: what libunwind does not survive is refused (cfi.h).
 *
 * Context: PA_AGENT; no state.
 */
#ifndef PA_CFI_CHECK_H
#define PA_CFI_CHECK_H

#include "cfi_reader.h"

/*
 * Checks a program to the reader's end; reader->bad: it is refused. The CFA must have a rule before
 * the pc first advances or a state is remembered: then it has one in every state that libunwind can
 * reach. *has_cfa: it has one before the program, and then behind it.
 */
PA_AGENT void pa_cfi_check_program(struct pa_cfi_reader *reader, bool *has_cfa);

/*
 * Overwrites instructions that give rules to registers which libunwind does not have: those of
 * vectors, which functions of Microsoft's ABI save (Wine). No frame needs them. program: a copy,
 * the bytes that the reader is at.
 */
PA_AGENT void pa_cfi_check_blank(struct pa_cfi_reader reader, uint8_t *program);

#endif
