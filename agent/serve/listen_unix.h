/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets of the agent: their paths, and how their files are made and replaced.
 *
 * A file at the path is replaced only if it is a socket on which nothing listens: a program that
 * ended by a signal left it. A socket is bound before it listens, and would look the same in
 * between, so agents that look, remove and bind hold a lock on the folder (flock(2)). Without the
 * lock (a folder that cannot be read) nothing is removed.
 *
 * Context: PA_AGENT, the server thread. No lock of its own; the lock of the folder is waited for
 * PA_LISTEN_UNIX_LOCK_NS at most.
 */
#ifndef PA_LISTEN_UNIX_H
#define PA_LISTEN_UNIX_H

#include "address.h"

#define PA_LISTEN_UNIX_LOCK_NS (500 * PA_NS_PER_MS)

/* The path of the settings, with the pid of this process in place of %p. AF_UNSPEC: too long. */
PA_AGENT struct pa_address pa_listen_unix_expand(const char *pattern);

/* A path of this process beside a path that is in use: "/run/x.4711.sock" beside "/run/x.sock".
 * AF_UNSPEC: too long. */
PA_AGENT struct pa_address pa_listen_unix_beside(const struct pa_address *taken);

/*
 * Binds fd to the path and listens; the file has mode 0600. files_private as in the bridge. Returns
 * 0 or -errno: -EADDRINUSE, another process listens there; -ENOTSOCK, the file is no socket.
 */
PA_AGENT int pa_listen_unix_bind(int fd, const struct pa_address *address, int backlog,
	bool files_private);

#endif
