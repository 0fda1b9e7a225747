#include "watched.h"

extern char __asan_init[] __attribute__((weak)), __tsan_init[] __attribute__((weak)),
	__msan_init[] __attribute__((weak)), __lsan_do_leak_check[] __attribute__((weak)),
	__hwasan_init[] __attribute__((weak)); /* only their presence is looked at */

bool pa_watched(void)
{
#ifndef __SANITIZE_ADDRESS__ /* a build of ours with it, which knows how */
	if (__asan_init || __lsan_do_leak_check)
		return true;
#endif
	return __tsan_init || __msan_init || __hwasan_init;
}
