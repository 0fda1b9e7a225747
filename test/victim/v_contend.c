/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Critical sections that others wait for, of every kind of lock. For each line on stdin
 *
 *   KIND HOLD_MS WAITERS ROUNDS
 *
 * main takes the lock, starts WAITERS threads that want it, keeps it HOLD_MS after the last has
 * come, and gives it up; each waiter gives it up at once (a timed one goes away after a third of
 * HOLD_MS). Prints "KIND waited NS charged NS": the time that the waiters measured around their
 * calls, and how much of it had passed when main gave the lock up. "quiet N" takes and gives up
 * each kind N times without contention and prints "quiet". Ends with status 0 with its stdin.
 *
 * Calls: turn -> holder_gives_up -> unlock_KIND (or park_KIND: the lock is given up by waiting
 * for a condition), waiter -> lock_KIND, waiter -> waiter_gives_up -> unlock_KIND.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#define WAITERS_MAX 256
#define NOINLINE __attribute__((noinline)) static

static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER, first = PTHREAD_MUTEX_INITIALIZER,
		       second = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive, errorcheck, adaptive, robust, inherit, shared;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spinlock;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static mtx_t mtx;
static cnd_t cnd;

static struct {
	int64_t hold_ns;
	int waiters;
	_Atomic int arrived;
	_Atomic int served; /* how many waiters have had the lock */
	_Atomic int64_t start_ns[WAITERS_MAX], end_ns[WAITERS_MAX];
} round;

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void rest(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	nanosleep(&t, NULL);
}

static struct timespec limit(clockid_t clock)
{
	int64_t at = now_ns(clock) + round.hold_ns / 3;

	return (struct timespec){ .tv_sec = at / 1000000000, .tv_nsec = at % 1000000000 };
}

static struct timespec far(clockid_t clock)
{
	return (struct timespec){ .tv_sec = now_ns(clock) / 1000000000 + 60 };
}

/* ---------------------------------------------------------------- taking and giving up */

#define CALL(name, call)        \
	NOINLINE int name(void) \
	{                       \
		return call;    \
	}
#define TIMED_CALL(name, clock, call)                 \
	NOINLINE int name(void)                       \
	{                                             \
		struct timespec until = limit(clock); \
		return call;                          \
	}
