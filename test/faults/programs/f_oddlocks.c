/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What calls on locks return in the odd states: counts at their limits, kinds that no attribute
 * gives, destroyed ones, a ceiling below the caller, a condition with a mutex that another
 * thread holds, with a robust mutex whose owner died, with one that is not locked; semaphores at
 * their limit; inits, destroys and attributes of what is in use; a thread that joins itself. One
 * line each, the same in every run and round.
 *
 *   f_oddlocks [ROUNDS]
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#define UNTOUCHED 4242

static const struct timespec past = { .tv_sec = 1 };

static struct timespec soon(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += 3000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	errno = UNTOUCHED;
	return t;
}

static void say(const char *state, const char *call, int result)
{
	const char *name = result ? strerrorname_np(result) : "0";

	printf("%s: %s %s", state, call, name ? name : "-1");
	if (errno != UNTOUCHED)
		printf(", errno %s", strerrorname_np(errno));
	putchar('\n');
	errno = UNTOUCHED;
}

#define SAY(state, call) say(state, #call, call)

static void all_forms(const char *state, pthread_mutex_t *m)
{
	struct timespec real = soon(CLOCK_REALTIME), mono = soon(CLOCK_MONOTONIC);

	SAY(state, pthread_mutex_trylock(m));
	SAY(state, pthread_mutex_lock(m));
	SAY(state, pthread_mutex_timedlock(m, &real));
	SAY(state, pthread_mutex_timedlock(m, &past));
	SAY(state, pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &mono));
	SAY(state, pthread_mutex_clocklock(m, 77, &mono));
}

static pthread_mutex_t of_type(int type, int robust, int protocol)
{
	pthread_mutex_t m;
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setrobust(&attr, robust);
	pthread_mutexattr_setprotocol(&attr, protocol);
	pthread_mutex_init(&m, &attr);
	errno = UNTOUCHED;
	return m;
}

static void counts(void)
{
	pthread_mutex_t m = of_type(PTHREAD_MUTEX_RECURSIVE, 0, PTHREAD_PRIO_NONE);
	pthread_mutex_t r = of_type(PTHREAD_MUTEX_RECURSIVE, 1, PTHREAD_PRIO_NONE);
	pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
	struct timespec real = soon(CLOCK_REALTIME);

	pthread_mutex_lock(&m);
	m.__data.__count = UINT_MAX;
	all_forms("recursive at its limit", &m);
	SAY("recursive at its limit", pthread_mutex_unlock(&m));
	SAY("recursive below its limit", pthread_mutex_lock(&m));
	m.__data.__count = 1;
	SAY("recursive", pthread_mutex_unlock(&m));
	SAY("recursive", pthread_mutex_unlock(&m));

	pthread_mutex_lock(&r);
	r.__data.__count = UINT_MAX;
	all_forms("robust recursive at its limit", &r);
	r.__data.__count = 1;
	SAY("robust recursive", pthread_mutex_unlock(&r));

	rw.__data.__readers = UINT_MAX & ~7u;
	SAY("rwlock with all readers", pthread_rwlock_rdlock(&rw));
	SAY("rwlock with all readers", pthread_rwlock_tryrdlock(&rw));
	SAY("rwlock with all readers", pthread_rwlock_timedrdlock(&rw, &real));
	SAY("rwlock with all readers", pthread_rwlock_trywrlock(&rw));
	SAY("rwlock with all readers", pthread_rwlock_timedwrlock(&rw, &past));
}

static void kinds(void)
{
	static const int odd[] = { 4, 5, 8, 12, 15, 77, 99, 127, -1, INT_MAX };

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
		struct timespec real = soon(CLOCK_REALTIME);
		char state[32];

		snprintf(state, sizeof(state), "kind %d", odd[i]);
		m.__data.__kind = odd[i];
		errno = UNTOUCHED;
		SAY(state, pthread_mutex_trylock(&m));
		m.__data.__lock = 0;
		m.__data.__owner = 0;
		SAY(state, pthread_mutex_timedlock(&m, &real));
		m.__data.__lock = 0;
		m.__data.__owner = 0;
		SAY(state, pthread_mutex_lock(&m));
		SAY(state, pthread_mutex_unlock(&m));
	}
}

