/*
 * Who may ask: the checks that stand before every route.
 *
 * A browser on this machine can be made to send requests to a loopback port by any page it shows:
 * a foreign name that resolves to 127.0.0.1 (DNS rebinding) is caught by its Host, a request across
 * sites by Origin and Sec-Fetch-Site. Other users of the machine are told apart by the owner of
 * their socket, where the settings want that.
 *
 * Context: PA_AGENT, any worker.
 */
#ifndef PA_GUARD_H
#define PA_GUARD_H

#include "../base/env.h"
#include "request.h"

struct pa_guard {
	bool loopback;     /* the listener is bound to a loopback address */
	bool user_only;    /* on a loopback address: only the program's user and root */
	const char *host;  /* what the listener was told to bind to: good as a Host as well */
	const char *hosts; /* further good names, comma list */
	const char *token; /* "" = none wanted */
};

/*
 * 0: go on. Else the HTTP status to answer with (403; 401; 429 after too many wrong tokens), and
 * *why, a constant text. Host and user are checked where the connection came to a loopback address,
 * be the listener bound to that or to all addresses.
 */
PA_AGENT int pa_guard_check(const struct pa_guard *guard, const struct pa_request *request,
	const char **why);

/* Equal texts (of less than PA_ENV_TEXT_BYTES), in a time that does not tell where they differ. */
PA_AGENT bool pa_guard_equal(const char *secret, const char *given);

#endif
