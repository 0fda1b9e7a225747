/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/log.h"
#include "../base/newer_libc.h"
#include "../base/thread_slot.h"
#include "../core/core.h"
#include "listen_unix.h"
#include "port_owner.h"

/* More than clients open at once: a client that finds the backlog full retries after a second
 * (tcp(7)). */
#define BACKLOG 1024
#define OWNER_NS (300 * PA_NS_PER_MS)
#define SELF_BYTES 24
/* Of an address or a path, with some bytes escaped. */
#define SHOWN_BYTES (PA_ADDRESS_TEXT_BYTES + 64)
#define PLACE_BYTES (2 * SHOWN_BYTES + 80)

/* ---- the address ---- */

/* Returns 0 or getaddrinfo()'s error. */
static int look_up(const char *host, int family, struct pa_address *address)
{
	const struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;

	pa_core_loader_enter();
	int error = getaddrinfo(host, NULL, &hints, &found);
	pa_core_loader_leave();
	if (error)
		return error;
	*address = pa_address_of_sockaddr(found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return 0;
}

static bool is_localhost(const struct pa_settings *settings)
{
	return strcasecmp(settings->host, "localhost") == 0;
}

/*
 * Returns 0 or getaddrinfo()'s error. localhost is not looked up: it must always be this machine.
 * Of a name with both families the IPv4 address is taken, as by Go.
 */
static int resolve_host(const char *host, struct pa_address *address)
{
	struct in_addr ipv4;
	struct in6_addr ipv6;

	if (inet_pton(AF_INET, host, &ipv4) == 1)
		*address = pa_address_of_ipv4(ipv4.s_addr, 0);
	else if (inet_pton(AF_INET6, host, &ipv6) == 1)
		*address = pa_address_of_ipv6(&ipv6, 0);
	else if (strchr(host, '%') || look_up(host, AF_INET, address) != 0)
		return look_up(host, AF_INET6, address);
	return 0;
}

/* The address of the settings, without what this machine has. */
static int resolve_wanted(const struct pa_settings *settings, struct pa_address *wanted)
{
	int error = 0;

	if (settings->socket_path[0])
		*wanted = pa_listen_unix_expand(settings->socket_path);
	else if (!settings->host[0])
		*wanted = pa_address_of_ipv6(&in6addr_any, 0);
	else if (is_localhost(settings))
		*wanted = pa_address_of_ipv4(htonl(INADDR_LOOPBACK), 0);
	else
		error = resolve_host(settings->host, wanted);
	wanted->port = settings->port;
	return error;
}

/* What the same setting means where this machine lacks one family. */
static bool other_family(const struct pa_settings *settings, struct pa_address *address)
{
	if (settings->socket_path[0])
		return false;
	if (!settings->host[0])
		*address = pa_address_of_ipv4(htonl(INADDR_ANY), settings->port);
	else if (is_localhost(settings))
		*address = pa_address_of_ipv6(&in6addr_loopback, settings->port);
	else
		return false;
	return true;
}

bool pa_listen_is_shared(const struct pa_settings *settings)
{
	return settings->socket_path[0] ? !strstr(settings->socket_path, "%p") :
					  settings->port != 0;
}

/* The host of the URL, in a form that a client on this machine can use. */
static const char *host_of_url(const struct pa_listen *out, const struct pa_settings *settings,
	char text[PA_ADDRESS_TEXT_BYTES])
{
	bool is_name = !strchr(settings->host, ':') && settings->host[0];

	if (!out->fallback && pa_address_is_any(&out->bound))
		return "localhost";
	if (!out->fallback && is_name && !out->second_in_use)
		return settings->host;
	return pa_address_host(&out->bound, text);
}

static void describe_listen(struct pa_listen *out, const struct pa_settings *settings)
{
	char text[PA_ADDRESS_TEXT_BYTES];

	if (out->bound.family == AF_UNIX)
		snprintf(out->url, sizeof(out->url), "%s", pa_address_text(&out->bound, text));
	else
		snprintf(out->url, sizeof(out->url), "http://%s:%u/debug/pprof/",
			host_of_url(out, settings, text), out->bound.port);
}

/* ---- the socket ---- */

/* Two sockets with SO_REUSEADDR may both be bound: then listen() fails with EADDRINUSE (ip(7)). */
static int bind_and_listen(int fd, struct pa_address *address)
{
	const int on = 1;
	struct sockaddr_storage to;
	socklen_t length = pa_address_sockaddr(address, &to);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&to, length) != 0 || listen(fd, BACKLOG) != 0)
		return -errno;
	struct pa_address bound = pa_address_of_socket(fd, getsockname);
	if (!bound.family)
		return -errno;
	*address = bound;
	return 0;
}