#define LOCK(name, mutex)                             \
	CALL(lock_##name, pthread_mutex_lock(&mutex)) \
	CALL(unlock_##name, pthread_mutex_unlock(&mutex))

LOCK(mutex, plain)
LOCK(hog1, first)
LOCK(hog2, second)
LOCK(errorcheck, errorcheck)
LOCK(adaptive, adaptive)
LOCK(robust, robust)
LOCK(inherit, inherit)
LOCK(shared, shared)
CALL(lock_recursive, pthread_mutex_lock(&recursive))
CALL(unlock_recursive, pthread_mutex_unlock(&recursive))
CALL(unlock_inner, pthread_mutex_unlock(&recursive))
CALL(lock_read, pthread_rwlock_rdlock(&rwlock))
CALL(lock_write, pthread_rwlock_wrlock(&rwlock))
CALL(unlock_rwlock, pthread_rwlock_unlock(&rwlock))
CALL(lock_spin, pthread_spin_lock(&spinlock))
CALL(unlock_spin, pthread_spin_unlock(&spinlock))
CALL(lock_mtx, mtx_lock(&mtx))
CALL(unlock_mtx, mtx_unlock(&mtx))

TIMED_CALL(timed_mutex, CLOCK_REALTIME, pthread_mutex_timedlock(&plain, &until))
TIMED_CALL(clock_mutex, CLOCK_MONOTONIC, pthread_mutex_clocklock(&plain, CLOCK_MONOTONIC, &until))
TIMED_CALL(timed_mtx, CLOCK_REALTIME, mtx_timedlock(&mtx, &until))
TIMED_CALL(timed_read, CLOCK_REALTIME, pthread_rwlock_timedrdlock(&rwlock, &until))
TIMED_CALL(timed_write, CLOCK_REALTIME, pthread_rwlock_timedwrlock(&rwlock, &until))
TIMED_CALL(clock_read, CLOCK_MONOTONIC,
	pthread_rwlock_clockrdlock(&rwlock, CLOCK_MONOTONIC, &until))
TIMED_CALL(clock_write, CLOCK_MONOTONIC,
	pthread_rwlock_clockwrlock(&rwlock, CLOCK_MONOTONIC, &until))

/* Giving up by waiting: until all waiters have had their turn. */
#define PARK(name, wait, unlock)                                                           \
	NOINLINE int name(void)                                                            \
	{                                                                                  \
		struct timespec until = far(CLOCK_REALTIME), later = far(CLOCK_MONOTONIC); \
		(void)until, (void)later;                                                  \
		while (round.served < round.waiters)                                       \
			wait;                                                              \
		return unlock;                                                             \
	}
PARK(park_cond, pthread_cond_wait(&freed, &plain), pthread_mutex_unlock(&plain))
PARK(park_timed, pthread_cond_timedwait(&freed, &plain, &until), pthread_mutex_unlock(&plain))
PARK(park_clock, pthread_cond_clockwait(&freed, &plain, CLOCK_MONOTONIC, &later),
	pthread_mutex_unlock(&plain))
PARK(park_cnd, cnd_wait(&cnd, &mtx), mtx_unlock(&mtx))
PARK(park_cnd_timed, cnd_timedwait(&cnd, &mtx, &until), mtx_unlock(&mtx))

NOINLINE int hold_recursive(void)
{
	return lock_recursive() || lock_recursive() || lock_recursive();
}

NOINLINE int unlock_all(void)
{
	return unlock_inner() || unlock_inner() || unlock_recursive();
}

typedef int call_fn(void);

static const struct kind {
	const char *name;
	call_fn *hold, *give_up;
	call_fn *wait[4]; /* of the waiters, in turn */
	call_fn *leave;
	int second_reader;
} kinds[] = {
	{ "mutex", lock_mutex, unlock_mutex, { lock_mutex }, unlock_mutex, 0 },
	{ "hog1", lock_hog1, unlock_hog1, { lock_hog1 }, unlock_hog1, 0 },
	{ "hog2", lock_hog2, unlock_hog2, { lock_hog2 }, unlock_hog2, 0 },
	{ "recursive", hold_recursive, unlock_all, { lock_recursive }, unlock_recursive, 0 },
	{ "errorcheck", lock_errorcheck, unlock_errorcheck, { lock_errorcheck }, unlock_errorcheck,
		0 },
	{ "adaptive", lock_adaptive, unlock_adaptive, { lock_adaptive }, unlock_adaptive, 0 },
	{ "robust", lock_robust, unlock_robust, { lock_robust }, unlock_robust, 0 },
	{ "inherit", lock_inherit, unlock_inherit, { lock_inherit }, unlock_inherit, 0 },
	{ "shared", lock_shared, unlock_shared, { lock_shared }, unlock_shared, 0 },
	{ "write", lock_write, unlock_rwlock, { lock_read, lock_write }, unlock_rwlock, 0 },
	{ "read", lock_read, unlock_rwlock, { lock_write }, unlock_rwlock, 1 },
	{ "spin", lock_spin, unlock_spin, { lock_spin }, unlock_spin, 0 },
	{ "mtx", lock_mtx, unlock_mtx, { lock_mtx }, unlock_mtx, 0 },
	{ "timed", lock_mutex, unlock_mutex, { timed_mutex, clock_mutex }, unlock_mutex, 0 },
	{ "mtx_timed", lock_mtx, unlock_mtx, { timed_mtx }, unlock_mtx, 0 },
	{ "rw_timed", lock_write, unlock_rwlock,
		{ timed_read, timed_write, clock_read, clock_write }, unlock_rwlock, 0 },
	{ "cond", lock_mutex, park_cond, { lock_mutex }, unlock_mutex, 0 },
	{ "cond_timed", lock_mutex, park_timed, { lock_mutex }, unlock_mutex, 0 },
	{ "cond_clock", lock_mutex, park_clock, { lock_mutex }, unlock_mutex, 0 },
	{ "cnd", lock_mtx, park_cnd, { lock_mtx }, unlock_mtx, 0 },
	{ "cnd_timed", lock_mtx, park_cnd_timed, { lock_mtx }, unlock_mtx, 0 },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct kind *kind;

/* ---------------------------------------------------------------- threads */

NOINLINE void holder_gives_up(void)
{
	kind->give_up();
}

NOINLINE void waiter_gives_up(void)
{
	if (++round.served == round.waiters) {
		pthread_cond_signal(&freed);
		cnd_signal(&cnd);
	}
	kind->leave();
}

static call_fn *wait_of(long number)
{
	int calls = 0;

	while (calls < 4 && kind->wait[calls])
		calls++;
	return kind->wait[number % calls];
}

static void *waiter(void *arg)
{
	long number = (long)arg;
	call_fn *wait = wait_of(number);
	int error;

	round.start_ns[number] = now_ns(CLOCK_MONOTONIC);
	round.arrived++;
	error = wait();
	round.end_ns[number] = now_ns(CLOCK_MONOTONIC);
	if (!error)
		waiter_gives_up();
	return NULL;
}

static _Atomic int reader_may_go;

NOINLINE void first_reader_gives_up(void)
{
	kind->give_up();
}

static void *first_reader(void *arg)
{
	kind->hold();
	round.arrived++;
	while (!reader_may_go)
		rest(100000);
	first_reader_gives_up();
	return arg;
}

static void arrived(int count)
{
	while (round.arrived < count)
		rest(100000);
	round.arrived = 0;
}

static int64_t waited_until(int64_t ns)
{
	int64_t sum = 0;

	for (int i = 0; i < round.waiters; i++)
		sum += (round.end_ns[i] ? round.end_ns[i] : ns) - round.start_ns[i];
	return sum;
}

NOINLINE void turn(int64_t *waited, int64_t *charged)
{
	pthread_t thread[WAITERS_MAX], reader;

	memset(round.end_ns, 0, sizeof(round.end_ns));
	round.served = 0;
	reader_may_go = 0;
	kind->hold();
	if (kind->second_reader) {
		pthread_create(&reader, NULL, first_reader, NULL);
		arrived(1);
	}
	for (long i = 0; i < round.waiters; i++)
		pthread_create(&thread[i], NULL, waiter, (void *)i);
	arrived(round.waiters);
	rest(round.hold_ns / 2);
	if (kind->second_reader) {
		reader_may_go = 1;
		pthread_join(reader, NULL);
	}
	rest(round.hold_ns / 2);
	*charged += waited_until(now_ns(CLOCK_MONOTONIC));
	holder_gives_up();
	for (int i = 0; i < round.waiters; i++)
		pthread_join(thread[i], NULL);
	*waited += waited_until(0);
}

static void quiet(long count)
{
	for (size_t i = 0; i < KINDS; i++) {
		kind = &kinds[i];
		round.waiters = 0;
		for (long j = 0; j < count; j++) {
			kind->hold();
			kind->give_up();
		}
	}
	puts("quiet");
}

static int play(const char *name, long hold_ms, int waiters, int rounds)
{
	int64_t waited = 0, charged = 0;

	for (kind = kinds; kind < kinds + KINDS && strcmp(kind->name, name) != 0; kind++)
		;
	if (kind == kinds + KINDS || waiters > WAITERS_MAX)
		return 1;
	round.hold_ns = hold_ms * 1000000;
	round.waiters = waiters;
	for (int i = 0; i < rounds; i++)
		turn(&waited, &charged);
	printf("%s waited %lld charged %lld\n", name, (long long)waited, (long long)charged);
	return 0;
}

static void make(pthread_mutex_t *mutex, int type, int is_robust, int protocol, int pshared)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setrobust(&attr, is_robust);
	pthread_mutexattr_setprotocol(&attr, protocol);
	pthread_mutexattr_setpshared(&attr, pshared);
	pthread_mutex_init(mutex, &attr);
}

static void make_all(void)
{
	make(&recursive, PTHREAD_MUTEX_RECURSIVE, 0, 0, 0);
	make(&errorcheck, PTHREAD_MUTEX_ERRORCHECK, 0, 0, 0);
	make(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP, 0, 0, 0);
	make(&robust, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, 0, 0);
	make(&inherit, PTHREAD_MUTEX_NORMAL, 0, PTHREAD_PRIO_INHERIT, 0);
	make(&shared, PTHREAD_MUTEX_NORMAL, 0, 0, PTHREAD_PROCESS_SHARED);
	pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE);
	mtx_init(&mtx, mtx_timed);
	cnd_init(&cnd);
}

int main(void)
{
	char line[128], name[32];
	long hold_ms, count;
	int waiters, rounds;

	make_all();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "quiet %ld", &count) == 1)
			quiet(count);
		else if (sscanf(line, "%31s %ld %d %d", name, &hold_ms, &waiters, &rounds) != 4 ||
			play(name, hold_ms, waiters, rounds))
			return 1;
		fflush(stdout);
	}
	return 0;
}
