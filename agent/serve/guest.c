#include "guest.h"

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
#include "../profile/core.h"
#include "gate.h"
#include "listen.h"

/* How long a thread that waits for its client sleeps before it asks whether to go on. */
#define NAP_NS (100 * PA_NS_PER_MS)

/* civetweb's own choice is 100 KiB, of which the program's TLS may take any part. */
#define STACK_BYTES ((size_t)1 << 20)

/* At the limit of processes a thread may be had a moment later. */
#define THREAD_TRIES 10
#define THREAD_PAUSE_NS (50 * PA_NS_PER_MS)

static struct {
	PA_ATOMIC(int) handed_fd; /* socket() takes it; acq_rel */
	PA_ATOMIC(int) listen_fd; /* the one that goes through the gate; acquire/release */
} state = { .handed_fd = -1, .listen_fd = -1 };

static __thread struct {
	int connection; /* descriptor + 1 */
	bool (*give_up)(int64_t waited_ns);
	int64_t since_ns;
} self;

void pa_guest_init(void)
{
	pa_store_release(&state.handed_fd, -1);
	pa_store_release(&state.listen_fd, -1);
}

void pa_guest_hand_over(int listen_fd)
{
	pa_store_release(&state.listen_fd, listen_fd);
	pa_store_release(&state.handed_fd, listen_fd);
}

int pa_guest_listener(void)
{
	return pa_load_acquire(&state.listen_fd);
}

int pa_guest_take_back(void)
{
	pa_store_release(&state.listen_fd, -1);
	return pa_swap_acq_rel(&state.handed_fd, -1);
}

int pa_guest_connection(void)
{
	return self.connection - 1;
}

void pa_guest_patience(bool (*give_up)(int64_t waited_ns))
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

static void choose_stack(const pthread_attr_t *given, pthread_attr_t *attr)
{
	int detached = PTHREAD_CREATE_JOINABLE;

	pthread_attr_init(attr);
	pthread_attr_setstacksize(attr, STACK_BYTES);
	if (given && pthread_attr_getdetachstate(given, &detached) == 0)
		pthread_attr_setdetachstate(attr, detached);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
	void *arg)
{
	pthread_attr_t chosen;
	int error = EAGAIN;

	choose_stack(attr, &chosen);
	/* A server without its accepting thread would never answer, and civetweb does not look. */
	for (int i = 0; error == EAGAIN && pa_core_bridge && i < THREAD_TRIES; i++) {
		if (i)
			pa_futex_rest(THREAD_PAUSE_NS);
		error = pa_core_bridge->thread_create(thread, &chosen, run, arg);
	}
	pthread_attr_destroy(&chosen);
	return error;
}

/*
 * Conditions: a word that counts its signals. Those of libc would keep a thread that is asked to
 * leave; only civetweb uses them here.
 */
static PA_ATOMIC(uint32_t) *word_of(pthread_cond_t *cond)
{
	return (PA_ATOMIC(uint32_t) *)(void *)cond;
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
	uint32_t seen = pa_load_acquire(word_of(cond));

	pthread_mutex_unlock(mutex);
	pa_futex_wait(word_of(cond), seen, -1);
	return pthread_mutex_lock(mutex);
}

int pthread_cond_signal(pthread_cond_t *cond)
{
	pa_add_acq_rel(word_of(cond), 1);
	pa_futex_wake(word_of(cond), 1);
	return 0;
}

int pthread_cond_broadcast(pthread_cond_t *cond)
{
	pa_add_acq_rel(word_of(cond), 1);
	pa_futex_wake(word_of(cond), INT32_MAX);
	return 0;
}

/* ---- sockets ---- */

static bool is_listener(int fd)
{
	return fd >= 0 && fd == pa_guest_listener();
}

static int raise_fd(int fd)
{
	return pa_listen_raise(fd, !pa_core_bridge || pa_core_bridge->files_private);
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

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
	return raise_fd((int)syscall(SYS_accept4, fd, address, length, flags | SOCK_CLOEXEC));
}

int accept(int fd, struct sockaddr *address, socklen_t *length)
{
	struct sockaddr_in peer;

	if (!is_listener(fd))
		return accept4(fd, address, length, 0);
	int accepted = pa_gate_accept(&peer);
	if (accepted >= 0 && address && length) {
		memcpy(address, &peer, *length < sizeof(peer) ? *length : sizeof(peer));
		*length = sizeof(peer);
	}
	return accepted;
}

static bool is_given_up(void)
{
	return self.give_up && self.give_up(pa_clock_mono_ns() - self.since_ns);
}

/* poll for one connection, in naps. */
static int wait_for_client(struct pollfd *client, int64_t timeout_ns)
{
	int ready = 0;

	while (!ready && timeout_ns > 0) {
		int64_t nap_ns = timeout_ns < NAP_NS ? timeout_ns : NAP_NS;
		if (is_given_up()) {
			errno = ETIMEDOUT;
			return -1;
		}
		ready = pa_listen_wait(client, 1, nap_ns);
		timeout_ns -= nap_ns;
	}
	return ready;
}

/* A listening descriptor that is not ours any more is quiet for ever. */
static int wait_for_visitor(struct pollfd *listener, int64_t timeout_ns)
{
	if (pa_gate_pending()) {
		listener->revents = POLLIN;
		return 1;
	}
	listener->revents = 0;
	return pa_listen_wait(listener, pa_gate_is_ours(), timeout_ns);
}

/* By the back door: libc's prototype says that poll reads nothing. */
int guest_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("poll");

int guest_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int64_t timeout_ns = timeout_ms < 0 ? -1 : timeout_ms * PA_NS_PER_MS;

	if (count == 1 && is_listener(fds[0].fd))
		return wait_for_visitor(fds, timeout_ns);
	if (count == 1 && fds[0].fd == pa_guest_connection() && self.give_up)
		return wait_for_client(fds, timeout_ns);
	return pa_listen_wait(fds, count, timeout_ns);
}

ssize_t recv(int fd, void *bytes, size_t count, int flags)
{
	self.connection = fd + 1;
	return syscall(SYS_recvfrom, fd, bytes, count, flags, NULL, NULL);
}

ssize_t send(int fd, const void *bytes, size_t count, int flags)
{
	struct pollfd room = { .fd = fd, .events = POLLOUT };
	const int raw_flags = flags | MSG_NOSIGNAL | MSG_DONTWAIT;

	for (;;) {
		ssize_t sent = syscall(SYS_sendto, fd, bytes, count, raw_flags, NULL, 0);
		if (sent >= 0 || errno != EAGAIN || flags & MSG_DONTWAIT)
			return sent;
		if (is_given_up()) {
			errno = EPIPE;
			return -1;
		}
		pa_listen_wait(&room, 1, NAP_NS);
	}
}

/* ---- files ---- */

int open(const char *path, int flags, ...)
{
	va_list args;

	va_start(args, flags);
	unsigned mode = __OPEN_NEEDS_MODE(flags) ? va_arg(args, unsigned) : 0;
	va_end(args);
	return raise_fd((int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode));
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

struct tm *gmtime(const time_t *time)
{
	static __thread struct tm tm;
	return gmtime_r(time, &tm);
}

/* Without the time zone: reading that is the program's business. */
struct tm *localtime(const time_t *time)
{
	return gmtime(time);
}
