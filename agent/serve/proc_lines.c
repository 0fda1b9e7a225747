/* SPDX-License-Identifier: Apache-2.0 */
#include "proc_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Handles the complete lines of the buffer and moves the rest to its start. */
static bool look_at_lines(char *buffer, size_t *used, pa_proc_lines_fn *look, void *arg)
{
	char *line = buffer, *end;

	while ((end = memchr(line, '\n', *used - (size_t)(line - buffer)))) {
		*end = '\0';
		if (look(arg, line))
			return true;
		line = end + 1;
	}
	*used -= (size_t)(line - buffer);
	memmove(buffer, line, *used);
	return false;
}

bool pa_proc_lines_find(const char *path, size_t piece, pa_proc_lines_fn *look, void *arg)
{
	char buffer[PA_PROC_LINES_BYTES];
	size_t used = 0;
	bool is_found = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* Terminates at the end of the table, at an error, or at a line that fills the buffer. */
	while (fd >= 0 && !is_found && used < sizeof(buffer)) {
		size_t room = sizeof(buffer) - used;
		ssize_t got = read(fd, buffer + used, room < piece ? room : piece);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
		is_found = look_at_lines(buffer, &used, look, arg);
	}
	if (fd >= 0)
		close(fd);
	return is_found;
}