static void destroyed(void)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_t e = of_type(PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_NONE);

	pthread_mutex_lock(&m);
	SAY("held", pthread_mutex_destroy(&m));
	pthread_mutex_unlock(&m);
	SAY("free", pthread_mutex_destroy(&m));
	all_forms("destroyed", &m);
	SAY("destroyed", pthread_mutex_unlock(&m));
	SAY("destroyed", pthread_mutex_destroy(&m));
	SAY("destroyed", pthread_mutex_init(&m, NULL));
	SAY("made again", pthread_mutex_lock(&m));
	SAY("made again", pthread_mutex_unlock(&m));
	SAY("errorcheck", pthread_mutex_consistent(&e));
	SAY("errorcheck", pthread_mutex_setprioceiling(&e, 1, &(int){ 0 }));
	SAY("errorcheck", pthread_mutex_getprioceiling(&e, &(int){ 0 }));
}

/* At another priority than the usual one: the ceiling is below it. Prints nothing where that is not
 * allowed, with an agent and without. */
static void *above_the_ceiling(void *arg)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t m;
	struct sched_param param = { .sched_priority = 5 };

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_PROTECT);
	pthread_mutexattr_setprioceiling(&attr, 2);
	pthread_mutex_init(&m, &attr);
	if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) != 0)
		return arg;
	errno = UNTOUCHED;
	all_forms("ceiling below the caller", &m);
	return arg;
}

static void *holds_it(void *mutex)
{
	pthread_mutex_lock(mutex);
	return NULL;
}

static void conditions(void)
{
	pthread_cond_t c = PTHREAD_COND_INITIALIZER;
	pthread_mutex_t e = of_type(PTHREAD_MUTEX_ERRORCHECK, 0, PTHREAD_PRIO_NONE);
	pthread_mutex_t r = of_type(PTHREAD_MUTEX_NORMAL, 1, PTHREAD_PRIO_NONE);
	struct timespec mono;
	pthread_t thread;

	SAY("mutex not held", pthread_cond_wait(&c, &e));
	SAY("mutex not held", pthread_cond_timedwait(&c, &e, &past));
	mono = soon(CLOCK_MONOTONIC);
	SAY("mutex not held", pthread_cond_clockwait(&c, &e, CLOCK_MONOTONIC, &mono));
	pthread_create(&thread, NULL, holds_it, &e);
	pthread_join(thread, NULL);
	errno = UNTOUCHED;
	SAY("mutex of a thread that is gone", pthread_cond_wait(&c, &e));
	SAY("mutex of a thread that is gone", pthread_mutex_trylock(&e));
	SAY("mutex of a thread that is gone", pthread_mutex_unlock(&e));
	pthread_create(&thread, NULL, holds_it, &r);
	pthread_join(thread, NULL);
	errno = UNTOUCHED;
	SAY("owner dead", pthread_mutex_lock(&r));
	SAY("owner dead", pthread_cond_timedwait(&c, &r, &past));
	SAY("owner dead", pthread_mutex_lock(&r));
	SAY("owner dead", pthread_mutex_consistent(&r));
	SAY("owner dead", pthread_cond_timedwait(&c, &r, &past));
	SAY("condition", pthread_cond_destroy(&c));
}

static int fails(int result)
{
	return result ? errno : 0;
}

static void semaphores(void)
{
	sem_t s;
	int value;

	sem_init(&s, 0, SEM_VALUE_MAX);
	errno = UNTOUCHED;
	SAY("semaphore at its limit", fails(sem_post(&s)));
	SAY("semaphore at its limit", fails(sem_wait(&s)));
	SAY("semaphore", fails(sem_post(&s)));
	SAY("semaphore", fails(sem_getvalue(&s, &value)));
	SAY("semaphore", value == SEM_VALUE_MAX);
	SAY("semaphore", fails(sem_init(&s, 0, SEM_VALUE_MAX + 1u)));
	SAY("barrier", pthread_barrier_init(&(pthread_barrier_t){ 0 }, NULL, 0));
}

static void joins(void)
{
	pthread_t self = pthread_self();
	struct timespec real = soon(CLOCK_REALTIME);

	SAY("self", pthread_join(self, NULL));
	SAY("self", pthread_tryjoin_np(self, NULL));
	SAY("self", pthread_timedjoin_np(self, NULL, &real));
}

int main(int argc, char **argv)
{
	pthread_t thread;

	for (int rounds = argc > 1 ? atoi(argv[1]) : 1; rounds > 0; rounds--) {
		counts();
		kinds();
		destroyed();
		pthread_create(&thread, NULL, above_the_ceiling, NULL);
		pthread_join(thread, NULL);
		errno = UNTOUCHED;
		conditions();
		semaphores();
		joins();
	}
	return 0;
}
