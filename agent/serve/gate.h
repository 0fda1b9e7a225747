/*
 * The gate: connections whose request is still on its way wait here, not on a worker.
 *
 * A connection goes to a worker only when its whole header has arrived (it is only peeked at). So
 * however many clients send slowly or nothing at all, no worker waits for them; each is closed
 * after PA_GATE_TIMEOUT_NS. Requests that the HTTP parser would hang up on without a word are
 * answered.
 *
 * Context: PA_AGENT, the one thread that accepts. When full, the oldest connection is closed.
 */
#ifndef PA_GATE_H
#define PA_GATE_H

#include <netinet/in.h>

#include "../base/base.h"

#define PA_GATE_CONNECTIONS 64
#define PA_GATE_HEADER_BYTES 8192
#define PA_GATE_TIMEOUT_NS (2 * PA_NS_PER_S)

/* Starts with no connection. files_private as in the bridge. */
PA_AGENT void pa_gate_init(int listen_fd, bool files_private);

/*
 * Waits for a connection with a whole request header, or until none is left to wait for. Its
 * descriptor (close-on-exec), *peer filled; -1 with errno = EAGAIN.
 */
PA_AGENT int pa_gate_accept(struct sockaddr_in *peer);

/* Some connection waits in the gate: pa_gate_accept has work. */
PA_AGENT bool pa_gate_pending(void);

/*
 * True while the listening descriptor is the socket it was: a program that closes every descriptor
 * may have put its own there. With a private table it always is.
 */
PA_AGENT bool pa_gate_is_ours(void);

/* fd is the listening socket, or a duplicate of it. */
PA_AGENT bool pa_gate_is_listener(int fd);

/* What a header, peeked at so far, deserves. */
enum pa_gate_verdict {
	PA_GATE_MORE,     /* not whole yet */
	PA_GATE_PASS,     /* to a worker: whole, or bad in a way that the parser answers to */
	PA_GATE_FOREIGN,  /* the target is no path: 403 */
	PA_GATE_TOO_LONG  /* 431 */
};
PA_AGENT enum pa_gate_verdict pa_gate_judge(const char *bytes, size_t count);

#endif
