/* SPDX-License-Identifier: Apache-2.0 */
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/quiet.h"

/* Mode of the files, minus the umask: a profile reveals much about its program. */
#define MODE 0600

/* True when a rename would replace something other than a regular file. */
static bool is_to_be_kept(const char *path)
{
	struct stat status;
	return lstat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

/* True when the path leads to a file that is a standard stream of the program. */
static bool is_standard_stream(const char *path)
{
	struct stat named, stream;
	if (stat(path, &named) != 0 || !S_ISREG(named.st_mode))
		return false;
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (fstat(fd, &stream) == 0 && stream.st_dev == named.st_dev &&
			stream.st_ino == named.st_ino)
			return true;
	return false;
}

static int error_of(int result)
{
	return result < 0 ? -errno : 0;
}

/* Whether an entry can be created in the directory of the path's last name: 0 or -errno. */
static int check_directory(const char *path)
{
	char directory[PA_OUTPUT_FILE_PATH_BYTES];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	if (length >= sizeof(directory))
		return -ENAMETOOLONG;
	memcpy(directory, path, length);
	directory[length] = '\0';
	const char *shown = slash ? (length ? directory : "/") : ".";
	return error_of(faccessat(AT_FDCWD, shown, W_OK | X_OK, AT_EACCESS));
}

int pa_output_file_check(const char *path)
{
	struct stat status;
	if (stat(path, &status) != 0)
		return errno == ENOENT ? check_directory(path) : -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	return error_of(faccessat(AT_FDCWD, path, W_OK, AT_EACCESS));
}

/*
 * O_NONBLOCK: open(2) of a FIFO without a reader would block, and a write when the reader is slow.
 */
static int open_through(struct pa_output_file *file)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	flags |= is_standard_stream(file->path) ? O_APPEND : O_TRUNC;
	file->through = true;
	file->fd = open(file->path, flags, MODE);
	return error_of(file->fd);
}

/* The name is unpredictable, and the file is new: mkostemp(3). */
static int open_beside(struct pa_output_file *file)
{
	int length = snprintf(file->beside, sizeof(file->beside), "%s.XXXXXX", file->path);
	if (length < 0 || (size_t)length >= sizeof(file->beside))
		return -ENAMETOOLONG;
	file->fd = mkostemp(file->beside, O_CLOEXEC);
	return error_of(file->fd);
}

int pa_output_file_open(struct pa_output_file *file, const char *path)
{
	file->path = path;
	file->through = false;
	file->end_ns = pa_clock_mono_ns() + PA_OUTPUT_FILE_WAIT_NS;
	if (is_to_be_kept(path))
		return open_through(file);
	int error = open_beside(file);
	/* A writable file in a directory that is not writable. */
	if ((error == -EACCES || error == -EROFS || error == -EPERM) && access(path, W_OK) == 0)
		return open_through(file);
	return error;
}

/* True when the descriptor is writable again. */
static bool wait_for_reader(struct pa_output_file *file)
{
	struct pollfd target = { .fd = file->fd, .events = POLLOUT };
	int64_t left_ns = file->end_ns - pa_clock_mono_ns();
	const struct timespec left = { left_ns / PA_NS_PER_S, left_ns % PA_NS_PER_S };
	/* poll() may be a function of the program. */
	return left_ns > 0 &&
		pa_arch_syscall6(SYS_ppoll, (long)&target, 1, (long)&left, 0, 0, 0) >= 0;
}

bool pa_output_file_write(void *arg, const void *bytes, size_t count)
{
	struct pa_output_file *file = arg;
	const char *from = bytes;
	/* Ends: all is written, an error, or at file->end_ns. */
	while (count) {
		ssize_t done = pa_quiet_write(file->fd, from, count);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && (errno != EAGAIN || !wait_for_reader(file)))
			return false;
		if (done > 0) {
			from += done;
			count -= (size_t)done;
		}
	}
	return true;
}

int pa_output_file_close(struct pa_output_file *file, bool good)
{
	int error = error_of(close(file->fd));
	if (file->through)
		return good ? error : -EIO;
	if (good && !error)
		error = error_of(rename(file->beside, file->path));
	if (!good || error)
		unlink(file->beside);
	return good ? error : -EIO;
}
