/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP sockets of our network namespace, from /proc/net/tcp and tcp6 (proc(5)).
 *
 * Context: PA_AGENT, any thread. No lock. Reads with a fixed buffer, however long the tables are;
 * opens and closes one descriptor at a time.
 */
#ifndef PA_TCP_TABLE_H
#define PA_TCP_TABLE_H

#include "address.h"

#define PA_TCP_LISTEN 0x0a /* state, as in the kernel's include/net/tcp_states.h */

struct pa_tcp_socket {
	struct pa_address local, remote; /* without scopes */
	unsigned state;
	unsigned uid;
	unsigned long inode; /* 0: no process owns it any more */
};

typedef bool pa_tcp_match_fn(void *arg, const struct pa_tcp_socket *socket);

/*
 * Finds the first socket for which match returns true. False: none, or the tables cannot be read.
 */
PA_AGENT bool pa_tcp_table_find(pa_tcp_match_fn *match, void *arg, struct pa_tcp_socket *found);

/*
 * Calls note for the sockets that listen, until it returns true. Costs nothing per connection: the
 * kernel lists sockets that listen first, and the others only as they are read
 * (net/ipv4/tcp_ipv4.c, tcp_seek_last_pos).
 */
PA_AGENT void pa_tcp_table_listeners(pa_tcp_match_fn *note, void *arg);

/* Parses one line of a table. False: it describes no socket (the heading). */
PA_AGENT bool pa_tcp_table_parse(const char *line, struct pa_tcp_socket *socket);

#endif
