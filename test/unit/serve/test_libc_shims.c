/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of libc's names that libc_shims.c defines are the test program's own here. */
#include "agent/serve/libc_shims.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/core/core.h"
#include "agent/serve/conn_queue.h"
#include "agent/serve/listen.h"
#include "agent/serve/waiting_requests.h"

struct pa_bridge *pa_core_bridge;

static struct {
	int sigactions, masks, threads, thread_error, detached;
	size_t stack_bytes;
} calls;

static int bridge_sigaction(int signal_number, const struct sigaction *act, struct sigaction *old)
{
	(void)signal_number;
	(void)act;
	(void)old;
	calls.sigactions++;
	return 0;
}

static int bridge_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	(void)how;
	(void)set;
	(void)old;
	calls.masks++;
	return 0;
}

static int bridge_thread_create(pthread_t *thread, pthread_attr_t *attr, void *(*run)(void *),
	void *arg)
{
	(void)thread;
	(void)run;
	(void)arg;
	calls.threads++;
	pthread_attr_getstacksize(attr, &calls.stack_bytes);
	pthread_attr_getdetachstate(attr, &calls.detached);
	if (calls.threads > 1)
		return 0;
	return calls.thread_error;
}

#define TLS_BYTES ((size_t)3 << 20)

static struct pa_bridge bridge = {
	.tls_bytes = TLS_BYTES,
	.sigaction = bridge_sigaction,
	.pthread_sigmask = bridge_sigmask,
	.thread_create = bridge_thread_create,
};

static int set_up(void **unused)
{
	(void)unused;
	memset(&calls, 0, sizeof(calls));
	pa_core_bridge = &bridge;
	pa_libc_shims_init();
	pa_libc_shims_set_give_up(NULL);
	pa_libc_shims_forget_connection();
	pa_waiting_requests_reset();
	return 0;
}

/* Two ends of a stream whose buffers are small. */
static void connect_pair(int ends[2])
{
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), errno);
}

static bool at_once(int64_t waited_ns)
{
	(void)waited_ns;
	return true;
}

static bool after_a_while(int64_t waited_ns)
{
	return waited_ns >= 150 * PA_NS_PER_MS;
}

static void descriptors_are_high_and_closed_on_exec(void **unused)
{
	int fds[6], count = 0;
	(void)unused;
	fds[count++] = socket(AF_INET, SOCK_STREAM, 0);
	fds[count++] = open("/dev/null", O_RDONLY);
	int folder = open("/dev", O_RDONLY | O_DIRECTORY);
	fds[count++] = openat(folder, "null", O_RDONLY);
	close(folder);
	assert_return_code(pipe(fds + count), errno);
	count += 2;
	for (int i = 0; i < count; i++) {
		assert_true(fds[i] >= PA_LISTEN_FD_MIN);
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		close(fds[i]);
	}
	assert_int_equal(open("/nonexistent", O_RDONLY), -1);
	assert_int_equal(errno, ENOENT);
}

static void open_passes_the_mode(void **unused)
{
	(void)unused;
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0640);
	if (fd < 0)
		skip();
	assert_true(fcntl(fd, F_GETFL) & O_RDWR);
	close(fd);
}

static void first_socket_is_the_one_handed_over(void **unused)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int on = 1;
	(void)unused;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(listen(listener, 8), errno);
	pa_libc_shims_hand_over(listener);
	assert_int_equal(socket(AF_INET, SOCK_STREAM, 0), listener);
	/* what civetweb does to it has no effect, and no error */
	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(listener, 1), 0);
	socklen_t bytes = sizeof(on);
	getsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, &bytes);
	assert_int_equal(on, 0);
	/* the next one is another */
	int other = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_not_equal(other, listener);
	assert_int_equal(pa_libc_shims_take_back(), -1);
	assert_int_equal(pa_libc_shims_listener(), -1);
	close(other);
	close(listener);
}

static void untaken_socket_comes_back(void **unused)
{
	(void)unused;
	pa_libc_shims_hand_over(1234);
	assert_int_equal(pa_libc_shims_listener(), 1234);
	assert_int_equal(pa_libc_shims_take_back(), 1234);
}

