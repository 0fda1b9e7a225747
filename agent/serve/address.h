/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of sockets: IPv4, IPv6, and files of unix sockets.
 *
 * An IPv4 address is kept as the IPv6 address that it is mapped to (::ffff:127.0.0.1), because the
 * kernel shows it so on a socket that listens on both. So one address has one form, and there is
 * one comparison for all.
 *
 * Context: any of our threads; pure functions. No lock, no state.
 */
#ifndef PA_ADDRESS_H
#define PA_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../base/base.h"

#define PA_ADDRESS_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)
/* The longest: "unix:" and a path; "[IPv6%scope]:port" is shorter. */
#define PA_ADDRESS_TEXT_BYTES (PA_ADDRESS_PATH_BYTES + 8)

struct pa_address {
	sa_family_t family; /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: unknown */
	uint16_t port;      /* host order; 0: of a unix socket */
	uint32_t scope;     /* interface of a link-local IPv6 address */
	union {
		struct in6_addr ip;
		char path[PA_ADDRESS_PATH_BYTES]; /* ends with a NUL; "": no name */
	};
};

/* An IPv4 address, in network order. */
PA_AGENT struct pa_address pa_address_of_ipv4(uint32_t ip, uint16_t port);

PA_AGENT struct pa_address pa_address_of_ipv6(const struct in6_addr *ip, uint16_t port);

/* AF_UNSPEC: path is too long. */
PA_AGENT struct pa_address pa_address_of_path(const char *path);

/* AF_UNSPEC: of another family. */
PA_AGENT struct pa_address pa_address_of_sockaddr(const struct sockaddr *from, socklen_t length);

/* One end of a socket: name is getsockname or getpeername. AF_UNSPEC: unknown. */
PA_AGENT struct pa_address pa_address_of_socket(int fd,
	int (*name)(int, struct sockaddr *restrict, socklen_t *restrict));

/* Returns the length of *to. */
PA_AGENT socklen_t pa_address_sockaddr(const struct pa_address *address,
	struct sockaddr_storage *to);

PA_AGENT bool pa_address_is_equal(const struct pa_address *a, const struct pa_address *b);

/* 127.0.0.0/8, ::1, and unix sockets: only this machine reaches it. */
PA_AGENT bool pa_address_is_local(const struct pa_address *address);

/* 0.0.0.0 or :: */
PA_AGENT bool pa_address_is_any(const struct pa_address *address);

/* As in a Host header: "127.0.0.1", "[::1]"; "localhost" of a unix socket. */
PA_AGENT const char *pa_address_host(const struct pa_address *address,
	char text[PA_ADDRESS_TEXT_BYTES]);

/* "127.0.0.1:6060", "[::1]:6060", "unix:/run/x.sock". */
PA_AGENT const char *pa_address_text(const struct pa_address *address,
	char text[PA_ADDRESS_TEXT_BYTES]);

#endif
