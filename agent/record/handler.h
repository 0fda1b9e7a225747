/*
 * What a signal handler came in the middle of, without unwinding: a signal frame is known by libc's
 * return address for handlers, and has the interrupted registers behind it.
 *
 * Context: PA_SIGNAL, on the thread whose stack it is. No state.
 */
#ifndef PA_HANDLER_H
#define PA_HANDLER_H

#include "../base/base.h"

/* A part of libc's code, lo <= pc < hi. */
struct pa_code {
	uintptr_t lo, hi;
};

/*
 * True when the caller runs in a signal handler, and it or one below it was called while libc was
 * in code, or in functions that code called. What tells is a return address into code on the stack
 * right where the thread was interrupted: an old one that was never overwritten may deceive, but
 * only when libc was interrupted at all. Few system calls, 1 ns for each word of the stack; on a
 * coroutine's stack 64 system calls, and no farther than 16 KiB.
 */
PA_SIGNAL bool pa_handler_cut_into(struct pa_code code);

#endif
