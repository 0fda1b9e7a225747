/* SPDX-License-Identifier: Apache-2.0 */
#include "pass_on.h"

#include "child_env.h"
#include "core_object.h"
#include "floor.h"

static bool is_of_use(const struct pa_settings *settings)
{
	if (!pa_floor_libc(settings, false))
		return false;
	if (pa_core_object_is_there(settings->log != PA_ENV_LOG_OFF))
		return true;
	pa_child_env_told();
	return false;
}

void pa_pass_on(const struct pa_settings *settings)
{
	if (!settings->enabled || !settings->launcher || settings->child)
		return;
	/* Below a shell, that shell has looked. */
	if ((settings->of_shell || is_of_use(settings)) && settings->shell)
		pa_child_env_mark(true);
}
