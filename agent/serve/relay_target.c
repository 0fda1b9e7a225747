/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_target.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../core/core.h"
#include "../profile/proc_files.h"
#include "tcp_table.h"

/* Terminates the way up if /proc changes meanwhile. */
#define ANCESTORS_MAX 4096
/* Sockets that listen on one port, each on an address of its own. */
#define SOCKETS_MAX 16
#define PATH_BYTES 96

#define PID_KEY "\"pid\":"
#define START_KEY "\"process_start_ticks\":"

/* ---- the process ---- */

static bool descends_from(pid_t pid, pid_t ancestor)
{
	struct pa_proc_process process;

	for (int i = 0; i < ANCESTORS_MAX && pid > 0; i++) {
		if (!pa_proc_process_read(pid, &process))
			return false;
		pid = process.ppid;
		if (pid == ancestor)
			return true;
	}
	return false;
}

/* ---- its socket ---- */

struct candidates {
	uint16_t port;
	size_t count;
	struct pa_tcp_socket sockets[SOCKETS_MAX];
	/* the search in a folder of descriptors */
	char folder[PATH_BYTES];
	const struct pa_tcp_socket *found;
	bool readable;
};

static bool note_candidate(void *arg, const struct pa_tcp_socket *socket)
{
	struct candidates *all = arg;
	if (socket->local.port == all->port)
		all->sockets[all->count++] = *socket;
	return all->count == SOCKETS_MAX;
}

/* False: the search is over. */
static bool look_at_descriptor(void *arg, const struct pa_proc_files_entry *fd)
{
	struct candidates *all = arg;
	char path[PATH_BYTES + 24], link[64], wanted[64];

	snprintf(path, sizeof(path), "%s/%d", all->folder, (int)fd->number);
	if (!pa_proc_files_link(path, link, sizeof(link)))
		return true;
	all->readable = true;
	for (size_t i = 0; i < all->count; i++) {
		snprintf(wanted, sizeof(wanted), "socket:[%lu]", all->sockets[i].inode);
		if (strcmp(link, wanted) == 0) {
			all->found = &all->sockets[i];
			return false;
		}
	}
	return true;
}

/*
 * The socket of that thread's descriptor table which listens on the port. The descriptors of a
 * process that is not dumpable cannot be read: then a socket of this user.
 */
bool pa_relay_target_socket(pid_t pid, const struct pa_proc_process_agent *agent,
	struct pa_address *address)
{
	struct candidates all = { .port = agent->port };
	pa_tcp_table_listeners(note_candidate, &all);
	snprintf(all.folder, sizeof(all.folder), "/proc/%d/task/%d/fd", pid, agent->server_tid);
	pa_proc_files_entries(all.folder, look_at_descriptor, &all);
	for (size_t i = 0; i < all.count && !all.found && !all.readable; i++) {
		if (all.sockets[i].uid == geteuid())
			all.found = &all.sockets[i];
	}
	if (!all.found)
		return false;
	*address = all.found->local;
	if (pa_address_is_any(address))
		*address = pa_address_of_ipv4(htonl(INADDR_LOOPBACK), agent->port);
	return true;
}

/* ---- both ---- */

static enum pa_relay_target_verdict refuse_target(const char **why, const char *what)
{
	*why = what;
	return PA_RELAY_TARGET_UNREACHABLE;
}

static enum pa_relay_target_verdict find_server(struct pa_relay_target *target, const char **why)
{
	uint64_t age = pa_proc_process_now_ticks() - target->start_ticks;
	uint32_t place = 0;
	struct pa_proc_process_agent agent = pa_proc_process_find_agent(target->pid, age, &place);

	switch (agent.state) {
	case PA_PROC_PROCESS_NONE: return PA_RELAY_TARGET_UNKNOWN;
	case PA_PROC_PROCESS_INERT: return refuse_target(why, "does not serve");
	case PA_PROC_PROCESS_STARTING: return refuse_target(why, "does not serve yet");
	case PA_PROC_PROCESS_SERVING: break;
	}
	target->address = agent.address;
	if (target->address.family == AF_UNIX) /* proven by the connection */
		return PA_RELAY_TARGET_FOUND;
	struct pa_proc_process_network ours = pa_proc_process_own_network();
	if (!pa_proc_process_is_in_network(target->pid, &ours))
		return refuse_target(why, "is in another network namespace");
	if (!pa_relay_target_socket(target->pid, &agent, &target->address))
		return refuse_target(why, "does not listen on its port");
	return PA_RELAY_TARGET_FOUND;
}

enum pa_relay_target_verdict pa_relay_target_find(pid_t pid, struct pa_relay_target *target,
	const char **why)
{
	struct pa_proc_process process;
	pid_t self = pa_proc_process_self();

	*target = (struct pa_relay_target){ .pid = pid };
	if (!self)
		return refuse_target(why, "cannot be found: /proc does not show the processes");
	if (pid == self)
		return PA_RELAY_TARGET_SELF;
	if (!pa_proc_process_read(pid, &process) || !descends_from(pid, self) ||
		!pa_proc_process_is_of_user(pid, &target->inner))
		return PA_RELAY_TARGET_UNKNOWN;
	target->start_ticks = process.start_ticks;
	return find_server(target, why);
}

static uint32_t calls_to_reach(const struct pa_address *address)
{
	switch (address->family) {
	case AF_INET6: return PA_CALLS_REACH | PA_CALLS_IPV6;
	case AF_UNIX: return PA_CALLS_REACH | PA_CALLS_UNIX;
	default: return PA_CALLS_REACH;
	}
}

/* A file may belong to another process by now: the socket tells which one listens (unix(7)). */
static bool is_target_socket(int fd, const struct pa_relay_target *target)
{
	struct ucred listener;
	socklen_t length = sizeof(listener);

	return target->address.family != AF_UNIX ||
		(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &listener, &length) == 0 &&
			(listener.pid == target->pid || listener.pid == target->inner));
}

int pa_relay_target_connect(const struct pa_relay_target *target)
{
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(&target->address, &to);

	if (!pa_core_bridge->may(calls_to_reach(&target->address)))
		return -EACCES;
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int error = connect(fd, (const struct sockaddr *)&to, length) == 0 ? 0 : errno;
	/* A connection to a unix socket is made at once, or not (EAGAIN). */
	if ((!error || error == EINPROGRESS) && is_target_socket(fd, target))
		return fd;
	close(fd);
	return error ? -error : -ECONNREFUSED;
}

/* Value of a number in JSON that is followed by a comma. False: not there, or not whole. */
static bool number_of_key(const char *json, const char *key, uint64_t *value)
{
	const char *at = strstr(json, key);
	char *end;

	if (!at)
		return false;
	*value = strtoull(at + strlen(key), &end, 10);
	return *end == ',';
}

int pa_relay_target_confirm(const struct pa_relay_target *target, const char *response)
{
	uint64_t pid, start;

	if (!number_of_key(response, PID_KEY, &pid) || !number_of_key(response, START_KEY, &start))
		return 0;
	return pid == (uint64_t)target->inner && start == target->start_ticks ? 1 : -1;
}
