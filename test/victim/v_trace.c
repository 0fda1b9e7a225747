/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits of each kind, for traces. For each line "play MS" on stdin one pair of threads for each
 * kind, all at once: "w_KIND" waits, and "k_KIND" ends its wait MS after it has fallen asleep;
 * twice. Prints "KIND NS" for each, the time that the waiter measured around its calls, then
 * "played".
 *
 * Calls: waiter_KIND -> wait_KIND -> the call, waker_KIND -> wake_KIND -> the call.
 * Prints "ready" first, ends with its stdin.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noipa)) static
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROUNDS 2
#define MINUTE 60
#define FDS 3 /* a pipe or a pair of sockets, or a listener; and an epoll */

struct pair {
	const struct kind *kind;
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
	pthread_spinlock_t spin;
	pthread_cond_t cond;
	pthread_barrier_t barrier, turn;
	mtx_t mtx;
	cnd_t cnd;
	sem_t sem;
	pthread_t waker;
	int fd[FDS];
	struct sockaddr_in address;
	int flag;
	_Atomic int tid;
	int64_t ns;
};

struct kind {
	const char *name;
	void (*prepare)(struct pair *);
	void (*hold)(struct pair *); /* by the waker, before the other waits */
	void *(*waiter)(void *), *(*waker)(void *);
};

static int64_t hold_ns;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct timespec time_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

static struct timespec limit(clockid_t clock, int64_t ns)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return time_of(t.tv_sec * 1000000000LL + t.tv_nsec + ns);
}

/* Not one of the calls that are looked at. */
static void rest(int64_t ns)
{
	struct timespec t = time_of(ns);

	syscall(SYS_nanosleep, &t, NULL);
}

static void name_thread(char letter, const struct kind *kind)
{
	char name[16];

	snprintf(name, sizeof(name), "%c_%s", letter, kind->name);
	prctl(PR_SET_NAME, name);
}

/* Until that thread sleeps. */
static void sleeps(struct pair *p)
{
	char path[64], text[256];

	while (!p->tid)
		rest(100000);
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", p->tid);
	for (int asleep = 0; !asleep;) {
		FILE *f = fopen(path, "r");

		asleep = !f || !fgets(text, sizeof(text), f) || strstr(text, ") S ");
		if (f)
			fclose(f);
		rest(1000000);
	}
}

/* ---------------------------------------------------------------- waits and wake-ups */

static void run_waiter(struct pair *p, void (*wait)(struct pair *), void (*leave)(struct pair *))
{
	name_thread('w', p->kind);
	for (int i = 0; i < ROUNDS; i++) {
		int64_t start_ns;

		pthread_barrier_wait(&p->turn);
		p->tid = (int)syscall(SYS_gettid);
		start_ns = now_ns();
		wait(p);
		p->ns += now_ns() - start_ns;
		leave(p);
		p->tid = 0;
		pthread_barrier_wait(&p->turn);
	}
}

static void run_waker(struct pair *p, void (*wake)(struct pair *), int spins)
{
	name_thread('k', p->kind);
	for (int i = 0; i < ROUNDS; i++) {
		if (p->kind->hold)
			p->kind->hold(p);
		pthread_barrier_wait(&p->turn);
		if (!spins)
			sleeps(p);
		rest(hold_ns);
		wake(p);
		pthread_barrier_wait(&p->turn);
	}
}

