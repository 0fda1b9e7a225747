#include "apart.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record/sandbox.h"
#include "record/tasks.h"

/* statfs(2) */
#define MQUEUE_MAGIC 0x19800202

/* The kernel copies descriptors in words of 64, also those that it is told to leave out. */
#define WORD_BITS 64

/*
 * A thread that closes any descriptor of a message queue takes the process's mq_notify() off it
 * (mqueue_flush_file compares processes, not tables). So our copies of those stay open.
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

static bool may(uint32_t calls)
{
	return pa_sandbox_may(&pa_thread_self, calls);
}

/* A table of our own with the program's first word of descriptors in it. */
static bool copy_first_word(void)
{
	if (!may(PA_CALLS_RANGE) ||
	    syscall(SYS_close_range, WORD_BITS, ~0u, (unsigned)CLOSE_RANGE_UNSHARE) != 0)
		return false;
	for (int fd = 0; fd < WORD_BITS; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			close_copy(NULL, fd);
	return true;
}

/*
 * For kernels and filters that know no close_range: a copy of the program's table, which we then
 * empty. Without /proc by trying; what is above a limit that was lowered later stays in it.
 */
static bool copy_descriptors(void)
{
	struct rlimit limit = { .rlim_cur = 1024 };
	const rlim_t most = 1u << 20;
	if (!may(PA_CALLS_TABLE) || unshare(CLONE_FILES) != 0)
		return false;
	if (pa_tasks_each_file(close_copy, NULL) == 0)
		return true;
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 0; (rlim_t)fd < (limit.rlim_cur < most ? limit.rlim_cur : most); fd++)
		close_copy(NULL, fd);
	return true;
}

static bool has_root;

bool pa_apart_leave(void)
{
	bool is_private = copy_first_word() || copy_descriptors();
	/* chroot and chdir of the program are not ours. A directory of its own, it may remove or
	 * unmount, and ours would keep it busy. May be forbidden. */
	has_root = may(PA_CALLS_TABLE) && unshare(CLONE_FS) == 0;
	if (has_root && chdir("/") != 0)
		errno = 0;
	return is_private;
}

bool pa_apart_has_root(void)
{
	return has_root;
}
