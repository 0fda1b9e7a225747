/* SPDX-License-Identifier: Apache-2.0 */
#include "memstats.h"

#include <gnu/libc-version.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../core/core.h"
#include "../modules/maps.h"
#include "proc_files.h"

/* Fields of statm, in pages (proc(5)). "data" is private writable memory including the stacks. */
enum { STATM_RESIDENT = 1, STATM_DATA = 5, STATM_FIELDS = 7 };

/* Not pa_maps_find, which needs the collector's lock. */
static const struct pa_module *module_holding(uintptr_t address)
{
	uint32_t id;

	for (id = pa_maps_count(); id; id--) {
		const struct pa_module *module = pa_maps_get(id);

		if (module && address >= module->start && address < module->limit)
			return module;
	}
	return NULL;
}

/* True if the malloc behind our hooks belongs to the libc that mallinfo() describes. */
static bool allocator_is_libc(void)
{
	const struct pa_module *libc = module_holding((uintptr_t)gnu_get_libc_version);

	return libc && libc == module_holding((uintptr_t)pa_core_bridge->program_malloc);
}

#pragma weak mallinfo2
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
/* glibc before 2.33 has these numbers as int: they are right while there is less than 4 GiB. */
static void read_heap_32(struct pa_memstats *stats)
{
	struct mallinfo info;

	if (stats->sys > UINT32_MAX)
		return;
	info = mallinfo();
	stats->heap_known = true;
	stats->heap_sys = (uint64_t)(uint32_t)info.arena + (uint32_t)info.hblkhd;
	stats->heap_idle = (uint32_t)info.fordblks;
}
#pragma GCC diagnostic pop

PA_AGENT void pa_memstats_read_heap(struct pa_memstats *stats)
{
	struct mallinfo2 info;

	if (!allocator_is_libc())
		return;
	if (!mallinfo2) {
		read_heap_32(stats);
		return;
	}
	info = mallinfo2();
	stats->heap_known = true;
	stats->heap_sys = info.arena + info.hblkhd;
	stats->heap_idle = info.fordblks;
}

static void read_statm(struct pa_memstats *stats)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), fields[STATM_FIELDS] = { 0 };
	char text[256], *next = text;
	/* thread-self: /proc/self refers to the main thread, which may have exited. */
	if (!pa_proc_files_text("/proc/thread-self/statm", text, sizeof(text)))
		return;
	for (size_t i = 0; i < STATM_FIELDS; i++)
		fields[i] = strtoull(next, &next, 10);
	stats->rss = fields[STATM_RESIDENT] * page;
	stats->sys = fields[STATM_DATA] * page;
}

PA_AGENT void pa_memstats_read(struct pa_memstats *stats)
{
	struct rusage usage;

	*stats = (struct pa_memstats){ .profiler = pa_map_bytes() };
	read_statm(stats);
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		stats->max_rss = (uint64_t)usage.ru_maxrss * 1024;
}