#define KIND_OF(kind_name, wait, leave, wake, spins)                \
	NOINLINE void wait_##kind_name(struct pair *p)              \
	{                                                           \
		wait;                                               \
	}                                                           \
	NOINLINE void leave_##kind_name(struct pair *p)             \
	{                                                           \
		(void)p;                                            \
		leave;                                              \
	}                                                           \
	NOINLINE void wake_##kind_name(struct pair *p)              \
	{                                                           \
		(void)p;                                            \
		wake;                                               \
	}                                                           \
	static void *waiter_##kind_name(void *p)                    \
	{                                                           \
		run_waiter(p, wait_##kind_name, leave_##kind_name); \
		return NULL;                                        \
	}                                                           \
	static void *waker_##kind_name(void *p)                     \
	{                                                           \
		run_waker(p, wake_##kind_name, spins);              \
		return NULL;                                        \
	}
#define KIND(name, wait, leave, wake) KIND_OF(name, wait, leave, wake, 0)
#define NOTHING (void)0

/* ---- locks ---- */

static void hold_mutex(struct pair *p)
{
	pthread_mutex_lock(&p->mutex);
}
static void hold_write(struct pair *p)
{
	pthread_rwlock_wrlock(&p->rwlock);
}
static void hold_read(struct pair *p)
{
	pthread_rwlock_rdlock(&p->rwlock);
}
static void hold_spin(struct pair *p)
{
	pthread_spin_lock(&p->spin);
}
static void hold_mtx(struct pair *p)
{
	mtx_lock(&p->mtx);
}

KIND(mutex, pthread_mutex_lock(&p->mutex), pthread_mutex_unlock(&p->mutex),
	pthread_mutex_unlock(&p->mutex))
KIND(timedlock, struct timespec t = limit(CLOCK_REALTIME, MINUTE * 1000000000LL);
	pthread_mutex_timedlock(&p->mutex, &t), pthread_mutex_unlock(&p->mutex),
	pthread_mutex_unlock(&p->mutex))
KIND(rdlock, pthread_rwlock_rdlock(&p->rwlock), pthread_rwlock_unlock(&p->rwlock),
	pthread_rwlock_unlock(&p->rwlock))
KIND(wrlock, pthread_rwlock_wrlock(&p->rwlock), pthread_rwlock_unlock(&p->rwlock),
	pthread_rwlock_unlock(&p->rwlock))
KIND_OF(spin, pthread_spin_lock(&p->spin), pthread_spin_unlock(&p->spin),
	pthread_spin_unlock(&p->spin), 1)
KIND(mtx, mtx_lock(&p->mtx), mtx_unlock(&p->mtx), mtx_unlock(&p->mtx))

/* ---- conditions ---- */

#define WAIT_FOR_FLAG(call)            \
	pthread_mutex_lock(&p->mutex); \
	while (!p->flag)               \
		call;                  \
	p->flag = 0;                   \
	pthread_mutex_unlock(&p->mutex)
#define SET_FLAG(call)                   \
	pthread_mutex_lock(&p->mutex);   \
	p->flag = 1;                     \
	pthread_mutex_unlock(&p->mutex); \
	call

KIND(cond, WAIT_FOR_FLAG(pthread_cond_wait(&p->cond, &p->mutex)), NOTHING,
	SET_FLAG(pthread_cond_signal(&p->cond)))
KIND(broadcast, struct timespec t = limit(CLOCK_REALTIME, MINUTE * 1000000000LL);
	WAIT_FOR_FLAG(pthread_cond_timedwait(&p->cond, &p->mutex, &t)), NOTHING,
	SET_FLAG(pthread_cond_broadcast(&p->cond)))
KIND(cnd, mtx_lock(&p->mtx); while (!p->flag) cnd_wait(&p->cnd, &p->mtx); p->flag = 0;
	mtx_unlock(&p->mtx), NOTHING, mtx_lock(&p->mtx); p->flag = 1; mtx_unlock(&p->mtx);
	cnd_signal(&p->cnd))
KIND(timeout, struct timespec t = limit(CLOCK_MONOTONIC, hold_ns); pthread_mutex_lock(&p->mutex);
	pthread_cond_clockwait(&p->cond, &p->mutex, CLOCK_MONOTONIC, &t);
	pthread_mutex_unlock(&p->mutex), NOTHING, NOTHING)

/* ---- semaphores, barriers, threads ---- */

KIND(sem, sem_wait(&p->sem), NOTHING, sem_post(&p->sem))
KIND(barrier, pthread_barrier_wait(&p->barrier), NOTHING, pthread_barrier_wait(&p->barrier))

static void *short_thread(void *arg)
{
	prctl(PR_SET_NAME, "e_join");
	rest(hold_ns);
	return arg;
}

NOINLINE void start_short_thread(struct pair *p)
{
	pthread_create(&p->waker, NULL, short_thread, p);
}

KIND(join, start_short_thread(p); pthread_join(p->waker, NULL), NOTHING, NOTHING)

/* ---- descriptors ---- */

#define SEND (void)!write(p->fd[1], "x", 1)
#define READ (void)!syscall(SYS_read, p->fd[0], (char[1]){ 0 }, 1)
#define ONE struct pollfd one = one_of(p)
#define SET                     \
	fd_set set = set_of(p); \
	struct timeval t = minute
#define EVENT struct epoll_event event

static const struct timeval minute = { .tv_sec = MINUTE };

static struct pollfd one_of(const struct pair *p)
{
	return (struct pollfd){ .fd = p->fd[0], .events = POLLIN };
}

static fd_set set_of(const struct pair *p)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(p->fd[0], &set);
	return set;
}

static void *get(struct iovec *iov, struct msghdr *message)
{
	static _Thread_local char byte;

	*iov = (struct iovec){ &byte, 1 };
	*message = (struct msghdr){ .msg_iov = iov, .msg_iovlen = 1 };
	return message;
}

static void visit(struct pair *p)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	connect(fd, (struct sockaddr *)&p->address, sizeof(p->address));
	close(fd);
}

