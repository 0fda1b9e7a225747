/* SPDX-License-Identifier: Apache-2.0 */
#include "libc_shims.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/wake_word.h"
#include "../core/core.h"
#include "conn_queue.h"
#include "request_head.h"
#include "idle_timeout.h"
#include "listen.h"
#include "waiting_requests.h"

/* Sleep of a thread that waits for its client, between two calls of give_up. */
#define NAP_NS (100 * PA_NS_PER_MS)
#define LAST_NAP_NS (10 * PA_NS_PER_MS)
#define JOIN_NAP_NS (PA_NS_PER_MS)

/* Without the program's TLS. Workers use 60 KiB: the deep calls run on the render thread. */
#ifdef __SANITIZE_ADDRESS__
#define STACK_BYTES ((size_t)1 << 20)
#else
#define STACK_BYTES ((size_t)256 << 10)
#endif

/* At RLIMIT_NPROC a thread may become available a moment later. */
#define THREAD_TRIES 10
#define THREAD_PAUSE_NS (50 * PA_NS_PER_MS)

static struct {
	PA_ATOMIC(int) handed_fd; /* socket() takes it; acq_rel */
	PA_ATOMIC(int) listen_fd; /* the listener of the connection queue; acquire/release */
} state = { .handed_fd = -1, .listen_fd = -1 };

static __thread struct {
	int connection; /* descriptor + 1 */
	bool kept;      /* a duplicate is in use: shutdown() must not end it */
	bool (*give_up)(int64_t waited_ns);
	int64_t since_ns;
} self;

void pa_libc_shims_init(void)
{
	pa_store_release(&state.handed_fd, -1);
	pa_store_release(&state.listen_fd, -1);
}

void pa_libc_shims_hand_over(int listen_fd)
{
	pa_store_release(&state.listen_fd, listen_fd);
	pa_store_release(&state.handed_fd, listen_fd);
}

int pa_libc_shims_listener(void)
{
	return pa_load_acquire(&state.listen_fd);
}

int pa_libc_shims_take_back(void)
{
	pa_store_release(&state.listen_fd, -1);
	return pa_swap_acq_rel(&state.handed_fd, -1);
}

int pa_libc_shims_connection(void)
{
	return self.connection - 1;
}

void pa_libc_shims_keep_connection(void)
{
	self.kept = true;
}

void pa_libc_shims_release_connection(void)
{
	self.kept = false;
}

void pa_libc_shims_forget_connection(void)
{
	self.connection = 0;
	self.kept = false;
}

void pa_libc_shims_set_give_up(bool (*give_up)(int64_t waited_ns))
{
	self.give_up = give_up;
	self.since_ns = pa_clock_mono_ns();
}

/* ---- signals and threads ---- */

int sigaction(int signal_number, const struct sigaction *act, struct sigaction *old)
{
	if (signal_number == SIGPIPE || !pa_core_bridge) {
		if (old)
			memset(old, 0, sizeof(*old));
		return 0;
	}
	return pa_core_bridge->sigaction(signal_number, act, old);
}

__sighandler_t signal(int signal_number, __sighandler_t handler)
{
	(void)signal_number;
	(void)handler;
	return SIG_DFL;
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return pa_core_bridge ? pa_core_bridge->pthread_sigmask(how, set, old) : 0;
}

/* libunwind calls it around each of its locks, four times for each rule that is learnt. Threads of
 * the agent have all signals blocked, and no signal handler uses libunwind. */
int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	(void)how;
	(void)set;
	if (old)
		memset(old, 0xff, sizeof(*old));
	return 0;
}

static void choose_stack(const pthread_attr_t *given, pthread_attr_t *attr)
{
	int detached = PTHREAD_CREATE_JOINABLE;

	pthread_attr_init(attr);
	pthread_attr_setstacksize(attr, STACK_BYTES + pa_core_bridge->tls_bytes);
	if (given && pthread_attr_getdetachstate(given, &detached) == 0)
		pthread_attr_setdetachstate(attr, detached);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	pthread_attr_t chosen;
	int error = EAGAIN;

	if (!pa_core_bridge)
		return error;
	choose_stack(attr, &chosen);
	/* civetweb does not check that its accepting thread exists, and without it would never
	 * answer. */
	for (int i = 0; error == EAGAIN && i < THREAD_TRIES; i++) {
		if (i)
			pa_futex_sleep(THREAD_PAUSE_NS);
		error = pa_core_bridge->thread_create(thread, &chosen, run, arg);
	}
	pthread_attr_destroy(&chosen);
	return error;
}

/*
 * Polls, so that the calling thread can be asked to leave in between, and the awaited one as well.
 */
