/* SPDX-License-Identifier: Apache-2.0 */
#include "mem_headroom.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "../arch/arch.h"
#include "../base/atomic.h"
#include "../base/clock.h"
#include "../profile/proc_files.h"

/* Divisor: part of the room that one allocation may take. */
#define ROOM_PART 4
/*
 * The same for resident pages, and the part of a mapping assumed resident: a response without names
 * needs no more. Small containers must be profiled too; names are loaded only if
 * pa_mem_headroom_for allows it.
 */
#define PAGES_PART 2
#define PAGES_USED 4
/* Below this no limit is checked. */
#define SMALL_BYTES ((uint64_t)256 << 10)
#define TEXT_BYTES 8192
/* A first profile of a large program costs a second or two of CPU time for its symbols. */
#define TIME_LEFT_S 5

/* Room that was found is trusted for so long, for this part of it: little needs no exact figure. */
#define TRUSTED_NS PA_NS_PER_S
#define TRUSTED_PART 16
/* Limits of control groups above this are none: in version 1 that is the largest number of whole
 * pages. */
#define NO_LIMIT_BYTES ((uint64_t)1 << 62)

/* Fields of memory.stat in cgroup v2 and v1. */
#define CACHE_UNIFIED "inactive_file "
#define CACHE_OLD "total_inactive_file "

static struct {
	PA_ATOMIC(int64_t) found_ns; /* release / acquire; 0: never */
	PA_ATOMIC(uint64_t) room;    /* relaxed: of found_ns, or of a later look */
} state;

static uint64_t memory_group_room(const char *limit_text, const char *usage_text, uint64_t cache)
{
	uint64_t limit = pa_proc_files_number(limit_text, UINT64_MAX);
	uint64_t usage = pa_proc_files_number(usage_text, 0);

	if (limit > NO_LIMIT_BYTES)
		return UINT64_MAX;
	/* Inactive file pages are reclaimed before the OOM killer acts. */
	usage -= cache < usage ? cache : usage;
	return usage < limit ? limit - usage : 0;
}

PA_AGENT uint64_t pa_mem_headroom_of_group(const char *limit, const char *usage, const char *stat)
{
	uint64_t cache = pa_proc_files_number_behind(stat, CACHE_UNIFIED);

	return memory_group_room(limit, usage,
		cache ? cache : pa_proc_files_number_behind(stat, CACHE_OLD));
}

static bool read_of(const struct pa_proc_files_group *group, const char *file, char *text,
	size_t size)
{
	char path[PA_PROC_FILES_PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", group->folder, file);
	return pa_proc_files_text(path, text, size);
}

static uint64_t room_of_group(const struct pa_proc_files_group *group, bool with_cache)
{
	const bool unified = group->unified;
	char limit[64], usage[64], stat[TEXT_BYTES] = "";

	if (!read_of(group, unified ? "memory.max" : "memory.limit_in_bytes", limit,
		    sizeof(limit)) ||
		pa_proc_files_number(limit, UINT64_MAX) > NO_LIMIT_BYTES ||
		!read_of(group, unified ? "memory.current" : "memory.usage_in_bytes", usage,
			sizeof(usage)))
		return UINT64_MAX;
	if (with_cache)
		read_of(group, "memory.stat", stat, sizeof(stat));
	return memory_group_room(limit, usage,
		pa_proc_files_number_behind(stat, unified ? CACHE_UNIFIED : CACHE_OLD));
}

static uint64_t room_in(const struct pa_proc_files_group *group)
{
	return room_of_group(group, true);
}

static uint64_t room_without_cache(const struct pa_proc_files_group *group)
{
	return room_of_group(group, false);
}

/* What a resource limit leaves if pages are used; UINT64_MAX pages = unknown: 0 under a limit. */
static uint64_t limit_room(int resource, uint64_t pages)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	uint64_t left = limit.rlim_cur / PA_PAGE_BYTES;
	return pages < left ? (left - pages) * PA_PAGE_BYTES : 0;
}