KIND(read_pipe, char c; (void)!read(p->fd[0], &c, 1), NOTHING, SEND)
KIND(read_socket, char c; (void)!read(p->fd[0], &c, 1), NOTHING, SEND)
KIND(recv, char c; recv(p->fd[0], &c, 1, 0), NOTHING, SEND)
KIND(recvfrom, char c; recvfrom(p->fd[0], &c, 1, 0, NULL, NULL), NOTHING, SEND)
KIND(recvmsg, struct iovec iov; struct msghdr message;
	recvmsg(p->fd[0], get(&iov, &message), 0), NOTHING, SEND)
KIND(accept, close(accept(p->fd[0], NULL, NULL)), NOTHING, visit(p))
KIND(accept4, close(accept4(p->fd[0], NULL, NULL, SOCK_CLOEXEC)), NOTHING, visit(p))
KIND(poll, ONE; poll(&one, 1, -1), READ, SEND)
KIND(ppoll, ONE; ppoll(&one, 1, NULL, NULL), READ, SEND)
KIND(select, SET; select(FD_SETSIZE, &set, NULL, NULL, &t), READ, SEND)
KIND(pselect, SET; (void)t; pselect(p->fd[0] + 1, &set, NULL, NULL, NULL, NULL), READ, SEND)
KIND(epoll, EVENT; epoll_wait(p->fd[2], &event, 1, MINUTE * 1000), READ, SEND)
KIND(epoll_pwait, EVENT; epoll_pwait(p->fd[2], &event, 1, -1, NULL), READ, SEND)

/* ---- sleep ---- */

#define TIME struct timespec t = time_of(hold_ns)

KIND(nanosleep, TIME; nanosleep(&t, NULL); (void)p, NOTHING, NOTHING)
KIND(clock_nano, TIME; clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL); (void)p, NOTHING, NOTHING)
KIND(usleep, usleep((useconds_t)(hold_ns / 1000)); (void)p, NOTHING, NOTHING)
KIND(thrd_sleep, TIME; thrd_sleep(&t, NULL); (void)p, NOTHING, NOTHING)
KIND(poll_nothing, poll(NULL, 0, (int)(hold_ns / 1000000)); (void)p, NOTHING, NOTHING)

/* ---- what they need ---- */

static void with_epoll(struct pair *p)
{
	struct epoll_event event = { .events = EPOLLIN };

	p->fd[2] = epoll_create1(0);
	epoll_ctl(p->fd[2], EPOLL_CTL_ADD, p->fd[0], &event);
}

