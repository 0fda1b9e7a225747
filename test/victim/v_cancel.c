/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that are cancelled in each call that is a cancellation point: while they are blocked in
 * it, and before they call it. Says for each whether it was cancelled there, whether its cleanup
 * ran with the mutex held, and what a semaphore counts afterwards. Then 200 that are cancelled at
 * any moment of a loop of waits. Last line "cancel ok", status 0.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex, contended = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static cnd_t cnd;
static pthread_t other;
static mtx_t mtx;

static struct {
	_Atomic int ready, go, tid;
	int came_back, cleaned, unlocked; /* of the thread that has ended */
} now;

static struct timespec far(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_sec += 60;
	return t;
}

/* ---------------------------------------------------------------- the calls */

#define CALL(name, call)       \
	static void name(void) \
	{                      \
		call;          \
	}
#define UNTIL(name, clock, call)                \
	static void name(void)                  \
	{                                       \
		struct timespec t = far(clock); \
		call;                           \
	}

CALL(in_cond_wait, for (;;) pthread_cond_wait(&cond, &mutex))
UNTIL(in_cond_timedwait, CLOCK_REALTIME, pthread_cond_timedwait(&cond, &mutex, &t))
UNTIL(in_cond_clockwait, CLOCK_MONOTONIC,
	pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &t))
CALL(in_cnd_wait, for (;;) cnd_wait(&cnd, &mtx))
UNTIL(in_cnd_timedwait, CLOCK_REALTIME, cnd_timedwait(&cnd, &mtx, &t))
CALL(in_sem_wait, sem_wait(&sem))
UNTIL(in_sem_timedwait, CLOCK_REALTIME, sem_timedwait(&sem, &t))
UNTIL(in_sem_clockwait, CLOCK_MONOTONIC, sem_clockwait(&sem, CLOCK_MONOTONIC, &t))
CALL(in_join, pthread_join(other, NULL))
UNTIL(in_timedjoin, CLOCK_REALTIME, pthread_timedjoin_np(other, NULL, &t))
UNTIL(in_clockjoin, CLOCK_MONOTONIC, pthread_clockjoin_np(other, NULL, CLOCK_MONOTONIC, &t))
CALL(in_sem_trywait, sem_trywait(&sem))
CALL(in_tryjoin, pthread_tryjoin_np(other, NULL))
CALL(in_barrier, pthread_barrier_wait(&barrier))
CALL(in_lock, pthread_mutex_lock(&contended); pthread_mutex_unlock(&contended))

enum holds { NOTHING, MUTEX, MTX };

static const struct call {
	const char *name;
	void (*call)(void);
	enum holds holds;
	int no_point; /* no cancellation point: it comes back */
	int semaphore;
} calls[] = {
	{ "cond_wait", in_cond_wait, MUTEX, 0, 0 },
	{ "cond_timedwait", in_cond_timedwait, MUTEX, 0, 0 },
	{ "cond_clockwait", in_cond_clockwait, MUTEX, 0, 0 },
	{ "cnd_wait", in_cnd_wait, MTX, 0, 0 },
	{ "cnd_timedwait", in_cnd_timedwait, MTX, 0, 0 },
	{ "sem_wait", in_sem_wait, NOTHING, 0, 1 },
	{ "sem_timedwait", in_sem_timedwait, NOTHING, 0, 1 },
	{ "sem_clockwait", in_sem_clockwait, NOTHING, 0, 1 },
	{ "join", in_join, NOTHING, 0, 0 },
	{ "timedjoin", in_timedjoin, NOTHING, 0, 0 },
	{ "clockjoin", in_clockjoin, NOTHING, 0, 0 },
	{ "sem_trywait", in_sem_trywait, NOTHING, 1, 1 },
	{ "tryjoin", in_tryjoin, NOTHING, 1, 0 },
	{ "barrier", in_barrier, NOTHING, 1, 0 },
	{ "lock", in_lock, NOTHING, 1, 0 },
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

static const struct call *call;

/* ---------------------------------------------------------------- the cancelled thread */

static void clean(void *arg)
{
	(void)arg;
	now.cleaned = 1;
	if (call->holds == MUTEX)
		now.unlocked = pthread_mutex_unlock(&mutex) == 0; /* checks that it is ours */
	if (call->holds == MTX)
		now.unlocked = mtx_trylock(&mtx) == thrd_busy && mtx_unlock(&mtx) == thrd_success;
}

static void *cancelled(void *arg)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	if (call->holds == MUTEX)
		pthread_mutex_lock(&mutex);
	if (call->holds == MTX)
		mtx_lock(&mtx);
	now.tid = (int)syscall(SYS_gettid);
	now.ready = 1;
	while (!now.go)
		sched_yield();
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	pthread_cleanup_push(clean, NULL);
	call->call();
	now.came_back = 1;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pthread_cleanup_pop(1);
	return arg;
}

