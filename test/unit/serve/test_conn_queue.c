/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/conn_queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/serve/idle_timeout.h"
#include "agent/serve/request_head.h"
#include "agent/serve/linger.h"
#include "agent/serve/waiting_requests.h"
#include "test/lib/c/blocked_call.h"

static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

static int listener;
static struct sockaddr_in address;

static int set_up(void **unused)
{
	socklen_t length = sizeof(address);
	(void)unused;
	address = (struct sockaddr_in){ .sin_family = AF_INET };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_return_code(bind(listener, (struct sockaddr *)&address, length), errno);
	assert_return_code(listen(listener, 128), errno);
	assert_return_code(getsockname(listener, (struct sockaddr *)&address, &length), errno);
	const int fds[PA_LISTEN_SOCKETS] = { listener, -1 };
	pa_conn_queue_init(fds, true);
	pa_waiting_requests_reset();
	pa_linger_reset();
	return 0;
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

/* As the worker does when it has answered. */
static void answered(int fd)
{
	close(fd);
	pa_conn_queue_released();
}

static bool is_closed(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
	return got == 0 || (got < 0 && errno == ECONNRESET);
}

static int tear_down(void **unused)
{
	(void)unused;
	close(listener);
	return 0;
}

static int client(const char *text)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_return_code(connect(fd, (struct sockaddr *)&address, sizeof(address)), errno);
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	return fd;
}

static in_port_t port_of(int fd)
{
	struct sockaddr_in own;
	socklen_t length = sizeof(own);
	getsockname(fd, (struct sockaddr *)&own, &length);
	return own.sin_port;
}

static in_port_t peer_port_of(int fd)
{
	struct sockaddr_in peer;
	socklen_t length = sizeof(peer);
	getpeername(fd, (struct sockaddr *)&peer, &length);
	return peer.sin_port;
}

/* What the server sent until it closed. */
static const char *answer_to(int fd)
{
	static char text[1024];
	size_t length = 0;
	ssize_t got;
	while ((got = recv(fd, text + length, sizeof(text) - 1 - length, 0)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	return text;
}

static void whole_request_passes_unread(void **unused)
{
	char text[sizeof(request)];
	(void)unused;
	int from = client(request);
	int fd = pa_conn_queue_accept();
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(peer_port_of(fd), port_of(from));
	assert_int_equal(recv(fd, text, sizeof(text), 0), strlen(request));
	assert_true(pa_conn_queue_pending()); /* it may come back */
	answered(fd);
	assert_false(pa_conn_queue_pending());
	close(from);
}

static void no_connection_is_said_at_once(void **unused)
{
	(void)unused;
	assert_int_equal(pa_conn_queue_accept(), -1);
	assert_int_equal(errno, EAGAIN);
}

static void slow_one_does_not_hold_up_a_good_one(void **unused)
{
	int slow[PA_CONN_QUEUE_CONNECTIONS + 10];
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(slow); i++)
		slow[i] = client("GET / HT");
	int good = client(request);
	int fd = pa_conn_queue_accept();
	assert_true(fd >= 0);
	assert_int_equal(peer_port_of(fd), port_of(good));
	assert_true(pa_conn_queue_pending());
	/* more than fit: the oldest were closed */
	assert_string_equal(answer_to(slow[0]), "");
	assert_false(is_closed(slow[PA_COUNT(slow) - 1]));
	answered(fd);
	close_all(slow, PA_COUNT(slow));
	assert_int_equal(pa_conn_queue_accept(), -1);
	assert_false(pa_conn_queue_pending());
	close(good);
}

static void rest_of_a_header_is_waited_for(void **unused)
{
	(void)unused;
	int first = client("GET / HTTP/1.1\r\n");
	int second = client(request);
	int fd = pa_conn_queue_accept();
	assert_int_equal(peer_port_of(fd), port_of(second));
	answered(fd);
	assert_int_equal(send(first, "\r\n", 2, MSG_NOSIGNAL), 2);
	fd = pa_conn_queue_accept();
	assert_true(fd >= 0);
	assert_int_equal(peer_port_of(fd), port_of(first));
	int low_water = 0;
	socklen_t length = sizeof(low_water);
	getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, &length);
	assert_int_equal(low_water, 1);
	close(fd);
	close(first);
	close(second);
}

static void half_open_ones_are_closed_in_time(void **unused)
{
	(void)unused;
	int slow = client("GET / HT"), good = client(request);
	int fd = pa_conn_queue_accept();
	assert_int_equal(peer_port_of(fd), port_of(good));
	answered(fd);
	int64_t now_ns = pa_clock_mono_ns();
	/* a request that comes six seconds after its connection is awaited still */
	int64_t left_ns = pa_conn_queue_expire(now_ns + 6 * PA_NS_PER_S);
	assert_true(left_ns > 0 && left_ns <= PA_CONN_QUEUE_TIMEOUT_NS - 6 * PA_NS_PER_S);
	assert_false(is_closed(slow));
	assert_int_equal(pa_conn_queue_expire(now_ns + PA_CONN_QUEUE_TIMEOUT_NS), -1);
	assert_true(is_closed(slow));
	assert_false(pa_conn_queue_pending());
	close(slow);
	close(good);
}

