/* SPDX-License-Identifier: Apache-2.0 */
#include "other_profilers.h"

#include "base/env.h"

#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

/* Part of all sanitizers; only its presence matters. One symbol that is missing costs each start
 * less than five. */
extern char __sanitizer_set_report_path[] __attribute__((weak));

static bool has_symbol(const char *symbol)
{
	return dlsym(RTLD_DEFAULT, symbol);
}

static bool is_race_detector(const char *preload)
{
	return strstr(preload, "/vgpreload_helgrind") || strstr(preload, "/vgpreload_drd");
}

bool pa_other_profilers(void)
{
	const char *preload = pa_env_value(environ, "LD_PRELOAD");
	if (preload && is_race_detector(preload))
		return true;
	if (!__sanitizer_set_report_path)
		return false;
#ifndef __SANITIZE_ADDRESS__ /* in a sanitizer build of the agent, which supports it */
	if (has_symbol("__asan_init") || has_symbol("__lsan_do_leak_check"))
		return true;
#endif
	return has_symbol("__tsan_init") || has_symbol("__msan_init") ||
		has_symbol("__hwasan_init");
}
