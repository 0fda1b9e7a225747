/*
 * The TCP sockets of our network namespace, as proc(5) shows them: /proc/net/tcp and tcp6.
 *
 * Context: PA_AGENT. Reads with a small buffer, however long the tables are; opens and closes one
 * descriptor.
 */
#ifndef PA_TCP_TABLE_H
#define PA_TCP_TABLE_H

#include <netinet/in.h>

#include "../base/base.h"

#define PA_TCP_LISTEN 0x0a /* state, as in the kernel's include/net/tcp_states.h */

struct pa_tcp_end {
	uint32_t address; /* IPv4 in network order, also of a mapped IPv6 address */
	uint16_t port;    /* host order */
	bool any;         /* no particular address */
	bool v4;          /* address is valid: IPv4, or IPv6 that is mapped to it */
};

struct pa_tcp_socket {
	struct pa_tcp_end local, remote;
	unsigned state;
	unsigned uid;
	unsigned long inode; /* 0: no process has it any more */
};

typedef bool pa_tcp_match_fn(void *arg, const struct pa_tcp_socket *socket);

/* The first socket that match says true of. False: none, or the tables cannot be read. */
PA_AGENT bool pa_tcp_table_find(pa_tcp_match_fn *match, void *arg, struct pa_tcp_socket *found);

/* One line of a table. False: it describes no socket (the heading). */
PA_AGENT bool pa_tcp_table_parse(const char *line, struct pa_tcp_socket *socket);

#endif