static void one_that_ends_early_is_dropped(void **unused)
{
	(void)unused;
	int gone = client("GET / HTTP/1.1\r\n");
	shutdown(gone, SHUT_WR);
	assert_int_equal(pa_conn_queue_accept(), -1); /* and not after PA_CONN_QUEUE_TIMEOUT_NS */
	assert_true(is_closed(gone));
	close(gone);
}

static void half_closed_request_passes(void **unused)
{
	(void)unused;
	int from = client(request);
	shutdown(from, SHUT_WR);
	int fd = pa_conn_queue_accept();
	assert_true(fd >= 0);
	close(fd);
	close(from);
}

/* An answered connection is closed when its client closes it. */
static const char *refusal_of(int from)
{
	shutdown(from, SHUT_WR);
	assert_int_equal(pa_conn_queue_accept(), -1);
	assert_int_equal(pa_linger_count(), 0);
	return answer_to(from);
}

static void absolute_targets_are_answered_403(void **unused)
{
	(void)unused;
	int from = client("GET http://evil.com/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
	const char *text = refusal_of(from);
	assert_ptr_equal(strstr(text, "HTTP/1.1 403 Forbidden\r\n"), text);
	assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
	close(from);
}

static void long_headers_are_answered_431(void **unused)
{
	char text[PA_REQUEST_HEAD_BYTES + 100];
	(void)unused;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	int from = client(text);
	assert_non_null(strstr(refusal_of(from), "HTTP/1.1 431 "));
	close(from);
}

static void folded_headers_are_answered_400(void **unused)
{
	(void)unused;
	int from = client("GET / HTTP/1.1\r\nHost: localhost\r\n more\r\n\r\n");
	assert_non_null(strstr(refusal_of(from), "HTTP/1.1 400 "));
	close(from);
}

static void rest_of_a_refused_request_resets_nothing(void **unused)
{
	char rest[100000];
	(void)unused;
	memset(rest, 'a', sizeof(rest));
	int from = client("PUT http://evil.com/ HTTP/1.1\r\nContent-Length: 100000\r\n\r\n");
	assert_int_equal(send(from, rest, sizeof(rest), MSG_NOSIGNAL), sizeof(rest));
	assert_non_null(strstr(refusal_of(from), "HTTP/1.1 403 "));
	close(from);
}

/* ---- waiting requests ---- */

static int dropped;

static void count_drop(void *arg)
{
	(void)arg;
	dropped++;
}

/* A request that the worker suspends. */
static int add_waiting(int64_t due_ns, int *from)
{
	*from = client(request);
	int fd = pa_conn_queue_accept();
	assert_true(fd >= 0);
	const struct pa_waiting_request waiting = {
		.fd = fd, .due_ns = due_ns, .drop = count_drop
	};
	assert_true(pa_waiting_requests_add(&waiting));
	pa_conn_queue_released();
	return fd;
}

static void waiting_request_is_handed_out_when_it_is_due(void **unused)
{
	struct pa_waiting_request waiting;
	int from;
	(void)unused;
	int fd = add_waiting(pa_clock_mono_ns() + PA_NS_PER_S / 10, &from);
	assert_false(pa_waiting_requests_is_due(fd));
	assert_true(pa_conn_queue_pending());
	assert_int_equal(pa_conn_queue_accept(), fd);
	assert_int_equal(peer_port_of(fd), port_of(from));
	assert_true(pa_waiting_requests_is_due(fd));
	assert_true(pa_waiting_requests_take(fd, &waiting));
	assert_false(waiting.left);
	assert_true(pa_clock_mono_ns() >= waiting.due_ns);
	assert_false(pa_waiting_requests_take(fd, &waiting));
	answered(fd);
	assert_false(pa_conn_queue_pending());
	close(from);
}

static void waiting_request_is_handed_out_when_its_client_leaves(void **unused)
{
	struct pa_waiting_request waiting;
	int from;
	(void)unused;
	int fd = add_waiting(INT64_MAX, &from);
	close(from);
	assert_int_equal(pa_conn_queue_accept(), fd);
	assert_true(pa_waiting_requests_take(fd, &waiting));
	assert_true(waiting.left);
	answered(fd);
	assert_false(pa_conn_queue_pending());
}

static PA_ATOMIC(int32_t) accepting_tid;

static void *accept_one(void *fd)
{
	pa_store_release(&accepting_tid, (int32_t)gettid());
	*(int *)fd = pa_conn_queue_accept();
	return NULL;
}

/* Without a wake it would look again after an hour, when the server would be idle. */
static void accepting_thread_is_woken_for_a_waiting_request(void **unused)
{
	int from = client(request), accepted = -1;
	pthread_t thread;
	(void)unused;
	pa_idle_timeout_begin(3600 * PA_NS_PER_S);
	int fd = pa_conn_queue_accept();
	const struct pa_waiting_request waiting = {
		.fd = fd, .due_ns = pa_clock_mono_ns(), .drop = count_drop
	};
	pa_store_release(&accepting_tid, 0);
	assert_int_equal(pthread_create(&thread, NULL, accept_one, &accepted), 0);
	blocked_call_await(&accepting_tid, SYS_ppoll);
	assert_true(pa_waiting_requests_add(&waiting));
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(accepted, fd);
	assert_true(pa_waiting_requests_is_due(fd));
	pa_waiting_requests_reset();
	pa_conn_queue_released();
	answered(fd);
	close(from);
	pa_idle_timeout_begin(-1);
}

static void good_one_passes_beside_all_that_wait(void **unused)
{
	int fds[PA_WAITING_REQUESTS_MAX], from[PA_WAITING_REQUESTS_MAX],
		slow[PA_CONN_QUEUE_CONNECTIONS];
	(void)unused;
	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++)
		fds[i] = add_waiting(INT64_MAX, &from[i]);
	assert_false(pa_waiting_requests_add(&(struct pa_waiting_request){ .fd = -1 }));
	for (size_t i = 0; i < PA_COUNT(slow); i++)
		slow[i] = client("GET");
	int good = client(request);
	int fd = pa_conn_queue_accept();
	assert_int_equal(peer_port_of(fd), port_of(good));
	assert_int_equal(pa_waiting_requests_count(), PA_WAITING_REQUESTS_MAX);
	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++)
		assert_false(is_closed(from[i]));
	answered(fd);
	dropped = 0;
	pa_waiting_requests_reset();
	assert_int_equal(dropped, PA_WAITING_REQUESTS_MAX);
	assert_int_equal(pa_waiting_requests_count(), 0);
	close_all(fds, PA_COUNT(fds));
	close_all(from, PA_COUNT(from));
	close_all(slow, PA_COUNT(slow));
	close(good);
}

