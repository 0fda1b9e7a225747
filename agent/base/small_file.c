/* SPDX-License-Identifier: Apache-2.0 */
#include "small_file.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../arch/arch.h"

#include "banned.h"

ssize_t pa_small_file_read(int fd, void *bytes, size_t count)
{
	long result = pa_arch_syscall(SYS_read, fd, (long)bytes, (long)count, 0);
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

ssize_t pa_small_file_text(int fd, char *text, size_t size)
{
	size_t length = 0;
	int error = fd < 0 ? fd : 0;

	/* A file of several records gives them in parts: seq_file of the kernel. */
	while (!error && length + 1 < size) {
		ssize_t got = pa_small_file_read(fd, text + length, size - 1 - length);
		if (got == 0)
			break;
		if (got > 0)
			length += (size_t)got;
		else if (errno != EINTR)
			error = -errno;
	}
	if (fd >= 0)
		close(fd);
	text[length] = '\0';
	return length ? (ssize_t)length : error;
}

ssize_t pa_small_file_record(int fd, char *text, size_t size)
{
	ssize_t got = fd;

	if (fd >= 0) {
		/* Ends: not with EINTR twice in a row, unless signals come without end. */
		while ((got = pa_small_file_read(fd, text, size - 1)) < 0 && errno == EINTR)
			;
		if (got < 0)
			got = -errno;
		close(fd);
	}
	text[got > 0 ? got : 0] = '\0';
	return got;
}
