/* SPDX-License-Identifier: Apache-2.0 */
#include "proc_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/assert.h"
#include "../base/small_file.h"
#include "../modules/maps.h"
#include "../modules/maps_jail.h"

#define GROUPS_BYTES 8192
#define LISTED_BYTES 4096
#define SEARCHED_BYTES 4096

/* Mount points of cgroup v2: alone, or beside cgroup v1. */
static const char *const unified_mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

static struct {
	const char *root;
} state = { .root = "" };

void pa_proc_files_root(const char *folder)
{
	state.root = folder;
}

static bool path_in_root(const char *path, char whole[PA_PROC_FILES_PATH_BYTES])
{
	return snprintf(whole, PA_PROC_FILES_PATH_BYTES, "%s%s", state.root, path) <
		PA_PROC_FILES_PATH_BYTES;
}

/* Unlike pa_maps_open without a look at its type first: no path here comes from the program. A
 * descriptor, or -errno. */
static int open_in_root(const char *path)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	char whole[PA_PROC_FILES_PATH_BYTES];

	if (!path_in_root(path, whole))
		return -ENAMETOOLONG;
	if (pa_maps_is_jailed())
		return pa_maps_open(whole);
	int fd = open(whole, flags);
	return fd < 0 ? -errno : fd;
}

size_t pa_proc_files_bytes(const char *path, char *bytes, size_t size)
{
	PA_ASSERT(size > 0);
	ssize_t length = pa_small_file_record(open_in_root(path), bytes, size);

	return length > 0 ? (size_t)length : 0;
}

bool pa_proc_files_text(const char *path, char *text, size_t size)
{
	return pa_proc_files_bytes(path, text, size) > 0;
}

bool pa_proc_files_link(const char *path, char *text, size_t size)
{
	char whole[PA_PROC_FILES_PATH_BYTES];
	bool reachable = !pa_maps_is_jailed() && path_in_root(path, whole);
	ssize_t length = reachable ? readlink(whole, text, size - 1) : -1;

	text[length > 0 ? length : 0] = '\0';
	return length > 0;
}

bool pa_proc_files_contains(const char *path, const char *word)
{
	char bytes[SEARCHED_BYTES];
	size_t kept = 0, length = strlen(word);
	PA_ASSERT(length > 0 && length < sizeof(bytes) / 2);
	bool found = false;
	ssize_t got;
	int fd = open_in_root(path);

	/* What may be the beginning of the word stays for the next turn. */
	while (fd >= 0 && !found && (got = read(fd, bytes + kept, sizeof(bytes) - kept)) > 0) {
		size_t count = kept + (size_t)got;
		found = memmem(bytes, count, word, length) != NULL;
		kept = count < length ? count : length - 1;
		memmove(bytes, bytes + count - kept, kept);
	}
	if (fd >= 0)
		close(fd);
	return found;
}

/* ---- numbers ---- */

uint64_t pa_proc_files_number(const char *text, uint64_t none)
{
	uint64_t number = 0;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++) {
		if (number > (UINT64_MAX - 9) / 10)
			return UINT64_MAX;
		number = number * 10 + (uint64_t)(*at - '0');
	}
	return at == text ? none : number;
}

uint64_t pa_proc_files_number_behind(const char *text, const char *word)
{
	const char *at = text;

	for (; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, word, strlen(word)) == 0) {
			at += strlen(word);
			return pa_proc_files_number(at + strspn(at, " \t"), 0);
		}
	}
	return 0;
}

/* ---- control groups ---- */

uint64_t pa_proc_files_group_number(const struct pa_proc_files_group *group, const char *file,
	uint64_t none)
{
	char path[PA_PROC_FILES_PATH_BYTES], text[64];

	snprintf(path, sizeof(path), "%s/%s", group->folder, file);
	return pa_proc_files_text(path, text, sizeof(text)) ? pa_proc_files_number(text, none) :
							      none;
}