int pthread_join(pthread_t thread, void **result)
{
	int error;

	while ((error = pthread_tryjoin_np(thread, result)) == EBUSY)
		pa_futex_sleep(JOIN_NAP_NS);
	if (error == 0 && pa_core_bridge)
		pa_core_bridge->thread_joined(thread);
	return error;
}

/* Conditions: a counter of signals, used as a futex. A thread that is asked to leave could not
 * return from libc's pthread_cond_wait(); only civetweb uses them here. */
static struct pa_wake_word *word_of_cond(pthread_cond_t *cond)
{
	_Static_assert(sizeof(struct pa_wake_word) <= sizeof(*cond), "it is in there");
	return (struct pa_wake_word *)(void *)cond;
}

int pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
	(void)attr;
	memset(cond, 0, sizeof(*cond));
	return 0;
}

int pthread_cond_destroy(pthread_cond_t *cond)
{
	(void)cond;
	return 0;
}

int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	uint32_t seen = pa_wake_word_seen(word_of_cond(cond));

	pthread_mutex_unlock(mutex);
	pa_wake_word_wait(word_of_cond(cond), seen, -1);
	return pthread_mutex_lock(mutex);
}

int pthread_cond_signal(pthread_cond_t *cond)
{
	pa_wake_word_bump_one(word_of_cond(cond));
	return 0;
}

int pthread_cond_broadcast(pthread_cond_t *cond)
{
	pa_wake_word_bump(word_of_cond(cond));
	return 0;
}

/* ---- sockets ---- */

static bool is_listener(int fd)
{
	return fd >= 0 && fd == pa_libc_shims_listener();
}

static int raise_fd(int fd)
{
	return pa_listen_raise(fd, pa_core_bridge && pa_core_bridge->files_private);
}

int socket(int domain, int type, int protocol)
{
	int handed = pa_swap_acq_rel(&state.handed_fd, -1);
	if (handed >= 0)
		return handed;
	return raise_fd((int)syscall(SYS_socket, domain, type | SOCK_CLOEXEC, protocol));
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	return is_listener(fd) ? 0 : (int)syscall(SYS_bind, fd, address, length);
}

int listen(int fd, int backlog)
{
	return is_listener(fd) ? 0 : (int)syscall(SYS_listen, fd, backlog);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	return is_listener(fd) ? 0 : (int)syscall(SYS_setsockopt, fd, level, name, value, length);
}

static int give_address(const struct sockaddr_in *given, struct sockaddr *address,
	socklen_t *length)
{
	memcpy(address, given, *length < sizeof(*given) ? *length : sizeof(*given));
	*length = sizeof(*given);
	return 0;
}

/* civetweb is compiled for IPv4 and told to listen on such an address: it checks the family. Which
 * ones the listener and a connection really have is known to listen.c and http.c. */
int getsockname(int fd, struct sockaddr *restrict address, socklen_t *restrict length)
{
	const struct sockaddr_in own = { .sin_family = AF_INET };

	return is_listener(fd) ? give_address(&own, address, length) :
				 (int)syscall(SYS_getsockname, fd, address, length);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return raise_fd((int)syscall(SYS_accept4, fd, address, length, flags | SOCK_CLOEXEC));
}

int accept(int fd, struct sockaddr *address, socklen_t *length)
{
	const struct sockaddr_in peer = { .sin_family = AF_INET };

	if (!is_listener(fd))
		return accept4(fd, address, length, 0);
	int accepted = pa_conn_queue_accept();
	pa_idle_timeout_resume();
	if (accepted >= 0 && address && length)
		give_address(&peer, address, length);
	return accepted;
}

static bool is_connection_given_up(void)
{
	return self.give_up && self.give_up(pa_clock_mono_ns() - self.since_ns);
}

/* poll() for one connection, with calls of give_up in between. */
static int wait_for_client(struct pollfd *client, int64_t timeout_ns)
{
	int ready = 0;

	while (!ready && timeout_ns > 0) {
		int64_t nap_ns = timeout_ns < NAP_NS ? timeout_ns : NAP_NS;
		if (is_connection_given_up()) {
			errno = ETIMEDOUT;
			return -1;
		}
		ready = pa_listen_wait(client, 1, nap_ns);
		timeout_ns -= nap_ns;
	}
	return ready;
}

/*
 * A listening descriptor that is no longer ours never becomes ready. Only a server without any
 * connection (on a worker, waiting, lingering) may be asked to stop. After that the sleeps are
 * short: civetweb checks for its end between them. Before, its timeout only wakes this thread in
 * vain, unless the server never stops.
 */
