/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every call that waits for a condition, a semaphore, a barrier or a thread returns, also
 * when a signal comes in between, and whether errno is as it was; one line each, the same in
 * every run.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define UNTOUCHED 4242
#define SOON_NS 5000000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *name_of(int error)
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
		{ 0, "0" },
		{ EBUSY, "EBUSY" },
		{ EDEADLK, "EDEADLK" },
		{ EPERM, "EPERM" },
		{ ETIMEDOUT, "ETIMEDOUT" },
		{ EINVAL, "EINVAL" },
		{ EAGAIN, "EAGAIN" },
		{ EINTR, "EINTR" },
		{ ESRCH, "ESRCH" },
		{ EOWNERDEAD, "EOWNERDEAD" },
		{ EOVERFLOW, "EOVERFLOW" },
		{ UNTOUCHED, "untouched" },
		{ PTHREAD_BARRIER_SERIAL_THREAD, "-1" },
	};
	static char other[2][16];
	static int at;

	for (size_t i = 0; i < COUNT(names); i++)
		if (names[i].number == error)
			return names[i].name;
	at = !at;
	snprintf(other[at], sizeof(other[at]), "%d", error);
	return other[at];
}

static void report(const char *call, int result)
{
	int error = errno;

	printf("%s %s errno %s\n", call, name_of(result), name_of(error));
	errno = UNTOUCHED;
}

static struct timespec soon(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += SOON_NS;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	errno = UNTOUCHED;
	return t;
}

static struct timespec far(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_sec += 60;
	errno = UNTOUCHED;
	return t;
}

static const struct timespec past = { .tv_sec = 1 }, negative = { .tv_sec = -5 },
			     many_ns = { .tv_sec = 1, .tv_nsec = 1000000000 },
			     minus_ns = { .tv_sec = 1, .tv_nsec = -1 };

/* ---------------------------------------------------------------- semaphores */

static void sem_forms(const char *state, unsigned value)
{
	struct timespec real = soon(CLOCK_REALTIME), mono = soon(CLOCK_MONOTONIC);
	sem_t sem;

	sem_init(&sem, 0, value);
	puts(state);
	report("sem_trywait", sem_trywait(&sem));
	report("sem_timedwait soon", sem_timedwait(&sem, &real));
	report("sem_timedwait past", sem_timedwait(&sem, &past));
	report("sem_timedwait negative", sem_timedwait(&sem, &negative));
	report("sem_timedwait many ns", sem_timedwait(&sem, &many_ns));
	report("sem_timedwait minus ns", sem_timedwait(&sem, &minus_ns));
	report("sem_clockwait soon", sem_clockwait(&sem, CLOCK_MONOTONIC, &mono));
	report("sem_clockwait realtime", sem_clockwait(&sem, CLOCK_REALTIME, &past));
	report("sem_clockwait bad clock", sem_clockwait(&sem, CLOCK_THREAD_CPUTIME_ID, &past));
	report("sem_clockwait no clock", sem_clockwait(&sem, 99, &past));
	report("sem_clockwait many ns", sem_clockwait(&sem, CLOCK_MONOTONIC, &many_ns));
	if (value)
		report("sem_wait", sem_wait(&sem));
	sem_destroy(&sem);
}

static sem_t waited;
static _Atomic int handled, returned;
static int restart;

static void on_signal(int number)
{
	(void)number;
	handled++;
}

static int wait_forms(int form)
{
	struct timespec real = far(CLOCK_REALTIME), mono = far(CLOCK_MONOTONIC);

	errno = UNTOUCHED;
	if (form == 0)
		return sem_wait(&waited);
	if (form == 1)
		return sem_timedwait(&waited, &real);
	return sem_clockwait(&waited, CLOCK_MONOTONIC, &mono);
}

static void *waits_with_signals(void *arg)
{
	char text[64];

	snprintf(text, sizeof(text), "form %d restart %d", (int)(long)arg, restart);
	report(text, wait_forms((int)(long)arg));
	returned = 1;
	return NULL;
}

/* A signal each ms until the call has returned; one that goes on by itself gets 20, then a post. */
static void interrupted(int form)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0 };
	struct timespec ms = { .tv_nsec = 1000000 };
	pthread_t thread;
	int sent = 0;

	sigaction(SIGUSR1, &action, NULL);
	handled = returned = 0;
	pthread_create(&thread, NULL, waits_with_signals, (void *)(long)form);
	while (!returned && (sent < 20 || form || !restart)) {
		pthread_kill(thread, SIGUSR1);
		sent++;
		nanosleep(&ms, NULL);
	}
	sem_post(&waited);
	pthread_join(thread, NULL);
	while (sem_trywait(&waited) == 0)
		;
	printf("handler %s\n", handled ? "ran" : "did not run");
}

