/*
 * How far sp is below the frame pointer, by the machine code itself (x86-64).
 *
 * The kernel tells pc and sp of a sleeping thread, but not bp. Where call frame information says
 * that the frame hangs on bp, this proves where bp points: all of the function's code is followed
 * from its first instruction, along every jump, and what each instruction does to sp is added up.
 * Taken on trust: calls give sp and bp back, vector instructions and BMI do not write them, and
 * what only a jump through a register or an exception reaches starts with nothing pushed for a
 * call.
 *
 * False is always a good answer, and is given for: code that cannot be read or decoded, sp that is
 * set from a register (alloca, realigned frames), sp that depends on the way (the loop that probes
 * a large frame), returns that leave something on the stack, jumps out of the function with its
 * frame in place (to a cold part that lies elsewhere), and more than PA_PROLOGUE_BYTES.
 *
 * Context: PA_AGENT, the collector's thread only. Reads code through pa_maps_read_cached.
 */
#ifndef PA_PROLOGUE_H
#define PA_PROLOGUE_H

#include "../base/base.h"

#define PA_PROLOGUE_BYTES (16 * 1024)

/*
 * True when the function [start, limit) has a call or a system call that ends at pc, and had pushed
 * its caller's bp first and pointed bp there: bp = sp + *bytes, with sp as it is after the call.
 */
PA_AGENT bool pa_prologue_find(uintptr_t start, uintptr_t limit, uintptr_t pc, uintptr_t *bytes);

/* A call instruction. */
struct pa_prologue_call {
	uintptr_t target;  /* of a direct one; else 0 */
	uintptr_t word_at; /* the word that has the target of a call *x(%rip); else 0 */
};

/* The call that comes back to return_address: false when what is before it is none. It may be one
 * nevertheless when *call has a target then: that is in no module of pa_maps_find. */
PA_AGENT bool pa_prologue_call_before(uintptr_t return_address, struct pa_prologue_call *call);

#endif
