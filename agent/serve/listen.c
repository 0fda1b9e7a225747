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
#include "port_owner.h"

/* More than clients open at once: a client that finds the backlog full retries after a second
 * (tcp(7)). */
#define BACKLOG 1024
#define OWNER_NS (300 * PA_NS_PER_MS)
#define SELF_BYTES 24
#define REFUSED_NS (100 * PA_NS_PER_MS)

/* More than any caller polls. */
#define POLLS_MAX 200

static const struct timespec soon = { .tv_nsec = PA_NS_PER_MS };

int pa_listen_raise(int fd, bool files_private)
{
	if (fd < 0 || fd >= PA_LISTEN_FD_MIN)
		return fd;
	int raised = fcntl(fd, F_DUPFD_CLOEXEC, PA_LISTEN_FD_MIN);
	if (raised < 0 && files_private)
		return fd;
	close(fd);
	return raised;
}

/* ppoll() that also returns when the calling thread is asked to leave. */
static int poll_and_mind(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
	struct pollfd all[POLLS_MAX + 1];
	int wake_fd = count <= POLLS_MAX ? pa_thread_slot_wake_fd() : -1;

	if (wake_fd < 0) {
		int ready = ppoll(fds, count, timeout, NULL);
		pa_thread_slot_checkpoint();
		return ready;
	}
	if (count)
		memcpy(all, fds, count * sizeof(*fds));
	all[count] = (struct pollfd){ .fd = wake_fd, .events = POLLIN };
	int ready = ppoll(all, count + 1, timeout, NULL);
	pa_thread_slot_checkpoint();
	/* The thread may not leave yet; it returns what it holds soon. */
	if (ready > 0 && all[count].revents)
		return ppoll(fds, count, &soon, NULL);
	if (count)
		memcpy(fds, all, count * sizeof(*fds));
	return ready;
}

int pa_listen_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns)
{
	const struct timespec timeout = { .tv_sec = timeout_ns / PA_NS_PER_S,
		.tv_nsec = timeout_ns % PA_NS_PER_S };

	int ready = poll_and_mind(fds, count, timeout_ns < 0 ? NULL : &timeout);
	if (ready >= 0 || timeout_ns == 0)
		return ready;
	bool longer = timeout_ns < 0 || timeout_ns > REFUSED_NS;
	pa_futex_sleep(longer ? REFUSED_NS : timeout_ns);
	return ready;
}

/* ---- the address ---- */

/* Returns 0 or getaddrinfo()'s error. localhost is not looked up: it must always be 127.0.0.1. */
static int resolve_host(const char *host, struct in_addr *address)
{
	const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;

	if (!host[0] || strcasecmp(host, "localhost") == 0) {
		address->s_addr = htonl(host[0] ? INADDR_LOOPBACK : INADDR_ANY);
		return 0;
	}
	if (inet_pton(AF_INET, host, address) == 1)
		return 0;
	pa_core_loader_enter();
	int error = getaddrinfo(host, NULL, &hints, &found);
	pa_core_loader_leave();
	if (error)
		return error;
	*address = ((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr;
	freeaddrinfo(found);
	return 0;
}

static bool is_loopback(const struct sockaddr_in *address)
{
	return ntohl(address->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static void describe_listen(struct pa_listen *out, const char *host)
{
	char address[INET_ADDRSTRLEN] = "";

	inet_ntop(AF_INET, &out->bound.sin_addr, address, sizeof(address));
	out->loopback = is_loopback(&out->bound);
	snprintf(out->url, sizeof(out->url), "http://%s:%u/debug/pprof/",
		out->fallback || !host[0] ? address : host, ntohs(out->bound.sin_port));
}

/* ---- the socket ---- */

/* Two sockets with SO_REUSEADDR may both be bound: then listen() fails with EADDRINUSE (ip(7)). */
static int bind_and_listen(int fd, struct sockaddr_in *address)
{
	const int on = 1;
	socklen_t length = sizeof(*address);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)address, length) != 0 || listen(fd, BACKLOG) != 0 ||
		getsockname(fd, (struct sockaddr *)address, &length) != 0)
		return -errno;
	return 0;
}

static int try_address(struct sockaddr_in address, bool files_private, struct pa_listen *out)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	fd = pa_listen_raise(fd, files_private);
	if (fd < 0)
		return -EMFILE;
	int error = bind_and_listen(fd, &address);
	if (error) {
		close(fd);
		return error;
	}
	out->fd = fd;
	out->bound = address;
	return 0;
}