static void semaphores(void)
{
	sem_forms("semaphore of 0", 0);
	sem_forms("semaphore of 20", 20);
	sem_init(&waited, 0, 0);
	for (restart = 0; restart < 2; restart++)
		for (int form = 0; form < 3; form++)
			interrupted(form);
}

/* ---------------------------------------------------------------- conditions */

static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t mutex;

static void make(int type, int robust)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutexattr_setrobust(&attr, robust);
	pthread_mutex_init(&mutex, &attr);
}

static void cond_forms(void)
{
	struct timespec real = soon(CLOCK_REALTIME), mono = soon(CLOCK_MONOTONIC);

	report("cond_timedwait soon", pthread_cond_timedwait(&cond, &mutex, &real));
	report("cond_timedwait past", pthread_cond_timedwait(&cond, &mutex, &past));
	report("cond_timedwait negative", pthread_cond_timedwait(&cond, &mutex, &negative));
	report("cond_timedwait many ns", pthread_cond_timedwait(&cond, &mutex, &many_ns));
	report("cond_timedwait minus ns", pthread_cond_timedwait(&cond, &mutex, &minus_ns));
	report("cond_clockwait soon",
		pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &mono));
	report("cond_clockwait bad clock",
		pthread_cond_clockwait(&cond, &mutex, CLOCK_THREAD_CPUTIME_ID, &past));
	report("cond_clockwait many ns",
		pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &many_ns));
}

static void *holds(void *arg)
{
	pthread_mutex_lock(&mutex);
	sem_post(&waited);
	while (!returned)
		usleep(1000);
	pthread_mutex_unlock(&mutex);
	return arg;
}

static void cond_without_the_mutex(void)
{
	pthread_t thread;

	puts("conditions, the mutex is free");
	cond_forms();
	report("cond_wait", pthread_cond_wait(&cond, &mutex));
	puts("conditions, the mutex is another's");
	returned = 0;
	pthread_create(&thread, NULL, holds, NULL);
	while (sem_wait(&waited))
		;
	errno = UNTOUCHED;
	cond_forms();
	report("cond_wait", pthread_cond_wait(&cond, &mutex));
	returned = 1;
	pthread_join(thread, NULL);
	errno = UNTOUCHED;
}

static int signalled; /* guard: mutex */

static void *dies_with_the_mutex(void *arg)
{
	pthread_mutex_lock(&mutex);
	signalled = 1;
	pthread_cond_signal(&cond);
	return arg;
}

