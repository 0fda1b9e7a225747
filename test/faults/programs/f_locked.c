/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that locks its memory. Says "ready"; for each line on stdin:
 *
 *   lock FLAGS   calls mlockall; says "lock RESULT ERRNO"
 *   map KIB      maps so much, of which the kernel locks what it was told to; says "map RESULT"
 *   free         calls munlockall; says "free RESULT"
 *
 * With UID and KIB it is an ordinary user with so much RLIMIT_MEMLOCK.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define KIB ((size_t)1024)

static int become(uid_t uid, rlim_t bytes)
{
	const struct rlimit limit = { bytes, bytes };

	return setrlimit(RLIMIT_MEMLOCK, &limit) || setuid(uid);
}

static int map(size_t bytes)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -1;
	memset(memory, 1, bytes);
	return 0;
}

static void obey(const char *line)
{
	int number = atoi(strchr(line, ' ') ? strchr(line, ' ') : "0");

	errno = 0;
	if (strncmp(line, "lock", 4) == 0) {
		int result = mlockall(number);

		printf("lock %d %d\n", result, errno);
	} else if (strncmp(line, "map", 3) == 0) {
		printf("map %d\n", map((size_t)number * KIB));
	} else {
		printf("free %d\n", munlockall());
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[32];

	if (argc == 3 && become((uid_t)atoi(argv[1]), (rlim_t)atoi(argv[2]) * KIB) != 0)
		return 3;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return 0;
}
