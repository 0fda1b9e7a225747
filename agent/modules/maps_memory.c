/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel interface of maps.c and symbols.c: files, and reads of memory that may be unmapped. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../arch/arch.h"
#include "maps.h"
#include "maps_jail.h"

/* 1 MiB when all are in use, which takes a program with as many pages of unwind tables. With 64, a
 * rule of a large program took 1.5 system calls. */
#define CACHE_PAGES 256

struct cache {
	uintptr_t at[CACHE_PAGES]; /* address of the page in slot i; 0 = empty */
	char pages[CACHE_PAGES][PA_PAGE_BYTES];
};

static struct {
	struct cache *cache;
} state;

static int open_file(const char *path)
{
	/* O_NONBLOCK: the file may have been replaced (by a FIFO, say) since the stat. */
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat status;

	if (stat(path, &status) != 0)
		return -errno;
	/* A path in debug information may name a device, and opening one may have side effects. */
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	int fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

PA_API int pa_maps_open(const char *path)
{
	if (path[0] != '/')
		return -EINVAL;
	return pa_maps_is_jailed() ? pa_maps_open_held(path) : open_file(path);
}

/* For kernels and sandboxes without process_vm_readv(2). */
static bool read_memory_file(void *to, uintptr_t from, size_t bytes)
{
	int fd = pa_maps_open("/proc/thread-self/mem");
	size_t done = 0;

	if (fd < 0)
		return false;
	while (done < bytes) {
		ssize_t got = pread(fd, (char *)to + done, bytes - done, (off_t)(from + done));

		if (got <= 0 && !(got < 0 && errno == EINTR))
			break;
		done += got > 0 ? (size_t)got : 0;
	}
	close(fd);
	return done == bytes;
}

PA_AGENT bool pa_maps_read_memory(void *to, uintptr_t from, size_t bytes)
{
	struct iovec local = { to, bytes }, remote = { (void *)from, bytes };
	int saved = errno;
	bool done = true;

	if (bytes == 0)
		return true;
	if (from >= PA_ADDRESS_LIMIT || bytes > PA_ADDRESS_LIMIT - from)
		return false;
	/* Not the process id: after the main thread has ended, the process id has no memory
	 * (process_vm_readv(2) fails with ESRCH). */
	ssize_t got = process_vm_readv(gettid(), &local, 1, &remote, 1, 0);
	if (got != (ssize_t)bytes)
		done = got < 0 && (errno == EPERM || errno == ENOSYS) &&
			read_memory_file(to, from, bytes);
	errno = saved;
	return done;
}

/* The page from the cache, read if missing; NULL when it is unreadable. */
static const char *cached_page(uintptr_t page)
{
	size_t slot = (page >> PA_PAGE_SHIFT) % CACHE_PAGES;

	if (!state.cache)
		state.cache = pa_map(sizeof(*state.cache));
	if (!state.cache)
		return NULL;
	if (state.cache->at[slot] != page || page == 0) {
		state.cache->at[slot] = 0;
		if (!pa_maps_read_memory(state.cache->pages[slot], page, PA_PAGE_BYTES))
			return NULL;
		state.cache->at[slot] = page;
	}
	return state.cache->pages[slot];
}

PA_AGENT bool pa_maps_read_cached(void *to, uintptr_t from, size_t bytes)
{
	char *out = to;

	if (from >= PA_ADDRESS_LIMIT || bytes > PA_ADDRESS_LIMIT - from)
		return false;
	while (bytes) {
		size_t within = from % PA_PAGE_BYTES;
		size_t part = bytes < PA_PAGE_BYTES - within ? bytes : PA_PAGE_BYTES - within;
		const char *page = cached_page(from - within);

		if (!page)
			return pa_maps_read_memory(out, from, bytes);
		memcpy(out, page + within, part);
		out += part;
		from += part;
		bytes -= part;
	}
	return true;
}

PA_APP void pa_maps_forget_pages(void)
{
	if (state.cache)
		memset(state.cache->at, 0, sizeof(state.cache->at));
}
