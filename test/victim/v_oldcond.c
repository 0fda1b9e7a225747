/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads hand a turn to and fro by the condition variables of glibc 2.2.5, as a program does
 * that was linked in those days: their memory has another shape, so each call must go to the old
 * functions.
 *
 *   v_oldcond [N]     default: 5000. Prints "turns N" and what the other calls return.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define OLD(result, name, ...)                 \
	extern result old_##name(__VA_ARGS__); \
	__asm__(".symver old_" #name "," #name "@GLIBC_2.2.5")

OLD(int, pthread_cond_init, pthread_cond_t *, const pthread_condattr_t *);
OLD(int, pthread_cond_destroy, pthread_cond_t *);
OLD(int, pthread_cond_wait, pthread_cond_t *, pthread_mutex_t *);
OLD(int, pthread_cond_timedwait, pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
OLD(int, pthread_cond_signal, pthread_cond_t *);
OLD(int, pthread_cond_broadcast, pthread_cond_t *);

/* What pthread_cond_t was: 48 bytes of which the old functions use the first eight, for a
 * pointer. The rest must stay as it is. */
static pthread_cond_t cond;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long turns, wanted;

static void *play(void *arg)
{
	long mine = (long)arg;

	pthread_mutex_lock(&mutex);
	while (turns < wanted) {
		while (turns < wanted && turns % 2 != mine)
			old_pthread_cond_wait(&cond, &mutex);
		turns++;
		if (turns % 3)
			old_pthread_cond_signal(&cond);
		else
			old_pthread_cond_broadcast(&cond);
	}
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static int rest_is_untouched(void)
{
	for (size_t i = sizeof(void *); i < sizeof(cond); i++)
		if (((unsigned char *)&cond)[i] != 0x5a)
			return 0;
	return 1;
}

int main(int argc, char **argv)
{
	struct timespec past = { .tv_sec = 1 };
	pthread_t other;

	wanted = argc > 1 ? atol(argv[1]) : 5000;
	for (size_t i = 0; i < sizeof(cond); i++)
		((unsigned char *)&cond)[i] = 0x5a;
	printf("init %d\n", old_pthread_cond_init(&cond, NULL));
	printf("untouched %d\n", rest_is_untouched());
	pthread_create(&other, NULL, play, (void *)1);
	play((void *)0);
	pthread_join(other, NULL);
	printf("turns %s\n", turns >= wanted ? "all" : "too few");
	pthread_mutex_lock(&mutex);
	printf("timedwait %s\n",
		old_pthread_cond_timedwait(&cond, &mutex, &past) == ETIMEDOUT ? "ETIMEDOUT" : "?");
	pthread_mutex_unlock(&mutex);
	printf("untouched %d\n", rest_is_untouched());
	printf("destroy %d\n", old_pthread_cond_destroy(&cond));
	return 0;
}
