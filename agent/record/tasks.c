#include "tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/banned.h"

struct directory_entry { /* the kernel's linux_dirent64 */
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* The numbers that a directory lists, but its own. getdents64 and no readdir, which allocates. */
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

static char *append(char *at, const char *text)
{
	size_t length = strlen(text);
	memcpy(at, text, length + 1);
	return at + length;
}

static char *append_number(char *at, uint32_t number)
{
	char digits[12], *digit = digits + sizeof(digits) - 1;
	*digit = '\0';
	do {
		*--digit = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return append(at, digit);
}

/* /proc/self/task/TID/FILE. Returns its end. */
static char *task_path(char path[PATH_BYTES], int32_t tid, const char *file)
{
	char *at = append_number(append(path, "/proc/self/task/"), (uint32_t)tid);
	return append(append(at, "/"), file);
}

bool pa_tasks_read(int32_t tid, const char *file, char *text, size_t size)
{
	char path[PATH_BYTES];
	task_path(path, tid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t got = read(fd, text, size - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
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
	return each_number("/proc/self/task", visit, arg, false);
}

int pa_tasks_each_file(void (*visit)(void *arg, int32_t fd), void *arg)
{
	return each_number("/proc/thread-self/fd", visit, arg, true);
}

bool pa_tasks_is_of_kernel(int32_t tid)
{
	/* Of include/linux/sched.h; the second had another meaning before 6.4. */
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

/* The number behind a name of /proc/PID/status; otherwise when it is not there. */
static int32_t field(const char *text, const char *name, int32_t otherwise)
{
	const char *at = strstr(text, name);
	return at ? atoi(at + strlen(name)) : otherwise;
}

int32_t pa_tasks_signal_room(void)
{
	char text[4096], *end;
	if (!pa_tasks_read((int32_t)syscall(SYS_gettid), "status", text, sizeof(text)))
		return INT32_MAX;
	const char *at = strstr(text, "\nSigQ:");
	if (!at)
		return INT32_MAX;
	unsigned long used = strtoul(at + strlen("\nSigQ:"), &end, 10);
	unsigned long limit = *end == '/' ? strtoul(end + 1, NULL, 10) : INT32_MAX;
	unsigned long room = limit > used ? limit - used : 0;
	return room < INT32_MAX ? (int32_t)room : INT32_MAX;
}

int32_t pa_tasks_filters(int32_t tid)
{
	enum { STRICT = 1 };
	char text[4096];
	if (!pa_tasks_read(tid ? tid : (int32_t)syscall(SYS_gettid), "status", text, sizeof(text)))
		return INT32_MAX;
	int32_t mode = field(text, "\nSeccomp:", 0);
	if (mode == STRICT)
		return INT32_MAX;
	return field(text, "\nSeccomp_filters:", mode != 0);
}
