/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps 1,000 blocks of 10,000 bytes, burns CPU (with AWAIT_PROFILE after the begin of a CPU
 * profile), contends for a lock, and ends:
 *
 *   v_ends return | exit | quick | _exit | _Exit | thread | other | signal | kill | child | fork
 *          | vfork   MS
 *
 * exit status 3 where nothing else is said by how it ends. chdir first, so that relative names of
 * files would mean others at the end.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *kept[1000];

static __attribute__((noinline)) void keep_blocks(void)
{
	for (int i = 0; i < 1000; i++)
		kept[i] = malloc(10000);
}

static __attribute__((noinline)) void burn(int ms)
{
	struct timespec now;
	long end_ms;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	end_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000 + ms;
	do {
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	} while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < end_ms);
}

/* The agent's signal has a handler while a CPU profile is taken. */
static int is_sampled(void)
{
	const int agent_signal = 61;
	unsigned long long caught = 0;
	char line[256];
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "SigCgt: %llx", &caught) == 1)
			break;
	if (!file || fclose(file) != 0)
		exit(2);
	return caught >> (agent_signal - 1) & 1;
}

static void *wait_for_lock(void *tid)
{
	*(_Atomic int *)tid = (int)gettid();
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Until a thread sleeps. */
static void await_sleep(int tid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	while (state != 'S') {
		FILE *file = fopen(path, "r");
		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			exit(2);
		fclose(file);
	}
}

static __attribute__((noinline)) void hold_lock(void)
{
	const struct timespec hold = { .tv_nsec = 50000000 };
	_Atomic int tid = 0;
	pthread_t waiter;

	pthread_mutex_lock(&lock);
	pthread_create(&waiter, NULL, wait_for_lock, &tid);
	while (!tid)
		sched_yield();
	await_sleep(tid);
	nanosleep(&hold, NULL);
	pthread_mutex_unlock(&lock);
	pthread_join(waiter, NULL);
}

static void exit_in_handler(int number)
{
	(void)number;
	exit(3);
}

static void *exit_in_thread(void *arg)
{
	exit(3);
	return arg;
}

static int in_child(pid_t (*make)(void), const char *how)
{
	int status;
	pid_t child = make();

	if (child == 0) {
		if (strcmp(how, "fork") == 0)
			exit(4);
		_exit(4);
	}
	waitpid(child, &status, 0);
	printf("child %d\n", WEXITSTATUS(status));
	return 3;
}

static int end(const char *how)
{
	pthread_t thread;

	if (strcmp(how, "exit") == 0)
		exit(3);
	if (strcmp(how, "quick") == 0)
		quick_exit(3);
	if (strcmp(how, "_exit") == 0)
		_exit(3);
	if (strcmp(how, "_Exit") == 0)
		_Exit(3);
	if (strcmp(how, "thread") == 0)
		pthread_exit(NULL);
	if (strcmp(how, "signal") == 0) {
		signal(SIGTERM, exit_in_handler);
		raise(SIGTERM);
	}
	if (strcmp(how, "kill") == 0)
		raise(SIGKILL);
	if (strcmp(how, "other") == 0) {
		pthread_create(&thread, NULL, exit_in_thread, NULL);
		pthread_join(thread, NULL);
	}
	if (strcmp(how, "fork") == 0 || strcmp(how, "child") == 0)
		return in_child(fork, how);
	if (strcmp(how, "vfork") == 0) {
		int status;
		pid_t child = vfork();

		if (child == 0)
			_exit(4);
		waitpid(child, &status, 0);
		printf("child %d\n", WEXITSTATUS(status));
	}
	return 3;
}

int main(int argc, char **argv)
{
	if (argc != 3 || chdir("/") != 0)
		return 2;
	keep_blocks();
	while (getenv("AWAIT_PROFILE") && !is_sampled())
		sched_yield();
	burn(atoi(argv[2]));
	hold_lock();
	puts("leaving");
	fflush(stdout);
	return end(argv[1]);
}
