/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/serve/peer.h"
#include "agent/serve/tcp_table.h"

static struct pa_tcp_socket parsed;

static void is_address(const struct pa_address *address, const char *wanted)
{
	char text[PA_ADDRESS_TEXT_BYTES];

	assert_string_equal(pa_address_text(address, text), wanted);
}

static void line_of_ipv4_is_read(void **unused)
{
	(void)unused;
	assert_true(pa_tcp_table_parse(
		"   3: 0100007F:1F90 0200007F:C001 01 00000000:00000000 00:00000000 00000000  "
		"1000        0 4711 1 0000000000000000 20 4 30 10 -1",
		&parsed));
	is_address(&parsed.local, "127.0.0.1:8080");
	is_address(&parsed.remote, "127.0.0.2:49153");
	assert_int_equal(parsed.state, 1);
	assert_int_equal(parsed.uid, 1000);
	assert_int_equal(parsed.inode, 4711);
}

static void mapped_ipv6_is_ipv4(void **unused)
{
	(void)unused;
	assert_true(pa_tcp_table_parse(
		"  0: 0000000000000000FFFF00000100007F:1F90 "
		"0000000000000000FFFF00000100007F:C001 01 00000000:00000000 00:00000000 00000000 "
		"0 0 5 1 0 20 4 30 10 -1",
		&parsed));
	assert_int_equal(parsed.local.family, AF_INET);
	is_address(&parsed.local, "127.0.0.1:8080");
}

static void other_ipv6_is_not(void **unused)
{
	(void)unused;
	assert_true(pa_tcp_table_parse(
		"  0: B80D01200000000000000000100007F0:1F90 "
		"00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 "
		"0 0 5 1 0 20 4 30 10 -1",
		&parsed));
	is_address(&parsed.local, "[2001:db8::f007:10]:8080");
	assert_true(pa_address_is_any(&parsed.remote));
	assert_int_equal(parsed.state, PA_TCP_LISTEN);
}

static void heading_is_no_socket(void **unused)
{
	(void)unused;
	assert_false(pa_tcp_table_parse("  sl  local_address rem_address   st tx_queue rx_queue",
		&parsed));
	assert_false(pa_tcp_table_parse("", &parsed));
}

/* ---- real sockets ---- */

struct pair {
	int listener, client, server;
	struct pa_request request;
};

/* any: of the loopback interface, without a port. */
static bool connect_pair_at(struct pair *pair, struct pa_address any)
{
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(&any, &to);
	pair->listener = socket(any.family, SOCK_STREAM, 0);
	pair->client = socket(any.family, SOCK_STREAM, 0);
	if (bind(pair->listener, (struct sockaddr *)&to, length) != 0)
		return false;
	assert_int_equal(listen(pair->listener, 1), 0);
	struct pa_address address = pa_address_of_socket(pair->listener, getsockname);
	length = pa_address_sockaddr(&address, &to);
	assert_int_equal(connect(pair->client, (struct sockaddr *)&to, length), 0);
	pair->server = accept(pair->listener, NULL, NULL);
	assert_true(pair->server >= 0);
	pair->request.client = pa_address_of_socket(pair->server, getpeername);
	pair->request.server = pa_address_of_socket(pair->server, getsockname);
	pair->request.fd = pair->server;
	return true;
}

static void connect_pair(struct pair *pair)
{
	assert_true(connect_pair_at(pair, pa_address_of_ipv4(htonl(INADDR_LOOPBACK), 0)));
}

static void disconnect_pair(struct pair *pair)
{
	close(pair->listener);
	close(pair->client);
	close(pair->server);
}

static void client_of_this_machine_has_its_user(void **unused)
{
	(void)unused;
	struct pair pair = { 0 };
	connect_pair(&pair);
	assert_int_equal(pa_peer_uid(&pair.request), getuid());
	assert_true(pa_peer_is_of_program(pa_peer_uid(&pair.request)));
	disconnect_pair(&pair);
}

