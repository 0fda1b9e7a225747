/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forks N children; each says on a pipe which descriptors it has, after it has opened one itself.
 * Prints the set of numbers that were ever seen.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(int to, int late)
{
	char seen[256] = { 0 };
	if (late)
		usleep(late * 1000);
	int first = open("/dev/null", O_RDONLY);
	DIR *folder = opendir("/proc/self/fd");
	for (struct dirent *e; folder && (e = readdir(folder)) != NULL;)
		if (e->d_name[0] != '.' && atoi(e->d_name) < 256)
			seen[atoi(e->d_name)] = 1;
	seen[255] = (char)first;
	_exit(write(to, seen, sizeof(seen)) != sizeof(seen));
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 100, ends[2], status;
	char all[256] = { 0 }, seen[256];
	if (pipe(ends) != 0)
		return 1;
	for (int i = 0; i < count; i++) {
		pid_t pid = fork();
		if (pid == 0)
			tell(ends[1], i % 30 ? 0 : 400); /* a child's agent wakes after 250 ms */
		if (read(ends[0], seen, sizeof(seen)) != sizeof(seen) ||
			waitpid(pid, &status, 0) != pid || status)
			return 1;
		for (int fd = 0; fd < 256; fd++)
			all[fd] |= seen[fd];
	}
	for (int fd = 0; fd < 255; fd++)
		if (all[fd])
			printf("%d ", fd);
	printf("first %d\n", all[255]);
	return 0;
}
