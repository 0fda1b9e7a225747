/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of the unix socket on which the agent listens: removed when the program ends.
 *
 * Only a file that is still the socket is removed: another process may have put its own there. A
 * program that ends by a signal leaves the file; the next agent finds that nothing listens
 * (serve/listen_unix.h).
 *
 * Context: keep PA_AGENT, the server thread; remove on the thread that ends the program, at any
 * time beside keep. No lock: a path and an inode that do not belong together remove nothing.
 */
#ifndef PA_SOCKET_FILE_H
#define PA_SOCKET_FILE_H

#include "base/base.h"

/* As keep_socket_file in bridge.h. */
PA_AGENT void pa_socket_file_keep(const char *path);

PA_SIGNAL bool pa_socket_file_is_kept(void);

/* errno kept. Needs PA_CALLS_SOCKET. */
PA_APP void pa_socket_file_remove(void);

/* In a forked child: the file is its parent's. */
PA_BOOT void pa_socket_file_atfork_child(void);

#endif
