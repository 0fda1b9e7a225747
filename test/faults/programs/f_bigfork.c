/* SPDX-License-Identifier: Apache-2.0 */
/* Touches MIB of memory, burns in a thread, and forks ten times: "forks 10 in US us" */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *burn(void *arg)
{
	for (volatile unsigned long work = 0;; work++)
		;
	return arg;
}

static long now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	size_t bytes = (size_t)(argc > 1 ? atoi(argv[1]) : 1024) << 20;
	char *memory = malloc(bytes);
	pthread_t thread;
	memset(memory, 1, bytes);
	pthread_create(&thread, NULL, burn, NULL);
	usleep(300000); /* profiles begin meanwhile, where any are asked for */
	long begin = now_us();
	for (int i = 0; i < 10; i++) {
		int status;
		pid_t pid = fork();
		if (pid == 0)
			_exit(memory[i * 4096L] + i);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || WEXITSTATUS(status) != 1 + i)
			return 1;
	}
	printf("forks 10 in %ld us\n", now_us() - begin);
	return 0;
}