static int wait_on_listener(struct pollfd *listener, int64_t timeout_ns)
{
	struct pollfd all[PA_LISTEN_SOCKETS];

	if (pa_conn_queue_pending()) {
		pa_idle_timeout_resume();
		listener->revents = POLLIN;
		return 1;
	}
	listener->revents = 0;
	int64_t idle_ns = pa_idle_timeout_look();
	if (idle_ns >= 0)
		timeout_ns = idle_ns ? idle_ns : LAST_NAP_NS;
	pa_conn_queue_fill_listeners(all);
	int ready = pa_listen_wait(all, PA_COUNT(all), timeout_ns);
	listener->revents = ready > 0 ? POLLIN : 0;
	if (ready <= 0 || pa_idle_timeout_resume())
		return ready > 0 ? 1 : ready;
	listener->revents = 0;
	pa_futex_sleep(LAST_NAP_NS);
	return 0;
}

/* Defined under another name: glibc's prototype of poll() declares fds as write-only. */
int shim_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("poll");

int shim_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int64_t timeout_ns = timeout_ms < 0 ? -1 : timeout_ms * PA_NS_PER_MS;

	if (count == 1 && is_listener(fds[0].fd))
		return wait_on_listener(fds, timeout_ns);
	if (count == 1 && pa_waiting_requests_is_due(fds[0].fd)) {
		fds[0].revents = fds[0].events & POLLIN;
		return 1;
	}
	if (count == 1 && fds[0].fd == pa_libc_shims_connection() && self.give_up)
		return wait_for_client(fds, timeout_ns);
	return pa_listen_wait(fds, count, timeout_ns);
}

/*
 * The request of a waiting connection was read before; civetweb expects one, so it gets a constant.
 */
static ssize_t receive_waiting(char *bytes, size_t count)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	size_t length = count < sizeof(request) - 1 ? count : sizeof(request) - 1;

	memcpy(bytes, request, length);
	return (ssize_t)length;
}

/* Reads the header only, which has arrived: the connection queue has seen it. The body is left to
 * http.c. */
static ssize_t receive_header(int fd, char *bytes, size_t count)
{
	ssize_t seen = syscall(SYS_recvfrom, fd, bytes, count, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
	size_t length = seen > 0 ? pa_request_head_length(bytes, (size_t)seen) : 0;

	return syscall(SYS_recvfrom, fd, bytes, length ? length : count, 0, NULL, NULL);
}

ssize_t recv(int fd, void *bytes, size_t count, int flags)
{
	bool first = self.connection != fd + 1;

	if (flags) /* not a call of civetweb's, and perhaps of another connection than its */
		return syscall(SYS_recvfrom, fd, bytes, count, flags, NULL, NULL);
	self.connection = fd + 1;
	if (pa_waiting_requests_is_due(fd))
		return receive_waiting(bytes, count);
	return first ? receive_header(fd, bytes, count) :
		       syscall(SYS_recvfrom, fd, bytes, count, 0, NULL, NULL);
}

int shutdown(int fd, int how)
{
	return self.kept && fd == pa_libc_shims_connection() ? 0 :
							       (int)syscall(SYS_shutdown, fd, how);
}

ssize_t send(int fd, const void *bytes, size_t count, int flags)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	const int raw_flags = flags | MSG_NOSIGNAL | MSG_DONTWAIT;

	for (;;) {
		ssize_t sent = syscall(SYS_sendto, fd, bytes, count, raw_flags, NULL, 0);
		if (sent >= 0 || errno != EAGAIN || flags & MSG_DONTWAIT)
			return sent;
		if (is_connection_given_up()) {
			errno = EPIPE;
			return -1;
		}
		pa_listen_wait(&room, 1, NAP_NS);
	}
}

/* ---- files ---- */

static int open_high(int folder, const char *path, int flags, unsigned mode)
{
	return raise_fd((int)syscall(SYS_openat, folder, path, flags | O_CLOEXEC, mode));
}

int open(const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	unsigned mode = __OPEN_NEEDS_MODE(flags) ? va_arg(args, unsigned) : 0;
	va_end(args);
	return open_high(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	unsigned mode = __OPEN_NEEDS_MODE(flags) ? va_arg(args, unsigned) : 0;
	va_end(args);
	return open_high(folder, path, flags, mode);
}

int pipe2(int fds[2], int flags)
{
	if (syscall(SYS_pipe2, fds, flags | O_CLOEXEC) != 0)
		return -1;
	fds[0] = raise_fd(fds[0]);
	fds[1] = raise_fd(fds[1]);
	if (fds[0] >= 0 && fds[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	errno = EMFILE;
	return -1;
}

int pipe(int fds[2])
{
	return pipe2(fds, 0);
}

/* ---- time ---- */

/* As libc's, but the thread can be asked to leave. */
int usleep(useconds_t us)
{
	pa_futex_sleep((int64_t)us * 1000);
	return 0;
}
