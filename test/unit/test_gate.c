#include "agent/serve/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/clock.h"

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
	pa_gate_init(listener, true);
	return 0;
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

static enum pa_gate_verdict judge(const char *text)
{
	return pa_gate_judge(text, strlen(text));
}

static void headers_are_judged_by_their_end(void **unused)
{
	(void)unused;
	assert_int_equal(judge(""), PA_GATE_MORE);
	assert_int_equal(judge("GET / HTTP/1.1\r\nHost: x\r\n"), PA_GATE_MORE);
	assert_int_equal(judge("GET / HTTP/1.1\r\nHost: x\r\n\r"), PA_GATE_MORE);
	assert_int_equal(judge(request), PA_GATE_PASS);
	assert_int_equal(judge("POST / HTTP/1.1\r\n\r\nbody"), PA_GATE_PASS);
	assert_int_equal(judge("GET / HTTP/1.0\n\n"), PA_GATE_PASS);
	assert_int_equal(judge("\r\nGET / HTTP/1.0\r\n\r\n"), PA_GATE_PASS);
}

static void garbage_is_left_to_the_parser(void **unused)
{
	(void)unused;
	assert_int_equal(judge("\x16\x03\x01"), PA_GATE_PASS);
	assert_int_equal(pa_gate_judge("GET /\0", 6), PA_GATE_PASS);
	assert_int_equal(judge("GET\r\n\r\n"), PA_GATE_PASS);
	assert_int_equal(judge("\r\n\r\n"), PA_GATE_PASS);
}

static void targets_that_are_no_path_are_foreign(void **unused)
{
	(void)unused;
	assert_int_equal(judge("GET http://localhost/ HTTP/1.1\r\n\r\n"), PA_GATE_FOREIGN);
	assert_int_equal(judge("OPTIONS * HTTP/1.1\r\n\r\n"), PA_GATE_FOREIGN);
	assert_int_equal(judge("CONNECT a:1 HTTP/1.1\r\n\r\n"), PA_GATE_FOREIGN);
	assert_int_equal(judge("GET  / HTTP/1.1\r\n\r\n"), PA_GATE_FOREIGN);
}

static void long_headers_are_too_long(void **unused)
{
	char text[PA_GATE_HEADER_BYTES];
	(void)unused;
	memset(text, 'a', sizeof(text));
	assert_int_equal(pa_gate_judge(text, sizeof(text) - 1), PA_GATE_MORE);
	assert_int_equal(pa_gate_judge(text, sizeof(text)), PA_GATE_TOO_LONG);
	memcpy(text + sizeof(text) - 4, "\r\n\r\n", 4);
	memcpy(text, "GET /", 5);
	assert_int_equal(pa_gate_judge(text, sizeof(text)), PA_GATE_PASS);
}

static void whole_request_passes_unread(void **unused)
{
	struct sockaddr_in peer;
	char text[sizeof(request)];
	(void)unused;
	int from = client(request);
	int fd = pa_gate_accept(&peer);
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(peer.sin_port, port_of(from));
	assert_int_equal(recv(fd, text, sizeof(text), 0), strlen(request));
	assert_false(pa_gate_pending());
	close(fd);
	close(from);
}

static void nobody_there_is_said_at_once(void **unused)
{
	struct sockaddr_in peer;
	(void)unused;
	assert_int_equal(pa_gate_accept(&peer), -1);
	assert_int_equal(errno, EAGAIN);
}

static void slow_one_does_not_hold_up_a_good_one(void **unused)
{
	struct sockaddr_in peer;
	int slow[PA_GATE_CONNECTIONS + 10];
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(slow); i++)
		slow[i] = client("GET / HT");
	int good = client(request);
	int64_t start_ns = pa_clock_mono_ns();
	int fd = pa_gate_accept(&peer);
	assert_true(fd >= 0);
	assert_int_equal(peer.sin_port, port_of(good));
	assert_true(pa_clock_mono_ns() - start_ns < PA_GATE_TIMEOUT_NS);
	assert_true(pa_gate_pending());
	/* more than fit: the oldest were closed */
	assert_string_equal(answer_to(slow[0]), "");
	for (size_t i = 0; i < PA_COUNT(slow); i++)
		close(slow[i]);
	assert_int_equal(pa_gate_accept(&peer), -1);
	assert_false(pa_gate_pending());
	close(fd);
	close(good);
}

