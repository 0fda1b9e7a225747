/* SPDX-License-Identifier: Apache-2.0 */
/*
 * f_state.c: what waits for another thread's deed, or for what comes from outside.
 */
#ifndef STATE_WAITS_H
#define STATE_WAITS_H

static long do_sem_post(void)
{
	union object object;
	make(&object, "sem");
	struct other other = { OF(sem_wait), NULL, &object, .waiting = true };
	start(&other);
	long result = CALL(sem_post, &object);
	end(&other);
	return result;
}

/* ---- conditions ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static mtx_t mtx;

/* What the other thread does; it takes the mutex first. */
static int wake(void *cond)
{
	pthread_mutex_lock(&mutex);
	pthread_cond_signal(cond);
	pthread_mutex_unlock(&mutex);
	return 0;
}

static int wake_c11(void *cond)
{
	mtx_lock(&mtx);
	cnd_signal(cond);
	mtx_unlock(&mtx);
	return 0;
}

static int wait_once(void *cond)
{
	pthread_mutex_lock(&mutex);
	pthread_cond_wait(cond, &mutex);
	pthread_mutex_unlock(&mutex);
	return 0;
}

static int wait_once_c11(void *cond)
{
	mtx_lock(&mtx);
	cnd_wait(cond, &mtx);
	mtx_unlock(&mtx);
	return 0;
}

static long wait_for_wake(void *function, int clock_argument)
{
	union object object;
	make(&object, "cond");
	struct other other = { NULL, OF(wake), &object, .waits = clock_argument >= 0 };
	pthread_mutex_lock(&mutex);
	start(&other);
	struct timespec until = in_ms(CLOCK_REALTIME, 2);
	long result = clock_argument < 0 ? CALL(function, &object, &mutex) :
		clock_argument           ? CALL(function, &object, &mutex, CLOCK_REALTIME, &until) :
					   CALL(function, &object, &mutex, &until);
	pthread_mutex_unlock(&mutex);
	end(&other);
	return result;
}

static long do_pthread_cond_wait(void)
{
	return wait_for_wake(pthread_cond_wait, -1);
}
static long do_pthread_cond_timedwait(void)
{
	return wait_for_wake(pthread_cond_timedwait, 0);
}
static long do_pthread_cond_clockwait(void)
{
	return wait_for_wake(pthread_cond_clockwait, 1);
}

static long wait_for_wake_c11(void *function, bool timed)
{
	union object object;
	make(&object, "cnd");
	mtx_init(&mtx, mtx_plain);
	struct other other = { NULL, OF(wake_c11), &object, .waits = timed };
	mtx_lock(&mtx);
	start(&other);
	struct timespec until = in_ms(CLOCK_REALTIME, 2);
	long result = timed ? CALL(function, &object, &mtx, &until) : CALL(function, &object, &mtx);
	mtx_unlock(&mtx);
	end(&other);
	return result;
}

static long do_cnd_wait(void)
{
	return wait_for_wake_c11(cnd_wait, false);
}
static long do_cnd_timedwait(void)
{
	return wait_for_wake_c11(cnd_timedwait, true);
}

static long wake_in_state(void *function, of_object *wait)
{
	union object object;
	make(&object, "cond");
	mtx_init(&mtx, mtx_plain);
	struct other other = { wait, NULL, &object, .waiting = true };
	start(&other);
	long result = CALL(function, &object);
	/* It may come to its wait only now. */
	sem_post(&other.end);
	while (pthread_tryjoin_np(other.thread, NULL) != 0) {
		OF(function)(&object);
		usleep(MS);
	}
	return result;
}

static long do_pthread_cond_signal(void)
{
	return wake_in_state(pthread_cond_signal, wait_once);
}
static long do_pthread_cond_broadcast(void)
{
	return wake_in_state(pthread_cond_broadcast, wait_once);
}
static long do_cnd_signal(void)
{
	return wake_in_state(cnd_signal, wait_once_c11);
}
static long do_cnd_broadcast(void)
{
	return wake_in_state(cnd_broadcast, wait_once_c11);
}

/* ---- other threads ---- */

static long do_pthread_barrier_wait(void)
{
	union object object;
	pthread_barrier_init(&object.barrier, NULL, 2);
	struct other other = { NULL, OF(pthread_barrier_wait), &object, .waits = false };
	start(&other);
	int result = (int)CALL(pthread_barrier_wait, &object);
	end(&other);
	return result > 0; /* one of them is told that it is the one */
}

static long join(void *function, int clock_argument)
{
	bool timed = clock_argument >= 0;
	struct other other = { NULL, NULL, NULL, .waits = timed };
	void *value = &other;
	start(&other);
	struct timespec until = in_ms(CLOCK_REALTIME, 2);
	long result = !timed   ? CALL(function, other.thread, &value) :
		clock_argument ? CALL(function, other.thread, &value, CLOCK_REALTIME, &until) :
				 CALL(function, other.thread, &value, &until);
	if (timed)
		end(&other);
	return result | (!timed && value);
}

