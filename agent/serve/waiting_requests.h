/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting requests: requests that wait for a time or for their body, without a worker.
 *
 *   worker: add --> accepting thread: fill, poll, next --> worker: take, resume
 *
 * A request is due when its time is over, its client has disconnected, its body is complete or
 * broken, or another descriptor that it waits for can be read. The accepting thread then hands its
 * descriptor to the HTTP server like a new connection; the worker recognises it by take.
 *
 * Context: PA_AGENT. add, is_due and take on workers, the others on the accepting thread. Lock:
 * PA_LOCK_PORT. Capacity: PA_WAITING_REQUESTS_MAX entries; arg belongs to the entry until take.
 * When full: add returns false. When more than PA_WAITING_REQUESTS_BODIES bodies are awaited, the
 * one that has been silent longest is due.
 */
#ifndef PA_WAITING_REQUESTS_H
#define PA_WAITING_REQUESTS_H

#include <poll.h>

#include "body.h"

#define PA_WAITING_REQUESTS_MAX 56
#define PA_WAITING_REQUESTS_BODIES 4
#define PA_WAITING_REQUESTS_POLLS (2 * PA_WAITING_REQUESTS_MAX)

struct pa_http;

struct pa_waiting_request {
	int fd;               /* of the connection, owned by the entry */
	int other_fd;         /* due when it can be read; 0: none */
	int64_t due_ns;       /* CLOCK_MONOTONIC */
	int64_t queued_ns;    /* waits for a worker since then; 0: waits for something else */
	struct pa_body *body; /* awaited body, part of arg; NULL: waits for due_ns only */
	bool one_one;         /* HTTP/1.1 */
	bool head_only;       /* HEAD */
	bool left;            /* set by take: the client disconnected before the time was over */
	/* Sends the response and frees arg. */
	void (*resume)(struct pa_http *http, bool there, void *arg);
	void (*drop)(void *arg); /* the request is lost: frees arg */
	void *arg;
};

/* False: full, nothing is changed. */
PA_AGENT bool pa_waiting_requests_add(const struct pa_waiting_request *request);

/* Fills in the descriptors to poll, at most PA_WAITING_REQUESTS_POLLS. Returns their number. */
PA_AGENT uint32_t pa_waiting_requests_fill(struct pollfd *polls);

/* After that poll: returns the descriptor of a request that is due, for take; -1: none. Among those
 * that wait for a worker, the first. */
PA_AGENT int pa_waiting_requests_next(const struct pollfd *polls, uint32_t count, int64_t now_ns);

/* ns until the next one is due; 0: one is due; -1: none waits. */
PA_AGENT int64_t pa_waiting_requests_wait_ns(int64_t now_ns);

/* True for a descriptor returned by next. */
PA_AGENT bool pa_waiting_requests_is_due(int fd);

/* Moves the entry of fd to *out and frees it. False: fd is another connection. */
PA_AGENT bool pa_waiting_requests_take(int fd, struct pa_waiting_request *out);

/* True if no entry has been waiting for a worker since before since_ns. */
PA_AGENT bool pa_waiting_requests_is_first(int64_t since_ns);

/* A worker is free: makes the first request that waits for a worker due. */
PA_AGENT void pa_waiting_requests_wake_first(void);

/* Number of waiting and due requests. */
PA_AGENT uint32_t pa_waiting_requests_count(void);

/* Drops all entries: after a fork, or after the agent's threads were suspended. Does not close
 * their descriptors. */
PA_BOOT void pa_waiting_requests_reset(void);

#endif
