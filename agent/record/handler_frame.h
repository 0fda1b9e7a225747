/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects what a signal handler interrupted, without unwinding: libc's return address for handlers
 * identifies a signal frame, which contains the interrupted registers.
 *
 * Context: PA_SIGNAL, on the thread that owns the stack. No state.
 */
#ifndef PA_HANDLER_FRAME_H
#define PA_HANDLER_FRAME_H

#include "../base/base.h"

/* A range of libc's code, lo <= pc < hi. */
struct pa_code {
	uintptr_t lo, hi;
};

/*
 * True when the caller runs in a signal handler, and it or an outer one interrupted libc in code,
 * or in a function called from code. Evidence is a return address into code on the stack near the
 * interrupted sp: a stale one may mislead, but only when libc was interrupted at all. Few system
 * calls, 1 ns per word of stack; on a coroutine's stack 64 system calls, and at most 16 KiB.
 */
PA_SIGNAL bool pa_handler_frame_cut_into(struct pa_code code);

#endif
