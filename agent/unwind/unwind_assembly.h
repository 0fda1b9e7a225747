/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of assembly without unwind information that no rule of the frame cache describes, because
 * they do not follow the ABI among themselves. A function keeps its caller's stack pointer in a
 * register, also while it calls subroutines of its own that leave this register alone; such a
 * subroutine may use bp and not restore it, since its caller does.
 *
 * Context: PA_AGENT, the collector thread only.
 */
#ifndef PA_UNWIND_ASSEMBLY_H
#define PA_UNWIND_ASSEMBLY_H

#include "../record/frame_cache.h"

struct pa_unwind_assembly {
	uintptr_t cfa;
	intptr_t bp_offset; /* the caller's bp is at cfa + bp_offset; 0: it is that of the frame */
	bool bp_lost;       /* the caller's bp is not known */
};

/*
 * The frame at cursor; is_first: the innermost one. first: all registers of the innermost frame,
 * when the frame is that one or its caller; else NULL. The return address at cfa - 8 is to be
 * verified. False: it is no such frame.
 */
PA_AGENT bool pa_unwind_assembly_find(const struct pa_cursor *cursor, bool is_first,
	const struct pa_regs *first, struct pa_unwind_assembly *out);

#endif
