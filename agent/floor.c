/* SPDX-License-Identifier: Apache-2.0 */
#include "floor.h"

#include <errno.h>
#include <gnu/libc-version.h>

#include "base/log.h"
#include "base/newer_libc.h"
#include "child_env.h"
#include "record/wiped_pages.h"

static bool is_first_to_speak(const struct pa_settings *settings)
{
	return !settings->child && settings->log != PA_ENV_LOG_OFF;
}

bool pa_floor_libc(const struct pa_settings *settings, bool late)
{
	const char *version = gnu_get_libc_version();
	if (!pa_newer_libc_is_too_old(version))
		return true;
	if (is_first_to_speak(settings))
		pa_log("not profiling: glibc %s is older than 2.28", version);
	if (!late)
		pa_child_env_told();
	return false;
}

bool pa_floor_kernel(const struct pa_settings *settings)
{
	if (pa_wiped_pages_boot())
		return true;
	if (errno == EINVAL && is_first_to_speak(settings))
		pa_log("not profiling: the kernel is older than Linux 4.14");
	return false;
}
