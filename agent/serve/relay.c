/* SPDX-License-Identifier: Apache-2.0 */
#include "relay.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../core/core.h"
#include "headers.h"
#include "profile_endpoints.h"
#include "query.h"
#include "relay_request.h"
#include "relay_target.h"
#include "reply.h"
#include "symbol_endpoint.h"

/* The worker waits so long itself; longer waits are without a worker. */
#define SHORT_WAIT_NS (100 * PA_NS_PER_MS)
/* For room in the backlog of the descendant, and in the buffer of its socket. */
#define CONNECT_NS (500 * PA_NS_PER_MS)
/* The pid and the start are in the first lines of the agent page. */
#define PAGE_BYTES 2048
#define PIECE_BYTES 16384
#define VALUE_BYTES 32
#define TEXT_BYTES 128

struct relay {
	struct pa_relay_target target;
	int fd; /* to the descendant; -1: none */
	bool confirmed;
	bool begun; /* bytes of the response were passed on */
	int64_t until_ns;
	int64_t seconds;         /* that the request takes */
	struct pa_body *body;    /* of a POST, or NULL */
	struct pa_buffer header; /* of the request */
	size_t got;
	char page[PAGE_BYTES];
};

/* Without closing the descriptor: see struct pa_http_continuation. */
static void drop_relay(void *arg)
{
	struct relay *relay = arg;

	pa_body_free(relay->body);
	pa_buffer_free(&relay->header);
	free(relay);
}

static void close_relay(struct relay *relay)
{
	if (relay->fd >= 0)
		close(relay->fd);
	relay->fd = -1;
}

static void end_relay(struct relay *relay)
{
	close_relay(relay);
	drop_relay(relay);
}

static void reply_bad_gateway(struct pa_http *http, pid_t pid, const char *what)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "process %d %s", pid, what);
	pa_reply_error(http, 502, text);
}

/* A response that has begun can only be cut off: the client sees that it is not whole. */
static void fail_relay(struct pa_http *http, struct relay *relay, const char *what)
{
	if (!relay->begun)
		reply_bad_gateway(http, relay->target.pid, what);
	end_relay(relay);
}

/* ---- the connection to the descendant ---- */

static bool wait_until_ready(int fd, short events, int64_t until_ns)
{
	struct pollfd peer = { .fd = fd, .events = events };
	int64_t left_ns;

	while ((left_ns = until_ns - pa_clock_mono_ns()) > 0) {
		if (pa_listen_wait(&peer, 1, left_ns) > 0)
			return !(peer.revents & (POLLERR | POLLNVAL));
	}
	return false;
}

static bool send_to_descendant(int fd, const char *bytes, size_t count, int64_t until_ns)
{
	while (count) {
		ssize_t sent = send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (sent < 0 && !wait_until_ready(fd, POLLOUT, until_ns))
			return false;
		bytes += sent > 0 ? sent : 0;
		count -= sent > 0 ? (size_t)sent : 0;
	}
	return true;
}

/* Connects and sends. False: it did not go. */
static bool ask_descendant(struct relay *relay, const struct pa_buffer *header,
	const struct pa_body *body)
{
	int64_t until_ns = pa_clock_mono_ns() + CONNECT_NS;

	close_relay(relay);
	relay->fd = pa_relay_target_connect(&relay->target);
	return relay->fd >= 0 && wait_until_ready(relay->fd, POLLOUT, until_ns) &&
		!header->failed &&
		send_to_descendant(relay->fd, header->bytes, header->length, until_ns) &&
		(!body || send_to_descendant(relay->fd, body->bytes, body->count, until_ns));
}

static bool ask_for_page(struct relay *relay)
{
	struct pa_buffer header = { 0 };

	pa_relay_request_confirm(&header, &relay->target.address, pa_core_bridge->settings->token);
	bool asked = ask_descendant(relay, &header, NULL);
	pa_buffer_free(&header);
	relay->until_ns = pa_clock_mono_ns() + PA_RELAY_CONFIRM_NS;
	return asked;
}

static bool ask_for_answer(struct relay *relay)
{
	relay->until_ns = pa_clock_mono_ns() + PA_RELAY_ANSWER_NS +
		(relay->seconds ? pa_profile_endpoints_ns(relay->seconds) : 0);
	return ask_descendant(relay, &relay->header, relay->body);
}

/* ---- what it answers ---- */

enum progress { MORE, OVER };

/* Reads the agent page. OVER: the relay has ended. */
static enum progress read_page(struct pa_http *http, struct relay *relay)
{
	ssize_t got = read(relay->fd, relay->page + relay->got, PAGE_BYTES - 1 - relay->got);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return MORE;
	relay->got += got > 0 ? (size_t)got : 0;
	relay->page[relay->got] = '\0';
	int verdict = pa_relay_target_confirm(&relay->target, relay->page);
	if (verdict == 0 && got > 0 && relay->got < PAGE_BYTES - 1)
		return MORE;
	relay->confirmed = verdict > 0;
	if (relay->confirmed && ask_for_answer(relay))
		return MORE;
	fail_relay(http, relay,
		relay->confirmed ? "refuses a connection" :
				   "does not confirm its pid and start time by its agent page");
	return OVER;
}

static enum progress pass_on_piece(struct pa_http *http, struct relay *relay)
{
	char piece[PIECE_BYTES];
	ssize_t got = read(relay->fd, piece, sizeof(piece));

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return MORE;
	if (got > 0 && pa_http_pass(http, piece, (size_t)got)) {
		relay->begun = true;
		return MORE;
	}
	if (got > 0)
		end_relay(relay); /* the client has left */
	else if (!relay->begun)
		fail_relay(http, relay, "ended without an answer");
	else
		end_relay(relay);
	return OVER;
}

