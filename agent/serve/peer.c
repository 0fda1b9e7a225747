/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <unistd.h>

#include "tcp_table.h"

/* The table has no scopes. */
static bool is_end(const struct pa_address *end, const struct pa_address *wanted)
{
	struct pa_address without_scope = *wanted;

	without_scope.scope = 0;
	return pa_address_is_equal(end, &without_scope);
}

/*
 * The client's socket has our address as its remote end. A socket without an inode has no process
 * any more; the kernel shows uid 0 for it (net/ipv4/tcp_ipv4.c, get_timewait4_sock).
 */
static bool is_of_client(void *arg, const struct pa_tcp_socket *socket)
{
	const struct pa_request *request = arg;

	return socket->inode && is_end(&socket->local, &request->client) &&
		is_end(&socket->remote, &request->server);
}

/* The user of the process that connected, as it was then (SO_PEERCRED, unix(7)). */
static int64_t uid_of_unix_client(int fd)
{
	struct ucred client;
	socklen_t length = sizeof(client);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &client, &length) != 0 ||
		length != sizeof(client))
		return PA_PEER_UNKNOWN;
	return client.uid;
}

int64_t pa_peer_uid(const struct pa_request *request)
{
	struct pa_request copy = { .client = request->client, .server = request->server };
	struct pa_tcp_socket socket;

	if (request->server.family == AF_UNIX)
		return uid_of_unix_client(request->fd);
	if (!request->client.family || !request->server.family)
		return PA_PEER_UNKNOWN;
	return pa_tcp_table_find(is_of_client, &copy, &socket) ? (int64_t)socket.uid :
								 PA_PEER_UNKNOWN;
}

bool pa_peer_is_of_program(int64_t uid)
{
	return uid == 0 || (uid >= 0 && (uid == (int64_t)getuid() || uid == (int64_t)geteuid()));
}
