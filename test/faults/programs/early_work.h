/* SPDX-License-Identifier: Apache-2.0 */
/* What is done before anything has begun: allocate, lock, read a file; says how much of it went
 * well. noplt: in a resolver the procedure linkage of the object itself is not ready. */
#ifndef EARLY_WORK_H
#define EARLY_WORK_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOPLT __attribute__((noplt))
extern void *malloc(size_t) NOPLT;
extern void *calloc(size_t, size_t) NOPLT;
extern void *realloc(void *, size_t) NOPLT;
extern int posix_memalign(void **, size_t, size_t) NOPLT;
extern void *memset(void *, int, size_t) NOPLT;
extern void free(void *) NOPLT;
extern FILE *fopen(const char *restrict, const char *restrict) NOPLT;
extern char *fgets(char *restrict, int, FILE *restrict) NOPLT;
extern int fclose(FILE *) NOPLT;
extern int pthread_mutex_lock(pthread_mutex_t *) NOPLT;
extern int pthread_mutex_trylock(pthread_mutex_t *) NOPLT;
extern int pthread_mutex_unlock(pthread_mutex_t *) NOPLT;
extern int pthread_rwlock_rdlock(pthread_rwlock_t *) NOPLT;
extern int pthread_rwlock_wrlock(pthread_rwlock_t *) NOPLT;
extern int pthread_rwlock_unlock(pthread_rwlock_t *) NOPLT;

static pthread_mutex_t early_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t early_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static void *early_kept[4]; /* freed by a later stage */
static int early_kepts;

static inline int early_locks(void)
{
	int good = pthread_mutex_lock(&early_mutex) == 0;

	good += pthread_mutex_trylock(&early_mutex) != 0;
	good += pthread_mutex_unlock(&early_mutex) == 0;
	good += pthread_rwlock_rdlock(&early_rwlock) == 0;
	good += pthread_rwlock_unlock(&early_rwlock) == 0;
	good += pthread_rwlock_wrlock(&early_rwlock) == 0;
	good += pthread_rwlock_unlock(&early_rwlock) == 0;
	return good;
}

static inline int early_memory(void)
{
	char *plain = malloc(100), *zeroed = calloc(30, 100), *other = malloc(200);
	void *aligned = NULL;
	int good = 0;

	free(NULL);
	memset(plain, 3, 100);
	plain = realloc(plain, 3000);
	good += plain && plain[99] == 3;
	good += zeroed && zeroed[0] == 0 && zeroed[2999] == 0;
	good += posix_memalign(&aligned, 256, 100) == 0 && (size_t)aligned % 256 == 0;
	free(plain);
	free(aligned);
	free(zeroed);
	if (early_kepts < 4)
		early_kept[early_kepts++] = other;
	else
		free(other);
	return good;
}

static inline int early_file(void)
{
	char line[64] = "";
	FILE *in = fopen("/proc/self/comm", "r");
	int good = in && fgets(line, sizeof(line), in);

	return good + (in && fclose(in) == 0);
}

static inline int early_work(void)
{
	return early_locks() + early_memory() + early_file();
}

static inline int early_rest(void)
{
	int freed = 0;

	while (early_kepts) {
		void *larger = realloc(early_kept[--early_kepts], 100000);

		free(larger);
		freed += larger != NULL;
	}
	return freed;
}

#endif
