/* SPDX-License-Identifier: Apache-2.0 */
#include "http.h"

#include <civetweb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/atomic.h"
#include "../base/clock.h"
#include "../core/core.h"
#include "answer_head.h"
#include "http_reason.h"
#include "render_thread.h"
#include "flight_lease.h"
#include "conn_queue.h"
#include "libc_shims.h"
#include "linger.h"
#include "waiting_requests.h"

#define CHUNK_BYTES 16384
/* Hexadecimal length of a chunk, and its line ends. */
#define CHUNK_HEAD_BYTES 10
#define CHUNK_TAIL_BYTES 2

#define HEAD_BYTES 1024
#define LAST_CHUNK "0\r\n\r\n"

struct pa_http {
	struct mg_connection *conn;
	int fd;         /* of the connection; -1: unknown */
	bool head_only; /* HEAD */
	bool chunked;
	bool one_one;   /* HTTP/1.1 */
	bool continued; /* 100 Continue was sent, or is not expected */
	bool failed;
	bool claimed;
	bool suspended;
	bool body_taken;     /* the whole body was read */
	int64_t asked_ns;    /* arrival time, its position in the worker queue */
	int64_t body_length; /* -1: chunked */
	size_t used;         /* bytes in buffer, of the header or the body */
	char buffer[CHUNK_HEAD_BYTES + CHUNK_BYTES + CHUNK_TAIL_BYTES];
};

static struct {
	struct mg_context *server; /* NULL: not running */
	const struct pa_http_handlers *handlers;
	/* At least one worker is left for short responses, if there are several. */
	int claims_max;
	PA_ATOMIC(int) claims; /* workers claimed for long responses; acq_rel */
} state;

/* ---- sending ---- */

/* Other requests are being refused, so slow clients are cut off earlier. */
static bool is_busy(void)
{
	return pa_load_acquire(&state.claims) >= state.claims_max || pa_render_thread_is_full() ||
		pa_flight_lease_is_contended();
}

static bool is_stalled(int64_t waited_ns)
{
	return waited_ns >= (is_busy() ? PA_HTTP_BUSY_STALL_NS : PA_HTTP_STALL_NS);
}

static bool send_bytes(struct pa_http *http, const char *bytes, size_t count)
{
	if (http->failed)
		return false;
	pa_libc_shims_set_give_up(is_stalled);
	http->failed = mg_write(http->conn, bytes, count) != (int)count;
	return !http->failed;
}

static bool flush_chunk(struct pa_http *http)
{
	char head[CHUNK_HEAD_BYTES + 1];
	char *data = http->buffer + CHUNK_HEAD_BYTES;
	size_t head_bytes = 0, count = http->used;

	if (!count)
		return !http->failed;
	if (http->chunked) {
		head_bytes = (size_t)snprintf(head, sizeof(head), "%zx\r\n", count);
		memcpy(data - head_bytes, head, head_bytes);
		memcpy(data + count, "\r\n", CHUNK_TAIL_BYTES);
		count += head_bytes + CHUNK_TAIL_BYTES;
	}
	http->used = 0;
	return send_bytes(http, data - head_bytes, count);
}

static bool add_bytes(struct pa_http *http, const char *bytes, size_t count)
{
	while (count) {
		size_t room = CHUNK_BYTES - http->used;
		size_t part = count < room ? count : room;
		memcpy(http->buffer + CHUNK_HEAD_BYTES + http->used, bytes, part);
		http->used += part;
		bytes += part;
		count -= part;
		if (http->used == CHUNK_BYTES && !flush_chunk(http))
			return false;
	}
	return !http->failed;
}

/* ---- the head ---- */

bool pa_http_begin(struct pa_http *http, const struct pa_http_head *head)
{
	char text[HEAD_BYTES];
	bool chunked = head->length < 0 && http->one_one && !http->head_only;
	const struct pa_answer_head answer = { pa_http_reason(head->status), http->one_one,
		chunked };

	add_bytes(http, text, pa_answer_head_write(head, &answer, text, sizeof(text)));
	if (!chunked)
		return !http->failed;
	flush_chunk(http);
	http->chunked = true;
	return !http->failed;
}

