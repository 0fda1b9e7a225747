/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <unistd.h>

#include "tcp_table.h"

static bool is_end(const struct pa_tcp_end *end, const struct sockaddr_in *wanted)
{
	return end->v4 && end->address == wanted->sin_addr.s_addr &&
		end->port == ntohs(wanted->sin_port);
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

int64_t pa_peer_uid(const struct pa_request *request)
{
	struct pa_request copy = { .client = request->client, .server = request->server };
	struct pa_tcp_socket socket;

	if (!request->client.sin_family || !request->server.sin_family)
		return PA_PEER_UNKNOWN;
	return pa_tcp_table_find(is_of_client, &copy, &socket) ? (int64_t)socket.uid :
								 PA_PEER_UNKNOWN;
}

bool pa_peer_is_of_program(int64_t uid)
{
	return uid == 0 || (uid >= 0 && (uid == (int64_t)getuid() || uid == (int64_t)geteuid()));
}
