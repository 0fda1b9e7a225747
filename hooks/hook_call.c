/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that wait for external events. While a trace is recorded, calls that block are in
 * it: the hook first makes the call with a zero timeout, or polls its descriptor; a result that is
 * available at once is returned. A call that would not wait is made as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../agent/arch/arch.h"
#include "../agent/record/sandbox.h"
#include "wait_hooks.h"

#include "../agent/base/banned.h"

PA_DEFINE_TARGETS(pa_call_targets, PA_CALL_HOOKS);

/* The complete slow half, as PA_WAIT_HOOKS_WATCH. */
#define PA_WAIT_HOOKS_WATCH_CALL(type, wait, real_call)                                 \
	do {                                                                            \
		PA_CALM_FLAGS();                                                        \
		struct pa_cursor caller = PA_CURSOR_OF_CALLER();                        \
		struct pa_thread *self = &pa_thread_self;                               \
		uintptr_t frame = (uintptr_t)__builtin_frame_address(0);                \
		bool traced = pa_trace_events_block(self, (wait), NULL, frame, caller); \
		if (traced && !self->exit_noted)                                        \
			pa_hooks_note_exit(self);                                       \
		type result = (real_call);                                              \
		if (traced)                                                             \
			pa_trace_events_woke(self, frame, PA_WAIT_GAVE_UP);             \
		return result;                                                          \
	} while (0)

static const struct timespec no_time = { 0, 0 };

/* ---- several descriptors ---- */

static enum pa_trace_events_wait poll_wait(nfds_t count)
{
	return count ? PA_TRACE_EVENTS_IN_POLL : PA_TRACE_EVENTS_IN_SLEEP;
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	return pa_call_targets.poll(fds, count, timeout_ms);
}

static PA_SLOW int poll_slow(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	PA_WAIT_HOOKS_WATCH_CALL(int, poll_wait(count), pa_real.poll(fds, count, timeout_ms));
}

int pa_wait_hooks_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	if (!pa_trace_events_is_on() || timeout_ms == 0)
		return PA_REAL(poll)(fds, count, timeout_ms);
	int ready = pa_real.poll(fds, count, 0);
	return ready ? ready : poll_slow(fds, count, timeout_ms);
}

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t fds_bytes)
{
	return pa_call_targets.__poll_chk(fds, count, timeout_ms, fds_bytes);
}

/* libc's check first: aborts the program, or makes the call. */
int pa_wait_hooks___poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t fds_bytes)
{
	if (!pa_trace_events_is_on() || timeout_ms == 0)
		return PA_REAL(__poll_chk)(fds, count, timeout_ms, fds_bytes);
	int ready = pa_real.__poll_chk(fds, count, 0, fds_bytes);
	return ready ? ready : poll_slow(fds, count, timeout_ms);
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	return pa_call_targets.ppoll(fds, count, timeout, mask);
}

static PA_SLOW int ppoll_slow(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask)
{
	PA_WAIT_HOOKS_WATCH_CALL(int, poll_wait(count), pa_real.ppoll(fds, count, timeout, mask));
}

/* True for NULL (no timeout) and for a valid timeout above 0. */
static bool is_time_to_wait(const struct timespec *timeout)
{
	if (!timeout)
		return true;
	return timeout->tv_sec >= 0 && pa_wait_hooks_is_time(timeout) &&
		(timeout->tv_sec || timeout->tv_nsec);
}

int pa_wait_hooks_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask)
{
	if (!pa_trace_events_is_on() || !is_time_to_wait(timeout))
		return PA_REAL(ppoll)(fds, count, timeout, mask);
	int ready = pa_real.ppoll(fds, count, &no_time, mask);
	return ready ? ready : ppoll_slow(fds, count, timeout, mask);
}

int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask, size_t fds_bytes)
{
	return pa_call_targets.__ppoll_chk(fds, count, timeout, mask, fds_bytes);
}

