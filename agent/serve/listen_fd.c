/* SPDX-License-Identifier: Apache-2.0 */
#include "listen_fd.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/thread_slot.h"

#define REFUSED_NS (100 * PA_NS_PER_MS)

/* More than any caller polls. */
#define POLLS_MAX 200

static const struct timespec soon = { .tv_nsec = PA_NS_PER_MS };

int pa_listen_raise(int fd, bool files_private)
{
	if (fd < 0 || fd >= PA_LISTEN_FD_MIN || files_private)
		return fd;
	int raised = fcntl(fd, F_DUPFD_CLOEXEC, PA_LISTEN_FD_MIN);
	close(fd);
	return raised;
}

/* ppoll() that also returns when the calling thread is asked to leave. */
static int poll_and_mind(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
	struct pollfd all[POLLS_MAX + 1];
	int wake_fd = count <= POLLS_MAX ? pa_thread_slot_wake_fd() : -1;

	if (wake_fd < 0) {
		int ready = ppoll(fds, count, timeout, NULL);
		pa_thread_slot_checkpoint();
		return ready;
	}
	if (count)
		memcpy(all, fds, count * sizeof(*fds));
	all[count] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
	int ready = ppoll(all, count + 1, timeout, NULL);
	pa_thread_slot_checkpoint();
	/* The thread may not leave yet; it returns what it holds soon. */
	if (ready > 0 && all[count].revents)
		return ppoll(fds, count, &soon, NULL);
	if (count)
		memcpy(fds, all, count * sizeof(*fds));
	return ready;
}

int pa_listen_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns)
{
	const struct timespec timeout = { .tv_sec = timeout_ns / PA_NS_PER_S,
		.tv_nsec = timeout_ns % PA_NS_PER_S };

	int ready = poll_and_mind(fds, count, timeout_ns < 0 ? NULL : &timeout);
	if (ready >= 0 || timeout_ns == 0)
		return ready;
	bool longer = timeout_ns < 0 || timeout_ns > REFUSED_NS;
	pa_futex_sleep(longer ? REFUSED_NS : timeout_ns);
	return ready;
}
