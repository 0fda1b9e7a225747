/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Denies itself the time stamp counter, prctl(PR_SET_TSC): reading a clock through the vDSO raises
 * SIGSEGV then. Allocates and waits so, beside threads that may read clocks, and in a forked child
 * that lives long enough to be profiled itself. Prints "ok" for each.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 300
#define BLOCKS 100

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *work(void *unused)
{
	void *blocks[BLOCKS];
	sem_t never;
	struct timespec past = { .tv_nsec = 1 };
	(void)unused;
	sem_init(&never, 0, 0);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < BLOCKS; i++)
			blocks[i] = malloc(1000);
		pthread_mutex_lock(&mutex);
		usleep(100);
		pthread_mutex_unlock(&mutex);
		for (int i = 0; i < BLOCKS; i++)
			free(blocks[i]);
		sem_timedwait(&never, &past);
	}
	return NULL;
}

static void work_all(void)
{
	pthread_t other;
	if (pthread_create(&other, NULL, work, NULL) != 0)
		exit(2);
	work(NULL);
	pthread_join(other, NULL);
}

int main(void)
{
	pthread_t free_to_read;
	int status;
	if (pthread_create(&free_to_read, NULL, work, NULL) != 0 ||
		prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) != 0)
		return 2;
	work_all();
	pthread_join(free_to_read, NULL);
	pid_t pid = fork();
	if (pid == 0)
		work_all();
	puts("ok");
	return pid == 0 || (waitpid(pid, &status, 0) == pid && status == 0) ? 0 : 3;
}
