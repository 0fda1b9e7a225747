/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of maps*.c: files in a directory that goes away, mapped at places that nothing else
 * uses.
 */
#ifndef MAPS_FIXTURE_H
#define MAPS_FIXTURE_H

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/modules/maps.h"

#define PAGE ((size_t)4096)
/* Places that nothing else uses; below the executable, so that they come first in maps. */
#define LOW_PLACE ((char *)0x10000000)
#define JIT_PLACE ((char *)0x200000000)
#define FILE_PLACE ((char *)0x300000000)

static char directory[] = "/tmp/test_maps.XXXXXX";

static inline char *path_in(char *out, const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", directory, name);
	return out;
}

/* A file of that many pages; the first bytes are text. */
static inline void write_file(const char *path, const void *bytes, size_t count, size_t pages)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE)), 0);
	assert_int_equal(pwrite(fd, bytes, count, 0), (ssize_t)count);
	close(fd);
}

static inline char *map_file(char *at, const char *path, size_t pages, int protection,
	size_t offset)
{
	int fd = open(path, O_RDONLY);
	char *memory =
		mmap(at, pages * PAGE, protection, MAP_PRIVATE | MAP_FIXED, fd, (off_t)offset);

	assert_true(fd >= 0);
	close(fd);
	assert_ptr_equal(memory, at);
	return memory;
}

static inline char *map_anonymous(char *at, size_t pages, int protection)
{
	char *memory =
		mmap(at, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	assert_ptr_equal(memory, at);
	return memory;
}

static inline struct pa_module *find(const void *at)
{
	return pa_maps_find((uintptr_t)at);
}

static inline void refresh(void)
{
	assert_int_equal(pa_maps_refresh(), 0);
}

static inline int make_directory(void **unused)
{
	(void)unused;
	return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_directory(void **unused)
{
	char command[PATH_MAX + 16];

	(void)unused;
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

#endif
