/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a table of the kernel line by line: /proc/net/tcp, /proc/net/unix.
 *
 * Context: PA_AGENT, any thread. No lock. Reads with a fixed buffer, however long the table is;
 * opens and closes one descriptor.
 */
#ifndef PA_PROC_LINES_H
#define PA_PROC_LINES_H

#include "../base/base.h"

#define PA_PROC_LINES_BYTES 8192

/* line ends with a NUL in place of its newline. */
typedef bool pa_proc_lines_fn(void *arg, const char *line);

/*
 * Calls look with each line until it returns true. piece: bytes that are read at once, at most
 * PA_PROC_LINES_BYTES; the kernel makes no more lines than fit. False: look did not return true, or
 * the file cannot be read.
 */
PA_AGENT bool pa_proc_lines_find(const char *path, size_t piece, pa_proc_lines_fn *look, void *arg);

#endif