bool pa_http_write(struct pa_http *http, const void *bytes, size_t count)
{
	return http->head_only ? !http->failed : add_bytes(http, bytes, count);
}

bool pa_http_end(struct pa_http *http)
{
	if (!flush_chunk(http))
		return false;
	return !http->chunked || send_bytes(http, LAST_CHUNK, sizeof(LAST_CHUNK) - 1);
}

bool pa_http_pass(struct pa_http *http, const void *bytes, size_t count)
{
	return send_bytes(http, bytes, count);
}

bool pa_http_is_one_one(const struct pa_http *http)
{
	return http->one_one;
}

/* ---- the client ---- */

int64_t pa_http_body_length(const struct pa_http *http)
{
	return http->body_length;
}

/* Duplicates a descriptor that civetweb closes. -1: none is free. */
static int duplicate_fd(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, pa_listen_fd_min(pa_core_bridge->files_private));
}

/*
 * Reads the rest of the body after the response. A client that waits for 100 Continue sends none.
 */
static void leave_body(struct pa_http *http)
{
	if (!http->body_length || http->body_taken || !http->continued || http->failed)
		return;
	int fd = duplicate_fd(http->fd);
	if (fd >= 0)
		pa_linger_add(fd);
}

bool pa_http_claim(struct pa_http *http)
{
	if (http->claimed)
		return true;
	if (!pa_waiting_requests_is_first(http->asked_ns))
		return false;
	if (pa_add_acq_rel(&state.claims, 1) >= state.claims_max) {
		pa_add_acq_rel(&state.claims, -1);
		return false;
	}
	http->claimed = true;
	return true;
}

bool pa_http_wait(struct pa_http *http, int64_t ns)
{
	struct pollfd client = { .fd = http->fd, .events = POLLRDHUP };
	const int64_t end_ns = pa_clock_mono_ns() + ns;
	int64_t left_ns = ns;

	while (left_ns > 0) {
		if (pa_listen_wait(&client, 1, left_ns) > 0)
			return false;
		left_ns = end_ns - pa_clock_mono_ns();
	}
	return true;
}

enum pa_http_wait pa_http_wait_fd(struct pa_http *http, int fd, int64_t ns)
{
	/* A client that has shut down its sending side still reads: no POLLRDHUP. */
	struct pollfd polls[] = { { .fd = http->fd }, { .fd = fd, .events = POLLIN } };
	const int64_t end_ns = pa_clock_mono_ns() + ns;

	for (int64_t left_ns = ns; left_ns > 0; left_ns = end_ns - pa_clock_mono_ns()) {
		if (pa_listen_wait(polls, PA_COUNT(polls), left_ns) <= 0)
			continue;
		if (polls[0].revents)
			return PA_HTTP_WAIT_LEFT;
		if (polls[1].revents)
			return PA_HTTP_WAIT_READY;
	}
	return PA_HTTP_WAIT_OVER;
}

bool pa_http_may_suspend(void)
{
	return pa_waiting_requests_count() < PA_WAITING_REQUESTS_MAX;
}

/* given: what it waits for. */
static bool suspend_request(struct pa_http *http, int64_t ns,
	const struct pa_waiting_request *given, const struct pa_http_continuation *later)
{
	struct pa_waiting_request waiting = *given;

	waiting.fd = duplicate_fd(http->fd);
	waiting.due_ns = pa_clock_mono_ns() + ns;
	waiting.one_one = http->one_one;
	waiting.head_only = http->head_only;
	waiting.resume = later->resume;
	waiting.drop = later->drop;
	waiting.arg = later->arg;

	if (waiting.fd < 0)
		return false;
	/* Before the entry is visible: another worker may take it at once. */
	pa_libc_shims_keep_connection();
	http->suspended = pa_waiting_requests_add(&waiting);
	if (!http->suspended) {
		pa_libc_shims_release_connection();
		close(waiting.fd);
	}
	return http->suspended;
}

bool pa_http_suspend(struct pa_http *http, int64_t ns, const struct pa_http_continuation *later)
{
	return suspend_request(http, ns, &(struct pa_waiting_request){ .fd = -1 }, later);
}

