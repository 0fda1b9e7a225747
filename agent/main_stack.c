/* SPDX-License-Identifier: Apache-2.0 */
#include "main_stack.h"

#include "arch/arch.h"
#include "record/switches.h"

extern void *__libc_stack_end; /* ld.so: start of the main thread's stack */

/* The stack limit may change, and other mappings may be below: memory below this frame is verified
 * when the thread uses it. Another thread knows nothing about it. */
void pa_main_stack_measure(void)
{
	const uintptr_t most = (uintptr_t)1 << 30;
	uintptr_t top = (uintptr_t)__libc_stack_end;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	pa_record.main_stack_hi = top & ~(uintptr_t)7;
	pa_record.main_stack_least = most < top ? top - most : PA_PAGE_BYTES;
	bool is_main = here < top && here >= pa_record.main_stack_least;
	pa_record.main_stack_lo = is_main ? here : pa_record.main_stack_hi;
}
