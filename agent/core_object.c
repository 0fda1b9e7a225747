/* SPDX-License-Identifier: Apache-2.0 */
#include "core_object.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/newer_libc.h"
#include "elf_complete.h"
#include "object_paths.h"
#include "record/process.h"

#define CORE_NAME "libpprofagent-core.so"
#define CUT_SHORT "the file is cut short"

/* Room for the core, also where the kernel places a large file at a multiple of 2 MiB. */
#define ROOM_BYTES ((size_t)8 << 20)

static PA_LARGE char core_path[PA_OBJECT_PATHS_BYTES]; /* "": not made yet */
static const char *own_path; /* of the preloaded object; constant after boot */
static void *room;           /* guard: PA_LOCK_LOAD */

static void complain_core(bool may_say, const char *why)
{
	if (may_say)
		pa_log("cannot open %s: %s; not serving", CORE_NAME, why ? why : "no reason given");
}

static bool make_path(void)
{
	return core_path[0] || pa_object_paths_beside(core_path, own_path, CORE_NAME);
}

/* Most programs end before the core is opened: an absolute path is made then. The program may
 * change its directory before. */
bool pa_core_object_find(void)
{
	own_path = pa_object_paths_own();
	return own_path && (own_path[0] == '/' || make_path());
}

bool pa_core_object_is_there(bool may_say)
{
	const char *why = NULL;
	if (!pa_core_object_find() || !make_path())
		return true;
	if (access(core_path, F_OK) != 0)
		why = pa_newer_libc_error(errno);
	else if (!pa_elf_complete_file(core_path))
		why = CUT_SHORT;
	if (why)
		complain_core(may_say, why);
	return !why;
}

void pa_core_object_reserve(void)
{
	void *place = mmap(NULL, ROOM_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		-1, 0);
	if (place != MAP_FAILED)
		room = place;
}

static void leave_room(void)
{
	if (room)
		munmap(room, ROOM_BYTES);
	room = NULL;
}

/* Where a limit that the program has set since boot leaves no room, the agent stays off quietly, as
 * it does where the limit is there before (pa_limits_leave_room). */
static bool may_say_why(enum pa_env_log log)
{
	return log == PA_ENV_LOG_INFO || (log != PA_ENV_LOG_OFF && pa_limits_leave_room(0));
}

pa_core_object_main *pa_core_object_open_locked(enum pa_env_log log)
{
	PA_ASSERT_HELD(PA_LOCK_LOAD);
	pa_core_object_main *entry = NULL;
	if (!make_path() || !pa_elf_complete_file(core_path)) {
		complain_core(log != PA_ENV_LOG_OFF, CUT_SHORT);
		return NULL;
	}
	leave_room();
	void *core = pa_hooks_open_core(core_path);
	if (core)
		*(void **)&entry = dlsym(core, PA_BRIDGE_ENTRY);
	if (!entry)
		complain_core(may_say_why(log), dlerror());
	return entry;
}
