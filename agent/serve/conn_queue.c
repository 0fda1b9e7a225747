/* SPDX-License-Identifier: Apache-2.0 */
#include "conn_queue.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/atomic.h"
#include "../base/clock.h"
#include "idle_timeout.h"
#include "queue_wake.h"
#include "request_head.h"
#include "linger.h"
#include "listen.h"
#include "waiting_requests.h"

/* Pause when no descriptors are left: the connection stays in the backlog and poll() reports it
 * again. */
#define NO_FD_PAUSE_NS (100 * PA_NS_PER_MS)
#define ANSWER_BYTES 512
/* A new connection is kept at least this long, however many others arrive. */
#define GRACE_NS (100 * PA_NS_PER_MS)
/*
 * Longest poll() while workers have connections, where nothing wakes this thread (queue_wake.h): a
 * worker may turn its connection into a waiting or lingering one at any moment.
 */
#define POLL_MAX_NS (50 * PA_NS_PER_MS)

struct conn {
	int fd;
	int64_t until_ns;
};

struct listener {
	int fd; /* -1: none */
	dev_t device;
	ino_t inode;
};

static struct {
	struct listener listeners[PA_LISTEN_SOCKETS];
	bool files_private;
	PA_ATOMIC(uint32_t) on_workers; /* connections on workers; acq_rel */
	uint32_t count;
	struct conn conns[PA_CONN_QUEUE_CONNECTIONS]; /* oldest first */
} state = { .listeners = { { .fd = -1 }, { .fd = -1 } } };

void pa_conn_queue_init(const int fds[PA_LISTEN_SOCKETS], bool files_private)
{
	for (size_t i = 0; i < PA_LISTEN_SOCKETS; i++) {
		struct stat stat = { 0 };
		if (fds[i] >= 0)
			fstat(fds[i], &stat);
		state.listeners[i] = (struct listener){ fds[i], stat.st_dev, stat.st_ino };
	}
	state.files_private = files_private;
	if (fds[0] < 0)
		pa_queue_wake_forget();
	else if (files_private)
		pa_queue_wake_open();
	state.count = 0;
	pa_store_release(&state.on_workers, 0);
}

static bool is_socket_of(int fd, const struct listener *listener)
{
	struct stat stat;

	return fd >= 0 && listener->inode && fstat(fd, &stat) == 0 &&
		stat.st_dev == listener->device && stat.st_ino == listener->inode;
}

bool pa_conn_queue_is_listener(int fd)
{
	for (size_t i = 0; i < PA_LISTEN_SOCKETS; i++) {
		if (is_socket_of(fd, &state.listeners[i]))
			return true;
	}
	return false;
}

static bool is_listener_ours(const struct listener *listener)
{
	return state.files_private || is_socket_of(listener->fd, listener);
}

bool pa_conn_queue_is_ours(void)
{
	for (size_t i = 0; i < PA_LISTEN_SOCKETS; i++) {
		const struct listener *listener = &state.listeners[i];
		if ((i == 0 || listener->fd >= 0) && !is_listener_ours(listener))
			return false;
	}
	return true;
}

void pa_conn_queue_fill_listeners(struct pollfd polls[PA_LISTEN_SOCKETS])
{
	bool ours = pa_conn_queue_is_ours();

	for (size_t i = 0; i < PA_LISTEN_SOCKETS; i++)
		polls[i] = (struct pollfd){ .fd = ours ? state.listeners[i].fd : -1,
			.events = POLLIN };
}

/*
 * The order matters: a worker adds a waiting or lingering entry before it releases the connection.
 */
bool pa_conn_queue_pending(void)
{
	return pa_load_acquire(&state.on_workers) || state.count || pa_waiting_requests_count() ||
		pa_linger_count();
}

void pa_conn_queue_released(void)
{
	pa_sub_acq_rel(&state.on_workers, 1);
}

/* ---- connections ---- */

struct refusal {
	const char *status, *text;
};

static const struct refusal refusal_foreign = { "403 Forbidden",
	"the request names a site, not a path" };
static const struct refusal refusal_bad = { "400 Bad Request",
	"a line of the header is no field, or the body has no length, or two" };
static const struct refusal refusal_too_long = { "431 Request Header Fields Too Large",
	"the request header is longer than 8 KiB" };

