/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every call that waits for descriptors, or sleeps, returns in every state: result, errno,
 * what it wrote. One line each, the same in every run. See also v_calls_fortified.c.
 */
#include "calls.h"

static void reads(void)
{
	SAY(READ(fd.full[0]));
	SAY(read(fd.full[0], bytes, 0 * one));
	SAY(read(fd.pipe[0], bytes, 0 * one));
	SAY(READ(fd.closed[0]));
	SAY(READ(fd.quick[0]));
	SAY(READ(fd.pipe[1]));
	SAY(READ(fd.file));
	SAY(READ(fd.folder));
	SAY(READ(none));
	SAY(READ(far));
	SAY(READ(fd.timed[0]));
	SAY(READ(fd.listener));
	SAY(READ(fd.epoll));
	SAY(read(fd.full[0], nowhere, 5 * one));
	SAY(read(fd.file, nowhere, 5 * one));
	SAY(RECV(fd.loud[0], 0));
	SAY(RECV(fd.loud[0], MSG_PEEK));
	SAY(RECV(fd.loud[0], MSG_DONTWAIT));
	SAY(RECV(fd.pair[0], MSG_DONTWAIT));
	SAY(RECV(fd.pair[0], MSG_ERRQUEUE | MSG_DONTWAIT));
	SAY(RECV(fd.timed[0], 0));
	SAY(RECV(fd.pipe[0], 0));
	SAY(RECV(fd.listener, 0));
	SAY(RECV(none, 0));
	SAY(RECVFROM(fd.loud[0], 0));
	SAY(RECVFROM(fd.timed[0], MSG_WAITALL));
	SAY(RECVFROM(fd.file, 0));
	SAY(RECVFROM(far, MSG_DONTWAIT));
	SAY(recvmsg(fd.loud[0], message(), 0));
	SAY(recvmsg(fd.timed[0], message(), 0));
	SAY(recvmsg(fd.pair[0], NULL, MSG_DONTWAIT));
	SAY(recvmsg(none, message(), 0));
	SAY(accept(fd.pair[0], NULL, NULL));
	SAY(accept(fd.pipe[0], NULL, NULL));
	SAY(accept(none, NULL, NULL));
	SAY(accept4(fd.listener, NULL, NULL, 1));
	fcntl(fd.listener, F_SETFL, O_NONBLOCK);
	SAY(accept(fd.listener, NULL, NULL));
	SAY(accept4(fd.listener, NULL, NULL, SOCK_NONBLOCK));
	fcntl(fd.listener, F_SETFL, 0);
}

/* ---------------------------------------------------------------- several descriptors */

#define POLLFDS                                                                                 \
	{                                                                                       \
		{ .fd = fd.pipe[0], .events = POLLIN }, { .fd = fd.full[0], .events = POLLIN }, \
			{ .fd = far, .events = POLLIN }, { .fd = none, .events = POLLIN },      \
		{                                                                               \
			.fd = fd.pipe[1], .events = POLLOUT                                     \
		}                                                                               \
	}

static struct pollfd polled[5];

static struct pollfd *fds(size_t first)
{
	static const struct pollfd zero;

	memcpy(polled, (const struct pollfd[])POLLFDS, sizeof(polled));
	for (size_t i = 0; i < first; i++)
		polled[i] = zero, polled[i].fd = -1;
	return polled;
}

#define SAY_POLL(call)                                     \
	do {                                               \
		SAY(call);                                 \
		for (size_t i = 0; i < COUNT(polled); i++) \
			printf(" %d", polled[i].revents);  \
		putchar('\n');                             \
	} while (0)

