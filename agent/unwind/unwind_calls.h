/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls in the program's code, by which return addresses are verified.
 *
 * Context: PA_AGENT, the collector thread only, under PA_LOCK_TABLES (calls pa_maps_*). No state.
 */
#ifndef PA_UNWIND_CALLS_H
#define PA_UNWIND_CALLS_H

#include "../arch/prologue.h"

/* Reads the code of this process. */
extern const struct pa_code_reader pa_unwind_calls_code;

/* True when the address is in a mapping that is executable. */
PA_AGENT bool pa_unwind_calls_is_code(uintptr_t at);

/* For code that the maps may not have yet: true when a call may return there. */
PA_AGENT bool pa_unwind_calls_is_behind_call(uintptr_t address);

/*
 * False for an address in a file's code that no call is in front of: no call returns there. On a
 * stack it is an instruction that a signal interrupted, the trampoline that a signal handler
 * returns to (sigreturn(2)), or a function that a return enters (makecontext(3)).
 */
PA_AGENT bool pa_unwind_calls_may_return_to(uintptr_t address);

/* True when the instruction before the return address can call the function at start. */
PA_AGENT bool pa_unwind_calls_is_of(uintptr_t return_address, uintptr_t start);

/* The start of the function that the instruction before the return address calls. False: unknown,
 * or no call. */
PA_AGENT bool pa_unwind_calls_find(uintptr_t return_address, uintptr_t *start);

#endif
