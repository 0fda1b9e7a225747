/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks and waits at the margins of a program's life: before any constructor has run, in the
 * constructor, in destructors of thread-local data, in atexit handlers and in the last
 * destructor; and the end of the program while threads wait.
 *
 *   v_early            prints a line for each place; status 3
 *   v_early leave N    N threads wait for a lock when main returns; status 3
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, held = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_key_t key;
static const struct timespec past = { .tv_sec = 1 }, brief = { .tv_nsec = 1000 };

static void say(const char *place, const char *what)
{
	char line[128];
	int length = snprintf(line, sizeof(line), "%s: %s\n", place, what);

	if (write(1, line, (size_t)length) != length)
		_exit(9);
}

static int locks(void)
{
	pthread_spinlock_t spin;
	mtx_t mtx;
	int wrong = 0;

	wrong += pthread_mutex_lock(&mutex) != 0;
	wrong += pthread_mutex_trylock(&mutex) != EBUSY;
	wrong += pthread_mutex_timedlock(&mutex, &past) != ETIMEDOUT;
	wrong += pthread_cond_timedwait(&cond, &mutex, &past) != ETIMEDOUT;
	wrong += pthread_cond_signal(&cond) != 0;
	wrong += pthread_cond_broadcast(&cond) != 0;
	wrong += pthread_mutex_unlock(&mutex) != 0;
	wrong += pthread_rwlock_rdlock(&rwlock) != 0;
	wrong += pthread_rwlock_trywrlock(&rwlock) != EBUSY;
	wrong += pthread_rwlock_timedwrlock(&rwlock, &past) != ETIMEDOUT;
	wrong += pthread_rwlock_unlock(&rwlock) != 0;
	pthread_spin_init(&spin, 0);
	wrong += pthread_spin_lock(&spin) != 0;
	wrong += pthread_spin_trylock(&spin) != EBUSY;
	wrong += pthread_spin_unlock(&spin) != 0;
	mtx_init(&mtx, mtx_timed);
	wrong += mtx_lock(&mtx) != thrd_success;
	wrong += mtx_timedlock(&mtx, &past) != thrd_timedout;
	wrong += mtx_unlock(&mtx) != thrd_success;
	return wrong;
}

static int waits(void)
{
	struct epoll_event event;
	sigset_t set;
	sem_t sem;
	int wrong = 0, fd;

	sem_init(&sem, 0, 1);
	wrong += sem_wait(&sem) != 0;
	wrong += sem_trywait(&sem) != -1 || errno != EAGAIN;
	wrong += sem_timedwait(&sem, &past) != -1 || errno != ETIMEDOUT;
	wrong += poll(NULL, 0, 0) != 0;
	wrong += nanosleep(&brief, NULL) != 0;
	wrong += usleep(1) != 0;
	fd = epoll_create1(0);
	wrong += epoll_wait(fd, &event, 1, 0) != 0;
	close(fd);
	wrong += pthread_sigmask(SIG_BLOCK, NULL, &set) != 0;
	return wrong;
}

static void *in_thread(void *arg)
{
	*(int *)arg = locks() + waits();
	return arg;
}

static int threads(void)
{
	pthread_t thread;
	void *left = NULL;
	int wrong = 0, inside = 1;

	wrong += pthread_create(&thread, NULL, in_thread, &inside) != 0;
	wrong += pthread_join(thread, &left) != 0;
	return wrong + inside + (left != &inside);
}

static void use_all(const char *place)
{
	char text[64];

	snprintf(text, sizeof(text), "locks %d waits %d threads %d", locks(), waits(), threads());
	say(place, text);
}

/* ---------------------------------------------------------------- the margins */

static void before_all(int argc, char **argv, char **environment)
{
	(void)argc, (void)argv, (void)environment;
	use_all("before all constructors");
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
	char **) = before_all;

__attribute__((constructor)) static void at_start(void)
{
	use_all("constructor");
}

__attribute__((destructor)) static void at_end(void)
{
	use_all("destructor");
}

static void at_exit(void)
{
	use_all("atexit");
}

static _Atomic int rounds;

/* Again and again: libc calls it PTHREAD_DESTRUCTOR_ITERATIONS times. */
static void destroy(void *value)
{
	pthread_setspecific(key, value);
	if (locks() + waits() == 0)
		rounds++;
}

static void *has_specific(void *arg)
{
	pthread_setspecific(key, arg);
	return arg;
}

static void destructors(void)
{
	pthread_t thread;
	char text[64];

	pthread_key_create(&key, destroy);
	pthread_create(&thread, NULL, has_specific, &key);
	pthread_join(thread, NULL);
	snprintf(text, sizeof(text), "%d rounds", rounds);
	say("thread-local data", text);
	pthread_setspecific(key, NULL);
}

static _Atomic int waiting;

static void *waits_for_ever(void *arg)
{
	waiting++;
	pthread_mutex_lock(&held);
	return arg;
}

static int leave(int count)
{
	pthread_t thread;

	pthread_mutex_lock(&held);
	for (int i = 0; i < count; i++)
		pthread_create(&thread, NULL, waits_for_ever, NULL);
	while (waiting < count)
		sched_yield();
	return 3;
}

int main(int argc, char **argv)
{
	atexit(at_exit);
	if (argc > 2 && !strcmp(argv[1], "leave"))
		return leave(atoi(argv[2]));
	use_all("main");
	destructors();
	return 3;
}
