/* SPDX-License-Identifier: Apache-2.0 */
#include "held_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"

/* Lower numbers stay free for files and sockets that the agent opens meanwhile, also when the
 * program lowers RLIMIT_NOFILE. */
#define LOWEST_FD 256

/* Files announced at the same time; and how long they wait for their first location. */
#define ANNOUNCED_MAX 8
#define ANNOUNCED_NS PA_NS_PER_S

struct announced {
	int fd;
	bool open;
	ino_t inode;
	int64_t time_ns;
};

struct held {
	int fd;
	uint32_t users; /* modules; 0: the place is free */
	bool at_start;
	const struct pa_module *of; /* the first one */
};

static struct {
	struct pa_lock lock;
	/* guard: lock */
	bool on;
	uint32_t used;
	uint32_t late; /* of them, not there at the start */
	PA_ATOMIC(uint32_t) *count;
	struct held held[PA_HELD_FILES_MAX];
	/* The collector's. */
	struct announced announced[ANNOUNCED_MAX];
	uint32_t next; /* place in announced */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_FILES) };

/* On the same mount, or on the same file system where the kernel (before 5.8) says no mounts. */
static bool is_on_mount_of(const struct statx *file, const char *path)
{
	struct statx other;

	if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &other) != 0)
		return false;
	if (file->stx_mask & other.stx_mask & STATX_MNT_ID)
		return file->stx_mnt_id == other.stx_mnt_id;
	return file->stx_dev_major == other.stx_dev_major &&
		file->stx_dev_minor == other.stx_dev_minor;
}

/* A memfd: a file without a name on a mount of the kernel's own. */
static bool is_in_memory(int fd)
{
	char path[64], name[16];

	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
	return readlink(path, name, sizeof(name)) == sizeof(name) &&
		memcmp(name, "/memfd:", sizeof("/memfd:") - 1) == 0;
}

/*
 * An open file keeps its file system busy (umount(2)), and the program may unmount that of a
 * library as soon as it has unloaded it: true for those that programs do not unmount.
 */
static bool is_lasting(int fd)
{
	static const char *const paths[] = { "/", "/proc/self/exe", "/tmp", "/var/tmp",
		"/dev/shm" };
	struct statx file;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &file) != 0)
		return false;
	for (size_t i = 0; i < PA_COUNT(paths); i++)
		if (is_on_mount_of(&file, paths[i]))
			return true;
	return is_in_memory(fd);
}

static bool is_mapped_file(int fd, const struct pa_module *module)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == module->inode;
}

static int open_mapped(const struct pa_module *module, const char *path)
{
	int fd = pa_maps_open(path);

	if (fd >= 0 && !(is_mapped_file(fd, module) && is_lasting(fd))) {
		close(fd);
		fd = -ESTALE;
	}
	return fd;
}

static void drop_announced(struct announced *file)
{
	if (file->open)
		close(file->fd);
	file->open = false;
}

static int take_announced(const struct pa_module *module)
{
	for (uint32_t i = 0; i < ANNOUNCED_MAX; i++) {
		struct announced *file = &state.announced[i];

		if (!file->open || file->inode != module->inode)
			continue;
		file->open = false;
		return file->fd;
	}
	return -ENOENT;
}

/* As announced; by its path; by the kernel's link, which also opens deleted files but is for root
 * alone. */
static int open_module_file(const struct pa_module *module)
{
	char link[64];
	int fd = take_announced(module);

	if (fd < 0)
		fd = open_mapped(module, module->path);

	if (fd < 0 && module->segment_count) {
		snprintf(link, sizeof(link), "/proc/self/map_files/%lx-%lx",
			(unsigned long)module->segments[0].start,
			(unsigned long)module->segments[0].limit);
		fd = open_mapped(module, link);
	}
	if (fd < 0)
		return fd;
	int raised = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
	int error = errno;
	close(fd);
	return raised < 0 ? -error : raised;
}

static bool is_same_file(const struct pa_module *a, const struct pa_module *b)
{
	return a->device == b->device && a->inode == b->inode &&
		a->file_time_ns == b->file_time_ns && a->build_id_bytes == b->build_id_bytes &&
		memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0;
}

static void count_locked(const struct held *held, int change)
{
	PA_ASSERT_HELD(PA_LOCK_FILES);
	state.used += (uint32_t)change;
	state.late += held->at_start ? 0 : (uint32_t)change;
	if (state.count)
		pa_store_relaxed(state.count, state.late);
}

/* Shares the descriptor of another module of the same file. */
static bool share_locked(struct pa_module *module)
{
	PA_ASSERT_HELD(PA_LOCK_FILES);
	for (uint32_t i = 0; i < PA_HELD_FILES_MAX; i++) {
		struct held *held = &state.held[i];
		if (!held->users || !is_same_file(held->of, module))
			continue;
		held->users++;
		module->held = i + 1;
		return true;
	}
	return false;
}

