/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES 8192
/* Each line is padded to this length (net/ipv4/tcp_ipv4.c, TMPSZ). */
#define LINE_BYTES 150

/* Number, addresses, state; the uid is the eighth and the inode the tenth column. */
#define LINE " %*u: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x %*s %*s %*s %u %*u %lu"

/* An address is printed as words in host order, each with its bytes in network order: proc(5). */
static void parse_table_address(const char *text, struct pa_tcp_end *end)
{
	uint32_t words[4] = { 0 };
	size_t count = strlen(text) / 8;
	char word[9] = "";

	for (size_t i = 0; i < count && i < PA_COUNT(words); i++) {
		memcpy(word, text + i * 8, 8);
		words[i] = (uint32_t)strtoul(word, NULL, 16);
	}
	end->any = !words[0] && !words[1] && !words[2] && !words[3];
	end->v4 = count == 1 || (!words[0] && !words[1] && words[2] == htonl(0xffff));
	end->address = count == 1 ? words[0] : words[3];
}

bool pa_tcp_table_parse(const char *line, struct pa_tcp_socket *socket)
{
	char local[33], remote[33];
	unsigned local_port, remote_port;

	if (sscanf(line, LINE, local, &local_port, remote, &remote_port, &socket->state,
		    &socket->uid, &socket->inode) != 7)
		return false;
	parse_table_address(local, &socket->local);
	parse_table_address(remote, &socket->remote);
	socket->local.port = (uint16_t)local_port;
	socket->remote.port = (uint16_t)remote_port;
	return true;
}

/* Handles the complete lines of the buffer and moves the rest to its start. */
static bool look_at_lines(char *buffer, size_t *used, pa_tcp_match_fn *match, void *arg,
	struct pa_tcp_socket *found)
{
	char *line = buffer, *end;

	while ((end = memchr(line, '\n', *used - (size_t)(line - buffer)))) {
		*end = '\0';
		if (pa_tcp_table_parse(line, found) && match(arg, found))
			return true;
		line = end + 1;
	}
	*used -= (size_t)(line - buffer);
	memmove(buffer, line, *used);
	return false;
}

/* piece: bytes that are read at once. */
static bool find_in_table(const char *path, size_t piece, pa_tcp_match_fn *match, void *arg,
	struct pa_tcp_socket *found)
{
	char buffer[BUFFER_BYTES];
	size_t used = 0;
	bool is_found = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* Terminates at the end of the table, at an error, or at a line that fills the buffer. */
	while (fd >= 0 && !is_found && used < sizeof(buffer)) {
		size_t room = sizeof(buffer) - used;
		ssize_t got = read(fd, buffer + used, room < piece ? room : piece);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
		is_found = look_at_lines(buffer, &used, match, arg, found);
	}
	if (fd >= 0)
		close(fd);
	return is_found;
}

/* thread-self: the program's main thread may have moved to another network namespace. */
bool pa_tcp_table_find(pa_tcp_match_fn *match, void *arg, struct pa_tcp_socket *found)
{
	return find_in_table("/proc/thread-self/net/tcp", BUFFER_BYTES, match, arg, found) ||
		find_in_table("/proc/thread-self/net/tcp6", BUFFER_BYTES, match, arg, found);
}

struct listeners {
	pa_tcp_match_fn *note;
	void *arg;
};

static bool is_last_listener(void *arg, const struct pa_tcp_socket *socket)
{
	const struct listeners *listeners = arg;

	return socket->state != PA_TCP_LISTEN || listeners->note(listeners->arg, socket);
}

void pa_tcp_table_listeners(pa_tcp_match_fn *note, void *arg)
{
	struct listeners listeners = { note, arg };
	struct pa_tcp_socket last;

	find_in_table("/proc/thread-self/net/tcp", LINE_BYTES, is_last_listener, &listeners, &last);
}