int pa_wait_hooks___ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
	const sigset_t *mask, size_t fds_bytes)
{
	if (!pa_trace_events_is_on() || !is_time_to_wait(timeout))
		return PA_REAL(__ppoll_chk)(fds, count, timeout, mask, fds_bytes);
	int ready = pa_real.__ppoll_chk(fds, count, &no_time, mask, fds_bytes);
	return ready ? ready : ppoll_slow(fds, count, timeout, mask);
}

/* Larger sets are not queried first. */
static bool can_query_sets(int limit)
{
	return limit >= 0 && limit <= FD_SETSIZE;
}

/*
 * pselect with a zero timeout. When it returns 0, the sets are unchanged. Never inlined: a hook
 * with a local variable whose address is taken cannot end in a jump, and would be on stacks.
 */
static PA_SLOW int query_sets(int limit, fd_set *reads, fd_set *writes, fd_set *others,
	const sigset_t *mask)
{
	PA_CALM_FLAGS();
	fd_set *at[] = { reads, writes, others }, kept[PA_COUNT(at)];
	size_t bytes = ((size_t)limit + 63) / 64 * 8;
	for (size_t i = 0; i < PA_COUNT(at); i++)
		if (at[i])
			memcpy(&kept[i], at[i], bytes);
	int ready = pa_real.pselect(limit, reads, writes, others, &no_time, mask);
	for (size_t i = 0; i < PA_COUNT(at) && ready == 0; i++)
		if (at[i])
			memcpy(at[i], &kept[i], bytes);
	return ready;
}

int select(int limit, fd_set *reads, fd_set *writes, fd_set *others, struct timeval *timeout)
{
	return pa_call_targets.select(limit, reads, writes, others, timeout);
}

static PA_SLOW int select_slow(int limit, fd_set *reads, fd_set *writes, fd_set *others,
	struct timeval *timeout)
{
	PA_WAIT_HOOKS_WATCH_CALL(int, limit ? PA_TRACE_EVENTS_IN_SELECT : PA_TRACE_EVENTS_IN_SLEEP,
		pa_real.select(limit, reads, writes, others, timeout));
}

/* select(2) writes the remaining time into timeout: all of it when a descriptor is ready at
 * once. */
int pa_wait_hooks_select(int limit, fd_set *reads, fd_set *writes, fd_set *others,
	struct timeval *timeout)
{
	bool at_once = timeout && timeout->tv_sec == 0 && timeout->tv_usec == 0;
	bool bad = timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0);
	if (!pa_trace_events_is_on() || at_once || bad || !can_query_sets(limit))
		return PA_REAL(select)(limit, reads, writes, others, timeout);
	int ready = query_sets(limit, reads, writes, others, NULL);
	return ready ? ready : select_slow(limit, reads, writes, others, timeout);
}

int pselect(int limit, fd_set *reads, fd_set *writes, fd_set *others,
	const struct timespec *timeout, const sigset_t *mask)
{
	return pa_call_targets.pselect(limit, reads, writes, others, timeout, mask);
}

static PA_SLOW int pselect_slow(int limit, fd_set *reads, fd_set *writes, fd_set *others,
	const struct timespec *timeout, const sigset_t *mask)
{
	PA_WAIT_HOOKS_WATCH_CALL(int, limit ? PA_TRACE_EVENTS_IN_SELECT : PA_TRACE_EVENTS_IN_SLEEP,
		pa_real.pselect(limit, reads, writes, others, timeout, mask));
}

int pa_wait_hooks_pselect(int limit, fd_set *reads, fd_set *writes, fd_set *others,
	const struct timespec *timeout, const sigset_t *mask)
{
	if (!pa_trace_events_is_on() || !is_time_to_wait(timeout) || !can_query_sets(limit))
		return PA_REAL(pselect)(limit, reads, writes, others, timeout, mask);
	int ready = query_sets(limit, reads, writes, others, mask);
	return ready ? ready : pselect_slow(limit, reads, writes, others, timeout, mask);
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
	return pa_call_targets.epoll_wait(epoll, events, max, timeout_ms);
}

