/* SPDX-License-Identifier: Apache-2.0 */
#include "listen_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "listen_fd.h"

#define MODE 0600
#define LOCK_PAUSE_NS (5 * PA_NS_PER_MS)

/* ---- paths ---- */

struct pa_address pa_listen_unix_expand(const char *pattern)
{
	struct pa_address address = { .family = AF_UNIX };
	const size_t room = sizeof(address.path);
	size_t at = 0;

	for (; *pattern && at < room; pattern++) {
		bool is_letter = pattern[0] == '%' && (pattern[1] == 'p' || pattern[1] == '%');
		pattern += is_letter;
		if (is_letter && *pattern == 'p')
			at += (size_t)snprintf(address.path + at, room - at, "%d", getpid());
		else
			address.path[at++] = *pattern;
	}
	return at < room ? address : (struct pa_address){ .family = AF_UNSPEC };
}

struct pa_address pa_listen_unix_beside(const struct pa_address *taken)
{
	struct pa_address address = { .family = AF_UNIX };
	const char *name = strrchr(taken->path, '/'), *end = strrchr(taken->path, '.');

	if (!end || !name || end <= name + 1)
		end = taken->path + strlen(taken->path);
	int length = snprintf(address.path, sizeof(address.path), "%.*s.%d%s",
		(int)(end - taken->path), taken->path, getpid(), end);
	return length < (int)sizeof(address.path) ? address :
						    (struct pa_address){ .family = AF_UNSPEC };
}

/* ---- the lock of the folder ---- */

/* A descriptor to close; -1: not locked. */
static int lock_folder(const char *path, bool files_private)
{
	char folder[PA_ADDRESS_PATH_BYTES];
	const char *name = strrchr(path, '/');
	int64_t end_ns = pa_clock_mono_ns() + PA_LISTEN_UNIX_LOCK_NS;

	snprintf(folder, sizeof(folder), "%.*s/", name ? (int)(name - path) : 0, path);
	int fd = pa_listen_raise(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), files_private);
	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK || pa_clock_mono_ns() >= end_ns) {
			close(fd);
			return -1;
		}
		pa_futex_sleep(LOCK_PAUSE_NS);
	}
	return fd;
}

/* ---- a file that is there already ---- */

/* 0: nothing listens there. Follows symbolic links: the caller looks at the file itself again. */
static int probe_listener(const struct pa_address *address, bool files_private)
{
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(address, &to);
	int fd = pa_listen_raise(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
		files_private);

	if (fd < 0)
		return -EMFILE;
	int error = connect(fd, (const struct sockaddr *)&to, length) == 0 ? EADDRINUSE : errno;
	close(fd);
	if (error == ECONNREFUSED)
		return 0;
	/* EAGAIN: its backlog is full. EPROTOTYPE: of another kind, and bound. EACCES: of another
	 * user. */
	return error == ENOENT ? -ENOENT : -EADDRINUSE;
}

static bool is_unchanged_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Removes a socket on which nothing listens. 0: nothing is there now. */
static int remove_stale(const struct pa_address *address, bool locked, bool files_private)
{
	struct stat before, now;

	if (lstat(address->path, &before) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(before.st_mode))
		return -ENOTSOCK;
	int error = probe_listener(address, files_private);
	if (error || !locked)
		return error == -ENOENT ? 0 : -EADDRINUSE;
	if (lstat(address->path, &now) != 0)
		return errno == ENOENT ? 0 : -errno;
	if (!is_unchanged_file(&before, &now))
		return -EADDRINUSE;
	return unlink(address->path) == 0 || errno == ENOENT ? 0 : -errno;
}

/* ---- the socket ---- */

/* The mode of a socket's file is that of its descriptor, less the umask (unix_bind_bsd in
 * net/unix/af_unix.c): the file never has another one. */
static int bind_file(int fd, const struct pa_address *address, int backlog)
{
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(address, &to);

	if (fchmod(fd, MODE) != 0 || bind(fd, (const struct sockaddr *)&to, length) != 0 ||
		listen(fd, backlog) != 0)
		return -errno;
	return 0;
}

int pa_listen_unix_bind(int fd, const struct pa_address *address, int backlog, bool files_private)
{
	int lock = lock_folder(address->path, files_private);
	int error = remove_stale(address, lock >= 0, files_private);

	if (!error)
		error = bind_file(fd, address, backlog);
	if (lock >= 0)
		close(lock);
	return error;
}
