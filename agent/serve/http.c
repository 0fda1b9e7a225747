#include "http.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/atomic.h"
#include "../base/clock.h"
#include "collect.h"
#include "guest.h"
#include "routes.h"

#define CHUNK_BYTES 16384
/* The hexadecimal length of a chunk, and the line ends around it. */
#define CHUNK_HEAD_BYTES 10
#define CHUNK_TAIL_BYTES 2

#define HEAD_BYTES 1024
#define LAST_CHUNK "0\r\n\r\n"

/* What is read of a body that nobody wants, so that the answer arrives before a reset. */
#define DISCARD_BYTES ((int64_t)16 << 20)

/* One worker is always left for what is answered at once. */
#define CLAIMS_MAX (PA_HTTP_WORKERS - 1)

#define BODY_NS (2 * PA_NS_PER_S)
#define DISCARD_NS (500 * PA_NS_PER_MS)

struct pa_http {
	struct mg_connection *conn;
	int fd;         /* of the connection; -1: not known */
	bool head_only; /* HEAD */
	bool chunked;
	bool one_one;   /* HTTP/1.1 */
	bool continued; /* 100 Continue was sent, or is not wanted */
	bool failed;
	bool claimed;
	bool reading;     /* of the body has begun */
	bool body_failed; /* so much of it will not come */
	int64_t body_bytes; /* read so far */
	size_t used;    /* bytes of the body (or of the head) in the buffer */
	char buffer[CHUNK_HEAD_BYTES + CHUNK_BYTES + CHUNK_TAIL_BYTES];
};

static struct {
	const struct pa_guard *guard;
	PA_ATOMIC(int) claims; /* workers that may be kept long; acq_rel */
} state;

/* ---- sending ---- */

/* Somebody may be turned away now: those who are slow have had their time. */
static bool is_busy(void)
{
	return pa_load_acquire(&state.claims) >= CLAIMS_MAX || pa_collect_is_full();
}

static bool give_up(int64_t waited_ns)
{
	return waited_ns >= (is_busy() ? PA_HTTP_BUSY_STALL_NS : PA_HTTP_STALL_NS);
}

static bool send_bytes(struct pa_http *http, const char *bytes, size_t count)
{
	if (http->failed)
		return false;
	pa_guest_patience(give_up);
	http->failed = mg_write(http->conn, bytes, count) != (int)count;
	return !http->failed;
}

static bool flush(struct pa_http *http)
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

static bool add(struct pa_http *http, const char *bytes, size_t count)
{
	while (count) {
		size_t room = CHUNK_BYTES - http->used;
		size_t part = count < room ? count : room;
		memcpy(http->buffer + CHUNK_HEAD_BYTES + http->used, bytes, part);
		http->used += part;
		bytes += part;
		count -= part;
		if (http->used == CHUNK_BYTES && !flush(http))
			return false;
	}
	return !http->failed;
}

/* ---- the head ---- */

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 301, "Moved Permanently" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 411, "Length Required" },
	{ 413, "Request Entity Too Large" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

const char *pa_http_reason(int status)
{
	for (size_t i = 0; i < PA_COUNT(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Error";
}

/* RFC 9110, 5.6.7. Not strftime: the names of days are the locale's there. */
static void format_date(char *out, size_t size)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)(pa_clock_wall_ns() / PA_NS_PER_S);
	struct tm tm = { 0 };

	gmtime_r(&now, &tm);
	snprintf(out, size, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
		tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		tm.tm_sec);
}

struct text {
	char bytes[HEAD_BYTES];
	size_t length;
};

/* A line with name: value and, in front of the value, what is constant of it; none for a NULL. */
static void add_line(struct text *text, const char *name, const char *value)
{
	size_t room = sizeof(text->bytes) - text->length;
	int count = value ? snprintf(text->bytes + text->length, room, "%s: %s\r\n", name, value)
			  : 0;
	if (count > 0 && (size_t)count < room)
		text->length += (size_t)count;
}

static void add_length(struct text *text, int64_t length)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", (long long)length);
	add_line(text, "Content-Length", digits);
}

