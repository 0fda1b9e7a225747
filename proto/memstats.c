#include "memstats.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../agent/base/arena.h"
#include "../agent/profile/core.h"
#include "../agent/profile/maps.h"

/* The kernel's fields of statm, in pages. "data" is private writable memory with the stacks. */
enum { STATM_RESIDENT = 1, STATM_DATA = 5, STATM_FIELDS = 7 };

/* Not pa_maps_find: that needs the collector's lock. */
static const struct pa_module *module_at(uintptr_t address)
{
	uint32_t id;

	for (id = pa_maps_count(); id; id--) {
		const struct pa_module *module = pa_maps_get(id);

		if (module && address >= module->start && address < module->limit)
			return module;
	}
	return NULL;
}

/* Is the malloc behind our hooks that of the library whose heaps mallinfo2 describes? */
static bool allocator_is_libc(void)
{
	const struct pa_module *libc = module_at((uintptr_t)mallinfo2);

	return libc && libc == module_at((uintptr_t)pa_core_bridge->program_malloc);
}

static void read_heap(struct pa_memstats *stats)
{
	struct mallinfo2 info = mallinfo2();

	stats->heap_known = true;
	stats->heap_sys = info.arena + info.hblkhd;
	stats->heap_idle = info.fordblks;
}

static void read_statm(struct pa_memstats *stats)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), fields[STATM_FIELDS] = { 0 };
	char text[256], *next = text;
	/* Of the thread: the main thread, whose entry /proc/self is, may have exited. */
	int fd = open("/proc/thread-self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t count;
	size_t i;

	if (fd < 0)
		return;
	count = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (count <= 0)
		return;
	text[count] = '\0';
	for (i = 0; i < STATM_FIELDS; i++)
		fields[i] = strtoull(next, &next, 10);
	stats->rss = fields[STATM_RESIDENT] * page;
	stats->sys = fields[STATM_DATA] * page;
}

PA_AGENT void pa_memstats_read(struct pa_memstats *stats)
{
	struct rusage usage;

	*stats = (struct pa_memstats){ .profiler = pa_map_bytes() };
	if (allocator_is_libc())
		read_heap(stats);
	read_statm(stats);
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		stats->max_rss = (uint64_t)usage.ru_maxrss * 1024;
}
