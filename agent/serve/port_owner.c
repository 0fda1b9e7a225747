/* SPDX-License-Identifier: Apache-2.0 */
#include "port_owner.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/clock.h"
#include "port_name.h"
#include "tcp_table.h"
#include "unix_table.h"

#define PATH_BYTES 64

struct owner_search {
	int64_t end_ns;
	char link[32]; /* "socket:[12345]" */
	bool agents;   /* second pass: descriptor tables of agents' threads */
	struct pa_port_owner *owner;
};

static bool is_search_over(const struct owner_search *search)
{
	return pa_clock_mono_ns() >= search->end_ns;
}

/* Reads a file of /proc up to size - 1 bytes and adds a NUL. Returns the number of bytes. */
static size_t read_owner_file(const char *path, char *bytes, size_t size)
{
	size_t length = 0;
	ssize_t got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (got = read(fd, bytes + length, size - 1 - length)) > 0)
		length += (size_t)got;
	if (fd >= 0)
		close(fd);
	bytes[length] = '\0';
	return length;
}

/* ---- the socket ---- */

/* True if a socket that listens on taken keeps others from wanted. [::] takes IPv4 as well. */
static bool does_exclude(const struct pa_address *taken, const struct pa_address *wanted)
{
	return pa_address_is_any(taken) && (taken->family == AF_INET6 || wanted->family == AF_INET);
}

/* True if the socket listens where address would be bound. */
static bool is_in_way(void *arg, const struct pa_tcp_socket *socket)
{
	const struct pa_address *address = arg, *local = &socket->local;

	if (socket->state != PA_TCP_LISTEN || local->port != address->port)
		return false;
	return does_exclude(local, address) || does_exclude(address, local) ||
		pa_address_is_equal(local, address);
}

/* Inode of the socket that listens there; 0: unknown. */
static unsigned long find_inode(const struct pa_address *address)
{
	struct pa_address wanted = *address;
	struct pa_tcp_socket tcp;
	struct pa_unix_table_entry file;

	wanted.scope = 0;
	if (address->family == AF_UNIX)
		return pa_unix_table_of_path(address, &file) ? file.inode : 0;
	return pa_tcp_table_find(is_in_way, &wanted, &tcp) ? tcp.inode : 0;
}

/* ---- its process ---- */

static bool is_number(const char *name)
{
	return name[0] && name[strspn(name, "0123456789")] == '\0';
}

typedef bool visit_fn(struct owner_search *search, const char *directory, const char *name);

/* Calls visit for the numeric entries of a directory of /proc until it returns true. */
static bool any_entry(struct owner_search *search, const char *directory, visit_fn *visit)
{
	bool found = false;
	struct dirent *entry;
	DIR *dir = opendir(directory);

	while (dir && !found && !is_search_over(search) && (entry = readdir(dir))) {
		if (is_number(entry->d_name))
			found = visit(search, directory, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool is_descriptor(struct owner_search *search, const char *directory, const char *name)
{
	char path[2 * PATH_BYTES], link[sizeof(search->link) + 1];

	int written = snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (written < 0 || (size_t)written >= sizeof(path))
		return false;
	ssize_t length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		return false;
	link[length] = '\0';
	return strcmp(link, search->link) == 0;
}

/* The second pass looks at these threads only. */
static bool is_agent_name(const char *comm)
{
	return pa_port_name_parse(comm) ||
		strncmp(comm, PA_PORT_NAME_NONE, strlen(PA_PORT_NAME_NONE)) == 0;
}

static bool is_thread(struct owner_search *search, const char *directory, const char *name)
{
	char path[PATH_BYTES], comm[PA_PORT_OWNER_NAME_BYTES + 1];

	snprintf(path, sizeof(path), "%s/%s/comm", directory, name);
	read_owner_file(path, comm, sizeof(comm));
	if (!is_agent_name(comm))
		return false;
	snprintf(path, sizeof(path), "%s/%s/fd", directory, name);
	return any_entry(search, path, is_descriptor);
}

static bool is_process(struct owner_search *search, const char *directory, const char *name)
{
	char path[PATH_BYTES], comm[PA_PORT_OWNER_NAME_BYTES + 1];

	snprintf(path, sizeof(path), "%s/%s/%s", directory, name, search->agents ? "task" : "fd");
	if (!any_entry(search, path, search->agents ? is_thread : is_descriptor))
		return false;
	snprintf(path, sizeof(path), "%s/%s/comm", directory, name);
	read_owner_file(path, comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	search->owner->pid = atoi(name);
	snprintf(search->owner->name, sizeof(search->owner->name), "%.15s", comm);
	return true;
}

bool pa_port_owner_find(const struct pa_address *address, int64_t budget_ns,
	struct pa_port_owner *owner)
{
	struct owner_search search = { .end_ns = pa_clock_mono_ns() + budget_ns, .owner = owner };
	unsigned long inode = find_inode(address);

	if (!inode)
		return false;
	snprintf(search.link, sizeof(search.link), "socket:[%lu]", inode);
	if (any_entry(&search, "/proc", is_process))
		return true;
	search.agents = true;
	return any_entry(&search, "/proc", is_process);
}
