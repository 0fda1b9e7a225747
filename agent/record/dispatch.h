/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Syscall user dispatch (prctl(2), PR_SET_SYSCALL_USER_DISPATCH; Linux 5.11), a sandbox without a
 * filter: while a byte of the program says so, each system call of the thread that is made outside
 * a range of addresses raises SIGSYS. The handler of an emulator takes it for a call of the code
 * that it emulates, and the agent's signal interrupts just that code: the thread gets none. Hooks
 * make their calls, as they run between the pieces of emulated code.
 *
 * New threads and forked processes begin without dispatch (kernel/fork.c, copy_process).
 *
 * Not detected: dispatch set by a raw system call instruction of the program, or by its tracer.
 *
 * Context: PA_APP, on the thread itself. No lock.
 */
#ifndef PA_DISPATCH_H
#define PA_DISPATCH_H

#include "calls.h"
#include "thread.h"

/* What is denied to a thread under dispatch: the calls of the agent's signal. */
#define PA_DISPATCH_CALLS (PA_CALLS_TIMER | PA_CALLS_RETURN)

/* Around the prctl that begins dispatch: begin before it, end when it failed, and after the one
 * that ends dispatch. From begin on the thread gets no signal of the agent. errno kept. */
PA_APP void pa_dispatch_begin(struct pa_thread *self);
PA_APP void pa_dispatch_end(struct pa_thread *self);

/* The denied calls (record/sandbox.h) that a new thread inherits. */
PA_APP uint32_t pa_dispatch_inherited(const struct pa_thread *self);

#endif
