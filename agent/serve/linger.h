/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lingering close: keeps answered connections open while bytes of their request are unread. close()
 * would make the kernel send a reset, which discards a response that the client has not read yet
 * (RFC 9112, 9.6). Arriving bytes are read and discarded until the client closes.
 *
 * Context: PA_AGENT. pa_linger_add on any thread, the others on the accepting thread. Lock:
 * PA_LOCK_PORT. Capacity: PA_LINGER_MAX entries. When full: the oldest is closed. Each is closed
 * after PA_LINGER_NS or PA_LINGER_BYTES.
 */
#ifndef PA_LINGER_H
#define PA_LINGER_H

#include <poll.h>

#include "../base/base.h"

#define PA_LINGER_MAX 16
#define PA_LINGER_NS PA_NS_PER_S
#define PA_LINGER_BYTES ((size_t)16 << 20)

/* Takes ownership of fd, on which nothing more will be sent. */
PA_AGENT void pa_linger_add(int fd);

/* Fills in the descriptors to poll, at most PA_LINGER_MAX. Returns their number. */
PA_AGENT uint32_t pa_linger_fill(struct pollfd *polls);

/* Handles the result of that poll. */
PA_AGENT void pa_linger_read(const struct pollfd *polls, uint32_t count);

/* Closes the entries whose time is over. Returns ns until the next one's; -1: none. */
PA_AGENT int64_t pa_linger_expire(int64_t now_ns);

PA_AGENT uint32_t pa_linger_count(void);
/* Closes one. False: there is none. */
PA_AGENT bool pa_linger_drop(void);

/* Forgets all entries without closing them: after a fork, or after the agent's threads were
 * suspended. */
PA_BOOT void pa_linger_reset(void);

#endif
