/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forks while threads wait for locks, one of which is main's. Each child gives that one up and
 * takes it again, contends for locks of its own with threads of its own, and leaves with code 7.
 *
 *   v_lockfork [N]     default: 100. Prints "forks N wrong 0"; then, when all is over in the
 *                      parent, "parent ok".
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAITERS 4

static pthread_mutex_t mains = PTHREAD_MUTEX_INITIALIZER, common = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static _Atomic int stop, here;
static long counter;

static void *waits(void *arg)
{
	here++;
	pthread_mutex_lock(&mains);
	pthread_mutex_unlock(&mains);
	return arg;
}

static void *contends(void *arg)
{
	struct timespec t = { .tv_nsec = 20000 };

	while (!stop) {
		pthread_mutex_lock(&common);
		counter++;
		nanosleep(&t, NULL);
		pthread_mutex_unlock(&common);
	}
	return arg;
}

static struct {
	pthread_mutex_t mutex;
	int count, turn;
} own = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void *plays(void *arg)
{
	long me = (long)arg;

	pthread_mutex_lock(&own.mutex);
	for (int i = 0; i < 20; i++) {
		while (own.turn != me)
			pthread_cond_wait(&cond, &own.mutex);
		own.turn = !me;
		own.count++;
		pthread_cond_signal(&cond);
	}
	pthread_mutex_unlock(&own.mutex);
	return arg;
}

static void child(void)
{
	pthread_t thread[2];

	pthread_mutex_unlock(&mains);
	pthread_mutex_lock(&mains);
	for (long i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, plays, (void *)i))
			_exit(1);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	free(malloc(1000));
	exit(own.count == 40 ? 7 : 1);
}

int main(int argc, char **argv)
{
	pthread_t waiter[WAITERS], contender[2];
	int wanted = argc > 1 ? atoi(argv[1]) : 100, wrong = 0;

	pthread_mutex_lock(&mains);
	for (int i = 0; i < WAITERS; i++)
		pthread_create(&waiter[i], NULL, waits, NULL);
	for (int i = 0; i < 2; i++)
		pthread_create(&contender[i], NULL, contends, NULL);
	while (here < WAITERS)
		usleep(100);
	for (int i = 0; i < wanted; i++) {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0)
			child();
		waitpid(pid, &status, 0);
		wrong += !WIFEXITED(status) || WEXITSTATUS(status) != 7;
	}
	printf("forks %d wrong %d\n", wanted, wrong);
	stop = 1;
	pthread_mutex_unlock(&mains);
	for (int i = 0; i < WAITERS; i++)
		pthread_join(waiter[i], NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(contender[i], NULL);
	puts("parent ok");
	return 0;
}
