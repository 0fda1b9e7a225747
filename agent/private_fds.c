/* SPDX-License-Identifier: Apache-2.0 */
#include "private_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record/sandbox.h"
#include "record/tasks.h"

/* statfs(2) */
#define MQUEUE_MAGIC 0x19800202

/* The kernel copies the descriptor bitmap in words of 64, including excluded descriptors. */
#define WORD_BITS 64

/*
 * Closing any descriptor of a message queue removes the process's mq_notify(3) registration
 * (mqueue_flush_file compares processes, not tables). So such copies stay open.
 */
static bool is_queue(int32_t fd)
{
	struct statfs file;
	return fstatfs(fd, &file) == 0 && file.f_type == MQUEUE_MAGIC;
}

static void close_copy(void *unused, int32_t fd)
{
	(void)unused;
	if (fd != STDERR_FILENO && !is_queue(fd))
		close(fd);
}

static bool may_call(uint32_t calls)
{
	return pa_sandbox_may(&pa_thread_self, calls);
}

/*
 * Takes the numbers of the standard streams, so that a library's output goes nowhere, and no file
 * of the agent has one of them where a low RLIMIT_NOFILE leaves no higher number. stderr stays.
 */
static void fill_standard_streams(void)
{
	int fd;
	/* Ends: each gets the lowest number that is free. */
	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* A private table with the program's first word of descriptors. */
static bool copy_first_word(void)
{
	if (!may_call(PA_CALLS_RANGE) ||
		syscall(SYS_close_range, WORD_BITS, ~0u, (unsigned)CLOSE_RANGE_UNSHARE) != 0)
		return false;
	for (int fd = 0; fd < WORD_BITS; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			close_copy(NULL, fd);
	return true;
}

/*
 * For kernels and filters without close_range(2): copies the program's table and closes all.
 * Without /proc by trying each number; descriptors above a limit that was lowered later remain.
 */
static bool copy_descriptors(void)
{
	struct rlimit limit = { .rlim_cur = 1024 };
	const rlim_t most = 1u << 20;
	if (!may_call(PA_CALLS_TABLE) || unshare(CLONE_FILES) != 0)
		return false;
	if (pa_tasks_each_file(close_copy, NULL) == 0)
		return true;
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 0; (rlim_t)fd < (limit.rlim_cur < most ? limit.rlim_cur : most); fd++)
		close_copy(NULL, fd);
	return true;
}

static bool has_root;

bool pa_private_fds_leave(void)
{
	bool is_private = copy_first_word() || copy_descriptors();
	if (is_private)
		fill_standard_streams();
	/* Makes chroot and chdir of the program ineffective here. In the program's directory the
	 * agent would prevent its unmount. May be denied. */
	has_root = may_call(PA_CALLS_TABLE) && unshare(CLONE_FS) == 0;
	if (has_root && chdir("/") != 0)
		errno = 0;
	return is_private;
}

bool pa_private_fds_has_root(void)
{
	return has_root;
}
