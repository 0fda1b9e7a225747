/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that are unmapped right after their last unlock: each round two threads share a page with a
 * lock and a count of users; the last one unmaps it, while the other may still be inside its
 * unlock. A library must not touch a lock after it released it.
 *
 *   f_gonelock ROUNDS      prints "gone ROUNDS"
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <threads.h>

struct shared {
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
	mtx_t mtx;
	int users; /* guard: the lock of this round */
};

static struct shared *now;
static int kind;
static pthread_barrier_t begin;

static int leave(struct shared *shared)
{
	int last;

	switch (kind) {
	case 0:
		pthread_mutex_lock(&shared->mutex);
		last = --shared->users == 0;
		pthread_mutex_unlock(&shared->mutex);
		return last;
	case 1:
		pthread_rwlock_wrlock(&shared->rwlock);
		last = --shared->users == 0;
		pthread_rwlock_unlock(&shared->rwlock);
		return last;
	default:
		mtx_lock(&shared->mtx);
		last = --shared->users == 0;
		mtx_unlock(&shared->mtx);
		return last;
	}
}

static void play(struct shared *shared)
{
	if (leave(shared))
		munmap(shared, sizeof(*shared));
}

static void *other(void *rounds)
{
	for (long i = 0; i < (long)rounds; i++) {
		pthread_barrier_wait(&begin);
		play(now);
		pthread_barrier_wait(&begin);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1000;
	pthread_t thread;

	pthread_barrier_init(&begin, NULL, 2);
	pthread_create(&thread, NULL, other, (void *)rounds);
	for (long i = 0; i < rounds; i++) {
		now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
		pthread_mutex_init(&now->mutex, NULL);
		pthread_rwlock_init(&now->rwlock, NULL);
		mtx_init(&now->mtx, mtx_plain);
		now->users = 2;
		kind = (int)(i % 3);
		pthread_barrier_wait(&begin);
		play(now);
		pthread_barrier_wait(&begin);
	}
	pthread_join(thread, NULL);
	printf("gone %ld\n", rounds);
	return 0;
}
