/*
 * The HTTP server. The only file behind it that knows civetweb.
 *
 * civetweb accepts, parses requests and runs PA_HTTP_WORKERS threads; everything it could do of its
 * own (files, CGI, listings, logs, error pages) is off or answered here. Each request comes to the
 * routes as a struct pa_request and a struct pa_http to answer it through. Connections are closed
 * after one answer.
 *
 * Context: PA_AGENT. pa_http_start is called once, by the server thread. All others run on the
 * worker that got the request, and only until its handler returns.
 */
#ifndef PA_HTTP_H
#define PA_HTTP_H

#include "guard.h"
#include "listen.h"
#include "request.h"

#define PA_HTTP_WORKERS 8

/* How long a client may stop reading; and when others are turned away because of it. */
#define PA_HTTP_STALL_NS (30 * PA_NS_PER_S)
#define PA_HTTP_BUSY_STALL_NS (2 * PA_NS_PER_S)

/*
 * Starts civetweb on listener->fd (it gets a duplicate). The structs are kept, not copied. 0 or
 * -errno; then listener->fd is as it was and it may be tried again.
 */
PA_AGENT int pa_http_start(const struct pa_listen *listener, const struct pa_guard *guard);

struct pa_http; /* one request being answered */

/*
 * The request may keep its worker for long: it waits, or its client may be slow. False: so many do
 * already that it must be turned away (503); one worker is left for short answers.
 */
PA_AGENT bool pa_http_claim(struct pa_http *http);

/* No string of these may come from the request. */
struct pa_http_head {
	int status;
	const char *type;        /* Content-Type */
	const char *disposition; /* Content-Disposition, or NULL */
	const char *location;    /* or NULL */
	const char *allow;       /* or NULL */
	bool pprof_error;        /* X-Go-Pprof: 1, so that go tool pprof shows the text */
	int64_t length;          /* of the body; -1: not known yet */
};

/*
 * The answer: begin once, then write, then end. The body of an answer to HEAD is left out. False
 * when the client is gone (or stopped reading for too long): nothing more needs to be sent. An
 * answer whose end is never sent is seen as broken by the client.
 */
PA_AGENT bool pa_http_begin(struct pa_http *http, const struct pa_http_head *head);
PA_AGENT bool pa_http_write(struct pa_http *http, const void *bytes, size_t count);
PA_AGENT bool pa_http_end(struct pa_http *http);

/* Length of the request's body as announced; -1: it will show. */
PA_AGENT int64_t pa_http_body_length(const struct pa_http *http);

/* The next bytes of the request's body. 0 at its end; -1 when the client failed to send it. */
PA_AGENT int pa_http_read(struct pa_http *http, void *bytes, size_t count);

/* Waits. True when the time is over, false when the client left before. */
PA_AGENT bool pa_http_wait(struct pa_http *http, int64_t ns);

/* The reason phrase: "Not Found". */
PA_AGENT const char *pa_http_reason(int status);

#endif