static PA_SLOW int epoll_wait_slow(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
	PA_WAIT_HOOKS_WATCH_CALL(int, PA_TRACE_EVENTS_IN_EPOLL,
		pa_real.epoll_wait(epoll, events, max, timeout_ms));
}

int pa_wait_hooks_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout_ms)
{
	if (!pa_trace_events_is_on() || timeout_ms == 0)
		return PA_REAL(epoll_wait)(epoll, events, max, timeout_ms);
	int ready = pa_real.epoll_wait(epoll, events, max, 0);
	return ready ? ready : epoll_wait_slow(epoll, events, max, timeout_ms);
}

int epoll_pwait(int epoll, struct epoll_event *events, int max, int timeout_ms,
	const sigset_t *mask)
{
	return pa_call_targets.epoll_pwait(epoll, events, max, timeout_ms, mask);
}

static PA_SLOW int epoll_pwait_slow(int epoll, struct epoll_event *events, int max, int timeout_ms,
	const sigset_t *mask)
{
	PA_WAIT_HOOKS_WATCH_CALL(int, PA_TRACE_EVENTS_IN_EPOLL,
		pa_real.epoll_pwait(epoll, events, max, timeout_ms, mask));
}

int pa_wait_hooks_epoll_pwait(int epoll, struct epoll_event *events, int max, int timeout_ms,
	const sigset_t *mask)
{
	if (!pa_trace_events_is_on() || timeout_ms == 0)
		return PA_REAL(epoll_pwait)(epoll, events, max, timeout_ms, mask);
	int ready = pa_real.epoll_pwait(epoll, events, max, 0, mask);
	return ready ? ready : epoll_pwait_slow(epoll, events, max, timeout_ms, mask);
}

/* ---- one descriptor ---- */

/* True when nothing can be read and the call will wait. errno kept. */
static bool would_wait(int fd, int flags)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };
	if (!pa_sandbox_begin(&pa_thread_self, PA_CALLS_INSPECT))
		return false;
	int saved_errno = errno;
	bool waits = !(flags & MSG_DONTWAIT) && PA_REAL(poll)(&one, 1, 0) == 0;
	if (waits) {
		int mode = fcntl(fd, F_GETFL);
		waits = mode >= 0 && !(mode & O_NONBLOCK);
	}
	pa_sandbox_end();
	errno = saved_errno;
	return waits;
}

static enum pa_trace_events_wait read_wait(int fd)
{
	int type, saved_errno = errno;
	socklen_t size = sizeof(type);
	bool is_socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
	errno = saved_errno;
	return is_socket ? PA_TRACE_EVENTS_IN_READ_SOCKET : PA_TRACE_EVENTS_IN_READ;
}

ssize_t read(int fd, void *bytes, size_t count)
{
	return pa_call_targets.read(fd, bytes, count);
}

static PA_SLOW ssize_t read_slow(int fd, void *bytes, size_t count)
{
	PA_WAIT_HOOKS_WATCH_CALL(ssize_t, read_wait(fd), pa_real.read(fd, bytes, count));
}

ssize_t pa_wait_hooks_read(int fd, void *bytes, size_t count)
{
	if (!pa_trace_events_is_on() || !would_wait(fd, 0))
		return PA_REAL(read)(fd, bytes, count);
	return read_slow(fd, bytes, count);
}

ssize_t __read_chk(int fd, void *bytes, size_t count, size_t room)
{
	return pa_call_targets.__read_chk(fd, bytes, count, room);
}

static PA_SLOW ssize_t read_chk_slow(int fd, void *bytes, size_t count, size_t room)
{
	PA_WAIT_HOOKS_WATCH_CALL(ssize_t, read_wait(fd),
		pa_real.__read_chk(fd, bytes, count, room));
}

