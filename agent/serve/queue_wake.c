/* SPDX-License-Identifier: Apache-2.0 */
#include "queue_wake.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../base/atomic.h"

static struct {
	PA_ATOMIC(int) fd; /* release in open, acquire by the threads that use it */
} state = { .fd = -1 };

void pa_queue_wake_open(void)
{
	if (pa_queue_wake_fd() < 0)
		pa_store_release(&state.fd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

void pa_queue_wake_forget(void)
{
	pa_store_release(&state.fd, -1);
}

int pa_queue_wake_fd(void)
{
	return pa_load_acquire(&state.fd);
}

void pa_queue_wake(void)
{
	const uint64_t one = 1;
	const int fd = pa_queue_wake_fd(), saved_errno = errno;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		errno = saved_errno; /* EAGAIN: it is awake */
}

void pa_queue_wake_drain(void)
{
	const int saved_errno = errno;
	uint64_t count;

	if (read(pa_queue_wake_fd(), &count, sizeof(count)) < 0)
		errno = saved_errno; /* EAGAIN: nothing was written */
}
