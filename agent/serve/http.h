/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP server. http.c is the only file that uses civetweb's interface.
 *
 * civetweb accepts connections, parses requests and runs the worker threads; its files, CGI,
 * listings, logs and error pages are off or replaced. Each request is passed to the handlers as a
 * struct pa_request, with a struct pa_http to answer it. Each connection serves one request and is
 * closed.
 *
 * Context: PA_AGENT. pa_http_start and pa_http_stop on the server thread; all others on the worker
 * of the request, until its handler returns. No lock of its own (waiting_requests.h and linger.h
 * take PA_LOCK_PORT). When all workers are busy, connections wait in the connection queue
 * (conn_queue.h).
 */
#ifndef PA_HTTP_H
#define PA_HTTP_H

#include "body.h"
#include "http_reason.h"
#include "listen.h"
#include "request.h"

#define PA_HTTP_WORKERS 8

/* How long a client may stop reading; and when other requests are refused because of it. */
#define PA_HTTP_STALL_NS (30 * PA_NS_PER_S)
#define PA_HTTP_BUSY_STALL_NS (2 * PA_NS_PER_S)

/* How long a body may take to arrive. */
#define PA_HTTP_BODY_NS (10 * PA_NS_PER_S)

struct pa_http; /* the request being answered */

/* Called on a worker; each sends exactly one response. */
struct pa_http_handlers {
	void (*answer)(struct pa_http *http, const struct pa_request *request);
	/* A request that civetweb could not parse. path: as far as it is known, or NULL. */
	void (*refuse)(struct pa_http *http, int status, const char *path);
};

/*
 * Starts civetweb on a duplicate of listener->fd with worker_count workers (at most
 * PA_HTTP_WORKERS) and an accepting thread. The structs are kept, not copied. Returns 0 or -errno;
 * after an error listener->fd is unchanged and the call may be repeated.
 */
PA_AGENT int pa_http_start(const struct pa_listen *listener,
	const struct pa_http_handlers *handlers, unsigned workers);

/* Stops all of that; listener->fd stays open. Only after pa_idle_timeout_end: no connection may be
 * open. */
PA_AGENT void pa_http_stop(void);

/* How long a request waits for a worker before it asks again. */
#define PA_HTTP_QUEUE_NS (50 * PA_NS_PER_MS)

/*
 * Reserves the worker for a long response: one that is rendered, or one to a slow client.
 * False: too many workers are reserved; the request must wait (pa_http_queue) or be refused (503).
 * One worker is left for short responses.
 */
PA_AGENT bool pa_http_claim(struct pa_http *http);

/* None of these strings may come from the request. */
struct pa_http_head {
	int status;
	const char *type;        /* Content-Type */
	const char *disposition; /* Content-Disposition, or NULL */
	const char *location;    /* or NULL */
	const char *allow;       /* or NULL */
	const char *encoding;    /* Content-Encoding, or NULL */
	const char *policy;      /* Content-Security-Policy, or NULL */
	bool pprof_error;        /* X-Go-Pprof: 1, so that go tool pprof shows the text */
	int64_t length;          /* of the body; -1: not known yet */
};

/*
 * The response: call begin once, then write, then end. The body of a response to HEAD is left out.
 * False: the client has disconnected or stopped reading for too long; nothing more needs to be
 * sent. A response without its end is recognised as truncated by the client.
 */
PA_AGENT bool pa_http_begin(struct pa_http *http, const struct pa_http_head *head);
PA_AGENT bool pa_http_write(struct pa_http *http, const void *bytes, size_t count);
PA_AGENT bool pa_http_end(struct pa_http *http);

/* Sends bytes of a response that another agent has made, header included, instead of begin, write
 * and end. False: as those. */
PA_AGENT bool pa_http_pass(struct pa_http *http, const void *bytes, size_t count);

/* True: the request is of HTTP/1.1. */
PA_AGENT bool pa_http_is_one_one(const struct pa_http *http);

/* Content-Length of the request; -1: chunked. */
PA_AGENT int64_t pa_http_body_length(const struct pa_http *http);

/* Waits on the worker. True: ns are over; false: the client has disconnected. */
PA_AGENT bool pa_http_wait(struct pa_http *http, int64_t ns);

/*
 * Continues a request that waits without a worker: the handler returns without a response, and
 * resume answers on any worker, with a struct pa_http of its own and without a claim. there as the
 * result of pa_http_wait. drop is called instead of resume if the server no longer exists (a forked
 * child, or the agent's threads were suspended); it frees arg and does nothing else.
 */
struct pa_http_continuation {
	void (*resume)(struct pa_http *http, bool there, void *arg);
	void (*drop)(void *arg);
	void *arg;
};

/* False: too many requests wait, or no descriptor is free. Then http must be answered, and arg
 * stays the caller's. */
PA_AGENT bool pa_http_suspend(struct pa_http *http, int64_t ns,
	const struct pa_http_continuation *later);

enum pa_http_wait { PA_HTTP_WAIT_READY, PA_HTTP_WAIT_OVER, PA_HTTP_WAIT_LEFT };

/* Waits on the worker until fd can be read, ns are over, or the connection of the client is broken.
 * A client that has only ended its sending side still gets its answer. */
PA_AGENT enum pa_http_wait pa_http_wait_fd(struct pa_http *http, int fd, int64_t ns);

/* As pa_http_suspend; resume is called earlier if fd can be read, which stays the caller's. */
PA_AGENT bool pa_http_await_fd(struct pa_http *http, int fd, int64_t ns,
	const struct pa_http_continuation *later);

enum pa_http_body { PA_HTTP_BODY_HERE, PA_HTTP_BODY_SUSPENDED, PA_HTTP_BODY_FULL };

/*
 * Reads the request's body, created with pa_http_body_length. HERE: the body is complete, too long
 * or broken. SUSPENDED: as pa_http_suspend; resume finds it complete, broken, or incomplete (MORE)
 * after PA_HTTP_BODY_NS or because other bodies needed its place. FULL: as when pa_http_suspend
 * returns false.
 */
PA_AGENT enum pa_http_body pa_http_await(struct pa_http *http, struct pa_body *body,
	const struct pa_http_continuation *later);

/*
 * As pa_http_suspend, until a worker can be claimed or PA_HTTP_QUEUE_NS are over: resume claims
 * again, and may wait again in the same position. Requests are granted claims in order of arrival;
 * one that waited for something else is a new arrival.
 */
PA_AGENT bool pa_http_queue(struct pa_http *http, const struct pa_http_continuation *later);

/* True if pa_http_suspend would find a place now. */
PA_AGENT bool pa_http_may_suspend(void);

#endif