bool pa_http_queue(struct pa_http *http, const struct pa_http_continuation *later)
{
	const struct pa_waiting_request given = { .queued_ns = http->asked_ns };

	return suspend_request(http, PA_HTTP_QUEUE_NS, &given, later);
}

bool pa_http_await_fd(struct pa_http *http, int fd, int64_t ns,
	const struct pa_http_continuation *later)
{
	const struct pa_waiting_request given = { .other_fd = fd };

	return suspend_request(http, ns, &given, later);
}

enum pa_http_body pa_http_await(struct pa_http *http, struct pa_body *body,
	const struct pa_http_continuation *later)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (body->state == PA_BODY_MORE) {
		if (!http->continued)
			send_bytes(http, go_on, sizeof(go_on) - 1);
		http->continued = true;
		pa_body_receive(body, http->fd);
	}
	http->body_taken = body->state == PA_BODY_WHOLE;
	if (body->state != PA_BODY_MORE)
		return PA_HTTP_BODY_HERE;
	const struct pa_waiting_request given = { .body = body };
	return suspend_request(http, PA_HTTP_BODY_NS, &given, later) ? PA_HTTP_BODY_SUSPENDED :
								       PA_HTTP_BODY_FULL;
}

/* ---- civetweb ---- */

/* Text of the client's address, without the port: clients open a connection for each request. */
static void name_peer(const struct pa_address *client, char peer[PA_ADDRESS_TEXT_BYTES])
{
	if (client->family == AF_UNIX)
		snprintf(peer, PA_ADDRESS_TEXT_BYTES, "unix");
	else
		pa_address_host(client, peer);
}

/* peer: has the text while the request is used. */
static void fill_request(const struct mg_request_info *info, int fd, struct pa_request *request,
	char peer[PA_ADDRESS_TEXT_BYTES])
{
	request->method = pa_request_method_of(info->request_method);
	request->path = info->request_uri ? info->request_uri : "";
	request->query = info->query_string ? info->query_string : "";
	request->client = pa_address_of_socket(fd, getpeername);
	request->server = pa_address_of_socket(fd, getsockname);
	request->fd = fd;
	request->peer = peer;
	name_peer(&request->client, peer);
	request->header_count = 0;
	for (int i = 0; i < info->num_headers && i < PA_REQUEST_HEADERS; i++) {
		request->headers[request->header_count++] = (struct pa_request_header){
			.name = info->http_headers[i].name,
			.value = info->http_headers[i].value,
		};
	}
}

static void fill_http(struct pa_http *http, struct mg_connection *conn)
{
	const struct mg_request_info *info = mg_get_request_info(conn);
	const char *expect = mg_get_header(conn, "Expect");

	memset(http, 0, offsetof(struct pa_http, buffer));
	http->conn = conn;
	http->asked_ns = pa_clock_mono_ns();
	http->fd = pa_libc_shims_connection();
	http->head_only = pa_request_method_of(info->request_method) == PA_REQUEST_METHOD_HEAD;
	http->one_one = info->http_version && strcmp(info->http_version, "1.1") == 0;
	const char *length = mg_get_header(conn, "Content-Length");
	if (mg_get_header(conn, "Transfer-Encoding"))
		http->body_length = -1;
	else
		http->body_length = length ? strtoll(length, NULL, 10) : 0;
	http->continued = !http->one_one || !expect || strcasecmp(expect, "100-continue") != 0;
}

static void answer_http(struct pa_http *http)
{
	struct pa_request request;
	char peer[PA_ADDRESS_TEXT_BYTES];
	const struct mg_request_info *info = mg_get_request_info(http->conn);

	fill_request(info, http->fd, &request, peer);
	/* civetweb drops further headers, and a dropped header cannot be checked. */
	if (info->num_headers >= MG_MAX_HEADERS)
		state.handlers->refuse(http, 431, NULL);
	else
		state.handlers->answer(http, &request);
}

