/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening socket: created, bound and described here, before any server thread exists.
 *
 * Context: PA_AGENT, the server thread, once per process. No lock. Errors are reported in one line
 * on stderr where that is allowed; the program continues. The caller owns the descriptor.
 */
#ifndef PA_LISTEN_H
#define PA_LISTEN_H

#include "../base/env.h"
#include "address.h"
#include "listen_fd.h"

#define PA_LISTEN_URL_BYTES (PA_ENV_TEXT_BYTES + 40)

struct pa_listen_policy {
	bool may_say;          /* lines on stderr are allowed */
	bool files_private;    /* the descriptor table is ours */
	bool child;            /* lines name this process */
	pid_t parent;          /* the address counts as in use while this is our parent; 0: none */
	bool no_ipv6, no_unix; /* filters of system calls deny these sockets */
	const struct pa_address *again; /* address served before, tried first; or NULL */
};

/* localhost is 127.0.0.1 and ::1. */
#define PA_LISTEN_SOCKETS 2

struct pa_listen {
	/* >= PA_LISTEN_FD_MIN where RLIMIT_NOFILE allows it, close-on-exec; -1: none */
	int fds[PA_LISTEN_SOCKETS];
	struct pa_address bound;       /* of the first, with the actual port */
	struct pa_address wanted;      /* of the settings */
	bool second_in_use;            /* ::1 is another process's: the URL has 127.0.0.1 */
	bool fallback;                 /* another address than requested, which was in use */
	char url[PA_LISTEN_URL_BYTES]; /* "http://localhost:6053/debug/pprof/", "unix:/run/x" */
};

/* Not bound. */
#define PA_LISTEN_NONE            \
	{                         \
		.fds = { -1, -1 } \
	}

/*
 * Binds to the address of the settings; if it is in use, to a free port of a loopback address, or
 * to a path beside it. Never binds another interface and never sets SO_REUSEPORT. Returns 0 or
 * -errno.
 */
PA_AGENT int pa_listen_open(const struct pa_settings *settings,
	const struct pa_listen_policy *policy, struct pa_listen *out);

/*
 * Tries the address of the settings again, after pa_listen_open has taken another one. True: listen
 * is bound to it, with the same descriptor number. Only while no thread uses the descriptor.
 */
PA_AGENT bool pa_listen_move(const struct pa_settings *settings,
	const struct pa_listen_policy *policy, struct pa_listen *listen);

/* False: each process that reads these settings has an address of its own (port 0, %p). */
PA_AGENT bool pa_listen_is_shared(const struct pa_settings *settings);

/* Closes its sockets. */
PA_AGENT void pa_listen_close(struct pa_listen *listen);

#endif