static uint64_t least_up_from(const char *mount, const char *line, bool unified,
	uint64_t (*room)(const struct pa_proc_files_group *group))
{
	char folder[PA_PROC_FILES_PATH_BYTES];
	struct pa_proc_files_group group = { .folder = folder, .unified = unified };
	size_t mount_length = strlen(mount);
	uint64_t least = UINT64_MAX;

	snprintf(folder, sizeof(folder), "%s%.*s", mount, (int)strcspn(line, "\n"), line);
	/* Terminates at the mount point: the folder gets shorter each time. */
	for (;;) {
		size_t length = strlen(folder);
		if (folder[length - 1] == '/')
			folder[length - 1] = '\0';
		uint64_t here = room(&group);
		least = here < least ? here : least;
		char *slash = strrchr(folder, '/');
		if (!slash || slash < folder + mount_length)
			return least;
		*slash = '\0';
	}
}

/* Path in the line of /proc/self/cgroup that contains mark; NULL: none. */
static const char *path_of(const char *groups, const char *mark)
{
	const char *line = strstr(groups, mark);

	return line ? line + strlen(mark) : NULL;
}

uint64_t pa_proc_files_groups(const char *controller,
	uint64_t (*room)(const struct pa_proc_files_group *group))
{
	char groups[GROUPS_BYTES], mark[64], mount[64];
	uint64_t least = UINT64_MAX;

	if (!pa_proc_files_text("/proc/thread-self/cgroup", groups, sizeof(groups)))
		return least;
	const char *unified = path_of(groups, "0::");
	for (size_t i = 0; unified && i < PA_COUNT(unified_mounts); i++) {
		uint64_t here = least_up_from(unified_mounts[i], unified, true, room);
		least = here < least ? here : least;
	}
	snprintf(mark, sizeof(mark), ":%s:", controller);
	snprintf(mount, sizeof(mount), "/sys/fs/cgroup/%s", controller);
	const char *single = path_of(groups, mark);
	uint64_t here = single ? least_up_from(mount, single, false, room) : UINT64_MAX;
	return here < least ? here : least;
}

/* ---- folders ---- */

#define NO_NUMBER UINT64_MAX

static uint64_t number_of_entry(const char *name)
{
	bool is_number = name[0] && name[strspn(name, "0123456789")] == '\0';

	return is_number ? pa_proc_files_number(name, NO_NUMBER) : NO_NUMBER;
}

/* False: visit returned false. */
static bool visit_listed(int folder, const char *listed, long bytes,
	bool (*visit)(void *arg, const struct pa_proc_files_entry *entry), void *arg)
{
	for (long at = 0; at < bytes;) {
		const struct dirent64 *name = (const void *)(listed + at);
		const struct pa_proc_files_entry entry = { folder, number_of_entry(name->d_name) };
		if (entry.number != NO_NUMBER && !visit(arg, &entry))
			return false;
		at += name->d_reclen;
	}
	return true;
}

void pa_proc_files_entries(const char *folder,
	bool (*visit)(void *arg, const struct pa_proc_files_entry *entry), void *arg)
{
	_Alignas(struct dirent64) char listed[LISTED_BYTES];
	char whole[PA_PROC_FILES_PATH_BYTES];
	int fd = !pa_maps_is_jailed() && path_in_root(folder, whole) ?
		open(whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC) :
		-1;
	long bytes;

	if (fd < 0)
		return;
	while ((bytes = syscall(SYS_getdents64, fd, listed, sizeof(listed))) > 0) {
		if (!visit_listed(fd, listed, bytes, visit, arg))
			break;
	}
	close(fd);
}

bool pa_proc_files_text_below(const struct pa_proc_files_entry *entry, const char *file, char *text,
	size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "%" PRIu64 "/%s", entry->number, file);
	int fd = openat(entry->folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return pa_small_file_record(fd < 0 ? -errno : fd, text, size) > 0;
}
