/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays a request to the agent of a descendant (?pid=N), and its response byte for byte to the
 * client: one published port shows the whole tree.
 *
 *   find the target -> confirm it by its agent page -> send the request -> pass on the response
 *
 * The descendant waits for ?seconds and renders; here the request waits without a worker
 * (pa_http_await_fd) and takes no place of the render thread. A client that leaves ends the
 * connection to the descendant, and with it the work there.
 *
 * Context: PA_AGENT, the worker of the request. No lock. Memory: one block of a few KiB per
 * request, and a body of at most 1 MiB. Limits: those of waiting_requests.h; when full the client
 * gets 503.
 */
#ifndef PA_RELAY_H
#define PA_RELAY_H

#include "http.h"

/* Time for the descendant to confirm itself. */
#define PA_RELAY_CONFIRM_NS (2 * PA_NS_PER_S)
/* Time for its response, beyond the seconds of the request. */
#define PA_RELAY_ANSWER_NS (180 * PA_NS_PER_S)

/* pid: value of the parameter. False: it is this process; nothing was answered. */
PA_AGENT bool pa_relay_answer(struct pa_http *http, const struct pa_request *request,
	const char *pid);

#endif
