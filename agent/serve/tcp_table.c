/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proc_lines.h"

/* thread-self: the program's main thread may have moved to another network namespace. */
#define TABLE_IPV4 "/proc/thread-self/net/tcp"
#define TABLE_IPV6 "/proc/thread-self/net/tcp6"

/* Each line is padded to this length (net/ipv4/tcp_ipv4.c, TMPSZ). */
#define LINE_BYTES 150

/* Number, addresses, state; the uid is the eighth and the inode the tenth column. */
#define LINE " %*u: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x %*s %*s %*s %u %*u %lu"

/* An address is printed as words in host order, each with its bytes in network order: proc(5). */
static struct pa_address parse_table_address(const char *text, unsigned port)
{
	struct in6_addr ip = in6addr_any;
	uint32_t words[4] = { 0 };
	size_t count = strlen(text) / 8;
	char word[9] = "";

	for (size_t i = 0; i < count && i < PA_COUNT(words); i++) {
		memcpy(word, text + i * 8, 8);
		words[i] = (uint32_t)strtoul(word, NULL, 16);
	}
	if (count == 1)
		return pa_address_of_ipv4(words[0], (uint16_t)port);
	memcpy(&ip, words, sizeof(ip));
	return pa_address_of_ipv6(&ip, (uint16_t)port);
}

bool pa_tcp_table_parse(const char *line, struct pa_tcp_socket *socket)
{
	char local[33], remote[33];
	unsigned local_port, remote_port;

	if (sscanf(line, LINE, local, &local_port, remote, &remote_port, &socket->state,
		    &socket->uid, &socket->inode) != 7)
		return false;
	socket->local = parse_table_address(local, local_port);
	socket->remote = parse_table_address(remote, remote_port);
	return true;
}

struct search {
	pa_tcp_match_fn *match;
	void *arg;
	struct pa_tcp_socket *found;
};

static bool look_at_tcp_line(void *arg, const char *line)
{
	struct search *search = arg;

	return pa_tcp_table_parse(line, search->found) && search->match(search->arg, search->found);
}

/* piece: bytes that are read at once. */
static bool find_in_table(const char *path, size_t piece, pa_tcp_match_fn *match, void *arg,
	struct pa_tcp_socket *found)
{
	struct search search = { match, arg, found };

	return pa_proc_lines_find(path, piece, look_at_tcp_line, &search);
}

bool pa_tcp_table_find(pa_tcp_match_fn *match, void *arg, struct pa_tcp_socket *found)
{
	return find_in_table(TABLE_IPV4, PA_PROC_LINES_BYTES, match, arg, found) ||
		find_in_table(TABLE_IPV6, PA_PROC_LINES_BYTES, match, arg, found);
}

struct listeners {
	pa_tcp_match_fn *note;
	void *arg;
	bool is_over;
};

static bool is_last_listener(void *arg, const struct pa_tcp_socket *socket)
{
	struct listeners *listeners = arg;

	if (socket->state != PA_TCP_LISTEN)
		return true;
	listeners->is_over = listeners->note(listeners->arg, socket);
	return listeners->is_over;
}

void pa_tcp_table_listeners(pa_tcp_match_fn *note, void *arg)
{
	struct listeners listeners = { .note = note, .arg = arg };
	struct pa_tcp_socket last;

	find_in_table(TABLE_IPV4, LINE_BYTES, is_last_listener, &listeners, &last);
	if (!listeners.is_over)
		find_in_table(TABLE_IPV6, LINE_BYTES, is_last_listener, &listeners, &last);
}