ssize_t pa_wait_hooks___read_chk(int fd, void *bytes, size_t count, size_t room)
{
	if (!pa_trace_events_is_on() || !would_wait(fd, 0))
		return PA_REAL(__read_chk)(fd, bytes, count, room);
	return read_chk_slow(fd, bytes, count, room);
}

ssize_t recv(int fd, void *bytes, size_t count, int flags)
{
	return pa_call_targets.recv(fd, bytes, count, flags);
}

static PA_SLOW ssize_t recv_slow(int fd, void *bytes, size_t count, int flags)
{
	PA_WAIT_HOOKS_WATCH_CALL(ssize_t, PA_TRACE_EVENTS_IN_RECV,
		pa_real.recv(fd, bytes, count, flags));
}

ssize_t pa_wait_hooks_recv(int fd, void *bytes, size_t count, int flags)
{
	if (!pa_trace_events_is_on() || !would_wait(fd, flags))
		return PA_REAL(recv)(fd, bytes, count, flags);
	return recv_slow(fd, bytes, count, flags);
}

ssize_t __recv_chk(int fd, void *bytes, size_t count, size_t room, int flags)
{
	return pa_call_targets.__recv_chk(fd, bytes, count, room, flags);
}

static PA_SLOW ssize_t recv_chk_slow(int fd, void *bytes, size_t count, size_t room, int flags)
{
	PA_WAIT_HOOKS_WATCH_CALL(ssize_t, PA_TRACE_EVENTS_IN_RECV,
		pa_real.__recv_chk(fd, bytes, count, room, flags));
}

ssize_t pa_wait_hooks___recv_chk(int fd, void *bytes, size_t count, size_t room, int flags)
{
	if (!pa_trace_events_is_on() || !would_wait(fd, flags))
		return PA_REAL(__recv_chk)(fd, bytes, count, room, flags);
	return recv_chk_slow(fd, bytes, count, room, flags);
}

ssize_t recvfrom(int fd, void *bytes, size_t count, int flags, __SOCKADDR_ARG from,
	socklen_t *from_bytes)
{
	return pa_call_targets.recvfrom(fd, bytes, count, flags, from, from_bytes);
}

static PA_SLOW ssize_t recvfrom_slow(int fd, void *bytes, size_t count, int flags,
	__SOCKADDR_ARG from, socklen_t *from_bytes)
{
	PA_WAIT_HOOKS_WATCH_CALL(ssize_t, PA_TRACE_EVENTS_IN_RECV,
		pa_real.recvfrom(fd, bytes, count, flags, from, from_bytes));
}

ssize_t pa_wait_hooks_recvfrom(int fd, void *bytes, size_t count, int flags, __SOCKADDR_ARG from,
	socklen_t *from_bytes)
{
	if (!pa_trace_events_is_on() || !would_wait(fd, flags))
		return PA_REAL(recvfrom)(fd, bytes, count, flags, from, from_bytes);
	return recvfrom_slow(fd, bytes, count, flags, from, from_bytes);
}

ssize_t __recvfrom_chk(int fd, void *bytes, size_t count, size_t room, int flags,
	__SOCKADDR_ARG from, socklen_t *from_bytes)
{
	return pa_call_targets.__recvfrom_chk(fd, bytes, count, room, flags, from, from_bytes);
}

static PA_SLOW ssize_t recvfrom_chk_slow(int fd, void *bytes, size_t count, size_t room, int flags,
	__SOCKADDR_ARG from, socklen_t *from_bytes)
{
	PA_WAIT_HOOKS_WATCH_CALL(ssize_t, PA_TRACE_EVENTS_IN_RECV,
		pa_real.__recvfrom_chk(fd, bytes, count, room, flags, from, from_bytes));
}