/* [::] takes IPv4 as well, as in Go, whatever /proc/sys/net/ipv6/bindv6only says. */
static void choose_families(int fd, const struct pa_address *address)
{
	const int only = !pa_address_is_any(address);

	if (address->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
}

static int bind_to(int fd, struct pa_address *address, bool files_private)
{
	if (address->family == AF_UNIX)
		return pa_listen_unix_bind(fd, address, BACKLOG, files_private);
	choose_families(fd, address);
	return bind_and_listen(fd, address);
}

static bool is_family_denied(const struct pa_listen_policy *policy, sa_family_t family)
{
	return (family == AF_INET6 && policy->no_ipv6) || (family == AF_UNIX && policy->no_unix);
}

/* Returns a descriptor, with *address as it is bound; or -errno. */
static int open_address(struct pa_address *address, const struct pa_listen_policy *policy)
{
	if (!address->family)
		return -ENAMETOOLONG;
	if (is_family_denied(policy, address->family))
		return -EAFNOSUPPORT;
	int fd = socket(address->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	fd = pa_listen_raise(fd, policy->files_private);
	if (fd < 0)
		return -EMFILE;
	int error = bind_to(fd, address, policy->files_private);
	if (!error)
		return fd;
	close(fd);
	return error;
}

/* Returns 0 or -errno. */
static int try_address(struct pa_address address, const struct pa_listen_policy *policy,
	struct pa_listen *out)
{
	int fd = open_address(&address, policy);
	if (fd < 0)
		return fd;
	out->fds[0] = fd;
	out->bound = address;
	return 0;
}

/*
 * While the parent lives the address counts as in use, even if the parent has not bound it yet:
 * otherwise, on a busy machine, a child could bind first and the parent would report the address as
 * in use.
 */
static int try_wanted(const struct pa_settings *settings, const struct pa_listen_policy *policy,
	struct pa_listen *out)
{
	struct pa_address other;

	if (pa_listen_is_shared(settings) && policy->parent && getppid() == policy->parent)
		return -EADDRINUSE;
	int error = try_address(out->wanted, policy, out);
	if (!error || error == -EADDRINUSE || !other_family(settings, &other))
		return error;
	int other_error = try_address(other, policy, out);
	if (!other_error || other_error == -EADDRINUSE)
		out->wanted = other;
	return other_error;
}

/* Free ones, which only this machine reaches. */
static int try_fallback(const struct pa_listen_policy *policy, struct pa_listen *out)
{
	const struct pa_address ipv4 = pa_address_of_ipv4(htonl(INADDR_LOOPBACK), 0);
	const struct pa_address ipv6 = pa_address_of_ipv6(&in6addr_loopback, 0);
	bool is_ipv6 = out->wanted.family == AF_INET6 && !pa_address_is_any(&out->wanted);

	out->fallback = true;
	if (out->wanted.family == AF_UNIX)
		return try_address(pa_listen_unix_beside(&out->wanted), policy, out);
	int error = try_address(is_ipv6 ? ipv6 : ipv4, policy, out);
	return error ? try_address(is_ipv6 ? ipv4 : ipv6, policy, out) : 0;
}

/* ::1, if localhost is bound to 127.0.0.1. A machine may have no IPv6. */
static void add_second(const struct pa_settings *settings, const struct pa_listen_policy *policy,
	struct pa_listen *out)
{
	struct pa_address second = pa_address_of_ipv6(&in6addr_loopback, out->bound.port);

	if (out->fallback || !is_localhost(settings) || out->bound.family != AF_INET ||
		(out->wanted.port && out->wanted.port != out->bound.port))
		return;
	int fd = open_address(&second, policy);
	out->fds[1] = fd >= 0 ? fd : -1;
	out->second_in_use = fd == -EADDRINUSE;
}

/* ---- what is said ---- */

/* "pid 4712: " for a child: its lines follow those of its parent. */
static const char *name_self(char self[SELF_BYTES], const struct pa_listen_policy *policy)
{
	self[0] = '\0';
	if (policy->child)
		snprintf(self, SELF_BYTES, "pid %d: ", getpid());
	return self;
}

/* The URL; of a unix socket, what to call. */
static const char *name_place(const struct pa_listen *out, char place[PLACE_BYTES])
{
	char path[SHOWN_BYTES];

	if (out->bound.family != AF_UNIX) {
		snprintf(place, PLACE_BYTES, "%s%s", out->url,
			pa_address_is_any(&out->bound) ? " on all interfaces" : "");
		return place;
	}
	pa_log_quote_all(path, sizeof(path), out->bound.path);
	snprintf(place, PLACE_BYTES, "unix:%s: curl --unix-socket %s http://localhost/debug/pprof/",
		path, path);
	return place;
}

static void say_in_use(const char *address, const struct pa_address *taken, const char *self,
	const struct pa_listen *out)
{
	char quoted[SHOWN_BYTES], name[PA_LOG_QUOTED_BYTES], place[PLACE_BYTES];
	char who[sizeof(name) + 32] = "";
	struct pa_port_owner owner;

	if (pa_port_owner_find(taken, OWNER_NS, &owner))
		snprintf(who, sizeof(who), " (pid %d %s)", owner.pid,
			pa_log_quote(name, sizeof(name), owner.name));
	pa_log("%slisten %s: address already in use%s; serving %s", self,
		pa_log_quote_all(quoted, sizeof(quoted), address), who, name_place(out, place));
}

static void say_failure(const struct pa_settings *settings, const char *self, const char *why)
{
	char quoted[SHOWN_BYTES];

	pa_log("%slisten %s: %s; not serving", self,
		pa_log_quote_all(quoted, sizeof(quoted), settings->address), why);
}

static void say_bound(const struct pa_settings *settings, const char *self,
	const struct pa_listen *out)
{
	const struct pa_address second = pa_address_of_ipv6(&in6addr_loopback, out->bound.port);
	char text[PA_ADDRESS_TEXT_BYTES], place[PLACE_BYTES];

	if (out->fallback)
		say_in_use(settings->address, &out->wanted, self, out);
	else if (out->second_in_use)
		say_in_use(pa_address_text(&second, text), &second, self, out);
	else if (settings->log == PA_ENV_LOG_INFO)
		pa_log("%sserving %s", self, name_place(out, place));
}

/* strerror() says "Socket operation on non-socket". */
static const char *name_failure(int unknown, int error)
{
	if (unknown)
		return gai_strerror(unknown);
	return error == -ENOTSOCK ? "the file is there and is not a socket" :
				    pa_newer_libc_error(-error);
}

/* Binds to the first free one: the address served before, the one of the settings, any port. */
static int try_addresses(const struct pa_settings *settings, const struct pa_listen_policy *policy,
	struct pa_listen *out)
{
	int error = policy->again ? try_address(*policy->again, policy, out) : -EADDRINUSE;

	if (error)
		error = try_wanted(settings, policy, out);
	if (error == -EADDRINUSE)
		error = try_fallback(policy, out);
	if (error)
		return error;
	add_second(settings, policy, out);
	describe_listen(out, settings);
	return 0;
}

int pa_listen_open(const struct pa_settings *settings, const struct pa_listen_policy *policy,
	struct pa_listen *out)
{
	char self[SELF_BYTES];
	struct pa_address wanted = { .family = AF_UNSPEC };
	int unknown = resolve_wanted(settings, &wanted);

	*out = (struct pa_listen)PA_LISTEN_NONE;
	out->wanted = wanted;
	int error = unknown ? -EADDRNOTAVAIL : try_addresses(settings, policy, out);
	if (error && policy->may_say)
		say_failure(settings, name_self(self, policy), name_failure(unknown, error));
	else if (policy->may_say)
		say_bound(settings, name_self(self, policy), out);
	return error;
}

bool pa_listen_move(const struct pa_settings *settings, const struct pa_listen_policy *policy,
	struct pa_listen *listen)
{
	struct pa_listen moved = PA_LISTEN_NONE;

	moved.wanted = listen->wanted;
	if (try_address(moved.wanted, policy, &moved) != 0)
		return false;
	bool done = dup3(moved.fds[0], listen->fds[0], O_CLOEXEC) >= 0;
	close(moved.fds[0]);
	if (!done)
		return false;
	moved.fds[0] = listen->fds[0];
	add_second(settings, policy, &moved);
	describe_listen(&moved, settings);
	*listen = moved;
	return true;
}

void pa_listen_close(struct pa_listen *listen)
{
	for (size_t i = 0; i < PA_LISTEN_SOCKETS; i++) {
		if (listen->fds[i] >= 0)
			close(listen->fds[i]);
		listen->fds[i] = -1;
	}
}