static bool is_limited(int resource)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

static uint64_t limits_room(void)
{
	char text[TEXT_BYTES];
	const char *at = text;
	uint64_t all, data;

	if (!is_limited(RLIMIT_AS) && !is_limited(RLIMIT_DATA))
		return UINT64_MAX;
	/* On failure (a jail without /proc) text is empty and the numbers are unknown. */
	pa_proc_files_text("/proc/thread-self/statm", text, sizeof(text));
	/* statm: size resident shared text lib data (proc(5)) */
	for (int field = 1; field < 6 && *at; field++) {
		at += strcspn(at, " ");
		at += *at == ' ';
	}
	all = limit_room(RLIMIT_AS, pa_proc_files_number(text, UINT64_MAX));
	data = limit_room(RLIMIT_DATA, pa_proc_files_number(at, UINT64_MAX));
	return all < data ? all : data;
}

/* Without /proc: below MemAvailable, because reclaimable file pages are not included. Not before
 * meminfo, which lxcfs gives the limits of a container. */
static uint64_t free_bytes(void)
{
	struct sysinfo info;

	return sysinfo(&info) == 0 ? (uint64_t)info.freeram * info.mem_unit : 0;
}

static uint64_t machine_room(void)
{
	char text[TEXT_BYTES];

	if (pa_proc_files_text("/proc/meminfo", text, sizeof(text)))
		return pa_proc_files_number_behind(text, "MemAvailable:") * 1024;
	return free_bytes();
}

/* Room that the machine and the control groups leave for resident pages. */
static uint64_t pages_room(void)
{
	uint64_t groups = pa_proc_files_groups("memory", room_in), machine = machine_room();

	return groups < machine ? groups : machine;
}

/* The kernel adds up memory.stat over all processors when it is read: not without need. */
static bool read_has_pages(uint64_t bytes)
{
	uint64_t groups = pa_proc_files_groups("memory", room_without_cache);
	uint64_t room = machine_room();

	room = groups < room ? groups : room;
	if (bytes > room)
		return bytes <= pages_room();
	pa_store_relaxed(&state.room, room);
	pa_store_release(&state.found_ns, pa_clock_mono_ns());
	return true;
}

/* A scrape asks several times at once, and the texts cost as much as a small profile. */
static bool has_pages(uint64_t bytes)
{
	int64_t found_ns = pa_load_acquire(&state.found_ns);

	if (found_ns && pa_clock_mono_ns() - found_ns < TRUSTED_NS &&
		bytes <= pa_load_relaxed(&state.room) / TRUSTED_PART)
		return true;
	return read_has_pages(bytes);
}

PA_AGENT uint64_t pa_mem_headroom_bytes(void)
{
	uint64_t limits = limits_room(), pages = pages_room();

	return limits < pages ? limits : pages;
}

/* At RLIMIT_CPU the kernel sends SIGXCPU to the process (setrlimit(2)): the rest is left to the
 * program. */
static bool lacks_time(void)
{
	struct rlimit limit;
	struct timespec used;

	if (getrlimit(RLIMIT_CPU, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return false;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (rlim_t)used.tv_sec + TIME_LEFT_S >= limit.rlim_cur;
}

PA_API const char *pa_mem_headroom_lacks(uint64_t bytes)
{
	if (lacks_time())
		return "RLIMIT_CPU";
	if (bytes > limits_room() / ROOM_PART)
		return "RLIMIT_AS or RLIMIT_DATA";
	return has_pages(bytes / PAGES_USED * PAGES_PART) ? NULL : "memory";
}

PA_AGENT bool pa_mem_headroom_for(uint64_t bytes)
{
	return bytes <= SMALL_BYTES ||
		(bytes <= limits_room() / ROOM_PART && bytes <= UINT64_MAX / ROOM_PART &&
			has_pages(bytes * ROOM_PART));
}
