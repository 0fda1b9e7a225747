#include "tcp_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES 8192

/* Number, addresses, state, then the uid as the eighth and the inode as the tenth column. */
#define LINE " %*u: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x %*s %*s %*s %u %*u %lu"

/* Words of an address stand in host order, each with its bytes in network order: proc(5). */
static void parse_address(const char *text, struct pa_tcp_end *end)
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
	parse_address(local, &socket->local);
	parse_address(remote, &socket->remote);
	socket->local.port = (uint16_t)local_port;
	socket->remote.port = (uint16_t)remote_port;
	return true;
}

/* Looks at the whole lines of the buffer and keeps the rest at its start. */
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

static bool find_in(const char *path, pa_tcp_match_fn *match, void *arg,
	struct pa_tcp_socket *found)
{
	char buffer[BUFFER_BYTES];
	size_t used = 0;
	bool is_found = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* Ends: at the end of the table, an error, or a line that fills the buffer. */
	while (fd >= 0 && !is_found && used < sizeof(buffer)) {
		ssize_t got = read(fd, buffer + used, sizeof(buffer) - used);
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

/* Of the thread: the program's main thread may have moved to another network namespace. */
bool pa_tcp_table_find(pa_tcp_match_fn *match, void *arg, struct pa_tcp_socket *found)
{
	return find_in("/proc/thread-self/net/tcp", match, arg, found) ||
		find_in("/proc/thread-self/net/tcp6", match, arg, found);
}
