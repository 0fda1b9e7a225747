/* SPDX-License-Identifier: Apache-2.0 */
#include "other_profilers.h"

#include "base/env.h"

#include <string.h>
#include <unistd.h>

extern char __asan_init[] __attribute__((weak)), __tsan_init[] __attribute__((weak)),
	__msan_init[] __attribute__((weak)), __lsan_do_leak_check[] __attribute__((weak)),
	__hwasan_init[] __attribute__((weak)); /* only their presence matters */

static bool is_race_detector(const char *preload)
{
	return strstr(preload, "/vgpreload_helgrind") || strstr(preload, "/vgpreload_drd");
}

bool pa_other_profilers(void)
{
	const char *preload = pa_env_value(environ, "LD_PRELOAD");
	if (preload && is_race_detector(preload))
		return true;
#ifndef __SANITIZE_ADDRESS__ /* in a sanitizer build of the agent, which supports it */
	if (__asan_init || __lsan_do_leak_check)
		return true;
#endif
	return __tsan_init || __msan_init || __hwasan_init;
}