static void answer_refusal(int fd, const struct refusal *refusal)
{
	char bytes[ANSWER_BYTES];
	int length = snprintf(bytes, sizeof(bytes),
		"HTTP/1.1 %s\r\n"
		"Cache-Control: no-store\r\n"
		"Connection: close\r\n"
		"Content-Length: %zu\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n"
		"Cross-Origin-Resource-Policy: same-origin\r\n"
		"X-Content-Type-Options: nosniff\r\n"
		"X-Go-Pprof: 1\r\n\r\n%s\n",
		refusal->status, strlen(refusal->text) + 1, refusal->text);
	send(fd, bytes, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
}

static void set_low_water(int fd, int bytes)
{
	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

static struct conn remove_at(uint32_t at)
{
	struct conn gone = state.conns[at];

	state.count--;
	memmove(&state.conns[at], &state.conns[at + 1], (state.count - at) * sizeof(*state.conns));
	return gone;
}

static void drop_conn(uint32_t at, const struct refusal *refusal)
{
	struct conn gone = remove_at(at);

	if (!refusal) {
		close(gone.fd);
		return;
	}
	answer_refusal(gone.fd, refusal);
	set_low_water(gone.fd, 1);
	pa_linger_add(gone.fd);
}

/* True if the connection may go to a worker. ended: the peer sends nothing more. A rejected
 * connection is removed from the queue. */
static bool check_request(uint32_t at, bool ended)
{
	char bytes[PA_REQUEST_HEAD_BYTES];
	int fd = state.conns[at].fd;
	ssize_t count = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

	if (count < 0 && (errno == EAGAIN || errno == EINTR) && !ended)
		return false;
	enum pa_request_head_verdict verdict =
		count > 0 ? pa_request_head_judge(bytes, (size_t)count) : PA_REQUEST_HEAD_MORE;
	if (verdict == PA_REQUEST_HEAD_PASS) {
		set_low_water(fd, 1);
		return true;
	}
	if (verdict == PA_REQUEST_HEAD_FOREIGN)
		drop_conn(at, &refusal_foreign);
	else if (verdict == PA_REQUEST_HEAD_BAD)
		drop_conn(at, &refusal_bad);
	else if (verdict == PA_REQUEST_HEAD_TOO_LONG)
		drop_conn(at, &refusal_too_long);
	else if (count <= 0 || ended)
		drop_conn(at, NULL);
	else
		set_low_water(fd, (int)count + 1); /* poll() returns for the next byte, not for the
						    * bytes seen */
	return false;
}

/* Counts the descriptor as one of a worker. */
static int hand_out(int fd)
{
	pa_add_acq_rel(&state.on_workers, 1);
	return fd;
}

static int pass_conn(uint32_t at)
{
	return hand_out(remove_at(at).fd);
}

static bool is_queue_full(void)
{
	return state.count + pa_waiting_requests_count() + pa_linger_count() >=
		PA_CONN_QUEUE_CONNECTIONS;
}

/* Time for which the next connection stays in the backlog while the queue is full, so that later
 * connections do not displace a client whose request is about to arrive. 0: accept now. */
static int64_t grace_ns(void)
{
	if (!state.count || pa_linger_count() || !is_queue_full())
		return 0;
	int64_t since_ns = state.conns[0].until_ns - PA_CONN_QUEUE_TIMEOUT_NS;
	int64_t left_ns = since_ns + GRACE_NS - pa_clock_mono_ns();
	return left_ns > 0 ? left_ns : 0;
}

/* Frees a place if the queue is full. Lingering connections are closed first. */
static void make_conn_room(void)
{
	while (is_queue_full()) {
		if (pa_linger_drop())
			continue;
		if (!state.count)
			return;
		drop_conn(0, NULL);
	}
}

/* Accepts a connection. True if its request has already arrived (it is then the last entry). */
static bool accept_conn(const struct listener *listener)
{
	struct conn conn = { .until_ns = pa_clock_mono_ns() + PA_CONN_QUEUE_TIMEOUT_NS };

	/* poll() waited for our socket, but its number may meanwhile belong to the program. */
	if (!is_listener_ours(listener))
		return false;
	conn.fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (conn.fd < 0 &&
		(errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS))
		pa_listen_wait(NULL, 0, NO_FD_PAUSE_NS);
	conn.fd = pa_listen_raise(conn.fd, state.files_private);
	if (conn.fd < 0)
		return false;
	make_conn_room();
	state.conns[state.count++] = conn;
	return check_request(state.count - 1, false);
}

int64_t pa_conn_queue_expire(int64_t now_ns)
{
	while (state.count && state.conns[0].until_ns <= now_ns)
		drop_conn(0, NULL);
	return state.count ? state.conns[0].until_ns - now_ns : -1;
}

static int64_t earlier_of(int64_t a_ns, int64_t b_ns)
{
	return b_ns < 0 || (a_ns >= 0 && a_ns < b_ns) ? a_ns : b_ns;
}

/* In a poll(): the listeners, and the descriptor by which workers wake this thread. */
#define FIRST_POLLS (PA_LISTEN_SOCKETS + 1)

/* One poll() call: the first ones, then pending, waiting and lingering connections. */
struct poll_set {
	struct pollfd polls[FIRST_POLLS + PA_CONN_QUEUE_CONNECTIONS + PA_WAITING_REQUESTS_POLLS +
		PA_LINGER_MAX];
	uint32_t conns, waiting, lingering;
};

static void fill_polls(struct poll_set *set, bool accepts)
{
	struct pollfd *polls = set->polls;

	pa_conn_queue_fill_listeners(polls);
	for (size_t i = 0; i < PA_LISTEN_SOCKETS; i++, polls++)
		polls->fd = accepts ? polls->fd : -1;
	*polls++ = (struct pollfd){ .fd = pa_queue_wake_fd(), .events = POLLIN };
	set->conns = state.count;
	for (uint32_t i = 0; i < state.count; i++)
		*polls++ = (struct pollfd){ .fd = state.conns[i].fd, .events = POLLIN | POLLRDHUP };
	set->waiting = pa_waiting_requests_fill(polls);
	set->lingering = pa_linger_fill(polls + set->waiting);
}

/* Returns the descriptor of a connection whose request has arrived; -1: none. */
static int check_conns(const struct pollfd *polls, uint32_t count)
{
	/* From the youngest on: removing an entry moves only the younger ones. */
	for (uint32_t i = count; i-- > 0;) {
		bool ended = polls[i].revents & (POLLRDHUP | POLLHUP | POLLERR);
		if (polls[i].revents && check_request(i, ended))
			return pass_conn(i);
	}
	return -1;
}

/* While workers have connections. The last one may be released without a wake: then the server is
 * idle, and this thread has to look for that in time. */
static int64_t worker_wait_ns(void)
{
	const int64_t idle_ns = pa_queue_wake_fd() >= 0 ? pa_idle_timeout_left_ns() : 0;

	return idle_ns == 0 ? POLL_MAX_NS : idle_ns;
}

/* Timeout of the next poll(). */
static int64_t wait_ns(void)
{
	if (!pa_conn_queue_pending())
		return 0;
	int64_t now_ns = pa_clock_mono_ns();
	int64_t wait_ns = earlier_of(pa_conn_queue_expire(now_ns), pa_linger_expire(now_ns));

	wait_ns = earlier_of(wait_ns, pa_waiting_requests_wait_ns(now_ns));
	return pa_load_acquire(&state.on_workers) ? earlier_of(wait_ns, worker_wait_ns()) : wait_ns;
}

/* Polls all connections once. Returns a descriptor for a worker; -1: none. */
static int poll_connections(void)
{
	struct poll_set set;
	int64_t timeout_ns = wait_ns(), grace = grace_ns();

	if (grace)
		timeout_ns = earlier_of(timeout_ns, grace);
	fill_polls(&set, !grace);
	const struct pollfd *conns = set.polls + FIRST_POLLS, *waiting = conns + set.conns;
	int ready = pa_listen_wait(set.polls, FIRST_POLLS + set.conns + set.waiting + set.lingering,
		timeout_ns);
	if (ready > 0 && set.polls[PA_LISTEN_SOCKETS].revents)
		pa_queue_wake_drain();
	if (ready > 0)
		pa_linger_read(waiting + set.waiting, set.lingering);
	int fd = pa_waiting_requests_next(waiting, ready > 0 ? set.waiting : 0, pa_clock_mono_ns());
	if (fd >= 0)
		return hand_out(fd);
	if (ready <= 0)
		return -1;
	fd = check_conns(conns, set.conns);
	for (size_t i = 0; i < PA_LISTEN_SOCKETS && fd < 0; i++) {
		if (set.polls[i].revents & POLLIN && accept_conn(&state.listeners[i]))
			fd = pass_conn(state.count - 1);
	}
	return fd;
}

int pa_conn_queue_accept(void)
{
	do {
		int fd = poll_connections();
		if (fd >= 0)
			return fd;
	} while (pa_conn_queue_pending());
	errno = EAGAIN;
	return -1;
}
