/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A little of everything that the agent looks at: threads that come and go, allocations, a lock
 * that is fought for, a condition, a child. Prints "worked" and the sums of it, keeps three threads
 * at work and asleep until the end of its stdin, then prints what those did not get wrong.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 400
#define SHORT_THREADS 20

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long sum, over, wrong;

static void *work(void *given)
{
	long number = (long)given;
	for (long i = 0; i < ROUNDS; i++) {
		size_t bytes = (size_t)(i % 50) * 1000 + 1;
		char *block = malloc(bytes);
		if (!block)
			return (void *)1;
		memset(block, (int)number, bytes);
		pthread_mutex_lock(&lock);
		sum += block[bytes / 2] * i;
		pthread_mutex_unlock(&lock);
		free(block);
	}
	return NULL;
}

static void *pass_by(void *given)
{
	free(malloc((size_t)(long)given + 1));
	return given;
}

static void *burn(void *given)
{
	(void)given;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		char *block = malloc(5000);
		wrong += !block;
		free(block);
	}
	return NULL;
}

static void *sleep_on(void *given)
{
	(void)given;
	pthread_mutex_lock(&lock);
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		wrong += pthread_cond_wait(&changed, &lock) != 0;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *read_on(void *given)
{
	char bytes[8];
	wrong += read(*(int *)given, bytes, sizeof(bytes)) != 0;
	return NULL;
}

static int in_child(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		free(malloc(100));
		_exit(7);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(void)
{
	pthread_t threads[SHORT_THREADS];
	long failures = 0, passed = 0;
	int ends[2], fd = dup(0);
	void *result;
	printf("descriptor %d\n", fd);
	close(fd);
	for (long i = 0; i < THREADS; i++)
		failures += pthread_create(&threads[i], NULL, work, (void *)(i + 1)) != 0;
	for (long i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		failures += result != NULL;
	}
	for (long i = 0; i < SHORT_THREADS; i++) {
		failures += pthread_create(&threads[i], NULL, pass_by, (void *)i) != 0;
		pthread_join(threads[i], &result);
		passed += (long)result;
	}
	printf("worked %ld %ld %ld child %d\n", failures, sum, passed, in_child());
	fflush(stdout);
	failures = pipe(ends) != 0;
	failures += pthread_create(&threads[0], NULL, burn, NULL) != 0;
	failures += pthread_create(&threads[1], NULL, sleep_on, NULL) != 0;
	failures += pthread_create(&threads[2], NULL, read_on, &ends[0]) != 0;
	while (getchar() != EOF)
		;
	pthread_mutex_lock(&lock);
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	close(ends[1]);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	printf("over %ld %ld child %d\n", failures, wrong, in_child());
	return 3;
}