static void client_on_ipv6_has_its_user(void **unused)
{
	(void)unused;
	struct pair pair = { 0 };
	if (!connect_pair_at(&pair, pa_address_of_ipv6(&in6addr_loopback, 0)))
		skip(); /* no IPv6 here */
	assert_int_equal(pa_peer_uid(&pair.request), getuid());
	disconnect_pair(&pair);
}

static void client_of_a_unix_socket_has_its_user(void **unused)
{
	(void)unused;
	struct pair pair = { 0 };
	char path[64];
	snprintf(path, sizeof(path), "/tmp/test_tcp_table.%d", getpid());
	assert_true(connect_pair_at(&pair, pa_address_of_path(path)));
	unlink(path);
	assert_int_equal(pair.request.server.family, AF_UNIX);
	assert_int_equal(pa_peer_uid(&pair.request), getuid());
	pair.request.fd = -1;
	assert_int_equal(pa_peer_uid(&pair.request), PA_PEER_UNKNOWN);
	disconnect_pair(&pair);
}

static void client_that_sends_no_more_is_still_known(void **unused)
{
	(void)unused;
	struct pair pair = { 0 };
	connect_pair(&pair);
	shutdown(pair.client, SHUT_WR);
	assert_int_equal(pa_peer_uid(&pair.request), getuid());
	disconnect_pair(&pair);
}

/* The kernel keeps a socket without a process, and says that root has it. */
static void client_that_is_gone_is_not_taken_for_root(void **unused)
{
	(void)unused;
	struct pair pair = { 0 };
	connect_pair(&pair);
	close(pair.client);
	assert_int_equal(pa_peer_uid(&pair.request), PA_PEER_UNKNOWN);
	assert_false(pa_peer_is_of_program(PA_PEER_UNKNOWN));
	pair.client = -1;
	disconnect_pair(&pair);
}

static void connection_that_is_not_known_has_no_user(void **unused)
{
	(void)unused;
	struct pa_request request = { .path = "/" };
	assert_int_equal(pa_peer_uid(&request), PA_PEER_UNKNOWN);
}

struct ports {
	uint16_t wanted;
	int found, others;
};

static bool note_port(void *arg, const struct pa_tcp_socket *socket)
{
	struct ports *ports = arg;

	ports->found += socket->local.port == ports->wanted;
	ports->others += socket->state != PA_TCP_LISTEN;
	return false;
}

static bool note_first(void *arg, const struct pa_tcp_socket *socket)
{
	(void)socket;
	++*(int *)arg;
	return true;
}

static void listeners_are_those_that_listen(void **unused)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	struct ports ports = { 0 };
	int first = 0, fd = socket(AF_INET, SOCK_STREAM, 0),
	    client = socket(AF_INET, SOCK_STREAM, 0);

	(void)unused;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	/* A connection has the port as well. */
	assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
	ports.wanted = ntohs(address.sin_port);
	pa_tcp_table_listeners(note_port, &ports);
	assert_int_equal(ports.found, 1);
	assert_int_equal(ports.others, 0);
	pa_tcp_table_listeners(note_first, &first);
	assert_int_equal(first, 1);
	close(client);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_of_ipv4_is_read),
		cmocka_unit_test(listeners_are_those_that_listen),
		cmocka_unit_test(mapped_ipv6_is_ipv4),
		cmocka_unit_test(other_ipv6_is_not),
		cmocka_unit_test(heading_is_no_socket),
		cmocka_unit_test(client_of_this_machine_has_its_user),
		cmocka_unit_test(client_on_ipv6_has_its_user),
		cmocka_unit_test(client_of_a_unix_socket_has_its_user),
		cmocka_unit_test(client_that_sends_no_more_is_still_known),
		cmocka_unit_test(client_that_is_gone_is_not_taken_for_root),
		cmocka_unit_test(connection_that_is_not_known_has_no_user),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