bool pa_http_begin(struct pa_http *http, const struct pa_http_head *head)
{
	char date[64];
	struct text text = { .length = 0 };
	bool chunked = head->length < 0 && http->one_one && !http->head_only;

	format_date(date, sizeof(date));
	text.length = (size_t)snprintf(text.bytes, sizeof(text.bytes), "HTTP/1.%d %d %s\r\n",
		http->one_one, head->status, pa_http_reason(head->status));
	add_line(&text, "Allow", head->allow);
	add_line(&text, "Cache-Control", "no-store");
	add_line(&text, "Connection", "close");
	add_line(&text, "Content-Disposition", head->disposition);
	add_line(&text, "Content-Type", head->type);
	add_line(&text, "Cross-Origin-Resource-Policy", "same-origin");
	add_line(&text, "Date", date);
	add_line(&text, "Location", head->location);
	add_line(&text, "WWW-Authenticate", head->status == 401 ? "Bearer" : NULL);
	bool later = head->status == 503 || head->status == 429;
	add_line(&text, "Retry-After", later ? "1" : NULL);
	add_line(&text, "X-Content-Type-Options", "nosniff");
	add_line(&text, "X-Go-Pprof", head->pprof_error ? "1" : NULL);
	add_line(&text, "Transfer-Encoding", chunked ? "chunked" : NULL);
	if (head->length >= 0)
		add_length(&text, head->length);
	add(http, text.bytes, text.length);
	add(http, "\r\n", 2);
	if (!chunked)
		return !http->failed;
	flush(http);
	http->chunked = true;
	return !http->failed;
}

bool pa_http_write(struct pa_http *http, const void *bytes, size_t count)
{
	return http->head_only ? !http->failed : add(http, bytes, count);
}

bool pa_http_end(struct pa_http *http)
{
	if (!flush(http))
		return false;
	return !http->chunked || send_bytes(http, LAST_CHUNK, sizeof(LAST_CHUNK) - 1);
}

/* ---- the client ---- */

int64_t pa_http_body_length(const struct pa_http *http)
{
	return mg_get_request_info(http->conn)->content_length;
}

static bool give_up_body(int64_t waited_ns)
{
	return waited_ns >= BODY_NS;
}

static bool give_up_discarding(int64_t waited_ns)
{
	return waited_ns >= DISCARD_NS || is_busy();
}

/* A read that timed out looks like the end of the body, too. */
static int read_body(struct pa_http *http, void *bytes, size_t count)
{
	int got = http->body_failed ? -1 : mg_read(http->conn, bytes, count);

	http->body_bytes += got > 0 ? got : 0;
	if (got < 0 || (got == 0 && http->body_bytes < pa_http_body_length(http)))
		http->body_failed = true;
	return http->body_failed ? -1 : got;
}

int pa_http_read(struct pa_http *http, void *bytes, size_t count)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!http->continued && !send_bytes(http, go_on, sizeof(go_on) - 1))
		return -1;
	http->continued = true;
	if (!http->reading)
		pa_guest_patience(give_up_body);
	http->reading = true;
	return read_body(http, bytes, count);
}

/*
 * After the answer: what is unread at the close would reset the connection, answer and all. One
 * that waits for our word to go on sends nothing.
 */
static void discard_body(struct pa_http *http)
{
	int64_t total = 0;
	int got = 1;

	pa_guest_patience(give_up_discarding);
	while (got > 0 && total < DISCARD_BYTES && http->continued && !http->failed) {
		got = read_body(http, http->buffer, CHUNK_BYTES);
		total += got;
	}
}