static int on_request(struct mg_connection *conn)
{
	struct pa_http http;
	struct pa_waiting_request waiting;

	fill_http(&http, conn);
	/* No keep-alive, and civetweb must not read a body without end. */
	mg_disable_connection_keep_alive(conn);
	if (pa_waiting_requests_take(http.fd, &waiting)) {
		http.one_one = waiting.one_one;
		http.head_only = waiting.head_only;
		http.asked_ns = waiting.queued_ns ? waiting.queued_ns : http.asked_ns;
		http.body_length = waiting.body && waiting.body->state != PA_BODY_WHOLE ? -1 : 0;
		waiting.resume(&http, !waiting.left, waiting.arg);
	} else {
		answer_http(&http);
	}
	if (!http.suspended)
		leave_body(&http);
	pa_libc_shims_set_give_up(NULL);
	if (http.claimed) {
		pa_add_acq_rel(&state.claims, -1);
		/* The connection queue is polled when this connection is closed. */
		pa_waiting_requests_wake_first();
	}
	return 200; /* status for civetweb's access log, which is off */
}

static void on_closed(const struct mg_connection *conn)
{
	(void)conn;
	pa_libc_shims_forget_connection();
	pa_conn_queue_released();
}

/* Called for requests that civetweb cannot parse, and for methods that it does not know. */
static int on_error(struct mg_connection *conn, int status, const char *message)
{
	(void)message;
	const struct mg_request_info *info = mg_get_request_info(conn);
	struct pa_http http;

	if (!info)
		return 0;
	fill_http(&http, conn);
	bool is_method = info->request_method && info->request_method[0] &&
		pa_request_method_of(info->request_method) == PA_REQUEST_METHOD_OTHER &&
		pa_request_is_token(info->request_method);
	state.handlers->refuse(&http, status == 400 && is_method ? 405 : status, info->request_uri);
	http.body_length = -1; /* a body may follow: not everything was read */
	leave_body(&http);
	pa_libc_shims_set_give_up(NULL);
	return 0;
}

static int log_of_server(const struct mg_connection *conn, const char *message)
{
	(void)conn;
	(void)message;
	return 1;
}

/* civetweb's global mutex must not be held across fork(): our loader lock excludes forks. */
static void hold_library(bool on)
{
	pa_core_loader_enter();
	if (on)
		mg_init_library(MG_FEATURES_DEFAULT);
	else
		mg_exit_library();
	pa_core_loader_leave();
}

int pa_http_start(const struct pa_listen *listener, const struct pa_http_handlers *handlers,
	unsigned worker_count)
{
	static const struct mg_callbacks callbacks = {
		.begin_request = on_request,
		.http_error = on_error,
		.log_message = log_of_server,
		.connection_closed = on_closed,
	};
	char workers[8];
	/* The address is not used: socket() returns the descriptor that is handed over. */
	const char *options[] = { "listening_ports", "127.0.0.1:1", "num_threads", workers,
		"request_timeout_ms", "2000", "tcp_nodelay", "1", "decode_url", "no",
		"enable_keep_alive", "no", "enable_directory_listing", "no",
		"enable_auth_domain_check", "no", "allow_sendfile_call", "no",
		"access_control_allow_origin", "", "access_control_allow_methods", "",
		"access_control_allow_headers", "", "ssi_pattern", "", "index_files", "",
		"max_request_size", "16384", /* larger than the limit of the connection queue */
		NULL };
	int fd = duplicate_fd(listener->fds[0]);
	if (fd < 0)
		return -errno;
	snprintf(workers, sizeof(workers), "%u", worker_count);
	state.handlers = handlers;
	state.claims_max = worker_count > 1 ? (int)worker_count - 1 : 1;
	pa_store_relaxed(&state.claims, 0);
	hold_library(true);
	pa_libc_shims_hand_over(fd);
	state.server = mg_start(&callbacks, NULL, options);
	if (state.server)
		return 0;
	/* A descriptor that civetweb has taken is closed by it. */
	fd = pa_libc_shims_take_back();
	if (fd >= 0)
		close(fd);
	hold_library(false);
	return -ENOMEM;
}

void pa_http_stop(void)
{
	mg_stop(state.server);
	state.server = NULL;
	pa_libc_shims_take_back();
	hold_library(false);
}
