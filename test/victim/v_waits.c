/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits of known length for conditions, semaphores, barriers and threads. For each line on stdin
 *
 *   KIND MS COUNT
 *
 * main waits COUNT times MS milliseconds in a function called like the kind, and prints "KIND
 * waited NS": the time that it measured around its calls. Kinds that end in _timed, _clock run into
 * their limit; the others are ended by a second thread. "quiet N" makes N calls of each function
 * that find no reason to wait and prints "quiet". "many US THREADS COUNT": each of THREADS threads
 * COUNT times waits US microseconds for a mutex that it holds already, gives it up, waits as long
 * for a semaphore and for a condition; then 50 times 3 ms for a semaphore. Prints "many sem NS cond
 * NS mutex NS long NS".
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <threads.h>
#include <time.h>

#define NOINLINE __attribute__((noinline)) static
#define MS 1000000LL
#define LONG_WAITS 50

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier, alone;
static sem_t sem;
static mtx_t mtx;
static cnd_t cnd;

static int64_t wait_ns; /* of the turn */
static pthread_t other; /* the thread that ends the wait */
static thrd_t other_thrd;
static int ended; /* guard: mutex or mtx */

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct timespec spec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
}

static struct timespec after(clockid_t clock, int64_t ns)
{
	return spec(now_ns(clock) + ns);
}

static void rest(void)
{
	struct timespec t = spec(wait_ns);

	nanosleep(&t, NULL);
}

/* ---------------------------------------------------------------- the waits */

#define WAIT(name, before, call) \
	NOINLINE void name(void) \
	{                        \
		before;          \
		call;            \
	}
#define UNTIL(clock) struct timespec until = after(clock, wait_ns)

WAIT(cond_wait, , while (!ended) pthread_cond_wait(&cond, &mutex))
WAIT(cond_timed, UNTIL(CLOCK_REALTIME), pthread_cond_timedwait(&cond, &mutex, &until))
WAIT(cond_clock, UNTIL(CLOCK_MONOTONIC),
	pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &until))
WAIT(cnd_waits, , while (!ended) cnd_wait(&cnd, &mtx))
WAIT(cnd_timed, UNTIL(CLOCK_REALTIME), cnd_timedwait(&cnd, &mtx, &until))
WAIT(sem_waits, , sem_wait(&sem))
WAIT(sem_timed, UNTIL(CLOCK_REALTIME), sem_timedwait(&sem, &until))
WAIT(sem_clock, UNTIL(CLOCK_MONOTONIC), sem_clockwait(&sem, CLOCK_MONOTONIC, &until))
WAIT(barrier_wait, , pthread_barrier_wait(&barrier))
WAIT(join, , pthread_join(other, NULL))
WAIT(join_timed, UNTIL(CLOCK_REALTIME), pthread_timedjoin_np(other, NULL, &until))
WAIT(join_clock, UNTIL(CLOCK_MONOTONIC), pthread_clockjoin_np(other, NULL, CLOCK_MONOTONIC, &until))
WAIT(join_thrd, , thrd_join(other_thrd, NULL))

/* ---------------------------------------------------------------- ends of waits */

static void *end_later(void *arg)
{
	rest();
	((void (*)(void))arg)();
	return NULL;
}

static int return_later(void *arg)
{
	(void)arg;
	rest();
	return 0;
}

static void end_cond(void)
{
	pthread_mutex_lock(&mutex);
	ended = 1;
	pthread_mutex_unlock(&mutex);
	pthread_cond_signal(&cond);
}

static void end_cnd(void)
{
	mtx_lock(&mtx);
	ended = 1;
	mtx_unlock(&mtx);
	cnd_broadcast(&cnd);
}

static void end_sem(void)
{
	sem_post(&sem);
}

static void end_barrier(void)
{
	pthread_barrier_wait(&barrier);
}

static void end_nothing(void)
{
}

static void rest_longer(void)
{
	rest(); /* a timed join gives up in the middle of it */
}

enum joins { NOT_JOINED, JOIN_AFTER, IS_JOINED, THRD };

