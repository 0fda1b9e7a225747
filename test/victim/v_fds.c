/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors as a program sees them.
 *
 *   v_fds              opens five files, prints their numbers
 *   v_fds loop         opens and closes until stdin ends; prints "ready", then "numbers MIN MAX"
 *   v_fds close        closes everything from 3 up with close_range, prints "closed", then writes
 *                      to and reads from files on those numbers until stdin ends; prints "files ok"
 *                      or what was wrong
 *   v_fds list         prints the names under /proc/self/fd
 *   v_fds limit        sets RLIMIT_NOFILE to 8, opens five files, prints their numbers
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int input_ended(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	char byte;

	return poll(&in, 1, 0) == 1 && read(0, &byte, 1) <= 0;
}

static int open_five(void)
{
	printf("numbers");
	for (int i = 0; i < 5; i++)
		printf(" %d", open("/etc/passwd", O_RDONLY));
	printf("\n");
	return 0;
}

static int loop(void)
{
	int min = 1 << 30, max = -1;

	puts("ready");
	fflush(stdout);
	while (!input_ended()) {
		int fd = open("/etc/passwd", O_RDONLY);

		min = fd < min ? fd : min;
		max = fd > max ? fd : max;
		close(fd);
	}
	printf("numbers %d %d\n", min, max);
	return 0;
}

static int closed(void)
{
	char name[] = "/tmp/v_fds.XXXXXX", text[64], back[64];
	int fd, wrong = 0;

	if (close_range(3, ~0u, 0))
		return 1;
	puts("closed");
	fflush(stdout);
	fd = mkstemp(name);
	unlink(name);
	for (long i = 0; !input_ended(); i++) {
		int other = open("/dev/null", O_RDWR);
		struct stat st;

		snprintf(text, sizeof(text), "%063ld", i);
		wrong += pwrite(fd, text, sizeof(text), 0) != sizeof(text);
		wrong += pread(fd, back, sizeof(back), 0) != sizeof(back);
		wrong += memcmp(text, back, sizeof(text)) != 0;
		wrong += fstat(fd, &st) || st.st_size != sizeof(text);
		wrong += other != fd + 1;
		close(other);
	}
	printf(wrong ? "files wrong %d\n" : "files ok\n", wrong);
	return wrong != 0;
}

static int list(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
			printf("%s ", entry->d_name);
	printf("\n");
	closedir(dir);
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "loop"))
		return loop();
	if (!strcmp(mode, "close"))
		return closed();
	if (!strcmp(mode, "list"))
		return list();
	if (!strcmp(mode, "limit"))
		setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 8, 8 });
	return open_five();
}
