/* SPDX-License-Identifier: Apache-2.0 */
#include "tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/atomic.h"
#include "../base/clock.h"
#include "../base/decimal.h"
#include "../base/small_file.h"

#include "../base/banned.h"

struct directory_entry { /* the kernel's linux_dirent64 */
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* Visits the numbers that a directory lists, except its own descriptor. getdents64 and not readdir,
 * which allocates. */
static int each_number(const char *path, void (*visit)(void *arg, int32_t number), void *arg,
	bool are_files)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	char buffer[4096] __attribute__((aligned(8)));
	long got;
	while ((got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0)
		for (long at = 0; at < got;) {
			struct directory_entry *entry = (void *)(buffer + at);
			bool is_own = are_files && atoi(entry->name) == fd;
			if (entry->name[0] != '.' && !is_own)
				visit(arg, atoi(entry->name));
			at += entry->length;
		}
	int error = got < 0 ? -errno : 0;
	close(fd);
	return error;
}

#define PATH_BYTES 64
#define STATUS_BYTES 4096

static char *append_text(char *at, const char *text)
{
	size_t length = strlen(text);
	memcpy(at, text, length + 1);
	return at + length;
}

static char *append_number(char *at, uint32_t number)
{
	char digits[PA_DECIMAL_DIGITS + 1], *end = digits + PA_DECIMAL_DIGITS;
	*end = '\0';
	return append_text(at, pa_decimal_before(end, number));
}

/* Writes /proc/self/task/TID/FILE, with the id that /proc shows. Returns the end of the path. */
static char *shown_path(char path[PATH_BYTES], int32_t shown, const char *file)
{
	char *at = append_number(append_text(path, "/proc/self/task/"), (uint32_t)shown);
	return append_text(append_text(at, "/"), file);
}

static char *task_path(char path[PATH_BYTES], int32_t tid, const char *file)
{
	return shown_path(path, pa_tasks_shown(tid), file);
}

static bool read_path(const char *path, char *text, size_t size)
{
	return pa_small_file_record(open(path, O_RDONLY | O_CLOEXEC), text, size) > 0;
}

/* ---- /proc of another pid namespace ---- */

/*
 * A process in a new pid namespace may still see the outer /proc, which shows other ids. The last
 * number of NSpid in status is the id in this namespace (proc(5)).
 */
static bool shows_another_id(int32_t tid)
{
	char link[PATH_BYTES];
	ssize_t length = readlink("/proc/thread-self", link, sizeof(link) - 1);
	link[length > 0 ? length : 0] = '\0';
	const char *task = strstr(link, "/task/");
	return task && atoi(task + strlen("/task/")) != tid;
}

/* The last answer holds for its thread until the end of this time: a look at all threads reads some
 * files of each. Then the program may have mounted another /proc. */
#define LOOK_NS (10 * PA_NS_PER_MS)
#define LOOK_BITS 40
#define FOREIGN ((uint64_t)1)
static PA_ATOMIC(uint64_t) last_look; /* tid, time in LOOK_NS, FOREIGN; relaxed: one word */

static bool is_foreign(void)
{
	int32_t tid = (int32_t)syscall(SYS_gettid);
	uint64_t time = (uint64_t)(pa_clock_mono_ns() / LOOK_NS) & (((uint64_t)1 << LOOK_BITS) - 1);
	uint64_t look = ((uint64_t)(uint32_t)tid << LOOK_BITS | time) << 1;
	uint64_t last = pa_load_relaxed(&last_look);
	if ((last & ~FOREIGN) != look) {
		last = look | shows_another_id(tid);
		pa_store_relaxed(&last_look, last);
	}
	return last & FOREIGN;
}

void pa_tasks_atfork_child(void)
{
	pa_reset(&last_look, 0);
}

/* 0: the thread has ended. */
static int32_t number_in_own_namespace(int32_t shown)
{
	char path[PATH_BYTES], text[STATUS_BYTES];
	shown_path(path, shown, "status");
	const char *line = read_path(path, text, sizeof(text)) ? strstr(text, "\nNSpid:") : NULL;
	if (!line)
		return 0;
	int32_t last = 0;
	for (line += strlen("\nNSpid:"); *line == '\t'; line += strcspn(line, "\t\n"))
		last = atoi(++line);
	return last;
}

/* Ids where threads were found last: thread | shown << 32, relaxed. A stale id is detected and
 * searched again. */
#define CACHE 1024
static PA_LARGE PA_ATOMIC(uint64_t) cache[CACHE];

struct search {
	void (*visit)(void *arg, int32_t tid);
	void *arg;
	int32_t wanted, shown;
};

static PA_APP void translate_tid(void *given, int32_t shown)
{
	struct search *search = given;
	int32_t tid = number_in_own_namespace(shown);
	if (!tid)
		return;
	pa_store_relaxed(&cache[(uint32_t)tid % CACHE], (uint64_t)shown << 32 | (uint32_t)tid);
	if (search->visit)
		search->visit(search->arg, tid);
	if (tid == search->wanted)
		search->shown = shown;
}

int32_t pa_tasks_shown(int32_t tid)
{
	struct search search = { .wanted = tid, .shown = tid };
	if (!is_foreign())
		return tid;
	uint64_t found = pa_load_relaxed(&cache[(uint32_t)tid % CACHE]);
	if ((uint32_t)found == (uint32_t)tid &&
		number_in_own_namespace((int32_t)(found >> 32)) == tid)
		return (int32_t)(found >> 32);
	each_number("/proc/self/task", translate_tid, &search, false);
	return search.shown;
}

bool pa_tasks_read(int32_t tid, const char *file, char *text, size_t size)
{
	char path[PATH_BYTES];
	task_path(path, tid, file);
	return read_path(path, text, size);
}

bool pa_tasks_is_socket(int32_t tid, int fd)
{
	char path[PATH_BYTES], target[sizeof("socket:") - 1];
	append_number(task_path(path, tid, "fd/"), (uint32_t)fd);
	return readlink(path, target, sizeof(target)) == sizeof(target) &&
		memcmp(target, "socket:", sizeof(target)) == 0;
}

int pa_tasks_each(void (*visit)(void *arg, int32_t tid), void *arg)
{
	struct search search = { .visit = visit, .arg = arg };
	if (is_foreign())
		return each_number("/proc/self/task", translate_tid, &search, false);
	return each_number("/proc/self/task", visit, arg, false);
}

int pa_tasks_each_file(void (*visit)(void *arg, int32_t fd), void *arg)
{
	return each_number("/proc/thread-self/fd", visit, arg, true);
}

bool pa_tasks_is_of_kernel(int32_t tid)
{
	/* PF_IO_WORKER and PF_USER_WORKER of include/linux/sched.h; the latter bit had another
	 * meaning before 6.4. */
	const unsigned long io_worker = 0x10, user_worker = 0x4000;
	const int fields_before_flags = 7;
	char text[512];
	if (!pa_tasks_read(tid, "stat", text, sizeof(text)))
		return false;
	const char *name = strchr(text, '('), *at = strrchr(text, ')');
	for (int i = 0; at && i < fields_before_flags; i++)
		at = strchr(at + 1, ' ');
	if (!name || !at)
		return false;
	unsigned long flags = strtoul(at, NULL, 10);
	return flags & io_worker ||
		(flags & user_worker && strncmp(name, "(vhost-", strlen("(vhost-")) == 0);
}

/* The number of a line in /proc/PID/status; otherwise when the line is missing. */
static int32_t status_field(const char *text, const char *name, int32_t otherwise)
{
	const char *at = strstr(text, name);
	return at ? atoi(at + strlen(name)) : otherwise;
}

static int32_t signal_room(const char *status)
{
	const char *at = strstr(status, "\nSigQ:");
	char *end;
	if (!at)
		return INT32_MAX;
	unsigned long used = strtoul(at + strlen("\nSigQ:"), &end, 10);
	unsigned long limit = *end == '/' ? strtoul(end + 1, NULL, 10) : INT32_MAX;
	unsigned long room = limit > used ? limit - used : 0;
	return room < INT32_MAX ? (int32_t)room : INT32_MAX;
}

static int32_t filters_in(const char *status)
{
	enum { STRICT = 1 };
	int32_t mode = status_field(status, "\nSeccomp:", 0);
	if (mode == STRICT)
		return INT32_MAX;
	return status_field(status, "\nSeccomp_filters:", mode != 0);
}

struct pa_tasks_own pa_tasks_own(void)
{
	char text[STATUS_BYTES];
	if (!pa_tasks_read((int32_t)syscall(SYS_gettid), "status", text, sizeof(text)))
		return (struct pa_tasks_own){ INT32_MAX, INT32_MAX };
	return (struct pa_tasks_own){ signal_room(text), filters_in(text) };
}

bool pa_tasks_is_runnable(int32_t tid)
{
	char text[STATUS_BYTES];
	return pa_tasks_read(tid, "status", text, sizeof(text)) && strstr(text, "\nState:\tR");
}

/* No descriptor is needed: they may have run out. */
static bool has_ended(int32_t tid)
{
	char path[PATH_BYTES];
	task_path(path, tid, "status");
	return access(path, F_OK) != 0 && errno == ENOENT && access("/proc/self/task", F_OK) == 0;
}

int32_t pa_tasks_filters(int32_t tid)
{
	char text[STATUS_BYTES];
	if (!pa_tasks_read(tid, "status", text, sizeof(text)))
		return has_ended(tid) ? PA_TASKS_ENDED : INT32_MAX;
	return filters_in(text);
}
