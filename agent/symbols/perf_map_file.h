/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in which JIT engines write the names of the code that they made: perf-PID.map in /tmp,
 * which Linux perf reads too (tools/perf/Documentation/jit-interface.txt).
 *
 * Any user can create files in /tmp. So a file is used only if it is a regular one of the user of
 * this process with one name, and was written since this process started: a process id may have
 * been that of another process before, and exec(2) keeps it.
 *
 * The process id in the name is that which the process sees, or that in an outer namespace. Code
 * inherited by fork(2) is named by the files of the ancestors, as they were when the child started.
 *
 * Context: PA_AGENT, any thread. No lock; boot runs before the threads that call the others.
 */
#ifndef PA_PERF_MAP_FILE_H
#define PA_PERF_MAP_FILE_H

#include "../base/base.h"

/* Offsets in it are numbers of 32 bits; the newest lines of a larger file are not used. */
#define PA_PERF_MAP_FILE_BYTES UINT32_MAX

struct pa_perf_map_file {
	int fd;
	uint64_t device, inode;
	uint64_t bytes;
};

/* Once per process, also after a fork. */
PA_AGENT void pa_perf_map_file_boot(void);

/*
 * Opens the file of this process (ancestor 0), or of an ancestor, the nearest being 1. Returns 0 or
 * -errno; -ESRCH: there is no such ancestor.
 */
PA_AGENT int pa_perf_map_file_open(struct pa_perf_map_file *file, unsigned ancestor);
PA_AGENT void pa_perf_map_file_close(struct pa_perf_map_file *file);

/* Reads bytes [offset, offset + count), at most to the end. Returns their number. */
PA_AGENT size_t pa_perf_map_file_read(const struct pa_perf_map_file *file, void *to,
	uint64_t offset, size_t count);

/* Directory of the files, by default "/tmp". For tests. */
PA_AGENT void pa_perf_map_file_set_directory(const char *directory);

#endif
