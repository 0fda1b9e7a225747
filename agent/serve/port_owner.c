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

#define PATH_BYTES 64

struct search {
	int64_t end_ns;
	char link[32]; /* "socket:[12345]" */
	bool agents;   /* second pass: descriptor tables of agents' threads */
	struct pa_port_owner *owner;
};

static bool is_search_over(const struct search *search)
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

/* True if the socket listens where address would be bound. */
static bool is_in_way(void *arg, const struct pa_tcp_socket *socket)
{
	const struct sockaddr_in *address = arg;
	const struct pa_tcp_end *local = &socket->local;

	if (socket->state != PA_TCP_LISTEN || local->port != ntohs(address->sin_port))
		return false;
	uint32_t wanted = address->sin_addr.s_addr;
	return local->any || (local->v4 && (local->address == wanted || !wanted));
}

/* ---- its process ---- */

static bool is_number(const char *name)
{
	return name[0] && name[strspn(name, "0123456789")] == '\0';
}

typedef bool visit_fn(struct search *search, const char *directory, const char *name);

/* Calls visit for the numeric entries of a directory of /proc until it returns true. */
static bool any_entry(struct search *search, const char *directory, visit_fn *visit)
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

static bool is_descriptor(struct search *search, const char *directory, const char *name)
{
	char path[2 * PATH_BYTES], link[sizeof(search->link) + 1];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
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

static bool is_thread(struct search *search, const char *directory, const char *name)
{
	char path[PATH_BYTES], comm[PA_PORT_OWNER_NAME_BYTES + 1];

	snprintf(path, sizeof(path), "%s/%s/comm", directory, name);
	read_owner_file(path, comm, sizeof(comm));
	if (!is_agent_name(comm))
		return false;
	snprintf(path, sizeof(path), "%s/%s/fd", directory, name);
	return any_entry(search, path, is_descriptor);
}

static bool is_process(struct search *search, const char *directory, const char *name)
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

bool pa_port_owner_find(const struct sockaddr_in *address, int64_t budget_ns,
	struct pa_port_owner *owner)
{
	struct search search = { .end_ns = pa_clock_mono_ns() + budget_ns, .owner = owner };
	struct sockaddr_in wanted = *address;
	struct pa_tcp_socket socket;

	if (!pa_tcp_table_find(is_in_way, &wanted, &socket))
		return false;
	snprintf(search.link, sizeof(search.link), "socket:[%lu]", socket.inode);
	if (any_entry(&search, "/proc", is_process))
		return true;
	search.agents = true;
	return any_entry(&search, "/proc", is_process);
}