/*
 * While the parent lives the address counts as in use, even if the parent has not bound it yet:
 * otherwise, on a busy machine, a child could bind first and the parent would report the address as
 * in use.
 */
static int try_wanted(const struct sockaddr_in *address, const struct pa_listen_policy *policy,
	struct pa_listen *out)
{
	if (address->sin_port && policy->parent && getppid() == policy->parent)
		return -EADDRINUSE;
	return try_address(*address, policy->files_private, out);
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

static void say_in_use(const struct pa_settings *settings, const char *self,
	const struct pa_listen *out)
{
	char quoted[PA_LOG_QUOTED_BYTES], name[PA_LOG_QUOTED_BYTES];
	char who[sizeof(name) + 32] = "";
	struct pa_port_owner owner;

	if (pa_port_owner_find(&out->wanted, OWNER_NS, &owner))
		snprintf(who, sizeof(who), " (pid %d %s)", owner.pid,
			pa_log_quote(name, sizeof(name), owner.name));
	pa_log("%slisten %s: address already in use%s; serving %s", self,
		pa_log_quote(quoted, sizeof(quoted), settings->address), who, out->url);
}

static void say_failure(const struct pa_settings *settings, const char *self, const char *why)
{
	char quoted[PA_LOG_QUOTED_BYTES];

	pa_log("%slisten %s: %s; not serving", self,
		pa_log_quote(quoted, sizeof(quoted), settings->address), why);
}

static void say_bound(const struct pa_settings *settings, const char *self,
	const struct pa_listen *out)
{
	if (out->fallback)
		say_in_use(settings, self, out);
	else if (settings->log == PA_ENV_LOG_INFO)
		pa_log("%sserving %s", self, out->url);
}

/* Binds to the first free one: the address served before, the one of the settings, any port. */
static int try_addresses(const struct pa_listen_policy *policy, struct pa_listen *out)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	int error = policy->again ? try_address(*policy->again, policy->files_private, out) :
				    -EADDRINUSE;

	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (error)
		error = try_wanted(&out->wanted, policy, out);
	if (error != -EADDRINUSE)
		return error;
	out->fallback = true;
	return try_address(any, policy->files_private, out);
}

int pa_listen_open(const struct pa_settings *settings, const struct pa_listen_policy *policy,
	struct pa_listen *out)
{
	char self[SELF_BYTES];
	struct sockaddr_in wanted = { .sin_family = AF_INET, .sin_port = htons(settings->port) };
	int unknown = resolve_host(settings->host, &wanted.sin_addr);

	*out = (struct pa_listen){ .fd = -1, .wanted = wanted };
	int error = unknown ? -EADDRNOTAVAIL : try_addresses(policy, out);
	if (!error)
		describe_listen(out, settings->host);
	if (error && policy->may_say)
		say_failure(settings, name_self(self, policy),
			unknown ? gai_strerror(unknown) : pa_newer_libc_error(-error));
	else if (policy->may_say)
		say_bound(settings, name_self(self, policy), out);
	return error;
}

bool pa_listen_move(const struct pa_settings *settings, struct pa_listen *listen,
	bool files_private)
{
	struct pa_listen moved = { .fd = -1, .wanted = listen->wanted };

	if (try_address(moved.wanted, files_private, &moved) != 0)
		return false;
	bool done = dup3(moved.fd, listen->fd, O_CLOEXEC) >= 0;
	close(moved.fd);
	if (!done)
		return false;
	moved.fd = listen->fd;
	*listen = moved;
	describe_listen(listen, settings->host);
	return true;
}