static void with_pipe(struct pair *p)
{
	if (pipe(p->fd) == 0)
		with_epoll(p);
}

static void with_sockets(struct pair *p)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p->fd) == 0)
		with_epoll(p);
}

static void with_listener(struct pair *p)
{
	socklen_t size = sizeof(p->address);

	p->address = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	p->fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	bind(p->fd[0], (struct sockaddr *)&p->address, size);
	listen(p->fd[0], 4);
	getsockname(p->fd[0], (struct sockaddr *)&p->address, &size);
}

#define ROW(name, prepare, hold) { #name, prepare, hold, waiter_##name, waker_##name },
static const struct kind kinds[] = { ROW(mutex, NULL, hold_mutex) ROW(timedlock, NULL,
	hold_mutex) ROW(rdlock, NULL, hold_write) ROW(wrlock, NULL, hold_read) ROW(spin, NULL,
	hold_spin) ROW(mtx, NULL, hold_mtx) ROW(cond, NULL, NULL) ROW(broadcast, NULL,
	NULL) ROW(cnd, NULL, NULL) ROW(timeout, NULL, NULL) ROW(sem, NULL, NULL) ROW(barrier, NULL,
	NULL) ROW(join, NULL, NULL) ROW(read_pipe, with_pipe, NULL) ROW(read_socket, with_sockets,
	NULL) ROW(recv, with_sockets, NULL) ROW(recvfrom, with_sockets, NULL) ROW(recvmsg,
	with_sockets, NULL) ROW(accept, with_listener, NULL) ROW(accept4, with_listener, NULL)
		ROW(poll, with_sockets, NULL) ROW(ppoll, with_pipe, NULL) ROW(select, with_sockets,
			NULL) ROW(pselect, with_pipe, NULL) ROW(epoll, with_sockets, NULL)
			ROW(epoll_pwait, with_pipe, NULL) ROW(nanosleep, NULL, NULL)
				ROW(clock_nano, NULL, NULL) ROW(usleep, NULL, NULL)
					ROW(thrd_sleep, NULL, NULL) ROW(poll_nothing, NULL, NULL) };

static void make_pair(struct pair *p, const struct kind *kind)
{
	*p = (struct pair){ .kind = kind, .fd = { -1, -1, -1 } };
	pthread_mutex_init(&p->mutex, NULL);
	pthread_rwlock_init(&p->rwlock, NULL);
	pthread_spin_init(&p->spin, PTHREAD_PROCESS_PRIVATE);
	pthread_cond_init(&p->cond, NULL);
	pthread_barrier_init(&p->barrier, NULL, 2);
	pthread_barrier_init(&p->turn, NULL, 2);
	mtx_init(&p->mtx, mtx_plain);
	cnd_init(&p->cnd);
	sem_init(&p->sem, 0, 0);
	if (kind->prepare)
		kind->prepare(p);
}

NOINLINE void play(long ms)
{
	static struct pair pairs[COUNT(kinds)];
	pthread_t threads[2 * COUNT(kinds)];

	hold_ns = ms * 1000000;
	for (size_t i = 0; i < COUNT(kinds); i++)
		make_pair(&pairs[i], &kinds[i]);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		pthread_create(&threads[2 * i], NULL, kinds[i].waiter, &pairs[i]);
		pthread_create(&threads[2 * i + 1], NULL, kinds[i].waker, &pairs[i]);
	}
	for (size_t i = 0; i < 2 * COUNT(kinds); i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		printf("%s %lld\n", kinds[i].name, (long long)pairs[i].ns);
		for (int j = 0; j < FDS; j++)
			if (pairs[i].fd[j] >= 0)
				close(pairs[i].fd[j]);
	}
}

int main(void)
{
	char line[128];
	long ms;

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "play %ld", &ms) != 1)
			return 1;
		play(ms);
		puts("played");
		fflush(stdout);
	}
	return 0;
}