static long do_pthread_join(void)
{
	return join(pthread_join, -1);
}
static long do_pthread_timedjoin_np(void)
{
	return join(pthread_timedjoin_np, 0);
}
static long do_pthread_clockjoin_np(void)
{
	return join(pthread_clockjoin_np, 1);
}

static int rest(void *unused)
{
	(void)unused;
	usleep(WAIT_MS * MS);
	return 5;
}

static long do_thrd_join(void)
{
	thrd_t thread;
	int value = 0;
	thrd_create(&thread, rest, NULL);
	return CALL(thrd_join, thread, &value) || value != 5;
}

/* ---- descriptors ---- */

static int pair[2];

/* A byte comes, or a connection. */
static int send_byte(void *unused)
{
	(void)unused;
	return write(pair[1], "x", 1) != 1;
}

static struct other sender = { NULL, send_byte, NULL, .waits = false };

static void expect_byte(void)
{
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	start(&sender);
}

/* count: what the call gave; byte: what came. */
static long came(long count, char byte)
{
	end(&sender);
	close(pair[0]);
	close(pair[1]);
	return count != 1 || (byte != 'x' && byte != '?');
}

#define WANTED (expect_byte(), &(struct pollfd){ .fd = pair[0], .events = POLLIN })
static const struct timespec minute = { .tv_sec = 60 };

static long do_poll(void)
{
	return came(CALL(poll, WANTED, 1, 60000), '?');
}
static long do___poll_chk(void)
{
	return came(CALL(__poll_chk, WANTED, 1, 60000, 8), '?');
}
static long do_ppoll(void)
{
	return came(CALL(ppoll, WANTED, 1, &minute, NULL), '?');
}
static long do___ppoll_chk(void)
{
	return came(CALL(__ppoll_chk, WANTED, 1, &minute, NULL, 8), '?');
}

static fd_set *wanted_set(void)
{
	static fd_set set;
	expect_byte();
	FD_ZERO(&set);
	FD_SET(pair[0], &set);
	return &set;
}

static long do_select(void)
{
	struct timeval time = { .tv_sec = 60 };
	fd_set *set = wanted_set();
	return came(CALL(select, pair[0] + 1, set, NULL, NULL, &time), '?') || !time.tv_sec;
}

static long do_pselect(void)
{
	fd_set *set = wanted_set();
	return came(CALL(pselect, pair[0] + 1, set, NULL, NULL, &minute, NULL), '?');
}

static long wait_by_epoll(void *function)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	expect_byte();
	epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
	long result = came(CALL(function, epoll, &event, 1, 60000, NULL), '?');
	close(epoll);
	return result;
}

static long do_epoll_wait(void)
{
	return wait_by_epoll(epoll_wait);
}
static long do_epoll_pwait(void)
{
	return wait_by_epoll(epoll_pwait);
}

#define RECEIVE(name, ...)                                               \
	static long do_##name(void)                                      \
	{                                                                \
		char byte = 0;                                           \
		expect_byte();                                           \
		long count = CALL(name, pair[0], &byte, 1, __VA_ARGS__); \
		return came(count, byte);                                \
	}
RECEIVE(read, 0)
RECEIVE(__read_chk, 1)
RECEIVE(recv, 0)
RECEIVE(__recv_chk, 1, 0)
RECEIVE(recvfrom, 0, NULL, NULL)
RECEIVE(__recvfrom_chk, 1, 0, NULL, NULL)

static long do_recvmsg(void)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	expect_byte();
	long count = CALL(recvmsg, pair[0], &message, 0);
	return came(count, byte);
}

static struct sockaddr_in listening;

static int connect_there(void *unused)
{
	(void)unused;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int error = connect(fd, (struct sockaddr *)&listening, sizeof(listening));
	return error | close(fd);
}

static long accept_by(void *function)
{
	struct other other = { NULL, connect_there, NULL, .waits = false };
	struct sockaddr_in from = { 0 };
	socklen_t size = sizeof(listening);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	listening = (struct sockaddr_in){ .sin_family = AF_INET };
	listening.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(fd, (struct sockaddr *)&listening, size);
	listen(fd, 1);
	getsockname(fd, (struct sockaddr *)&listening, &size);
	start(&other);
	int got = (int)CALL(function, fd, &from, &size, 0);
	end(&other);
	close(fd);
	return got < 0 || close(got) || from.sin_addr.s_addr != listening.sin_addr.s_addr;
}

static long do_accept(void)
{
	return accept_by(accept);
}
static long do_accept4(void)
{
	return accept_by(accept4);
}

/* ---- sleep ---- */

static const struct timespec moment = { .tv_nsec = 1000000 };

static long do_nanosleep(void)
{
	return CALL(nanosleep, &moment, NULL);
}
static long do_thrd_sleep(void)
{
	return CALL(thrd_sleep, &moment, NULL);
}
static long do_usleep(void)
{
	return CALL(usleep, MS);
}
static long do_sleep(void)
{
	return CALL(sleep, 1);
}
static long do_clock_nanosleep(void)
{
	return CALL(clock_nanosleep, CLOCK_MONOTONIC, 0, &moment, NULL);
}

#endif
