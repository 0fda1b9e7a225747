/* SPDX-License-Identifier: Apache-2.0 */
#include "unix_table.h"

#include <stdio.h>
#include <string.h>

#include "proc_lines.h"

#define PATH_BYTES 64

/* Number, references, protocol, flags, type, state, inode; the path follows. */
#define LINE "%*[0-9A-Fa-f]: %*x %*x %x %*x %*x %lu%n"
/* __SO_ACCEPTCON of include/uapi/linux/net.h */
#define LISTENS 0x10000

struct wanted {
	const unsigned long *inodes; /* NULL: of a path */
	size_t count;
	const struct pa_address *address;
	struct pa_unix_table_entry *found;
	size_t matches;
};

bool pa_unix_table_parse(const char *line, struct pa_unix_table_entry *socket)
{
	unsigned flags;
	int end = 0;

	if (sscanf(line, LINE, &flags, &socket->inode, &end) != 2 || !(flags & LISTENS) ||
		line[end] != ' ' || line[end + 1] != '/')
		return false;
	socket->address = pa_address_of_path(line + end + 1);
	return socket->address.family == AF_UNIX;
}

static bool is_wanted_socket(const struct wanted *wanted, const struct pa_unix_table_entry *socket)
{
	if (!wanted->inodes)
		return pa_address_is_equal(wanted->address, &socket->address);
	for (size_t i = 0; i < wanted->count; i++) {
		if (wanted->inodes[i] == socket->inode)
			return true;
	}
	return false;
}

/* Goes on to the end: a second line makes it doubtful. */
static bool look_at_unix_line(void *arg, const char *line)
{
	struct wanted *wanted = arg;
	struct pa_unix_table_entry socket;

	if (pa_unix_table_parse(line, &socket) && is_wanted_socket(wanted, &socket)) {
		*wanted->found = socket;
		wanted->matches++;
	}
	return false;
}

bool pa_unix_table_of_inodes(pid_t pid, const unsigned long *inodes, size_t count,
	struct pa_unix_table_entry *found)
{
	struct wanted wanted = { .inodes = inodes, .count = count, .found = found };
	char path[PATH_BYTES] = "/proc/thread-self/net/unix";

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/net/unix", pid);
	pa_proc_lines_find(path, PA_PROC_LINES_BYTES, look_at_unix_line, &wanted);
	return wanted.matches == 1;
}

bool pa_unix_table_of_path(const struct pa_address *address, struct pa_unix_table_entry *found)
{
	struct wanted wanted = { .address = address, .found = found };

	pa_proc_lines_find("/proc/thread-self/net/unix", PA_PROC_LINES_BYTES, look_at_unix_line,
		&wanted);
	return wanted.matches == 1;
}