/* ---- waiting ---- */

static void go_on(struct pa_http *http, struct relay *relay);

static void resume_relay(struct pa_http *http, bool there, void *arg)
{
	if (there) {
		go_on(http, arg);
		return;
	}
	end_relay(arg);
	pa_reply_error(http, 500, "context canceled");
}

/* Waits without a worker. */
static void suspend_relay(struct pa_http *http, struct relay *relay)
{
	const struct pa_http_continuation later = { resume_relay, drop_relay, relay };
	int64_t left_ns = relay->until_ns - pa_clock_mono_ns();

	if (left_ns <= 0) {
		fail_relay(http, relay, "does not answer");
		return;
	}
	if (pa_http_await_fd(http, relay->fd, left_ns, &later))
		return;
	if (!relay->begun)
		pa_reply_overloaded(http);
	end_relay(relay);
}

/* Waits for a worker that may be kept. */
static void queue_relay(struct pa_http *http, struct relay *relay)
{
	const struct pa_http_continuation later = { resume_relay, drop_relay, relay };

	if (pa_clock_mono_ns() < relay->until_ns && pa_http_queue(http, &later))
		return;
	if (!relay->begun)
		pa_reply_overloaded(http);
	end_relay(relay);
}

/* Until the relay ends, or waits without a worker. */
static void go_on(struct pa_http *http, struct relay *relay)
{
	enum progress progress = MORE;

	while (progress == MORE) {
		switch (pa_http_wait_fd(http, relay->fd, SHORT_WAIT_NS)) {
		case PA_HTTP_WAIT_LEFT: end_relay(relay); return;
		case PA_HTTP_WAIT_OVER: suspend_relay(http, relay); return;
		case PA_HTTP_WAIT_READY: break;
		}
		if (relay->confirmed && !pa_http_claim(http)) {
			queue_relay(http, relay);
			return;
		}
		progress = relay->confirmed ? pass_on_piece(http, relay) : read_page(http, relay);
	}
}

/* ---- the request ---- */

static void begin_relay(struct pa_http *http, struct relay *relay)
{
	if (ask_for_page(relay))
		go_on(http, relay);
	else
		fail_relay(http, relay, "refuses a connection");
}

static void relay_body(struct pa_http *http, struct relay *relay)
{
	if (relay->body->state == PA_BODY_WHOLE) {
		pa_buffer_format(&relay->header, "Content-Length: %zu\r\n\r\n", relay->body->count);
		begin_relay(http, relay);
		return;
	}
	pa_reply_no_body(http, relay->body->state);
	end_relay(relay);
}

static void resume_relay_body(struct pa_http *http, bool there, void *arg)
{
	(void)there; /* a client that has sent its whole body may shut down its sending side */
	relay_body(http, arg);
}

static void await_body(struct pa_http *http, struct relay *relay)
{
	const struct pa_http_continuation later = { resume_relay_body, drop_relay, relay };

	relay->body = pa_body_new(pa_http_body_length(http), PA_SYMBOL_ENDPOINT_BODY_BYTES);
	if (!relay->body) {
		pa_reply_no_job(http, -ENOMEM);
		end_relay(relay);
		return;
	}
	switch (pa_http_await(http, relay->body, &later)) {
	case PA_HTTP_BODY_HERE: relay_body(http, relay); break;
	case PA_HTTP_BODY_FULL:
		pa_reply_overloaded(http);
		end_relay(relay);
		break;
	case PA_HTTP_BODY_SUSPENDED: break;
	}
}

static int64_t seconds_of(const struct pa_request *request)
{
	char value[VALUE_BYTES];
	int64_t seconds;

	pa_query_get(request->query, "seconds", value, sizeof(value));
	return pa_query_int(value, &seconds) && seconds > 0 ? seconds : 0;
}

static void start_relay(struct pa_http *http, const struct pa_request *request,
	const struct pa_relay_target *target)
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay) {
		pa_reply_no_job(http, -ENOMEM);
		return;
	}
	relay->fd = -1;
	relay->target = *target;
	relay->seconds = seconds_of(request);
	pa_relay_request_write(&relay->header, request, pa_http_is_one_one(http), &target->address);
	if (request->method == PA_REQUEST_METHOD_POST) {
		await_body(http, relay);
		return;
	}
	pa_buffer_text(&relay->header, "\r\n");
	begin_relay(http, relay);
}

/* 0: not a process id. */
static int64_t parse_pid(const char *text)
{
	int64_t pid;

	return pa_query_int(text, &pid) && pid > 0 ? pid : 0;
}

bool pa_relay_answer(struct pa_http *http, const struct pa_request *request, const char *value)
{
	const char *why = NULL;
	struct pa_relay_target target;
	int64_t pid = parse_pid(value);

	if (!pid) {
		pa_reply_error(http, 400, "invalid value for \"pid\" - must be a process id");
		return true;
	}
	enum pa_relay_target_verdict verdict = pid > INT_MAX ?
		PA_RELAY_TARGET_UNKNOWN :
		pa_relay_target_find((pid_t)pid, &target, &why);
	if (verdict == PA_RELAY_TARGET_SELF)
		return false;
	if (verdict == PA_RELAY_TARGET_UNKNOWN)
		pa_reply_error(http, 404, "Unknown process");
	else if (verdict == PA_RELAY_TARGET_UNREACHABLE)
		reply_bad_gateway(http, target.pid, why);
	else if (pa_headers_has(request, PA_RELAY_REQUEST_MARK))
		pa_reply_error(http, 502, "a relayed request is not relayed again");
	else if (!pa_core_bridge->may(PA_CALLS_REACH))
		pa_reply_error(http, 502, "filters of system calls (seccomp) forbid to connect");
	else
		start_relay(http, request, &target);
	return true;
}
