/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of a thread that a thread dump shows beside its stack: its wait, and the call that created
 * it.
 *
 * Context: PA_SIGNAL; reads only its arguments.
 */
#ifndef PA_THREAD_STATE_H
#define PA_THREAD_STATE_H

#include "thread.h"

struct pa_thread_state {
	uint32_t wait;        /* enum pa_wait_kind: wait of a hook on its stack */
	int32_t creator_tid;  /* 0: unknown */
	uintptr_t object;     /* of the wait */
	int64_t since_ns;     /* CLOCK_MONOTONIC, begin of the wait; 0: none */
	uintptr_t creator_pc; /* return address of the call that created it; 0: unknown */
};

/* State of a thread, or of a copy of its struct pa_thread, with stack pointer sp. */
PA_SIGNAL struct pa_thread_state pa_thread_state_of(const struct pa_thread *thread, uintptr_t sp);

#endif
