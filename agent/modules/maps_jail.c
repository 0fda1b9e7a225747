/* SPDX-License-Identifier: Apache-2.0 */
#include "maps_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/atomic.h"

/* Requests name the thread's file, and the process's is opened: agent threads end and are
 * created. */
#define LIST "/proc/thread-self/maps"
#define LIST_OF_PROCESS "/proc/self/maps"
#define EXECUTABLE "/proc/thread-self/exe"
#define TEXT_BYTES ((size_t)4 << 20)
#define HELD_MAX 1024

struct held {
	const char *path;
	size_t bytes; /* of text */
	int fd;
};

static struct {
	PA_ATOMIC(uint32_t) jailed; /* release in enter, acquire in is_jailed */
	char *text;                 /* of the list; paths point into it */
	size_t count;
	struct held held[HELD_MAX];
} state;

static bool is_held(const char *path, size_t bytes)
{
	for (size_t i = 0; i < state.count; i++) {
		if (state.held[i].bytes == bytes && memcmp(state.held[i].path, path, bytes) == 0)
			return true;
	}
	return false;
}

/* Opens the file at path under that name. Only regular files: opening a device may have side
 * effects. */
static void hold_file(const char *name, const char *path)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct stat status;
	size_t bytes = strlen(name);
	if (state.count == HELD_MAX || is_held(name, bytes) || stat(path, &status) != 0 ||
		!S_ISREG(status.st_mode))
		return;
	int fd = open(path, flags);
	if (fd >= 0)
		state.held[state.count++] = (struct held){ name, bytes, fd };
}

static size_t read_list(int fd)
{
	size_t bytes = 0;
	ssize_t got;
	while (bytes < TEXT_BYTES - 1 &&
		(got = read(fd, state.text + bytes, TEXT_BYTES - 1 - bytes)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		bytes += got > 0 ? (size_t)got : 0;
	}
	return bytes;
}

/* Files of mappings with a path. Non-executable mappings share their path with an executable
 * one. */
static void hold_mapped(char *line)
{
	for (char *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		char *path = strchr(line, '/');
		if (path)
			hold_file(path, path);
	}
}

void pa_maps_enter_jail(void)
{
	state.text = pa_map(TEXT_BYTES);
	if (!state.text) {
		pa_store_release(&state.jailed, 1);
		return;
	}
	hold_file(LIST, LIST_OF_PROCESS);
	hold_file(EXECUTABLE, EXECUTABLE);
	int list = pa_maps_open_held(LIST);
	if (list >= 0) {
		state.text[read_list(list)] = '\0';
		close(list);
		hold_mapped(state.text);
	}
	pa_store_release(&state.jailed, 1);
}

void pa_maps_leave_jail(void)
{
	pa_store_release(&state.jailed, 0);
	state.count = 0;
	if (state.text)
		pa_unmap(state.text, TEXT_BYTES);
	state.text = NULL;
}

bool pa_maps_is_jailed(void)
{
	return pa_load_acquire(&state.jailed);
}

/* All duplicates share one offset (dup(2)): a reader from the start has to set it. */
int pa_maps_open_held(const char *path)
{
	size_t bytes = strlen(path);
	for (size_t i = 0; i < state.count; i++) {
		const struct held *held = &state.held[i];
		if (held->bytes != bytes || memcmp(held->path, path, bytes) != 0)
			continue;
		int fd = fcntl(held->fd, F_DUPFD_CLOEXEC, held->fd);
		if (fd >= 0)
			lseek(fd, 0, SEEK_SET);
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}
