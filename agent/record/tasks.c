#include "tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

int pa_tasks_each(void (*visit)(void *arg, int32_t tid), void *arg)
{
	return each_number("/proc/self/task", visit, arg, false);
}

int pa_tasks_each_file(void (*visit)(void *arg, int32_t fd), void *arg)
{
	return each_number("/proc/thread-self/fd", visit, arg, true);
}

/* The number behind a name of /proc/PID/status; otherwise when it is not there. */
static int32_t field(const char *text, const char *name, int32_t otherwise)
{
	const char *at = strstr(text, name);
	return at ? atoi(at + strlen(name)) : otherwise;
}

int32_t pa_tasks_filters(int32_t tid)
{
	enum { STRICT = 1 };
	char path[48], text[4096];
	snprintf(path, sizeof(path), tid ? "/proc/self/task/%d/status" : "/proc/thread-self/status",
		tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return INT32_MAX;
	ssize_t got = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	int32_t mode = field(text, "\nSeccomp:", 0);
	if (got <= 0 || mode == STRICT)
		return INT32_MAX;
	return field(text, "\nSeccomp_filters:", mode != 0);
}
