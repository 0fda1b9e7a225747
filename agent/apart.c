#include "apart.h"

#include <linux/close_range.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record/tasks.h"

static void close_above_two(void *unused, int32_t fd)
{
	(void)unused;
	if (fd > STDERR_FILENO)
		close(fd);
}

/*
 * For kernels and filters that know no close_range: a copy of the program's table, which we then
 * empty. Without /proc by trying; what is above a limit that was lowered later stays in it.
 */
static bool copy_descriptors(void)
{
	struct rlimit limit = { .rlim_cur = 1024 };
	const rlim_t most = 1u << 20;
	if (unshare(CLONE_FILES) != 0)
		return false;
	if (pa_tasks_each_file(close_above_two, NULL) == 0)
		return true;
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 0; (rlim_t)fd < (limit.rlim_cur < most ? limit.rlim_cur : most); fd++)
		close_above_two(NULL, fd);
	return true;
}

bool pa_apart_leave(void)
{
	bool is_private =
		syscall(SYS_close_range, 3u, ~0u, (unsigned)CLOSE_RANGE_UNSHARE) == 0 ||
		copy_descriptors();
	if (is_private) {
		close(0);
		close(1);
	}
	unshare(CLONE_FS); /* chroot and chdir of the program are not ours; may be forbidden */
	return is_private;
}
