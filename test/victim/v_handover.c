/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes hand a turn to and fro through locks in a file that both have mapped.
 *
 *   v_handover FILE 0 TURNS     makes the file, prints "ready", plays
 *   v_handover FILE 1 TURNS     plays with it
 *
 * TURNS by a mutex, a quarter of it each by a robust mutex, by a condition, by semaphores, and by a
 * read-write lock. Each prints "KIND COUNTER", what the common counter stands at in the end.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct common {
	_Atomic int made, arrived;
	pthread_mutex_t mutex, robust;
	pthread_rwlock_t rwlock;
	pthread_cond_t cond;
	sem_t sem[2];
	long turn, counter; /* guard: the lock that is being played with */
} * common;

static long me;

static void make(void)
{
	pthread_mutexattr_t mutex;
	pthread_rwlockattr_t rwlock;
	pthread_condattr_t cond;

	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&common->mutex, &mutex);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&common->robust, &mutex);
	pthread_rwlockattr_init(&rwlock);
	pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
	pthread_rwlock_init(&common->rwlock, &rwlock);
	pthread_condattr_init(&cond);
	pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&common->cond, &cond);
	sem_init(&common->sem[0], 1, 1);
	sem_init(&common->sem[1], 1, 0);
}

static int take_turn(void)
{
	if (common->turn != me)
		return 0;
	common->turn = !me;
	common->counter++;
	return 1;
}

static void by_mutex(pthread_mutex_t *mutex, long turns)
{
	for (long mine = 0; mine < turns;) {
		int took;

		pthread_mutex_lock(mutex);
		took = take_turn();
		pthread_mutex_unlock(mutex);
		mine += took;
		if (!took)
			sched_yield();
	}
}

static void by_rwlock(long turns)
{
	for (long mine = 0; mine < turns;) {
		int is_mine;

		pthread_rwlock_rdlock(&common->rwlock);
		is_mine = common->turn == me;
		pthread_rwlock_unlock(&common->rwlock);
		if (!is_mine) {
			sched_yield(); /* else for a whole slice, where both have one processor */
			continue;
		}
		pthread_rwlock_wrlock(&common->rwlock);
		mine += take_turn();
		pthread_rwlock_unlock(&common->rwlock);
	}
}

static void by_cond(long turns)
{
	pthread_mutex_lock(&common->mutex);
	for (long mine = 0; mine < turns; mine++) {
		while (!take_turn())
			pthread_cond_wait(&common->cond, &common->mutex);
		pthread_cond_signal(&common->cond);
	}
	pthread_mutex_unlock(&common->mutex);
}

static void by_semaphores(long turns)
{
	for (long mine = 0; mine < turns; mine++) {
		while (sem_wait(&common->sem[me]))
			;
		take_turn();
		sem_post(&common->sem[!me]);
	}
}

/* Both threads have arrived, and no thread owns the counter in between. */
static void meet(int count)
{
	common->arrived++;
	while (common->arrived < 2 * count)
		sched_yield();
}

static void report(const char *kind, int meetings)
{
	meet(meetings);
	printf("%s %ld\n", kind, common->counter);
	meet(meetings + 1);
	if (!me)
		common->turn = common->counter = 0;
	meet(meetings + 2);
}

int main(int argc, char **argv)
{
	int fd = argc > 3 ? open(argv[1], O_RDWR | O_CREAT, 0600) : -1;
	long turns;

	if (fd < 0 || ftruncate(fd, sizeof(*common)))
		return 1;
	me = atol(argv[2]);
	turns = atol(argv[3]);
	common = mmap(NULL, sizeof(*common), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (common == MAP_FAILED)
		return 1;
	if (!me) {
		make();
		common->made = 1;
		puts("ready");
		fflush(stdout);
	}
	while (!common->made)
		sched_yield();
	meet(1);
	by_mutex(&common->mutex, turns);
	report("mutex", 2);
	by_mutex(&common->robust, turns / 4);
	report("robust", 5);
	by_cond(turns / 4);
	report("cond", 8);
	by_semaphores(turns / 4);
	report("sem", 11);
	by_rwlock(turns / 4);
	report("rwlock", 14);
	return 0;
}
