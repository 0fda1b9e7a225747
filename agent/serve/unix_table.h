/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets that listen on a path, from /proc/PID/net/unix (proc(5)): those of the network
 * namespace of that process.
 *
 * A path is printed as it is, also with newlines, so that a program can forge lines: what is found
 * is a claim. A socket of which two lines tell different paths has none.
 *
 * Context: PA_AGENT, any thread. No lock. As proc_lines.h.
 */
#ifndef PA_UNIX_TABLE_H
#define PA_UNIX_TABLE_H

#include <sys/types.h>

#include "address.h"

struct pa_unix_table_entry {
	unsigned long inode;
	struct pa_address address;
};

/* The path of the first of these sockets that listens on one; pid 0: as the calling thread sees
 * them. False: none, or the table cannot be read. */
PA_AGENT bool pa_unix_table_of_inodes(pid_t pid, const unsigned long *inodes, size_t count,
	struct pa_unix_table_entry *found);

/* The socket that listens on that path. */
PA_AGENT bool pa_unix_table_of_path(const struct pa_address *address,
	struct pa_unix_table_entry *found);

/* Parses one line of the table. False: it is of no socket that listens on a path. */
PA_AGENT bool pa_unix_table_parse(const char *line, struct pa_unix_table_entry *socket);

#endif