static void polls(void)
{
	for (int ms = -1; ms <= SOON_MS; ms += 3) {
		SAY_POLL(poll(fds(0), 5 * one, ms));
		SAY_POLL(poll(fds(1), 4 * one, ms));
		SAY_POLL(poll(fds(2), 3 * one, ms));
	}
	SAY_POLL(poll(fds(0), one, 0));
	SAY_POLL(poll(fds(0), one, SOON_MS));
	SAY_POLL(poll(fds(0), 0 * one, SOON_MS));
	SAY(poll(NULL, 0, SOON_MS));
	SAY(syscall(SYS_poll, NULL, 1, 0));
	SAY_POLL(ppoll(fds(0), 5 * one, NULL, NULL));
	SAY_POLL(ppoll(fds(0), one, SOON, NULL));
	SAY_POLL(ppoll(fds(0), one, span(0, 0), NULL));
	SAY_POLL(ppoll(fds(0), 5 * one, span(-1, 0), NULL));
	SAY_POLL(ppoll(fds(0), 5 * one, span(0, -1), NULL));
	SAY_POLL(ppoll(fds(0), 5 * one, span(0, 1000000000), NULL));
	SAY_POLL(ppoll(fds(0), one, span(-1, 0), NULL));
	SAY_POLL(ppoll(fds(0), one, span(1, 1000000000), NULL));
}

/* Room for one descriptor more than FD_SETSIZE. */
static struct {
	fd_set low;
	fd_set high;
} sets[3];

static fd_set *set(int which, int a, int b)
{
	memset(&sets[which], 0, sizeof(sets[which]));
	if (a >= 0)
		FD_SET(a, &sets[which].low);
	if (b >= 0)
		FD_SET(b, &sets[which].low);
	return &sets[which].low;
}

static struct timeval left;

static struct timeval *within(long s, long us)
{
	left = (struct timeval){ .tv_sec = s, .tv_usec = us };
	return &left;
}

#define ALL(which) set(which, fd.pipe[0], fd.full[0])
#define SAY_SELECT(call)                                                 \
	do {                                                             \
		int ok;                                                  \
		memset(sets, 0, sizeof(sets));                           \
		within(0, 0);                                            \
		SAY(call);                                               \
		for (size_t i = 0; i < 3; i++)                           \
			for (int f = 0; f < FD_SETSIZE; f++)             \
				if (FD_ISSET(f, &sets[i].low))           \
					printf(" %zu:%d", i, f);         \
		/* all is left, but for a moment */                      \
		ok = left.tv_sec == MINUTE || left.tv_sec == MINUTE - 1; \
		printf(" left %s %ld\n", ok ? "all" : "",                \
			ok ? 0 : left.tv_sec * 1000000 + left.tv_usec);  \
	} while (0)

static void selects(void)
{
	int all = 64;

	SAY_SELECT(select(all, ALL(0), NULL, NULL, NULL));
	SAY_SELECT(select(all, ALL(0), ALL(1), ALL(2), within(MINUTE, 0)));
	SAY_SELECT(select(all, ALL(0), set(1, fd.pipe[1], -1), NULL, within(0, 0)));
	SAY_SELECT(select(all, set(0, fd.pipe[0], -1), NULL, NULL, within(0, SOON_MS * 1000)));
	SAY_SELECT(select(all, set(0, fd.pipe[0], -1), NULL, ALL(2), within(0, SOON_MS * 1000)));
	SAY_SELECT(select(fd.pipe[0], ALL(0), NULL, NULL, within(0, SOON_MS * 1000)));
	SAY_SELECT(select(FD_SETSIZE, ALL(0), NULL, NULL, within(MINUTE, 0)));
	SAY_SELECT(select(2 * FD_SETSIZE, ALL(0), NULL, NULL, within(MINUTE, 0)));
	SAY_SELECT(select(2 * FD_SETSIZE, set(0, fd.pipe[0], -1), NULL, NULL, within(0, 5000)));
	SAY_SELECT(select(-1, ALL(0), NULL, NULL, within(MINUTE, 0)));
	SAY_SELECT(select(0, NULL, NULL, NULL, within(0, SOON_MS * 1000)));
	SAY_SELECT(select(all, ALL(0), NULL, NULL, within(-1, 0)));
	SAY_SELECT(select(all, ALL(0), NULL, NULL, within(0, -1)));
	SAY_SELECT(select(all, ALL(0), NULL, NULL, within(MINUTE - 1, 1000000)));
	SAY_SELECT(select(all, set(0, 63, fd.full[0]), NULL, NULL, NULL));
	SAY_SELECT(select(all, set(0, 63, fd.pipe[0]), NULL, NULL, NULL));
	SAY_SELECT(pselect(all, ALL(0), ALL(1), NULL, NULL, NULL));
	SAY_SELECT(pselect(all, ALL(0), NULL, NULL, span(MINUTE, 0), NULL));
	SAY_SELECT(pselect(all, set(0, fd.pipe[0], -1), NULL, NULL, SOON, NULL));
	SAY_SELECT(pselect(all, set(0, fd.pipe[0], -1), NULL, NULL, span(0, 0), NULL));
	SAY_SELECT(pselect(all, ALL(0), NULL, NULL, span(-1, 0), NULL));
	SAY_SELECT(pselect(all, ALL(0), NULL, NULL, span(0, 1000000000), NULL));
	SAY_SELECT(pselect(2 * FD_SETSIZE, ALL(0), NULL, NULL, SOON, NULL));
	SAY_SELECT(pselect(-1, ALL(0), NULL, NULL, SOON, NULL));
	SAY_SELECT(pselect(all, set(0, 63, -1), NULL, NULL, SOON, NULL));
	printf("span %ld\n", span(0, SOON_MS)->tv_nsec);
}

