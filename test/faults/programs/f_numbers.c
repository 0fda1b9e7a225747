/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which numbers the kernel gives to each call that makes a descriptor, for a second: the lowest
 * free ones, always. Prints them, then what /proc/self/fd lists.
 *
 *   f_numbers [closed]   closed: with 0, 1 and 2 closed meanwhile (and put back at the end)
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 10, KEPT = 200 };

static int open_one(int call)
{
	int pair[2] = { -1, -1 };
	switch (call) {
	case 0: return open("/dev/null", O_RDONLY);
	case 1: return socket(AF_INET, SOCK_STREAM, 0);
	case 2: return epoll_create1(0);
	case 3: return eventfd(0, 0);
	case 4: return memfd_create("x", 0);
	case 5: return dup(KEPT);
	case 6: return fcntl(KEPT, F_DUPFD, 0);
	case 7: return accept(KEPT, NULL, NULL) < 0 ? open("/", O_RDONLY) : -2;
	case 8: return pipe(pair) ? -1 : (close(pair[1]), pair[0]);
	default: return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ? -1 : (close(pair[1]), pair[0]);
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void list(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int seen[1024] = { 0 };
	for (struct dirent *entry; (entry = readdir(folder));)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder))
			seen[atoi(entry->d_name) % 1024] = 1;
	closedir(folder);
	printf("listed");
	for (int i = 0; i < 1024; i++)
		if (seen[i])
			printf(" %d", i);
	printf("\n");
}

int main(int argc, char **argv)
{
	int closed = argc > 1 && strcmp(argv[1], "closed") == 0;
	int lowest[CALLS], highest[CALLS];
	for (int i = 0; i < CALLS; i++)
		lowest[i] = 1 << 20, highest[i] = -1;
	dup2(0, KEPT);
	for (int fd = 0; closed && fd < 3; fd++) {
		fcntl(fd, F_DUPFD, KEPT + 1);
		close(fd);
	}
	for (double end = now() + 1; now() < end;)
		for (int i = 0; i < CALLS; i++) {
			int fd = open_one(i);
			lowest[i] = fd < lowest[i] ? fd : lowest[i];
			highest[i] = fd > highest[i] ? fd : highest[i];
			close(fd);
		}
	for (int fd = 0; closed && fd < 3; fd++) {
		dup2(KEPT + 1 + fd, fd);
		close(KEPT + 1 + fd);
	}
	for (int i = 0; i < CALLS; i++)
		printf("%d-%d ", lowest[i], highest[i]);
	printf("\n");
	list();
	return 0;
}
