/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validation of call frame programs: what libunwind does not survive is refused (cfi.h).
 *
 * Context: PA_AGENT; pure functions.
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

#endif