static void *other_thread(void *arg)
{
	pthread_mutex_lock(arg);
	pthread_mutex_unlock(arg);
	return NULL;
}

/* Until the thread sleeps, or is gone. */
static void sleeps(int tid)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	for (int i = 0; i < 10000; i++) {
		FILE *f = fopen(path, "r");
		int asleep = !f || !fgets(text, sizeof(text), f) || strstr(text, ") S ");

		if (f)
			fclose(f);
		if (asleep)
			return;
		usleep(100);
	}
}

static void play(const struct call *this, int pending, int available)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	pthread_t thread;
	void *left;
	int value;

	call = this;
	memset(&now, 0, sizeof(now));
	sem_init(&sem, 0, (unsigned)available);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_mutex_lock(&gate);
	pthread_mutex_lock(&contended);
	pthread_create(&other, NULL, other_thread, &gate);
	pthread_create(&thread, NULL, cancelled, NULL);
	while (!now.ready)
		sched_yield();
	if (pending)
		pthread_cancel(thread);
	now.go = 1;
	if (!pending || call->no_point)
		sleeps(now.tid);
	if (!pending)
		pthread_cancel(thread);
	pthread_mutex_unlock(&contended);
	if (call->call == in_barrier)
		pthread_barrier_wait(&barrier);
	pthread_join(thread, &left);
	sem_getvalue(&sem, &value);
	pthread_mutex_unlock(&gate);
	printf("%s %s: %s, %s, cleaned %d unlocked %d", call->name, pending ? "pending" : "blocked",
		left == PTHREAD_CANCELED ? "cancelled" : "returned",
		now.came_back ? "came back" : "did not come back", now.cleaned, now.unlocked);
	if (call->semaphore)
		printf(" semaphore %d", value);
	putchar('\n');
	pthread_join(other, NULL);
}

/* ---------------------------------------------------------------- at any moment */

static pthread_mutex_t common = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int cleaned;

static void let_go(void *arg)
{
	(void)arg;
	cleaned++;
	pthread_mutex_unlock(&common);
}

static void *loops(void *arg)
{
	sem_t own;

	sem_init(&own, 0, 0);
	for (;;) {
		struct timespec t;

		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += t.tv_nsec < 999900000 ? 100000 : 0;
		sem_timedwait(&own, &t);
		pthread_mutex_lock(&common);
		pthread_cleanup_push(let_go, NULL);
		pthread_cond_timedwait(&cond, &common, &t);
		free(malloc(100));
		pthread_cleanup_pop(0);
		pthread_mutex_unlock(&common);
	}
	return arg;
}

static int storm(int count)
{
	int ended = 0;

	for (int i = 0; i < count; i += 4) {
		pthread_t thread[4];
		void *left;

		for (int j = 0; j < 4; j++)
			pthread_create(&thread[j], NULL, loops, NULL);
		usleep((useconds_t)(i % 7) * 137);
		for (int j = 0; j < 4; j++)
			pthread_cancel(thread[j]);
		for (int j = 0; j < 4; j++) {
			pthread_join(thread[j], &left);
			ended += left == PTHREAD_CANCELED;
		}
	}
	return ended;
}

int main(void)
{
	pthread_mutexattr_t attr;
	int ended;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&mutex, &attr);
	mtx_init(&mtx, mtx_timed);
	cnd_init(&cnd);
	for (size_t i = 0; i < CALLS; i++) {
		if (calls[i].call != in_sem_trywait && calls[i].call != in_tryjoin)
			play(&calls[i], 0, 0);
		play(&calls[i], 1, 0);
		if (calls[i].semaphore)
			play(&calls[i], 1, 5);
	}
	ended = storm(200);
	printf("storm cancelled %d mutex free %d\n", ended, pthread_mutex_trylock(&common) == 0);
	puts(ended == 200 ? "cancel ok" : "cancel FAILED");
	return ended != 200;
}
