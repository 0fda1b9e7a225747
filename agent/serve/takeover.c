/* SPDX-License-Identifier: Apache-2.0 */
#include "takeover.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/clock.h"
#include "proc_process.h"

/* Ancestors that are looked at. */
#define ANCESTORS_MAX 64

static struct {
	bool wanted; /* false: nothing to do */
	bool may_watch;
	struct pa_address address;
	int fd; /* of the holder; -1: none */
	int64_t due_ns;
	int64_t pause_ns;
} state = { .fd = -1 };

static bool is_at_address(const struct pa_proc_process_agent *agent)
{
	if (agent->state != PA_PROC_PROCESS_SERVING)
		return false;
	return state.address.family == AF_UNIX ?
		pa_address_is_equal(&agent->address, &state.address) :
		agent->port && agent->port == state.address.port;
}

/* The nearest ancestor that serves at the address; 0: none. */
static pid_t find_holder(void)
{
	struct pa_proc_process process;
	pid_t pid = pa_proc_process_self();
	uint32_t place = 0;

	for (int i = 0; i < ANCESTORS_MAX && pid && pa_proc_process_read(pid, &process); i++) {
		pid = process.ppid;
		struct pa_proc_process_agent agent =
			pa_proc_process_find_agent(pid, UINT64_MAX, &place);
		if (is_at_address(&agent))
			return pid;
	}
	return 0;
}

static int open_holder(pid_t pid)
{
	return pid && state.may_watch ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

void pa_takeover_begin(const struct pa_address *wanted, pid_t parent, bool may_watch)
{
	state.wanted = true;
	state.may_watch = may_watch;
	state.address = *wanted;
	state.pause_ns = PA_TAKEOVER_FIRST_NS;
	state.due_ns = pa_clock_mono_ns() + state.pause_ns;
	state.fd = open_holder(parent && getppid() == parent ? parent : find_holder());
}

bool pa_takeover_is_wanted(void)
{
	return state.wanted;
}

int pa_takeover_fd(void)
{
	return state.fd;
}

int64_t pa_takeover_wait_ns(void)
{
	if (!state.wanted || state.fd >= 0)
		return -1;
	int64_t left_ns = state.due_ns - pa_clock_mono_ns();
	return left_ns > 0 ? left_ns : 0;
}

bool pa_takeover_is_due(void)
{
	struct pollfd holder = { .fd = state.fd, .events = POLLIN };

	if (!state.wanted)
		return false;
	return state.fd >= 0 ? pa_listen_wait(&holder, 1, 0) > 0 : pa_takeover_wait_ns() == 0;
}

static void close_holder(void)
{
	if (state.fd >= 0)
		close(state.fd);
	state.fd = -1;
}

void pa_takeover_again(void)
{
	bool had_holder = state.fd >= 0;

	close_holder();
	state.pause_ns = had_holder ? PA_TAKEOVER_FIRST_NS : 2 * state.pause_ns;
	if (state.pause_ns > PA_TAKEOVER_LAST_NS)
		state.pause_ns = PA_TAKEOVER_LAST_NS;
	state.due_ns = pa_clock_mono_ns() + state.pause_ns;
	state.fd = open_holder(find_holder());
}

void pa_takeover_end(void)
{
	close_holder();
	state.wanted = false;
}

void pa_takeover_reset(void)
{
	state.fd = -1;
	state.wanted = false;
}
