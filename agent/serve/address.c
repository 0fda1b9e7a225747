/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static uint32_t ipv4_of(const struct pa_address *address)
{
	uint32_t ip;

	memcpy(&ip, &address->ip.s6_addr[12], sizeof(ip));
	return ip;
}

struct pa_address pa_address_of_ipv4(uint32_t ip, uint16_t port)
{
	struct pa_address address = { .family = AF_INET, .port = port };

	address.ip = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
	memcpy(&address.ip.s6_addr[12], &ip, sizeof(ip));
	return address;
}

struct pa_address pa_address_of_ipv6(const struct in6_addr *ip, uint16_t port)
{
	struct pa_address address = { .family = IN6_IS_ADDR_V4MAPPED(ip) ? AF_INET : AF_INET6,
		.port = port };

	address.ip = *ip;
	return address;
}

struct pa_address pa_address_of_path(const char *path)
{
	struct pa_address address = { .family = AF_UNIX };

	if (strlen(path) >= sizeof(address.path))
		return (struct pa_address){ .family = AF_UNSPEC };
	memcpy(address.path, path, strlen(path));
	return address;
}

/* A path may fill sun_path without a NUL (unix(7)): ours never does, and another is cut. */
static struct pa_address of_sockaddr_un(const struct sockaddr_un *from, socklen_t length)
{
	struct pa_address address = { .family = AF_UNIX };
	size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t bytes = length > head ? length - head : 0;

	if (bytes >= sizeof(address.path))
		bytes = sizeof(address.path) - 1;
	memcpy(address.path, from->sun_path, bytes);
	return address;
}

struct pa_address pa_address_of_sockaddr(const struct sockaddr *from, socklen_t length)
{
	const struct sockaddr_in *in = (const void *)from;
	const struct sockaddr_in6 *in6 = (const void *)from;
	struct pa_address address = { .family = AF_UNSPEC };

	if (length < sizeof(from->sa_family))
		return address;
	switch (from->sa_family) {
	case AF_INET: return pa_address_of_ipv4(in->sin_addr.s_addr, ntohs(in->sin_port));
	case AF_INET6:
		address = pa_address_of_ipv6(&in6->sin6_addr, ntohs(in6->sin6_port));
		address.scope = in6->sin6_scope_id;
		return address;
	case AF_UNIX: return of_sockaddr_un((const void *)from, length);
	default: return address;
	}
}

struct pa_address pa_address_of_socket(int fd,
	int (*name)(int, struct sockaddr *restrict, socklen_t *restrict))
{
	struct sockaddr_storage end = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(end);

	if (name(fd, (struct sockaddr *)&end, &length) != 0)
		return (struct pa_address){ .family = AF_UNSPEC };
	return pa_address_of_sockaddr((const struct sockaddr *)&end, length);
}

socklen_t pa_address_sockaddr(const struct pa_address *address, struct sockaddr_storage *to)
{
	struct sockaddr_in *in = (void *)to;
	struct sockaddr_in6 *in6 = (void *)to;
	struct sockaddr_un *un = (void *)to;

	*to = (struct sockaddr_storage){ .ss_family = address->family };
	switch (address->family) {
	case AF_INET:
		in->sin_port = htons(address->port);
		in->sin_addr.s_addr = ipv4_of(address);
		return sizeof(*in);
	case AF_INET6:
		in6->sin6_port = htons(address->port);
		in6->sin6_scope_id = address->scope;
		in6->sin6_addr = address->ip;
		return sizeof(*in6);
	default: memcpy(un->sun_path, address->path, sizeof(un->sun_path)); return sizeof(*un);
	}
}

bool pa_address_is_equal(const struct pa_address *a, const struct pa_address *b)
{
	if (a->family != b->family || a->port != b->port)
		return false;
	if (a->family == AF_UNIX)
		return strcmp(a->path, b->path) == 0;
	return a->scope == b->scope && memcmp(&a->ip, &b->ip, sizeof(a->ip)) == 0;
}

bool pa_address_is_local(const struct pa_address *address)
{
	switch (address->family) {
	case AF_INET: return ntohl(ipv4_of(address)) >> 24 == IN_LOOPBACKNET;
	case AF_INET6: return IN6_IS_ADDR_LOOPBACK(&address->ip);
	default: return address->family == AF_UNIX;
	}
}

bool pa_address_is_any(const struct pa_address *address)
{
	switch (address->family) {
	case AF_INET: return ipv4_of(address) == htonl(INADDR_ANY);
	case AF_INET6: return IN6_IS_ADDR_UNSPECIFIED(&address->ip);
	default: return false;
	}
}

const char *pa_address_host(const struct pa_address *address, char text[PA_ADDRESS_TEXT_BYTES])
{
	char ip[INET6_ADDRSTRLEN] = "", scope[16] = "";
	uint32_t ipv4 = ipv4_of(address);

	switch (address->family) {
	case AF_INET: return inet_ntop(AF_INET, &ipv4, text, PA_ADDRESS_TEXT_BYTES);
	case AF_INET6:
		inet_ntop(AF_INET6, &address->ip, ip, sizeof(ip));
		if (address->scope)
			snprintf(scope, sizeof(scope), "%%%u", address->scope);
		snprintf(text, PA_ADDRESS_TEXT_BYTES, "[%s%s]", ip, scope);
		return text;
	default: snprintf(text, PA_ADDRESS_TEXT_BYTES, "localhost"); return text;
	}
}

const char *pa_address_text(const struct pa_address *address, char text[PA_ADDRESS_TEXT_BYTES])
{
	char host[PA_ADDRESS_TEXT_BYTES];

	if (address->family == AF_UNIX)
		snprintf(text, PA_ADDRESS_TEXT_BYTES, "unix:%s", address->path);
	else
		snprintf(text, PA_ADDRESS_TEXT_BYTES, "%.*s:%u", INET6_ADDRSTRLEN + 16,
			pa_address_host(address, host), address->port);
	return text;
}
