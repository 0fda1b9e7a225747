/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests that a relay sends to the agent of another process.
 *
 * Context: PA_AGENT; pure functions that append to the caller's buffer.
 */
#ifndef PA_RELAY_REQUEST_H
#define PA_RELAY_REQUEST_H

#include "buffer.h"
#include "request.h"

/* Marks a relayed request; the value is the address of the client. Such a request is not relayed
 * again. */
#define PA_RELAY_REQUEST_MARK "Pprofagent-Relay"

#define PA_RELAY_REQUEST_PID "pid"

/*
 * The header of the client's request, for the agent at that address: without the parameter pid,
 * with the fields that an agent uses, and without the empty line at its end.
 */
PA_AGENT void pa_relay_request_write(struct pa_buffer *out, const struct pa_request *request,
	bool one_one, const struct pa_address *to);

/* Asks for the agent page, by which a process is confirmed. */
PA_AGENT void pa_relay_request_confirm(struct pa_buffer *out, const struct pa_address *to,
	const char *token);

#endif
