/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_map_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../core/core.h"
#include "../modules/maps.h"
#include "../modules/maps_jail.h"

#define STATUS_BYTES 4096
/* pid_namespaces(7) nest up to 32 levels deep. */
#define PIDS 33

static struct {
	const char *directory;
	pid_t pids[PIDS]; /* of this process, innermost namespace first */
	unsigned pid_count;
	uint64_t limits[PA_BRIDGE_ANCESTORS +
		1]; /* of the ancestors' files: their size at the start */
} state = { .directory = "/tmp" };

PA_AGENT void pa_perf_map_file_set_directory(const char *directory)
{
	state.directory = directory;
}

/* ---------------------------------------------------------------- names of the files */

static size_t read_status(char text[STATUS_BYTES])
{
	size_t bytes = 0;
	ssize_t got = 0;
	int fd = pa_maps_open("/proc/thread-self/status");

	if (fd < 0)
		return 0;
	while (bytes < STATUS_BYTES - 1 &&
		(got = read(fd, text + bytes, STATUS_BYTES - 1 - bytes)) > 0)
		bytes += (size_t)got;
	close(fd);
	return bytes;
}

/* The line NStgid has the ids of the process, outermost first, as far as /proc shows them. */
static void list_outer_pids(void)
{
	char text[STATUS_BYTES];
	pid_t outer[PIDS];
	unsigned count = 0;

	text[read_status(text)] = '\0';
	char *line = strstr(text, "\nNStgid:");
	if (!line)
		return;
	line += strlen("\nNStgid:");
	while (count < PIDS && *line != '\n' && *line != '\0') {
		char *end;
		long pid = strtol(line, &end, 10);

		if (end == line)
			break;
		outer[count++] = (pid_t)pid;
		line = end;
	}
	while (count > 0 && state.pid_count < PIDS) {
		pid_t pid = outer[--count];

		if (pid > 0 && pid != state.pids[0])
			state.pids[state.pid_count++] = pid;
	}
}

static void write_path(char path[PATH_MAX], pid_t pid)
{
	snprintf(path, PATH_MAX, "%s/perf-%d.map", state.directory, (int)pid);
}

/* ---------------------------------------------------------------- which files are trusted */

/* Some file systems keep whole seconds only. */
static bool is_older(const struct stat *status, int64_t wall_ns)
{
	int64_t coarse_ns = status->st_mtim.tv_nsec ? 10 * PA_NS_PER_MS : PA_NS_PER_S;

	return status->st_mtim.tv_sec * PA_NS_PER_S + status->st_mtim.tv_nsec + coarse_ns < wall_ns;
}

/* 0 or -errno. More than one link: the directory may be writable for other users, and the file a
 * private one of this user that was linked there. */
static int check_status(const struct stat *status, int64_t start_wall_ns)
{
	if (!S_ISREG(status->st_mode))
		return -EINVAL;
	if (status->st_uid != geteuid() || status->st_nlink > 1)
		return -EPERM;
	return is_older(status, start_wall_ns) ? -ESTALE : 0;
}

static int open_trusted(struct pa_perf_map_file *file, const char *path, int64_t start_wall_ns)
{
	/* O_NONBLOCK: it may have been replaced by a FIFO since lstat. */
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
	struct stat status;
	int error = lstat(path, &status) != 0 ? -errno : check_status(&status, start_wall_ns);

	if (error)
		return error;
	file->fd = open(path, flags);
	if (file->fd < 0)
		return -errno;
	error = fstat(file->fd, &status) != 0 ? -errno : check_status(&status, start_wall_ns);
	if (error) {
		close(file->fd);
		return error;
	}
	file->device = status.st_dev;
	file->inode = status.st_ino;
	file->bytes = (uint64_t)status.st_size;
	if (file->bytes > PA_PERF_MAP_FILE_BYTES)
		file->bytes = PA_PERF_MAP_FILE_BYTES;
	return 0;
}

static int open_own(struct pa_perf_map_file *file)
{
	char path[PATH_MAX];
	int error = -ENOENT;

	for (unsigned i = 0; error && i < state.pid_count; i++) {
		write_path(path, state.pids[i]);
		error = open_trusted(file, path, pa_core_bridge->start_wall_ns);
	}
	return error;
}

PA_AGENT int pa_perf_map_file_open(struct pa_perf_map_file *file, unsigned ancestor)
{
	char path[PATH_MAX];

	if (ancestor > PA_BRIDGE_ANCESTORS || !pa_core_bridge ||
		(ancestor && !pa_core_bridge->ancestors[ancestor - 1].pid))
		return -ESRCH;
	/* After a chroot(2) that the agent's threads followed only files held before are opened. */
	if (pa_maps_is_jailed())
		return -ENOENT;
	if (!ancestor)
		return open_own(file);
	const struct pa_bridge_ancestor *of = &pa_core_bridge->ancestors[ancestor - 1];
	write_path(path, of->pid);
	int error = open_trusted(file, path, of->start_wall_ns);
	if (!error && file->bytes > state.limits[ancestor])
		file->bytes = state.limits[ancestor];
	return error;
}

PA_AGENT void pa_perf_map_file_close(struct pa_perf_map_file *file)
{
	close(file->fd);
	file->fd = -1;
}

PA_AGENT size_t pa_perf_map_file_read(const struct pa_perf_map_file *file, void *to,
	uint64_t offset, size_t count)
{
	size_t done = 0;

	if (offset >= file->bytes)
		return 0;
	if (count > file->bytes - offset)
		count = file->bytes - offset;
	while (done < count) {
		ssize_t got =
			pread(file->fd, (char *)to + done, count - done, (off_t)(offset + done));

		if (got <= 0 && !(got < 0 && errno == EINTR))
			break;
		done += got > 0 ? (size_t)got : 0;
	}
	return done;
}

PA_AGENT void pa_perf_map_file_boot(void)
{
	struct pa_perf_map_file file;

	state.pids[0] = getpid();
	state.pid_count = 1;
	list_outer_pids();
	for (unsigned i = 1; i <= PA_BRIDGE_ANCESTORS; i++) {
		state.limits[i] = UINT64_MAX;
		if (pa_perf_map_file_open(&file, i) != 0) {
			state.limits[i] = 0;
			continue;
		}
		state.limits[i] = file.bytes;
		pa_perf_map_file_close(&file);
	}
}
