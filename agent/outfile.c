#include "outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/quiet.h"

/* Mode of the files, minus the umask: a profile tells much of its program. */
#define MODE 0600

/* Does the path name something that a rename would take away? */
static bool is_to_be_kept(const char *path)
{
	struct stat status;
	return lstat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

/* Is the file that the path leads to the one that a standard stream of the program writes? */
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

/* May an entry be made in the directory that the path's last name stands in? */
static int check_directory(const char *path)
{
	char directory[PA_OUTFILE_PATH_BYTES];
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	if (length >= sizeof(directory))
		return -ENAMETOOLONG;
	memcpy(directory, path, length);
	directory[length] = '\0';
	const char *shown = slash ? (length ? directory : "/") : ".";
	return error_of(faccessat(AT_FDCWD, shown, W_OK | X_OK, AT_EACCESS));
}

int pa_outfile_check(const char *path)
{
	struct stat status;
	if (stat(path, &status) != 0)
		return errno == ENOENT ? check_directory(path) : -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	return error_of(faccessat(AT_FDCWD, path, W_OK, AT_EACCESS));
}

/*
 * Without waiting: open(2) of a FIFO without a reader would, and a write to one whose reader is
 * slow.
 */
static int open_through(struct pa_outfile *file)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	flags |= is_standard_stream(file->path) ? O_APPEND : O_TRUNC;
	file->through = true;
	file->fd = open(file->path, flags, MODE);
	return error_of(file->fd);
}

/* The name is unpredictable, and the file is new: mkostemp(3). */
static int open_beside(struct pa_outfile *file)
{
	int length = snprintf(file->beside, sizeof(file->beside), "%s.XXXXXX", file->path);
	if (length < 0 || (size_t)length >= sizeof(file->beside))
		return -ENAMETOOLONG;
	file->fd = mkostemp(file->beside, O_CLOEXEC);
	return error_of(file->fd);
}

int pa_outfile_open(struct pa_outfile *file, const char *path)
{
	file->path = path;
	file->through = false;
	file->end_ns = pa_clock_mono_ns() + PA_OUTFILE_WAIT_NS;
	if (is_to_be_kept(path))
		return open_through(file);
	int error = open_beside(file);
	/* A file that may be written in a directory that may not. */
	if ((error == -EACCES || error == -EROFS || error == -EPERM) && access(path, W_OK) == 0)
		return open_through(file);
	return error;
}

/* True when the descriptor takes bytes again. */
static bool wait_for_reader(struct pa_outfile *file)
{
	struct pollfd target = { .fd = file->fd, .events = POLLOUT };
	int64_t left_ns = file->end_ns - pa_clock_mono_ns();
	return left_ns > 0 && poll(&target, 1, (int)(left_ns / PA_NS_PER_MS) + 1) >= 0;
}

bool pa_outfile_write(void *arg, const void *bytes, size_t count)
{
	struct pa_outfile *file = arg;
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

int pa_outfile_close(struct pa_outfile *file, bool good)
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
