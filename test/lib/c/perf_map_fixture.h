/* SPDX-License-Identifier: Apache-2.0 */
/* A directory that stands for /tmp, with perf maps of this process and its ancestors. */
#ifndef PERF_MAP_FIXTURE_H
#define PERF_MAP_FIXTURE_H

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/core.h"
#include "agent/symbols/perf_map_file.h"

static char map_directory[64];
static struct pa_counters map_counters;
static struct pa_bridge map_bridge = { .counters = &map_counters };

static inline const char *map_path(pid_t pid)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/perf-%d.map", map_directory, (int)pid);
	return path;
}

static inline void write_map_bytes(pid_t pid, const char *mode, const void *bytes, size_t count)
{
	FILE *file = fopen(map_path(pid), mode);

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, count, file), count);
	assert_int_equal(fclose(file), 0);
}

static inline void write_map(pid_t pid, const char *text)
{
	write_map_bytes(pid, "w", text, strlen(text));
}

static inline void append_map(pid_t pid, const char *text)
{
	write_map_bytes(pid, "a", text, strlen(text));
}

static inline int map_set_up(void **unused)
{
	(void)unused;
	strcpy(map_directory, "/tmp/test_perf_map.XXXXXX");
	if (!mkdtemp(map_directory))
		return -1;
	memset(&map_counters, 0, sizeof(map_counters));
	map_bridge = (struct pa_bridge){ .counters = &map_counters };
	pa_core_bridge = &map_bridge;
	pa_perf_map_file_set_directory(map_directory);
	pa_perf_map_file_boot();
	return 0;
}

static inline int map_remove(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

static inline int map_tear_down(void **unused)
{
	(void)unused;
	pa_perf_map_file_set_directory("/tmp");
	return nftw(map_directory, map_remove, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
