/* SPDX-License-Identifier: Apache-2.0 */
#include "core_object.h"

#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/newer_libc.h"
#include "elf_complete.h"
#include "object_paths.h"
#include "record/process.h"

#define CORE_NAME "libpprofagent-core.so"
#define CUT_SHORT "the file is cut short"

static PA_LARGE char core_path[PA_OBJECT_PATHS_BYTES];

static void complain_core(bool may_say, const char *why)
{
	if (may_say)
		pa_log("cannot open %s: %s; not serving", CORE_NAME, why ? why : "no reason given");
}

bool pa_core_object_find(void)
{
	return pa_object_paths_core(core_path, CORE_NAME);
}

bool pa_core_object_is_there(bool may_say)
{
	const char *why = NULL;
	if (!pa_core_object_find())
		return true;
	if (access(core_path, F_OK) != 0)
		why = pa_newer_libc_error(errno);
	else if (!pa_elf_complete_file(core_path))
		why = CUT_SHORT;
	if (why)
		complain_core(may_say, why);
	return !why;
}

pa_core_object_main *pa_core_object_open_locked(bool may_say)
{
	PA_ASSERT_HELD(PA_LOCK_LOAD);
	pa_core_object_main *entry = NULL;
	if (!pa_elf_complete_file(core_path)) {
		complain_core(may_say, CUT_SHORT);
		return NULL;
	}
	void *core = pa_hooks_open_core(core_path);
	if (core)
		*(void **)&entry = dlsym(core, PA_BRIDGE_ENTRY);
	if (!entry)
		complain_core(may_say, dlerror());
	return entry;
}
