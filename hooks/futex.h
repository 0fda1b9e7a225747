/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_futex.c, for the calls of futex(2) that come by syscall().
 *
 * Context: PA_APP.
 */
#ifndef PA_HOOKS_FUTEX_H
#define PA_HOOKS_FUTEX_H

#include "../agent/base/base.h"

/* Any function of syscall's kind, as the gate jumps to it. */
typedef long pa_syscall_function(long number, long a, long b, long c, long d, long e, long f);

/* The gate's question, by its name: what a call of syscall() is to jump to. */
PA_APP pa_syscall_function *pa_hooks_choose(long number, long a, long b, long c, long d,
	long e) PA_HIDDEN;

/* What a call of futex(word, operation, ...) goes through; NULL: nothing is to be recorded. */
PA_APP pa_syscall_function *pa_hooks_futex(long word, long operation, long other_word);

#endif
