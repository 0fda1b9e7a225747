/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the beginning of a file as text: /proc, control groups. Allocates nothing.
 *
 * Context: PA_APP, no state. The caller opens the file, since not each may be opened by its path.
 */
#ifndef PA_SMALL_FILE_H
#define PA_SMALL_FILE_H

#include <sys/types.h>

#include "base.h"

/* read(2) without libc: a hook of the agent has that name, and the program may have one, too. */
PA_SIGNAL ssize_t pa_small_file_read(int fd, void *bytes, size_t count);

/*
 * Reads fd to its end, or until size - 1 bytes are read, and closes it. text ends with a NUL.
 * Returns the length, or -errno if not one byte could be read. fd may be -errno of an open that
 * failed: that is returned, and text is "". size > 0.
 */
PA_APP ssize_t pa_small_file_text(int fd, char *text, size_t size);

/* As above with one read: of files that the kernel gives whole (single_open in fs/seq_file.c), as
 * those of one thread in /proc. */
PA_APP ssize_t pa_small_file_record(int fd, char *text, size_t size);

#endif