static void rest_of_a_header_is_waited_for(void **unused)
{
	struct sockaddr_in peer;
	(void)unused;
	int first = client("GET / HTTP/1.1\r\n");
	int second = client(request);
	int fd = pa_gate_accept(&peer);
	assert_int_equal(peer.sin_port, port_of(second));
	close(fd);
	assert_int_equal(send(first, "\r\n", 2, MSG_NOSIGNAL), 2);
	fd = pa_gate_accept(&peer);
	assert_true(fd >= 0);
	assert_int_equal(peer.sin_port, port_of(first));
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
	struct sockaddr_in peer;
	(void)unused;
	int slow = client("GET / HT");
	int64_t start_ns = pa_clock_mono_ns();
	assert_int_equal(pa_gate_accept(&peer), -1);
	int64_t took_ns = pa_clock_mono_ns() - start_ns;
	assert_true(took_ns >= PA_GATE_TIMEOUT_NS - PA_NS_PER_S);
	assert_true(took_ns < PA_GATE_TIMEOUT_NS + PA_NS_PER_S);
	close(slow);
}

static void one_that_ends_early_is_dropped(void **unused)
{
	struct sockaddr_in peer;
	(void)unused;
	int gone = client("GET / HTTP/1.1\r\n");
	shutdown(gone, SHUT_WR);
	int64_t start_ns = pa_clock_mono_ns();
	assert_int_equal(pa_gate_accept(&peer), -1);
	assert_true(pa_clock_mono_ns() - start_ns < PA_GATE_TIMEOUT_NS / 2);
	close(gone);
}

static void half_closed_request_passes(void **unused)
{
	struct sockaddr_in peer;
	(void)unused;
	int from = client(request);
	shutdown(from, SHUT_WR);
	int fd = pa_gate_accept(&peer);
	assert_true(fd >= 0);
	close(fd);
	close(from);
}

static void absolute_targets_are_answered_403(void **unused)
{
	struct sockaddr_in peer;
	(void)unused;
	int from = client("GET http://evil.com/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_int_equal(pa_gate_accept(&peer), -1);
	const char *text = answer_to(from);
	assert_ptr_equal(strstr(text, "HTTP/1.1 403 Forbidden\r\n"), text);
	assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
	close(from);
}

static void long_headers_are_answered_431(void **unused)
{
	struct sockaddr_in peer;
	char text[PA_GATE_HEADER_BYTES + 100];
	(void)unused;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	int from = client(text);
	assert_int_equal(pa_gate_accept(&peer), -1);
	assert_non_null(strstr(answer_to(from), "HTTP/1.1 431 "));
	close(from);
}

static void foreign_descriptor_is_noticed(void **unused)
{
	struct sockaddr_in peer;
	(void)unused;
	pa_gate_init(listener, false);
	assert_true(pa_gate_is_ours());
	int copy = dup(listener);
	assert_true(pa_gate_is_listener(copy));
	int other = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(dup2(other, listener), errno);
	assert_false(pa_gate_is_ours());
	/* and nothing is accepted from it */
	assert_int_equal(pa_gate_accept(&peer), -1);
	close(other);
	close(copy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_judged_by_their_end),
		cmocka_unit_test(garbage_is_left_to_the_parser),
		cmocka_unit_test(targets_that_are_no_path_are_foreign),
		cmocka_unit_test(long_headers_are_too_long),
		TEST(whole_request_passes_unread),
		TEST(nobody_there_is_said_at_once),
		TEST(slow_one_does_not_hold_up_a_good_one),
		TEST(rest_of_a_header_is_waited_for),
		TEST(half_open_ones_are_closed_in_time),
		TEST(one_that_ends_early_is_dropped),
		TEST(half_closed_request_passes),
		TEST(absolute_targets_are_answered_403),
		TEST(long_headers_are_answered_431),
		TEST(foreign_descriptor_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
