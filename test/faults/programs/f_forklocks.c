/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four threads fork, two pass a condition to and fro, and each child allocates, locks, waits for a
 * condition with a thread of its own, and exits. Prints "forked N wrong W".
 *
 *   f_forklocks N
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct table {
	pthread_mutex_t lock;
	pthread_cond_t turned;
	int turn;
};

static struct table shared = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
static atomic_bool over;
static atomic_int wrong;
static int each;

static void take_turns(struct table *table, int own, int turns)
{
	pthread_mutex_lock(&table->lock);
	for (int i = 0; i < turns && !over; i++) {
		while (table->turn != own && !over)
			pthread_cond_wait(&table->turned, &table->lock);
		table->turn = !own;
		free(malloc(200));
		pthread_cond_broadcast(&table->turned);
	}
	pthread_mutex_unlock(&table->lock);
}

static void *first(void *table)
{
	take_turns(table, 0, table == &shared ? 1 << 30 : 3);
	return NULL;
}

static void *second(void *table)
{
	take_turns(table, 1, table == &shared ? 1 << 30 : 3);
	return NULL;
}

static void in_child(int code)
{
	struct table own = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 };
	pthread_t other;
	for (int i = 1; i < 100; i++)
		free(malloc((size_t)i * 50));
	if (pthread_create(&other, NULL, first, &own) != 0)
		exit(1);
	second(&own);
	pthread_join(other, NULL);
	exit(code);
}

static void *forker(void *arg)
{
	for (int i = 0; i < each; i++) {
		int status = 0;
		pid_t pid = fork();
		if (pid == 0)
			in_child(2 + i % 50);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
			WEXITSTATUS(status) != 2 + i % 50)
			wrong++;
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t players[2], forkers[4];
	int count = argc > 1 ? atoi(argv[1]) : 1000;
	each = count / 4;
	pthread_create(&players[0], NULL, first, &shared);
	pthread_create(&players[1], NULL, second, &shared);
	for (int i = 0; i < 4; i++)
		pthread_create(&forkers[i], NULL, forker, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(forkers[i], NULL);
	pthread_mutex_lock(&shared.lock);
	over = true;
	pthread_cond_broadcast(&shared.turned);
	pthread_mutex_unlock(&shared.lock);
	for (int i = 0; i < 2; i++)
		pthread_join(players[i], NULL);
	printf("forked %d wrong %d\n", count, (int)wrong);
	return wrong != 0;
}