static const struct kind {
	const char *name;
	void (*wait)(void);
	void (*end)(void);
	enum joins joins;
} kinds[] = {
	{ "cond_wait", cond_wait, end_cond, JOIN_AFTER },
	{ "cond_timed", cond_timed, NULL, NOT_JOINED },
	{ "cond_clock", cond_clock, NULL, NOT_JOINED },
	{ "cnd_waits", cnd_waits, end_cnd, JOIN_AFTER },
	{ "cnd_timed", cnd_timed, NULL, NOT_JOINED },
	{ "sem_waits", sem_waits, end_sem, JOIN_AFTER },
	{ "sem_timed", sem_timed, NULL, NOT_JOINED },
	{ "sem_clock", sem_clock, NULL, NOT_JOINED },
	{ "barrier_wait", barrier_wait, end_barrier, JOIN_AFTER },
	{ "join", join, end_nothing, IS_JOINED },
	{ "join_timed", join_timed, rest_longer, JOIN_AFTER },
	{ "join_clock", join_clock, rest_longer, JOIN_AFTER },
	{ "join_thrd", join_thrd, NULL, THRD },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int64_t turn(const struct kind *kind)
{
	int64_t start;

	ended = 0;
	pthread_mutex_lock(&mutex);
	mtx_lock(&mtx);
	if (kind->joins == THRD)
		thrd_create(&other_thrd, return_later, NULL);
	else if (kind->joins != NOT_JOINED)
		pthread_create(&other, NULL, end_later, (void *)kind->end);
	start = now_ns(CLOCK_MONOTONIC);
	kind->wait();
	start = now_ns(CLOCK_MONOTONIC) - start;
	mtx_unlock(&mtx);
	pthread_mutex_unlock(&mutex);
	if (kind->joins == JOIN_AFTER)
		pthread_join(other, NULL);
	return start;
}

static int play(const char *name, long ms, int count)
{
	const struct kind *kind = kinds;
	int64_t waited = 0;

	while (kind < kinds + KINDS && strcmp(kind->name, name) != 0)
		kind++;
	if (kind == kinds + KINDS)
		return 1;
	wait_ns = ms * MS;
	for (int i = 0; i < count; i++)
		waited += turn(kind);
	printf("%s waited %lld\n", name, (long long)waited);
	return 0;
}

/* ---------------------------------------------------------------- no reason to wait */

NOINLINE void quiet_waits(void)
{
	struct timespec until = after(CLOCK_REALTIME, 60000 * MS);

	for (int i = 0; i < 3; i++)
		sem_post(&sem);
	sem_wait(&sem);
	sem_trywait(&sem);
	sem_timedwait(&sem, &until);
	sem_trywait(&sem);
	pthread_barrier_wait(&alone);
	pthread_cond_signal(&cond);
	pthread_cond_broadcast(&cond);
	pthread_mutex_timedlock(&mutex, &until);
	pthread_mutex_trylock(&mutex);
	pthread_mutex_unlock(&mutex);
	pthread_tryjoin_np(pthread_self(), NULL);
}

static void quiet(int count)
{
	for (int i = 0; i < count; i++)
		quiet_waits();
	puts("quiet");
}

/* ---------------------------------------------------------------- many */

static struct {
	int count;
	int64_t ns;
	_Atomic int64_t sem, cond, mutex, longer;
} many;

struct own {
	pthread_mutex_t mutex, of_cond;
	pthread_cond_t cond;
	sem_t sem;
};

#define TIMED(sum, call)                                     \
	do {                                                 \
		int64_t start = now_ns(CLOCK_MONOTONIC);     \
		call;                                        \
		many.sum += now_ns(CLOCK_MONOTONIC) - start; \
	} while (0)

NOINLINE void many_mutex(struct own *own)
{
	struct timespec until = after(CLOCK_MONOTONIC, many.ns);

	pthread_mutex_lock(&own->mutex);
	TIMED(mutex, pthread_mutex_clocklock(&own->mutex, CLOCK_MONOTONIC, &until));
}

NOINLINE void many_unlock(struct own *own)
{
	pthread_mutex_unlock(&own->mutex);
}

NOINLINE void many_sem(struct own *own)
{
	struct timespec until = after(CLOCK_MONOTONIC, many.ns);

	TIMED(sem, sem_clockwait(&own->sem, CLOCK_MONOTONIC, &until));
}

NOINLINE void many_cond(struct own *own)
{
	struct timespec until = after(CLOCK_MONOTONIC, many.ns);

	TIMED(cond, pthread_cond_clockwait(&own->cond, &own->of_cond, CLOCK_MONOTONIC, &until));
}

NOINLINE void long_sem(struct own *own)
{
	struct timespec until = after(CLOCK_MONOTONIC, 3 * MS);

	TIMED(longer, sem_clockwait(&own->sem, CLOCK_MONOTONIC, &until));
}

static void *waits_often(void *arg)
{
	struct own own = { .mutex = PTHREAD_MUTEX_INITIALIZER };

	pthread_mutex_init(&own.of_cond, NULL);
	pthread_cond_init(&own.cond, NULL);
	sem_init(&own.sem, 0, 0);
	prctl(PR_SET_TIMERSLACK, 1);
	pthread_mutex_lock(&own.of_cond);
	for (int i = 0; i < many.count; i++) {
		many_mutex(&own);
		many_unlock(&own);
		many_sem(&own);
		many_cond(&own);
	}
	for (int i = 0; i < LONG_WAITS; i++)
		long_sem(&own);
	return arg;
}

static void play_many(long us, int threads, int count)
{
	pthread_t thread[64];

	many.ns = us * 1000;
	many.count = count;
	for (int i = 0; i < threads && i < 64; i++)
		pthread_create(&thread[i], NULL, waits_often, NULL);
	for (int i = 0; i < threads && i < 64; i++)
		pthread_join(thread[i], NULL);
	printf("many sem %lld cond %lld mutex %lld long %lld\n", (long long)many.sem,
		(long long)many.cond, (long long)many.mutex, (long long)many.longer);
}

int main(void)
{
	char line[128], name[32];
	int threads, count;
	long length;

	mtx_init(&mtx, mtx_plain);
	cnd_init(&cnd);
	sem_init(&sem, 0, 0);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_barrier_init(&alone, NULL, 1);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "many %ld %d %d", &length, &threads, &count) == 3)
			play_many(length, threads, count);
		else if (sscanf(line, "quiet %d", &count) == 1)
			quiet(count);
		else if (sscanf(line, "%31s %ld %d", name, &length, &count) != 3 ||
			play(name, length, count))
			return 1;
		fflush(stdout);
	}
	return 0;
}