static void accept_uses_the_connection_queue(void **unused)
{
	static const char request[] = "GET / HTTP/1.1\r\n\r\n";
	struct sockaddr_in address = { .sin_family = AF_INET }, peer;
	socklen_t length = sizeof(address);
	char bytes[64];
	(void)unused;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_return_code(bind(listener, (struct sockaddr *)&address, length), errno);
	assert_return_code(listen(listener, 8), errno);
	getsockname(listener, (struct sockaddr *)&address, &length);
	const int fds[PA_LISTEN_SOCKETS] = { listener, -1 };
	pa_conn_queue_init(fds, true);
	pa_libc_shims_hand_over(listener);
	pa_libc_shims_take_back();
	pa_libc_shims_hand_over(listener);

	int slow = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(slow, listener); /* taken */
	slow = socket(AF_INET, SOCK_STREAM, 0);
	int good = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(connect(slow, (struct sockaddr *)&address, length), errno);
	assert_return_code(connect(good, (struct sockaddr *)&address, length), errno);
	assert_int_equal(send(slow, "GET", 3, 0), 3);
	assert_int_equal(send(good, request, strlen(request), 0), strlen(request));

	struct pollfd ready = { .fd = listener, .events = POLLIN };
	assert_int_equal(poll(&ready, 1, 5000), 1);
	length = sizeof(peer);
	int fd = accept(listener, (struct sockaddr *)&peer, &length);
	assert_true(fd >= PA_LISTEN_FD_MIN);
	assert_int_equal(peer.sin_family, AF_INET);
	assert_int_equal(length, sizeof(peer));
	/* the slow one waits in the connection queue, so there is work */
	ready.revents = 0;
	assert_int_equal(poll(&ready, 1, 0), 1);
	assert_int_equal(ready.revents, POLLIN);

	assert_int_equal(recv(fd, bytes, sizeof(bytes), 0), strlen(request));
	assert_int_equal(pa_libc_shims_connection(), fd);
	pa_conn_queue_released();
	close(slow);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	close(good);
	close(fd);
	close(listener);
}

static void send_to_a_closed_end_is_no_signal(void **unused)
{
	int ends[2];
	(void)unused;
	connect_pair(ends);
	close(ends[1]);
	assert_int_equal(send(ends[0], "x", 1, 0), -1); /* SIGPIPE would end the test */
	assert_int_equal(errno, EPIPE);
	close(ends[0]);
}

static void fill(int fd)
{
	char bytes[4096] = "";
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(errno, EAGAIN);
}

static void send_gives_up_when_told(void **unused)
{
	int ends[2];
	(void)unused;
	connect_pair(ends);
	fill(ends[0]);
	pa_libc_shims_set_give_up(after_a_while);
	int64_t start_ns = pa_clock_mono_ns();
	assert_int_equal(send(ends[0], "x", 1, 0), -1);
	assert_int_equal(errno, EPIPE);
	assert_true(pa_clock_mono_ns() - start_ns >= 150 * PA_NS_PER_MS);
	assert_true(pa_clock_mono_ns() - start_ns < 5 * PA_NS_PER_S);
	close(ends[0]);
	close(ends[1]);
}

static void poll_of_the_connection_gives_up_when_told(void **unused)
{
	struct pollfd client = { .events = POLLIN };
	char byte;
	int ends[2];
	(void)unused;
	connect_pair(ends);
	client.fd = ends[0];
	assert_int_equal(send(ends[1], "x", 1, 0), 1);
	assert_int_equal(recv(ends[0], &byte, 1, 0), 1);
	pa_libc_shims_set_give_up(at_once);
	assert_int_equal(poll(&client, 1, 60000), -1);
	assert_int_equal(errno, ETIMEDOUT);
	pa_libc_shims_set_give_up(after_a_while);
	assert_int_equal(poll(&client, 1, 60000), -1);
	assert_int_equal(errno, ETIMEDOUT);
	/* data is seen, however impatient */
	pa_libc_shims_set_give_up(after_a_while);
	assert_int_equal(send(ends[1], "x", 1, 0), 1);
	assert_int_equal(poll(&client, 1, 60000), 1);
	/* others are left alone */
	pa_libc_shims_set_give_up(at_once);
	client.fd = ends[1];
	assert_int_equal(poll(&client, 1, 1), 0);
	close(ends[0]);
	close(ends[1]);
}

static void body_is_left_in_the_socket(void **unused)
{
	static const char request[] = "POST / HTTP/1.1\r\n\r\nbody";
	char bytes[64];
	int ends[2];
	(void)unused;
	connect_pair(ends);
	assert_int_equal(send(ends[1], request, strlen(request), 0), strlen(request));
	assert_int_equal(recv(ends[0], bytes, sizeof(bytes), 0), strlen(request) - 4);
	assert_int_equal(recv(ends[0], bytes, sizeof(bytes), 0), 4);
	assert_memory_equal(bytes, "body", 4);
	close(ends[0]);
	close(ends[1]);
}

