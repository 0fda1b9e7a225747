/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access checks that run before every route.
 *
 * Any web page in a browser on this machine can make the browser send requests to a loopback port.
 * A foreign name that resolves to 127.0.0.1 (DNS rebinding) is rejected by the Host check, a
 * cross-site request by the checks of Origin and Sec-Fetch-Site (Fetch Metadata). With user_only,
 * requests of other users of the machine are rejected by the uid of their socket.
 *
 * Context: PA_AGENT, any worker. No lock of its own; a wrong token takes PA_LOCK_GUESSES
 * (token_guesses.h). Keeps no memory.
 */
#ifndef PA_ACCESS_H
#define PA_ACCESS_H

#include "../base/env.h"
#include "request.h"

struct pa_access {
	bool loopback;     /* the listener is bound to a loopback address or a unix socket */
	bool user_only;    /* there: only the program's user and root */
	const char *host;  /* host of PPROFAGENT_ADDRESS, accepted as Host as well */
	const char *hosts; /* further accepted Host names, comma list */
	const char *token; /* "" = no token required */
};

/*
 * Returns 0 if the request may be answered; otherwise the HTTP status (403; 401; 429 after too many
 * wrong tokens) and in *why a constant text. Host and user are checked if the client connected to a
 * loopback address, whether the listener is bound to it or to all addresses; and on a unix socket,
 * because programs forward ports to such (socat, a proxy).
 */
PA_AGENT int pa_access_check(const struct pa_access *guard, const struct pa_request *request,
	const char **why);

/* The same without the token: for constants that contain nothing of the program. */
PA_AGENT int pa_access_check_open(const struct pa_access *guard, const struct pa_request *request,
	const char **why);

/* True if both texts (shorter than PA_ENV_TEXT_BYTES) are equal. The run time does not depend on
 * where they differ. */
PA_AGENT bool pa_access_equal(const char *secret, const char *given);

#endif
