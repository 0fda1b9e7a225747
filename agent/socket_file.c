/* SPDX-License-Identifier: Apache-2.0 */
#include "socket_file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/atomic.h"

static struct {
	PA_ATOMIC(uint32_t) kept; /* release in keep, acquire in remove */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	dev_t device;
	ino_t inode;
} state;

bool pa_socket_file_is_kept(void)
{
	return pa_load_acquire(&state.kept);
}

static bool is_our_file(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) &&
		status.st_dev == state.device && status.st_ino == state.inode;
}

void pa_socket_file_remove(void)
{
	int saved_errno = errno;
	uint32_t kept = 1;

	if (pa_cas_acq_rel(&state.kept, &kept, 0) && is_our_file(state.path))
		unlink(state.path);
	errno = saved_errno;
}

void pa_socket_file_keep(const char *path)
{
	struct stat status;

	if (!path || strcmp(path, state.path) != 0)
		pa_socket_file_remove();
	pa_store_release(&state.kept, 0);
	if (!path || strlen(path) >= sizeof(state.path) || lstat(path, &status) != 0)
		return;
	memcpy(state.path, path, strlen(path) + 1);
	state.device = status.st_dev;
	state.inode = status.st_ino;
	pa_store_release(&state.kept, 1);
}

void pa_socket_file_atfork_child(void)
{
	if (pa_socket_file_is_kept())
		pa_reset(&state.kept, 0);
}
