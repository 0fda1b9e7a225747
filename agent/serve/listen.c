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
#include "../base/say.h"
#include "../base/seat.h"
#include "../profile/core.h"
#include "owner.h"

#define BACKLOG 128
#define OWNER_NS (300 * PA_NS_PER_MS)
#define REFUSED_NS (100 * PA_NS_PER_MS)

/* More than any wait of ours, or of the server's, is for. */
#define POLLS_MAX 128

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

/* What wakes a thread that is to leave is polled as well. */
static int poll_and_mind(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
	struct pollfd all[POLLS_MAX + 1];
	int bell = count <= POLLS_MAX ? pa_seat_bell() : -1;

	if (bell < 0) {
		int ready = ppoll(fds, count, timeout, NULL);
		pa_seat_mind();
		return ready;
	}
	if (count)
		memcpy(all, fds, count * sizeof(*fds));
	all[count] = (struct pollfd){ .fd = bell, .events = POLLIN };
	int ready = ppoll(all, count + 1, timeout, NULL);
	pa_seat_mind();
	/* It may not leave now: what it holds it gives back soon. */
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
	pa_futex_rest(longer ? REFUSED_NS : timeout_ns);
	return ready;
}

/* ---- the address ---- */

/* 0, or what getaddrinfo said. localhost is not looked up: it must never be anything else. */
static int resolve(const char *host, struct in_addr *address)
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

static void describe(struct pa_listen *out, const char *host)
{
	char address[INET_ADDRSTRLEN] = "";

	inet_ntop(AF_INET, &out->bound.sin_addr, address, sizeof(address));
	out->loopback = is_loopback(&out->bound);
	snprintf(out->url, sizeof(out->url), "http://%s:%u/debug/pprof/",
		out->fallback || !host[0] ? address : host, ntohs(out->bound.sin_port));
}

/* ---- the socket ---- */

/* Two sockets with SO_REUSEADDR may both be bound: then it is listen() that says EADDRINUSE. */
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

static void rest(int64_t ns)
{
	int64_t end_ns = pa_clock_mono_ns() + ns;

	for (int64_t left_ns = ns; left_ns > 0; left_ns = end_ns - pa_clock_mono_ns())
		pa_futex_rest(left_ns);
}

static int try_again(const struct sockaddr_in *address, const struct pa_listen_policy *policy,
	struct pa_listen *out)
{
	int error = try_address(*address, policy->files_private, out);

	for (unsigned i = 0; error == -EADDRINUSE && i < policy->retries; i++) {
		rest(policy->retry_ns);
		error = try_address(*address, policy->files_private, out);
	}
	return error;
}

/* ---- what is said ---- */

static void say_in_use(const struct pa_settings *settings, const struct sockaddr_in *wanted,
	const struct pa_listen *out)
{
	char quoted[PA_SAY_QUOTED_BYTES], name[PA_SAY_QUOTED_BYTES];
	char who[sizeof(name) + 32] = "";
	struct pa_owner owner;

	if (pa_owner_find(wanted, OWNER_NS, &owner))
		snprintf(who, sizeof(who), " (pid %d %s)", owner.pid,
			pa_say_quote(name, sizeof(name), owner.name));
	pa_say("listen %s: address already in use%s; serving %s",
		pa_say_quote(quoted, sizeof(quoted), settings->address), who, out->url);
}

static void say_failure(const struct pa_settings *settings, const char *why)
{
	char quoted[PA_SAY_QUOTED_BYTES];

	pa_say("listen %s: %s; not serving",
		pa_say_quote(quoted, sizeof(quoted), settings->address), why);
}

/* Not strerror: its text is the locale's, and its buffer the program's. */
static const char *error_text(int error)
{
	const char *text = strerrordesc_np(-error);
	return text ? text : "unknown error";
}

int pa_listen_open(const struct pa_settings *settings, const struct pa_listen_policy *policy,
	struct pa_listen *out)
{
	struct sockaddr_in wanted = { .sin_family = AF_INET, .sin_port = htons(settings->port) };

	*out = (struct pa_listen){ .fd = -1 };
	int unknown = resolve(settings->host, &wanted.sin_addr);
	if (unknown) {
		if (policy->may_say)
			say_failure(settings, gai_strerror(unknown));
		return -EADDRNOTAVAIL;
	}
	int error = policy->again ? try_address(*policy->again, policy->files_private, out)
				  : -EADDRINUSE;
	if (error)
		error = try_again(&wanted, policy, out);
	if (error == -EADDRINUSE) {
		struct sockaddr_in any = { .sin_family = AF_INET };
		any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		out->fallback = true;
		error = try_address(any, policy->files_private, out);
	}
	if (error) {
		if (policy->may_say)
			say_failure(settings, error_text(error));
		return error;
	}
	describe(out, settings->host);
	if (policy->may_say && out->fallback)
		say_in_use(settings, &wanted, out);
	else if (policy->may_say && settings->log == PA_LOG_INFO)
		pa_say("serving %s", out->url);
	return 0;
}