ssize_t pa_wait_hooks___recvfrom_chk(int fd, void *bytes, size_t count, size_t room, int flags,
	__SOCKADDR_ARG from, socklen_t *from_bytes)
{
	if (!pa_trace_events_is_on() || !would_wait(fd, flags))
		return PA_REAL(__recvfrom_chk)(fd, bytes, count, room, flags, from, from_bytes);
	return recvfrom_chk_slow(fd, bytes, count, room, flags, from, from_bytes);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	return pa_call_targets.recvmsg(fd, message, flags);
}

static PA_SLOW ssize_t recvmsg_slow(int fd, struct msghdr *message, int flags)
{
	PA_WAIT_HOOKS_WATCH_CALL(ssize_t, PA_TRACE_EVENTS_IN_RECV,
		pa_real.recvmsg(fd, message, flags));
}

ssize_t pa_wait_hooks_recvmsg(int fd, struct msghdr *message, int flags)
{
	if (!pa_trace_events_is_on() || !would_wait(fd, flags))
		return PA_REAL(recvmsg)(fd, message, flags);
	return recvmsg_slow(fd, message, flags);
}

int accept(int fd, __SOCKADDR_ARG from, socklen_t *from_bytes)
{
	return pa_call_targets.accept(fd, from, from_bytes);
}

static PA_SLOW int accept_slow(int fd, __SOCKADDR_ARG from, socklen_t *from_bytes)
{
	PA_WAIT_HOOKS_WATCH_CALL(int, PA_TRACE_EVENTS_IN_ACCEPT,
		pa_real.accept(fd, from, from_bytes));
}

int pa_wait_hooks_accept(int fd, __SOCKADDR_ARG from, socklen_t *from_bytes)
{
	if (!pa_trace_events_is_on() || !would_wait(fd, 0))
		return PA_REAL(accept)(fd, from, from_bytes);
	return accept_slow(fd, from, from_bytes);
}

int accept4(int fd, __SOCKADDR_ARG from, socklen_t *from_bytes, int flags)
{
	return pa_call_targets.accept4(fd, from, from_bytes, flags);
}

static PA_SLOW int accept4_slow(int fd, __SOCKADDR_ARG from, socklen_t *from_bytes, int flags)
{
	PA_WAIT_HOOKS_WATCH_CALL(int, PA_TRACE_EVENTS_IN_ACCEPT,
		pa_real.accept4(fd, from, from_bytes, flags));
}

int pa_wait_hooks_accept4(int fd, __SOCKADDR_ARG from, socklen_t *from_bytes, int flags)
{
	if (!pa_trace_events_is_on() || !would_wait(fd, 0))
		return PA_REAL(accept4)(fd, from, from_bytes, flags);
	return accept4_slow(fd, from, from_bytes, flags);
}

/* ---- sleep ---- */

#define PA_SLEEP_HOOK(name, type, parameters, arguments)                                          \
	type name parameters                                                                      \
	{                                                                                         \
		return pa_call_targets.name arguments;                                            \
	}                                                                                         \
	static PA_SLOW type name##_slow parameters                                                \
	{                                                                                         \
		PA_WAIT_HOOKS_WATCH_CALL(type, PA_TRACE_EVENTS_IN_SLEEP, pa_real.name arguments); \
	}                                                                                         \
	type pa_wait_hooks_##name parameters                                                      \
	{                                                                                         \
		if (!pa_trace_events_is_on())                                                     \
			return PA_REAL(name) arguments;                                           \
		return name##_slow arguments;                                                     \
	}

PA_SLEEP_HOOK(nanosleep, int, (const struct timespec *time, struct timespec *left), (time, left))
PA_SLEEP_HOOK(clock_nanosleep, int,
	(clockid_t clock, int flags, const struct timespec *time, struct timespec *left),
	(clock, flags, time, left))
PA_SLEEP_HOOK(thrd_sleep, int, (const struct timespec *time, struct timespec *left), (time, left))
PA_SLEEP_HOOK(usleep, int, (useconds_t time_us), (time_us))
PA_SLEEP_HOOK(sleep, unsigned, (unsigned time_s), (time_s))