static void waiting_connection_has_a_request_again(void **unused)
{
	struct pollfd client = { .events = POLLIN };
	char bytes[128];
	int ends[2];
	struct pa_waiting_request waiting;
	(void)unused;
	connect_pair(ends);
	client.fd = ends[0];
	assert_true(pa_waiting_requests_add(&(struct pa_waiting_request){ .fd = ends[0] }));
	assert_int_equal(poll(&client, 1, 0), 0);
	assert_int_equal(pa_waiting_requests_next(NULL, 0, 1), ends[0]);
	assert_int_equal(poll(&client, 1, 0), 1);
	ssize_t got = recv(ends[0], bytes, sizeof(bytes), 0);
	assert_true(got > 4);
	assert_memory_equal(bytes + got - 4, "\r\n\r\n", 4);
	assert_true(pa_waiting_requests_take(ends[0], &waiting));
	client.revents = 0;
	assert_int_equal(poll(&client, 1, 0), 0);
	close(ends[0]);
	close(ends[1]);
}

static void end_of_a_kept_connection_is_not_sent(void **unused)
{
	char byte;
	int ends[2];
	(void)unused;
	connect_pair(ends);
	assert_int_equal(send(ends[1], "x", 1, 0), 1);
	assert_int_equal(recv(ends[0], &byte, 1, 0), 1);
	pa_libc_shims_keep_connection();
	assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
	assert_int_equal(recv(ends[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	/* What our code receives elsewhere changes nothing. */
	assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
	assert_int_equal(recv(ends[1], &byte, 1, MSG_DONTWAIT), -1);
	pa_libc_shims_forget_connection();
	assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
	assert_int_equal(recv(ends[1], &byte, 1, MSG_DONTWAIT), 0);
	close(ends[0]);
	close(ends[1]);
}

static void sigpipe_is_never_touched(void **unused)
{
	struct sigaction act = { .sa_handler = SIG_IGN }, old;
	(void)unused;
	assert_int_equal(sigaction(SIGPIPE, &act, &old), 0);
	assert_int_equal(calls.sigactions, 0);
	assert_true(signal(SIGPIPE, SIG_IGN) == SIG_DFL);
	assert_int_equal(calls.sigactions, 0);
	assert_int_equal(sigaction(SIGUSR1, &act, &old), 0);
	assert_int_equal(calls.sigactions, 1);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, NULL), 0);
	assert_int_equal(calls.masks, 1);
}

static void signal_mask_says_that_all_are_blocked_without_a_call(void **unused)
{
	sigset_t none, old, now;
	(void)unused;
	sigemptyset(&none);
	assert_int_equal(sigprocmask(SIG_SETMASK, &none, &old), 0);
	assert_int_equal(sigismember(&old, SIGTERM), 1);
	assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
	/* That of the thread is as before. */
	assert_int_equal(syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &now, 8), 0);
	assert_int_equal(sigismember(&now, SIGTERM), 0);
	assert_int_equal(calls.masks, 0);
}

static void *nothing(void *unused)
{
	return unused;
}

static void thread_is_tried_again_at_the_limit(void **unused)
{
	pthread_t thread;
	(void)unused;
	calls.thread_error = EAGAIN;
	assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
	assert_int_equal(calls.threads, 2);
}

static void thread_that_cannot_be_is_told_at_once(void **unused)
{
	pthread_t thread;
	(void)unused;
	calls.thread_error = EINVAL;
	assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), EINVAL);
	assert_int_equal(calls.threads, 1);
}

static void thread_has_room_and_is_detached_as_asked(void **unused)
{
	pthread_attr_t attr;
	pthread_t thread;
	(void)unused;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 100 << 10);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	assert_int_equal(pthread_create(&thread, &attr, nothing, NULL), 0);
	assert_in_range(calls.stack_bytes, (256 << 10) + TLS_BYTES, (1 << 20) + TLS_BYTES);
	assert_int_equal(calls.detached, PTHREAD_CREATE_DETACHED);
	assert_int_equal(pthread_create(&thread, NULL, nothing, NULL), 0);
	assert_int_equal(calls.detached, PTHREAD_CREATE_JOINABLE);
	pthread_attr_destroy(&attr);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(descriptors_are_high_and_closed_on_exec),
		TEST(open_passes_the_mode),
		TEST(first_socket_is_the_one_handed_over),
		TEST(untaken_socket_comes_back),
		TEST(accept_uses_the_connection_queue),
		TEST(send_to_a_closed_end_is_no_signal),
		TEST(send_gives_up_when_told),
		TEST(poll_of_the_connection_gives_up_when_told),
		TEST(body_is_left_in_the_socket),
		TEST(waiting_connection_has_a_request_again),
		TEST(end_of_a_kept_connection_is_not_sent),
		TEST(sigpipe_is_never_touched),
		TEST(signal_mask_says_that_all_are_blocked_without_a_call),
		TEST(thread_is_tried_again_at_the_limit),
		TEST(thread_that_cannot_be_is_told_at_once),
		TEST(thread_has_room_and_is_detached_as_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
