/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As many files as the limit allows, again and again for a second; the limit is set from outside,
 * or, with an argument, by the program itself. Prints how many it got at least and at most, what
 * the next open said, and whether the limit still is what was set.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct rlimit set, after;
	int least = 1 << 20, most = 0, error = 0;
	if (argc > 1)
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){ (rlim_t)atoi(argv[1]), 4096 });
	getrlimit(RLIMIT_NOFILE, &set);
	for (double end = now() + 1; now() < end;) {
		int count = 0;
		while (open("/etc/passwd", O_RDONLY) >= 0)
			count++;
		error = errno;
		for (int fd = 3; fd < 3 + count; fd++)
			free(close(fd) ? NULL : malloc(100));
		least = count < least ? count : least;
		most = count > most ? count : most;
	}
	getrlimit(RLIMIT_NOFILE, &after);
	printf("%d-%d, then %s, limit %s\n", least, most, strerror(error),
		memcmp(&set, &after, sizeof(set)) ? "changed" : "kept");
	return 0;
}
