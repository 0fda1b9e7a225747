/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What v_calls.c and v_calls_ended.c have in common: descriptors in each state, and a line for each
 * call.
 */
#ifndef CALLS_H
#define CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define UNTOUCHED 4242
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SOON_MS 5
#define MINUTE 60

static struct {
	int pipe[2], full[2], closed[2], quick[2], pair[2], loud[2], timed[2];
	int listener, file, folder, epoll, epoll_ready;
} fd;
static const int none = -1, far = 1000;
static char bytes[64];
static volatile size_t one = 1; /* the compiler does not know how many */
static void *volatile nowhere;

static const char *name_of(int error)
{
	return error == UNTOUCHED ? "untouched" : error ? strerrorname_np(error) : "0";
}

/* To write the result of call, which is made with errno untouched. */
#define SAY(call)                                                      \
	do {                                                           \
		errno = UNTOUCHED;                                     \
		long result = (long)(call);                            \
		printf("%s: %ld %s\n", #call, result, name_of(errno)); \
	} while (0)

/* ---------------------------------------------------------------- descriptors in each state */

static void make_fds(void)
{
	struct timeval soon = { .tv_usec = SOON_MS * 1000 };
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 7 };
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (pipe(fd.pipe) || pipe(fd.full) || pipe(fd.closed) || pipe2(fd.quick, O_NONBLOCK) ||
		socketpair(AF_UNIX, SOCK_STREAM, 0, fd.pair) ||
		socketpair(AF_UNIX, SOCK_STREAM, 0, fd.loud) ||
		socketpair(AF_UNIX, SOCK_STREAM, 0, fd.timed) ||
		write(fd.full[1], "0123456789", 10) != 10 ||
		write(fd.loud[1], "0123456789", 10) != 10)
		abort();
	close(fd.closed[1]);
	setsockopt(fd.timed[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	fd.listener = socket(AF_INET, SOCK_STREAM, 0);
	bind(fd.listener, (struct sockaddr *)&address, sizeof(address));
	listen(fd.listener, 4);
	fd.file = open("/proc/self/exe", O_RDONLY);
	fd.folder = open("/", O_RDONLY | O_DIRECTORY);
	fd.epoll = epoll_create1(0);
	fd.epoll_ready = epoll_create1(0);
	epoll_ctl(fd.epoll, EPOLL_CTL_ADD, fd.pipe[0], &event);
	epoll_ctl(fd.epoll_ready, EPOLL_CTL_ADD, fd.full[0], &event);
}

#define READ(fd) read(fd, bytes, one)
#define RECV(fd, flags) recv(fd, bytes, one, flags)
#define RECVFROM(fd, flags) recvfrom(fd, bytes, one, flags, NULL, NULL)

static struct msghdr *message(void)
{
	static struct iovec iov = { bytes, 1 };
	static struct msghdr header;

	header = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
	return &header;
}

static const struct timespec *span(long s, long ns)
{
	static struct timespec t;

	t = (struct timespec){ .tv_sec = s, .tv_nsec = ns };
	return &t;
}

#define SOON span(0, SOON_MS * 1000000)

#endif