/* False: full. */
static bool keep_locked(struct pa_module *module, int fd, bool at_start)
{
	PA_ASSERT_HELD(PA_LOCK_FILES);
	for (uint32_t i = 0; i < PA_HELD_FILES_MAX; i++) {
		if (state.held[i].users)
			continue;
		state.held[i] = (struct held){ fd, 1, at_start, module };
		module->held = i + 1;
		count_locked(&state.held[i], 1);
		return true;
	}
	return false;
}

PA_AGENT void pa_held_files_hold(struct pa_module *module, bool at_start)
{
	/* The executable is never unloaded; code of no file has none. */
	if (module->is_main || !module->inode)
		return;
	pa_lock(&state.lock);
	bool wanted = state.on && !module->held && !share_locked(module) &&
		state.used < (at_start ? PA_HELD_FILES_MAX / 2 : PA_HELD_FILES_MAX);
	pa_unlock(&state.lock);
	int fd = wanted ? open_module_file(module) : -1;
	if (fd < 0)
		return;
	pa_lock(&state.lock);
	bool kept = keep_locked(module, fd, at_start);
	pa_unlock(&state.lock);
	if (!kept)
		close(fd);
}

/* The place of the same file, which a program opens again and again, or of the oldest. */
static struct announced *place_of(ino_t inode)
{
	for (uint32_t i = 0; i < ANNOUNCED_MAX; i++) {
		if (state.announced[i].open && state.announced[i].inode == inode)
			return &state.announced[i];
	}
	state.next = (state.next + 1) % ANNOUNCED_MAX;
	return &state.announced[state.next];
}

PA_AGENT void pa_held_files_announce(const char *path, int64_t time_ns)
{
	int fd = state.on ? pa_maps_open(path) : -1;
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) != 0 || !is_lasting(fd)) {
		close(fd);
		return;
	}
	struct announced *file = place_of(st.st_ino);
	drop_announced(file);
	*file = (struct announced){ fd, true, st.st_ino, time_ns };
}

/* Takes the place of the path, which does not lead to the file any more. */
static void find_module(const struct announced *file)
{
	for (uint32_t id = pa_maps_count(); file->open && id > 0; id--) {
		struct pa_module *module = pa_maps_get(id);

		if (module->inode == file->inode && !pa_load_relaxed(&module->dead))
			pa_held_files_hold(module, false);
	}
}

static bool is_deleted(const struct announced *file)
{
	struct stat st;

	return fstat(file->fd, &st) == 0 && st.st_nlink == 0;
}

PA_AGENT bool pa_held_files_expire(int64_t now_ns, bool settle)
{
	bool wanted = false;

	for (uint32_t i = 0; i < ANNOUNCED_MAX; i++) {
		struct announced *file = &state.announced[i];

		if (!file->open || now_ns - file->time_ns < ANNOUNCED_NS)
			continue;
		bool deleted = is_deleted(file);
		wanted = wanted || deleted;
		if (settle && deleted)
			find_module(file);
		if (settle || !deleted)
			drop_announced(file);
	}
	return wanted && !settle;
}

PA_AGENT int pa_held_files_open(const struct pa_module *module)
{
	int fd = -ENOENT;

	pa_lock(&state.lock);
	if (module->held) {
		fd = fcntl(state.held[module->held - 1].fd, F_DUPFD_CLOEXEC, 0);
		fd = fd < 0 ? -errno : fd;
	}
	pa_unlock(&state.lock);
	return fd;
}

PA_AGENT void pa_held_files_release(struct pa_module *module)
{
	pa_lock(&state.lock);
	struct held *held = module->held ? &state.held[module->held - 1] : NULL;
	module->held = 0;
	if (held && --held->users == 0) {
		close(held->fd);
		count_locked(held, -1);
	}
	pa_unlock(&state.lock);
}

PA_AGENT uint32_t pa_held_files_count(void)
{
	pa_lock(&state.lock);
	uint32_t used = state.used;
	pa_unlock(&state.lock);
	return used;
}

PA_BOOT void pa_held_files_reset(void)
{
	pa_lock_reset(&state.lock);
	memset(state.held, 0, sizeof(state.held));
	memset(state.announced, 0, sizeof(state.announced));
	state.on = false;
	state.used = state.late = 0;
	for (uint32_t id = 1; id <= pa_maps_count(); id++)
		pa_maps_get(id)->held = 0;
}

PA_AGENT void pa_held_files_begin(PA_ATOMIC(uint32_t) *count)
{
	state.on = true;
	state.count = count;
	if (count)
		pa_store_relaxed(count, 0);
	for (uint32_t id = 1; id <= pa_maps_count(); id++) {
		struct pa_module *module = pa_maps_get(id);

		if (module->sampled && !pa_load_relaxed(&module->dead))
			pa_held_files_hold(module, false);
	}
}
