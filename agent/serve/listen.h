/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening socket: created, bound and described here, before any server thread exists.
 *
 * Context: PA_AGENT, the server thread, once per process. No lock. Errors are reported in one line
 * on stderr where that is allowed; the program continues. The caller owns the descriptor.
 */
#ifndef PA_LISTEN_H
#define PA_LISTEN_H

#include <netinet/in.h>
#include <poll.h>

#include "../base/env.h"

/*
 * Our descriptors stay above the numbers that programs count on: FD_SETSIZE loops, shells, dup2().
 */
#define PA_LISTEN_FD_MIN 100

#define PA_LISTEN_URL_BYTES (PA_ENV_TEXT_BYTES + 40)

struct pa_listen_policy {
	bool may_say;       /* lines on stderr are allowed */
	bool files_private; /* the descriptor table is ours, including its low numbers */
	bool child;         /* lines name this process */
	pid_t parent;       /* the address counts as in use while this is our parent; 0: none */
	const struct sockaddr_in *again; /* address served before, tried first; or NULL */
};

struct pa_listen {
	int fd;                    /* >= PA_LISTEN_FD_MIN where RLIMIT_NOFILE allows it,
				   * close-on-exec */
	struct sockaddr_in bound;  /* with the actual port */
	struct sockaddr_in wanted; /* of the settings */
	bool loopback;
	bool fallback;                 /* another address than requested, which was in use */
	char url[PA_LISTEN_URL_BYTES]; /* "http://localhost:6053/debug/pprof/" */
};

/* Binds to the address of the settings; if it is in use, to a free port of
 * 127.0.0.1. Never binds another interface and never sets SO_REUSEPORT. Returns 0 or -errno. */
PA_AGENT int pa_listen_open(const struct pa_settings *settings,
	const struct pa_listen_policy *policy, struct pa_listen *out);

/*
 * Tries the address of the settings again, after pa_listen_open has taken another one. True: listen
 * is bound to it, with the same descriptor number. Only while no thread uses the descriptor.
 */
PA_AGENT bool pa_listen_move(const struct pa_settings *settings, struct pa_listen *listen,
	bool files_private);

/* Returns fd, or a duplicate >= PA_LISTEN_FD_MIN in its place. Returns -1 and closes fd if there is
 * no such number and files_private is false. */
PA_AGENT int pa_listen_raise(int fd, bool files_private);

/*
 * ppoll(); timeout_ns < 0: no timeout. If the kernel refuses the call (a seccomp filter that the
 * program installed for all threads), this sleeps for a while, so that a caller in a loop does not
 * consume a processor.
 */
PA_AGENT int pa_listen_wait(struct pollfd *fds, nfds_t count, int64_t timeout_ns);

#endif
