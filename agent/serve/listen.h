/*
 * The listening socket: made, bound and described here, before any server thread exists.
 *
 * Context: PA_AGENT, the server thread, once in the life of a process. What goes wrong is said in
 * one line on stderr where that is allowed; the program runs on.
 */
#ifndef PA_LISTEN_H
#define PA_LISTEN_H

#include <netinet/in.h>
#include <poll.h>

#include "../base/env.h"

/* Descriptors of ours stay above what programs count on: FD_SETSIZE loops, shells, dup2. */
#define PA_LISTEN_FD_MIN 100

#define PA_LISTEN_URL_BYTES (PA_ENV_TEXT_BYTES + 40)

struct pa_listen_policy {
	bool may_say;       /* lines on stderr are allowed */
	bool files_private; /* the descriptor table is ours, its low numbers too */
	unsigned retries;   /* more tries while the address is in use */
	int64_t retry_ns;   /* from one try to the next */
	const struct sockaddr_in *again; /* where it was served before: tried first; or NULL */
};

struct pa_listen {
	int fd;                   /* >= PA_LISTEN_FD_MIN where the limit allows it, close-on-exec */
	struct sockaddr_in bound; /* with the port that it got */
	bool loopback;
	bool fallback;            /* not the address that was asked for: that one was in use */
	char url[PA_LISTEN_URL_BYTES]; /* "http://localhost:6053/debug/pprof/" */
};

/*
 * Binds to the address of the settings; when that is in use, after all retries, to a port of
 * 127.0.0.1 that the kernel picks. Never another interface, never SO_REUSEPORT. 0 or -errno.
 */
PA_AGENT int pa_listen_open(const struct pa_settings *settings,
	const struct pa_listen_policy *policy, struct pa_listen *out);

/*
 * fd itself, or a duplicate >= PA_LISTEN_FD_MIN in place of it. -1, fd closed, when there is no
 * such number and files_private is false.
 */
PA_AGENT int pa_listen_raise(int fd, bool files_private);

/*
 * ppoll, timeout_ns < 0: without end. Where the kernel refuses the call (a filter of system calls
 * that the program installed for all threads) this pauses: whoever asks again must not take a
 * processor from the program.
 */
PA_AGENT int pa_listen_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns);

#endif