bool pa_http_claim(struct pa_http *http)
{
	if (!http->claimed && pa_add_acq_rel(&state.claims, 1) >= CLAIMS_MAX) {
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

/* ---- civetweb ---- */

static enum pa_request_method method_of(const char *method)
{
	static const char *const known[] = { "GET", "HEAD", "POST" };

	for (size_t i = 0; method && i < PA_COUNT(known); i++) {
		if (strcmp(method, known[i]) == 0)
			return (enum pa_request_method)i;
	}
	return PA_REQUEST_OTHER;
}

static struct sockaddr_in end_of(int fd,
	int (*name)(int, struct sockaddr *restrict, socklen_t *restrict))
{
	struct sockaddr_in end = { 0 };
	socklen_t length = sizeof(end);

	if (name(fd, (struct sockaddr *)&end, &length) != 0 || end.sin_family != AF_INET)
		return (struct sockaddr_in){ 0 };
	return end;
}

static void fill_request(const struct mg_request_info *info, int fd, struct pa_request *request)
{
	request->method = method_of(info->request_method);
	request->path = info->request_uri ? info->request_uri : "";
	request->query = info->query_string ? info->query_string : "";
	request->peer = info->remote_addr;
	request->client = end_of(fd, getpeername);
	request->server = end_of(fd, getsockname);
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
	http->fd = pa_guest_connection();
	http->head_only = method_of(info->request_method) == PA_REQUEST_HEAD;
	http->one_one = info->http_version && strcmp(info->http_version, "1.1") == 0;
	http->continued = !http->one_one || !expect || strcasecmp(expect, "100-continue") != 0;
}

static int on_request(struct mg_connection *conn)
{
	struct pa_request request;
	struct pa_http http;

	const struct mg_request_info *info = mg_get_request_info(conn);

	fill_http(&http, conn);
	fill_request(info, http.fd, &request);
	/* No keep-alive; and no reading of an endless body by civetweb. */
	mg_disable_connection_keep_alive(conn);
	/* It drops what does not fit, and what is dropped cannot be checked. */
	if (info->num_headers >= MG_MAX_HEADERS)
		pa_routes_refuse(&http, 431, NULL);
	else
		pa_routes_answer(&http, &request, state.guard);
	discard_body(&http);
	pa_guest_patience(NULL);
	if (http.claimed)
		pa_add_acq_rel(&state.claims, -1);
	return 200; /* for an access log that nobody keeps */
}

/* RFC 9110, 5.6.2: of such characters methods are made. */
static bool is_token(const char *text)
{
	static const char characters[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
					 "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	return strspn(text, characters) == strlen(text);
}

/* What civetweb could not read. It refuses methods that it does not know as well. */
static int on_error(struct mg_connection *conn, int status, const char *message)
{
	(void)message;
	const struct mg_request_info *info = mg_get_request_info(conn);
	struct pa_http http;

	if (!info)
		return 0;
	fill_http(&http, conn);
	bool is_method = info->request_method && info->request_method[0] &&
		method_of(info->request_method) == PA_REQUEST_OTHER &&
		is_token(info->request_method);
	pa_routes_refuse(&http, status == 400 && is_method ? 405 : status, info->request_uri);
	pa_guest_patience(NULL);
	return 0;
}

static int on_log(const struct mg_connection *conn, const char *message)
{
	(void)conn;
	(void)message;
	return 1;
}

int pa_http_start(const struct pa_listen *listener, const struct pa_guard *guard)
{
	static const struct mg_callbacks callbacks = {
		.begin_request = on_request,
		.http_error = on_error,
		.log_message = on_log,
	};
	char host[INET_ADDRSTRLEN] = "", address[INET_ADDRSTRLEN + 8], workers[8];
	const char *options[] = {
		"listening_ports", address,
		"num_threads", workers,
		"request_timeout_ms", "2000",
		"tcp_nodelay", "1",
		"decode_url", "no",
		"enable_keep_alive", "no",
		"enable_directory_listing", "no",
		"enable_auth_domain_check", "no",
		"allow_sendfile_call", "no",
		"access_control_allow_origin", "",
		"access_control_allow_methods", "",
		"access_control_allow_headers", "",
		"ssi_pattern", "",
		"index_files", "",
		"max_request_size", "16384", /* above the gate's limit */
		NULL
	};
	int fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, PA_LISTEN_FD_MIN);
	if (fd < 0)
		fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	inet_ntop(AF_INET, &listener->bound.sin_addr, host, sizeof(host));
	snprintf(address, sizeof(address), "%s:%u", host, ntohs(listener->bound.sin_port));
	snprintf(workers, sizeof(workers), "%d", PA_HTTP_WORKERS);
	state.guard = guard;
	pa_store_relaxed(&state.claims, 0);
	mg_init_library(MG_FEATURES_DEFAULT);
	pa_guest_hand_over(fd);
	if (mg_start(&callbacks, NULL, options))
		return 0;
	/* What civetweb took it has closed. */
	fd = pa_guest_take_back();
	if (fd >= 0)
		close(fd);
	return -ENOMEM;
}