static void epolls(void)
{
	struct epoll_event got[4], edge = { .events = EPOLLIN | EPOLLET | EPOLLONESHOT };

	memset(got, 0, sizeof(got));
	SAY(epoll_wait(fd.epoll_ready, got, 4, -1));
	printf(" %u %ld\n", got[0].events, (long)got[0].data.u64);
	SAY(epoll_wait(fd.epoll, got, 4, 0));
	SAY(epoll_wait(fd.epoll, got, 4, SOON_MS));
	SAY(epoll_wait(fd.epoll_ready, got, 0, SOON_MS));
	SAY(epoll_wait(fd.epoll_ready, got, -(int)one, -1));
	SAY(epoll_wait(fd.epoll_ready, nowhere, 4, -1));
	SAY(epoll_wait(fd.pipe[0], got, 4, -1));
	SAY(epoll_wait(none, got, 4, -1));
	SAY(epoll_pwait(fd.epoll_ready, got, 4, -1, NULL));
	SAY(epoll_pwait(fd.epoll, got, 4, SOON_MS, NULL));
	SAY(epoll_pwait(far, got, 4, -1, NULL));
	epoll_ctl(fd.epoll_ready, EPOLL_CTL_MOD, fd.full[0], &edge);
	SAY(epoll_wait(fd.epoll_ready, got, 4, SOON_MS));
	SAY(epoll_wait(fd.epoll_ready, got, 4, SOON_MS));
}

/* ---------------------------------------------------------------- sleep */

static struct timespec rest;

#define SAY_SLEEP(call)                                                     \
	do {                                                                \
		rest = (struct timespec){ .tv_sec = 11, .tv_nsec = 12 };    \
		SAY(call);                                                  \
		printf(" rest %ld %ld\n", (long)rest.tv_sec, rest.tv_nsec); \
	} while (0)

static void sleeps(void)
{
	SAY_SLEEP(nanosleep(SOON, &rest));
	SAY_SLEEP(nanosleep(span(0, 0), &rest));
	SAY_SLEEP(nanosleep(span(-1, 0), &rest));
	SAY_SLEEP(nanosleep(span(0, 1000000000), &rest));
	SAY_SLEEP(nanosleep(SOON, NULL));
	SAY_SLEEP(clock_nanosleep(CLOCK_MONOTONIC, 0, SOON, &rest));
	SAY_SLEEP(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, SOON, &rest));
	SAY_SLEEP(clock_nanosleep(CLOCK_REALTIME, 0, span(0, -1), &rest));
	SAY_SLEEP(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, SOON, &rest));
	SAY_SLEEP(clock_nanosleep(12345, 0, SOON, &rest));
	SAY_SLEEP(thrd_sleep(SOON, &rest));
	SAY_SLEEP(thrd_sleep(span(0, -1), &rest));
	SAY(usleep(1000));
	SAY(usleep(0));
	SAY(sleep(0));
}

int main(void)
{
	make_fds();
	reads();
	polls();
	selects();
	epolls();
	sleeps();
	puts("calls ok");
	return 0;
}