static void foreign_descriptor_is_noticed(void **unused)
{
	const int fds[PA_LISTEN_SOCKETS] = { listener, -1 };
	(void)unused;
	pa_conn_queue_init(fds, false);
	assert_true(pa_conn_queue_is_ours());
	int copy = dup(listener);
	assert_true(pa_conn_queue_is_listener(copy));
	int other = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(dup2(other, listener), errno);
	assert_false(pa_conn_queue_is_ours());
	/* and nothing is accepted from it */
	assert_int_equal(pa_conn_queue_accept(), -1);
	close(other);
	close(copy);
}

static void both_listeners_are_accepted_from(void **unused)
{
	struct pollfd polls[PA_LISTEN_SOCKETS];
	(void)unused;
	int second = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in own = { .sin_family = AF_INET };
	socklen_t length = sizeof(own);
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_return_code(bind(second, (struct sockaddr *)&own, length), errno);
	assert_return_code(listen(second, 8), errno);
	assert_return_code(getsockname(second, (struct sockaddr *)&own, &length), errno);
	const int fds[PA_LISTEN_SOCKETS] = { listener, second };
	pa_conn_queue_init(fds, true);
	int one = client(request);
	address = own;
	int two = client(request);
	int first = pa_conn_queue_accept(), other = pa_conn_queue_accept();
	assert_int_equal(peer_port_of(first), port_of(one));
	assert_int_equal(peer_port_of(other), port_of(two));
	assert_true(pa_conn_queue_is_listener(second));
	pa_conn_queue_fill_listeners(polls);
	assert_int_equal(polls[0].fd, listener);
	assert_int_equal(polls[1].fd, second);
	const int all[] = { one, two, first, other, second };
	close_all(all, PA_COUNT(all));
}

static void a_second_listener_that_is_foreign_is_noticed(void **unused)
{
	struct pollfd polls[PA_LISTEN_SOCKETS];
	(void)unused;
	int second = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
	const int fds[PA_LISTEN_SOCKETS] = { listener, second };
	pa_conn_queue_init(fds, false);
	assert_true(pa_conn_queue_is_ours());
	assert_return_code(dup2(other, second), errno);
	assert_false(pa_conn_queue_is_ours());
	pa_conn_queue_fill_listeners(polls);
	assert_int_equal(polls[0].fd, -1);
	assert_int_equal(polls[1].fd, -1);
	close(other);
	close(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_request_passes_unread),
		TEST(no_connection_is_said_at_once),
		TEST(slow_one_does_not_hold_up_a_good_one),
		TEST(rest_of_a_header_is_waited_for),
		TEST(half_open_ones_are_closed_in_time),
		TEST(one_that_ends_early_is_dropped),
		TEST(half_closed_request_passes),
		TEST(absolute_targets_are_answered_403),
		TEST(long_headers_are_answered_431),
		TEST(folded_headers_are_answered_400),
		TEST(rest_of_a_refused_request_resets_nothing),
		TEST(waiting_request_is_handed_out_when_it_is_due),
		TEST(waiting_request_is_handed_out_when_its_client_leaves),
		TEST(accepting_thread_is_woken_for_a_waiting_request),
		TEST(good_one_passes_beside_all_that_wait),
		TEST(foreign_descriptor_is_noticed),
		TEST(both_listeners_are_accepted_from),
		TEST(a_second_listener_that_is_foreign_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
