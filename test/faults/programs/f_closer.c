/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that takes every descriptor for its own, and reuses the numbers for a server: closes
 * all from 3 up, opens a listener on 127.0.0.1 at the lowest number, and puts copies of it on every
 * number from 3 to 299 (each of which may belong to other code).
 *
 *   f_closer loop|range|dup N   loop: close() of each; range: close_range; dup: dup2 over each
 *
 * A line of stdin begins it. Prints "port P"; after another line it serves N clients (text in until
 * its end, "you said" and the text out), checks that all its numbers still are that listener, and
 * prints "served N, whole W": all 297 of them.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST = 3, LAST = 299 };

static void close_all(const char *how)
{
	if (how[0] == 'r' && close_range(FIRST, ~0u, 0) == 0)
		return;
	for (int fd = FIRST; how[0] != 'd' && fd < 1024; fd++)
		close(fd);
}

static int listen_somewhere(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) || listen(fd, 512) ||
		getsockname(fd, (struct sockaddr *)&at, &size))
		exit(1);
	printf("port %d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

static void serve_one(int listener)
{
	char text[128];
	size_t have = 0;
	int fd = accept(listener, NULL, NULL);
	for (ssize_t got; (got = read(fd, text + have, sizeof(text) - have)) > 0;)
		have += (size_t)got;
	if (dprintf(fd, "you said %.*s", (int)have, text) < 0)
		exit(2);
	close(fd);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "loop";
	int count = argc > 2 ? atoi(argv[2]) : 1, listener, whole = 0;
	struct stat own, other;
	char line[16];
	if (!fgets(line, sizeof(line), stdin))
		return 3;
	close_all(how);
	listener = listen_somewhere();
	for (int fd = FIRST; fd <= LAST; fd++)
		if (fd != listener)
			dup2(listener, fd);
	if (!fgets(line, sizeof(line), stdin))
		return 3;
	for (int i = 0; i < count; i++)
		serve_one(LAST - i % 200);
	fstat(listener, &own);
	for (int fd = FIRST; fd <= LAST; fd++)
		whole += fstat(fd, &other) == 0 && other.st_ino == own.st_ino;
	printf("served %d, whole %d\n", count, whole);
	return 0;
}
