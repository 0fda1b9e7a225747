#include "mainstack.h"

#include "record/on.h"

extern void *__libc_stack_end; /* ld.so: where the main thread's stack began */

/* Its limit may change, and something else may be mapped below: what is below here is proven when
 * the thread comes there. Another thread knows nothing of it. */
void pa_mainstack_measure(void)
{
	const uintptr_t most = (uintptr_t)1 << 30;
	uintptr_t top = (uintptr_t)__libc_stack_end;
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	pa_record.main_stack_hi = top & ~(uintptr_t)7;
	pa_record.main_stack_least = most < top ? top - most : PA_PAGE_BYTES;
	bool is_main = here < top && here >= pa_record.main_stack_least;
	pa_record.main_stack_lo = is_main ? here : pa_record.main_stack_hi;
}