static void cond_of_the_dead(int timed)
{
	struct timespec t = far(CLOCK_REALTIME);
	pthread_t thread;
	int result = 0;

	make(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_lock(&mutex);
	signalled = 0;
	pthread_create(&thread, NULL, dies_with_the_mutex, NULL);
	errno = UNTOUCHED;
	while (!signalled && !result)
		result = timed ? pthread_cond_timedwait(&cond, &mutex, &t) :
				 pthread_cond_wait(&cond, &mutex);
	report("cond wait, mutex of the dead", result);
	if (result == EOWNERDEAD)
		report("consistent", pthread_mutex_consistent(&mutex));
	report("unlock", pthread_mutex_unlock(&mutex));
	pthread_join(thread, NULL);
}

static void cond_recursive(void)
{
	struct timespec t = soon(CLOCK_REALTIME);

	make(PTHREAD_MUTEX_RECURSIVE, 0);
	pthread_mutex_lock(&mutex);
	report("cond_timedwait recursive", pthread_cond_timedwait(&cond, &mutex, &t));
	report("unlock", pthread_mutex_unlock(&mutex));
	report("unlock again", pthread_mutex_unlock(&mutex));
}

static void conditions(void)
{
	make(PTHREAD_MUTEX_ERRORCHECK, 0);
	cond_without_the_mutex();
	puts("conditions");
	pthread_mutex_lock(&mutex);
	cond_forms();
	pthread_mutex_unlock(&mutex);
	report("cond_signal", pthread_cond_signal(&cond));
	report("cond_broadcast", pthread_cond_broadcast(&cond));
	cond_recursive();
	cond_of_the_dead(0);
	cond_of_the_dead(1);
}

static void c11(void)
{
	struct timespec t = soon(CLOCK_REALTIME);
	cnd_t cnd;
	mtx_t mtx;

	cnd_init(&cnd);
	mtx_init(&mtx, mtx_timed);
	mtx_lock(&mtx);
	errno = UNTOUCHED;
	printf("cnd timedout %d\n", cnd_timedwait(&cnd, &mtx, &t) == thrd_timedout);
	printf("cnd past %d\n", cnd_timedwait(&cnd, &mtx, &past) == thrd_timedout);
	printf("cnd many ns %d\n", cnd_timedwait(&cnd, &mtx, &many_ns) == thrd_error);
	printf("cnd signal %d\n", cnd_signal(&cnd) == thrd_success);
	printf("mtx unlock %d\n", mtx_unlock(&mtx) == thrd_success);
	report("errno after cnd", 0);
	cnd_destroy(&cnd);
}

/* ---------------------------------------------------------------- barriers */

#define PARTIES 5
#define TURNS 200

static pthread_barrier_t barrier;
static _Atomic int serial, plain, wrong;

static void *party(void *arg)
{
	for (int i = 0; i < TURNS; i++) {
		errno = UNTOUCHED;
		int result = pthread_barrier_wait(&barrier);
		serial += result == PTHREAD_BARRIER_SERIAL_THREAD;
		plain += result == 0;
		wrong += errno != UNTOUCHED;
	}
	return arg;
}

static void barriers(void)
{
	pthread_t thread[PARTIES];

	errno = UNTOUCHED;
	report("barrier_init 0", pthread_barrier_init(&barrier, NULL, 0));
	pthread_barrier_init(&barrier, NULL, PARTIES);
	for (int i = 0; i < PARTIES; i++)
		pthread_create(&thread[i], NULL, party, NULL);
	for (int i = 0; i < PARTIES; i++)
		pthread_join(thread[i], NULL);
	printf("barrier serial %d plain %d errno changed %d\n", serial, plain, wrong);
	errno = UNTOUCHED;
	report("barrier_destroy", pthread_barrier_destroy(&barrier));
	pthread_barrier_init(&barrier, NULL, 1);
	report("barrier of one", pthread_barrier_wait(&barrier));
}

/* ---------------------------------------------------------------- threads */

static sem_t may_end;

static void *ends_when_told(void *arg)
{
	while (sem_wait(&may_end))
		;
	return arg;
}

static int returns_7(void *arg)
{
	(void)arg;
	return 7;
}

static void join_forms(pthread_t thread)
{
	struct timespec real = soon(CLOCK_REALTIME), mono = soon(CLOCK_MONOTONIC);
	void *left = &left;

	report("tryjoin", pthread_tryjoin_np(thread, &left));
	report("timedjoin soon", pthread_timedjoin_np(thread, &left, &real));
	report("timedjoin past", pthread_timedjoin_np(thread, &left, &past));
	report("clockjoin soon", pthread_clockjoin_np(thread, &left, CLOCK_MONOTONIC, &mono));
	report("clockjoin bad clock",
		pthread_clockjoin_np(thread, &left, CLOCK_THREAD_CPUTIME_ID, &past));
	printf("result %s\n", left == &left ? "untouched" : "changed");
}

static void detached(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_create(&thread, &attr, ends_when_told, NULL);
	errno = UNTOUCHED;
	report("join detached", pthread_join(thread, NULL));
	report("detach detached", pthread_detach(thread));
	sem_post(&may_end);
}

static void threads(void)
{
	struct timespec t;
	pthread_t thread;
	void *left = NULL;
	thrd_t c11_thread;
	int code = 0;

	sem_init(&may_end, 0, 0);
	errno = UNTOUCHED;
	report("join myself", pthread_join(pthread_self(), NULL));
	pthread_create(&thread, NULL, ends_when_told, &code);
	join_forms(thread);
	sem_post(&may_end);
	errno = UNTOUCHED;
	report("join", pthread_join(thread, &left));
	printf("result %s\n", left == &code ? "right" : "wrong");
	pthread_create(&thread, NULL, ends_when_told, &code);
	sem_post(&may_end);
	t = far(CLOCK_REALTIME);
	report("timedjoin", pthread_timedjoin_np(thread, &left, &t));
	detached();
	printf("thrd_create %d\n", thrd_create(&c11_thread, returns_7, NULL) == thrd_success);
	printf("thrd_join %d", thrd_join(c11_thread, &code) == thrd_success);
	printf(" %d\n", code);
}

int main(void)
{
	semaphores();
	conditions();
	c11();
	barriers();
	threads();
	return 0;
}
