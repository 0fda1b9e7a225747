/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The moments of a process in which an agent is at work without a hook of its own, in one state of
 * the program (state.h): the first calls of all, before any constructor; what main finds; children
 * that libc makes, and what becomes of them; the ends of threads and of processes.
 *
 *   f_state_life STATE
 */
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state.h"

static char early[sizeof(left)];

static void find_state(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (argc > 1 && strcmp(argv[1], states[i].name) == 0)
			state = &states[i];
}

/* libc's first malloc of all fills tables by string instructions. */
static void call_early(int argc, char **argv, char **environment)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	(void)environment;
	find_state(argc, argv);
	CALL(pthread_mutex_lock, &mutex);
	CALL(pthread_mutex_unlock, &mutex);
	if (!state->flags)
		CALL(free, CALL(calloc, 10, 100));
	strcpy(early, left);
	left[0] = '\0';
	errno = 0;
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char **,
	char **) = call_early;

static long status_of(pid_t pid)
{
	int status = -1;
	waitpid(pid, &status, 0);
	return status;
}

/* Long enough for an agent to come to itself in it, and to write what it knows. */
static void live_and_end(void)
{
	for (int i = 0; i < 1000; i++)
		free(malloc(1000));
	usleep(400000);
	exit(*left ? 7 : 6);
}

static long fork_plainly(void)
{
	pid_t pid = (pid_t)CALL(fork);
	if (pid == 0)
		live_and_end();
	return status_of(pid);
}

/* Makes a child without a call of fork. */
static long fork_within_libc(void)
{
	int terminal;
	pid_t pid = (pid_t)CALL(forkpty, &terminal, NULL, NULL, NULL);
	if (pid == 0)
		_exit(*left ? 7 : 6);
	return status_of(pid);
}

static void *end_thread(void *unused)
{
	CALL(pthread_exit, unused);
	return NULL;
}

static long thread_exit(void)
{
	pthread_t thread;
	return pthread_create(&thread, NULL, end_thread, NULL) | pthread_join(thread, NULL);
}

static long end_by_exit(void)
{
	return CALL(exit, 9);
}
static long end_quickly(void)
{
	return CALL(quick_exit, 9);
}
static long end_at_once(void)
{
	return CALL(_exit, 9);
}

/* In a process of its own, since not all work in all states. */
static void say(const char *name, long (*moment)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		long result = moment();
		printf("%s %ld%s\n", name, result, left);
		fflush(stdout);
		_exit(0);
	}
	printf("%s ends %lx\n", name, status_of(pid));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	uint32_t mxcsr;
	uint16_t control, status;
	int error = errno;
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1\n\tfnstsw %2"
			 : "=m"(mxcsr), "=m"(control), "=m"(status));
	printf("main mxcsr %x x87 %x %x errno %d\n", mxcsr, control, status, error);
	printf("early%s\n", early);
	fflush(stdout);
	(void)argc;
	(void)argv;
	say("fork", fork_plainly);
	say("forkpty", fork_within_libc);
	say("pthread_exit", thread_exit);
	say("exit", end_by_exit);
	say("quick_exit", end_quickly);
	say("_exit", end_at_once);
	return 0;
}
