/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program and writes what it cost: CPU s (user and system), wall s, largest RSS in KiB and
 * wait status, of all processes that were waited for.
 *
 *   b_run FILE PROGRAM [ARGUMENTS]
 *
 * A small program does that, since the kernel counts memory from before execve() too: a child of
 * an interpreter begins with the interpreter's.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;

	if (argc < 3)
		return 2;
	double begin = now();
	pid_t child = fork();
	if (child == 0) {
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &usage) != child)
		return 2;
	double wall = now() - begin;
	FILE *file = fopen(argv[1], "w");
	if (!file)
		return 2;
	fprintf(file, "%f %f %ld %d\n", seconds(usage.ru_utime) + seconds(usage.ru_stime), wall,
		usage.ru_maxrss, status);
	return fclose(file) ? 2 : 0;
}
