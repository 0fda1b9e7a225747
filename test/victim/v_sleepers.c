/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that sleep in calls which a signal would end, in code that keeps frame pointers and is
 * not optimized. None of the calls comes back by itself. Prints "ready N" when all N threads are
 * asleep, then obeys lines on stdin:
 *
 *   early       "early COUNT": how often a call came back
 */
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(__clang__) && !defined(AS_IT_IS)
#pragma GCC optimize("O0")
#endif

#define AN_HOUR 3600

static sem_t sem;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int epoll, fds[2];
static _Atomic int early;

static struct timespec in_an_hour(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += AN_HOUR;
	return t;
}

static void in_pause(void)
{
	pause();
}

static void in_poll(void)
{
	poll(NULL, 0, AN_HOUR * 1000);
}

static void in_ppoll(void)
{
	struct timespec t = { .tv_sec = AN_HOUR };

	ppoll(NULL, 0, &t, NULL);
}

static void in_select(void)
{
	select(0, NULL, NULL, NULL, NULL);
}

static void in_pselect(void)
{
	pselect(0, NULL, NULL, NULL, NULL, NULL);
}

static void in_epoll_wait(void)
{
	struct epoll_event event;

	epoll_wait(epoll, &event, 1, -1);
}

static void in_sleep(void)
{
	sleep(AN_HOUR);
}

static void in_usleep(void)
{
	usleep(AN_HOUR * 1000000u);
}

static void in_nanosleep(void)
{
	struct timespec t = { .tv_sec = AN_HOUR };

	nanosleep(&t, NULL);
}

static void in_clock_nanosleep(void)
{
	struct timespec t = in_an_hour();

	clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL);
}

static void in_sem_timedwait(void)
{
	struct timespec t = in_an_hour();

	sem_timedwait(&sem, &t);
}

static void in_cond_timedwait(void)
{
	struct timespec t = in_an_hour();

	pthread_mutex_lock(&mutex);
	pthread_cond_timedwait(&cond, &mutex, &t);
	pthread_mutex_unlock(&mutex);
}

static void in_sigsuspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigsuspend(&none);
}

static void in_sigtimedwait(void)
{
	struct timespec t = { .tv_sec = AN_HOUR };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigtimedwait(&set, NULL, &t);
}

/* Restarted by the kernel, and so signalled: for comparison. */
static void in_read(void)
{
	char byte;

	if (read(fds[0], &byte, 1) < 0)
		return;
}

/* Signalled as well; its caller is farther away than is copied of a stack at first. */
static void in_deep_read(void)
{
	char room[128 << 10];

	if (read(fds[0], room, sizeof(room)) < 0)
		return;
}

/* Frames of other shapes on the way: arguments on the stack, a large room, a loop, a switch. */
static int with_many(int a, int b, int c, int d, int e, int f, int g, int h)
{
	char room[8192];

	memset(room, 0, sizeof(room));
	while (room[a + b + c] == 0) {
		switch (d + e + f + g + h) {
		case 30: pause(); break;
		case 1:
		case 2:
		case 3:
		case 5:
		case 7: room[0] = 1; break;
		default: room[1] = 1;
		}
		room[a + b + c] = 1;
	}
	return room[h];
}

static void in_deep_pause(void)
{
	if (with_many(1, 2, 3, 4, 5, 6, 7, 8))
		puts("?");
}

#define ROW(what)                                \
	{                                        \
		.name = #what, .call = in_##what \
	}

static struct sleeper {
	const char *name;
	void (*call)(void);
	_Atomic int tid;
} sleepers[] = { ROW(pause), ROW(poll), ROW(ppoll), ROW(select), ROW(pselect), ROW(epoll_wait),
	ROW(sleep), ROW(usleep), ROW(nanosleep), ROW(clock_nanosleep), ROW(sem_timedwait),
	ROW(cond_timedwait), ROW(sigsuspend), ROW(sigtimedwait), ROW(read), ROW(deep_read),
	ROW(deep_pause) };

#define SLEEPERS (sizeof(sleepers) / sizeof(sleepers[0]))

static void *run(void *arg)
{
	struct sleeper *self = arg;

	pthread_setname_np(pthread_self(), self->name);
	self->tid = (int)syscall(SYS_gettid);
	for (;;) {
		self->call();
		early++;
	}
	return NULL;
}

static int is_asleep(int tid)
{
	char path[64], text[256];
	FILE *f;
	int asleep;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	asleep = f && fgets(text, sizeof(text), f) && strstr(text, ") S ");
	if (f)
		fclose(f);
	return asleep;
}

int main(void)
{
	char line[64];
	pthread_t thread;

	sem_init(&sem, 0, 0);
	epoll = epoll_create1(0);
	if (pipe(fds))
		return 1;
	for (size_t i = 0; i < SLEEPERS; i++)
		if (pthread_create(&thread, NULL, run, &sleepers[i]))
			return 1;
	for (size_t i = 0; i < SLEEPERS; i++)
		while (!sleepers[i].tid || !is_asleep(sleepers[i].tid))
			sched_yield();
	printf("ready %zu\n", SLEEPERS);
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		printf("early %d\n", early);
		fflush(stdout);
	}
	return 0;
}
