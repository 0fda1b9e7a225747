#include "gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/clock.h"
#include "listen.h"

/* Pause when there are no descriptors: the connection stays where it is, and poll says so. */
#define TIRED_NS (100 * PA_NS_PER_MS)
/* Reads of what a client had still on the way when it was turned away. */
#define READS_MAX 16
#define ANSWER_BYTES 512

struct visitor {
	int fd;
	int64_t until_ns;
	struct sockaddr_in peer;
};

static struct {
	int listen_fd;
	bool files_private;
	dev_t device; /* of the listening socket */
	ino_t inode;
	uint32_t count;
	struct visitor visitors[PA_GATE_CONNECTIONS]; /* oldest first */
} state = { .listen_fd = -1 };

void pa_gate_init(int listen_fd, bool files_private)
{
	struct stat stat = { 0 };

	fstat(listen_fd, &stat);
	state.listen_fd = listen_fd;
	state.files_private = files_private;
	state.device = stat.st_dev;
	state.inode = stat.st_ino;
	state.count = 0;
}

bool pa_gate_is_listener(int fd)
{
	struct stat stat;

	return fd >= 0 && fstat(fd, &stat) == 0 && stat.st_dev == state.device &&
		stat.st_ino == state.inode;
}

bool pa_gate_is_ours(void)
{
	return state.files_private || pa_gate_is_listener(state.listen_fd);
}

bool pa_gate_pending(void)
{
	return state.count != 0;
}

/* ---- the header ---- */

/* The parser stops at control characters, too: then it has an answer. */
static bool is_whole(const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)bytes[i];
		size_t left = count - i;
		if ((c < 0x20 && c != '\r' && c != '\n') || c == 0x7f)
			return true;
		if (left >= 2 && memcmp(bytes + i, "\n\n", 2) == 0)
			return true;
		if (left >= 4 && memcmp(bytes + i, "\r\n\r\n", 4) == 0)
			return true;
	}
	return false;
}

enum pa_gate_verdict pa_gate_judge(const char *bytes, size_t count)
{
	if (!is_whole(bytes, count))
		return count < PA_GATE_HEADER_BYTES ? PA_GATE_MORE : PA_GATE_TOO_LONG;
	size_t at = 0;
	while (at < count && (bytes[at] == '\r' || bytes[at] == '\n' || bytes[at] == ' '))
		at++;
	const char *space = memchr(bytes + at, ' ', count - at);
	const char *line_end = memchr(bytes + at, '\n', count - at);
	if (!space || !line_end || space > line_end)
		return PA_GATE_PASS;
	return space[1] == '/' ? PA_GATE_PASS : PA_GATE_FOREIGN;
}

/* ---- connections ---- */

struct refusal {
	const char *status, *text;
};

static const struct refusal refusal_foreign = { "403 Forbidden",
	"the request names a site, not a path" };
static const struct refusal refusal_too_long = { "431 Request Header Fields Too Large",
	"the request header is longer than 8 KiB" };

/* What came is read before the close: unread bytes would reset the connection, answer and all. */
static void discard(int fd)
{
	char bytes[PA_GATE_HEADER_BYTES];

	for (int i = 0; i < READS_MAX && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0; i++)
		;
}

static void answer(int fd, const struct refusal *refusal)
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

static struct visitor remove_at(uint32_t at)
{
	struct visitor gone = state.visitors[at];

	state.count--;
	memmove(&state.visitors[at], &state.visitors[at + 1],
		(state.count - at) * sizeof(*state.visitors));
	return gone;
}

static void dismiss(uint32_t at, const struct refusal *refusal)
{
	struct visitor gone = remove_at(at);

	discard(gone.fd);
	if (refusal)
		answer(gone.fd, refusal);
	close(gone.fd);
}

/*
 * True when the visitor may go to a worker. ended: nothing more will come from it. A visitor that
 * is turned away is removed.
 */
static bool examine(uint32_t at, bool ended)
{
	char bytes[PA_GATE_HEADER_BYTES];
	int fd = state.visitors[at].fd;
	ssize_t count = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

	if (count < 0 && (errno == EAGAIN || errno == EINTR) && !ended)
		return false;
	enum pa_gate_verdict verdict = count > 0 ? pa_gate_judge(bytes, (size_t)count)
						 : PA_GATE_MORE;
	if (verdict == PA_GATE_PASS) {
		set_low_water(fd, 1);
		return true;
	}
	if (verdict == PA_GATE_FOREIGN)
		dismiss(at, &refusal_foreign);
	else if (verdict == PA_GATE_TOO_LONG)
		dismiss(at, &refusal_too_long);
	else if (count <= 0 || ended)
		dismiss(at, NULL);
	else
		set_low_water(fd, (int)count + 1); /* poll wakes for the next byte, not for these */
	return false;
}

static int pass(uint32_t at, struct sockaddr_in *peer)
{
	struct visitor visitor = remove_at(at);

	*peer = visitor.peer;
	return visitor.fd;
}

/* A new connection. True when its request is already there (it is then the last visitor). */
static bool admit(void)
{
	struct visitor visitor = { .until_ns = pa_clock_mono_ns() + PA_GATE_TIMEOUT_NS };
	socklen_t length = sizeof(visitor.peer);

	/* The wait was for our socket, even if its number is the program's by now. */
	if (!pa_gate_is_ours())
		return false;
	visitor.fd = accept4(state.listen_fd, (struct sockaddr *)&visitor.peer, &length,
		SOCK_CLOEXEC);
	if (visitor.fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
				      errno == ENOBUFS))
		pa_listen_wait(NULL, 0, TIRED_NS);
	visitor.fd = pa_listen_raise(visitor.fd, state.files_private);
	if (visitor.fd < 0)
		return false;
	if (state.count == PA_GATE_CONNECTIONS)
		dismiss(0, NULL);
	state.visitors[state.count++] = visitor;
	return examine(state.count - 1, false);
}

/* Closes those whose time is over. How long until the next one's is; 0 when there is nobody. */
static int64_t expire(void)
{
	int64_t now_ns = pa_clock_mono_ns();

	while (state.count && state.visitors[0].until_ns <= now_ns)
		dismiss(0, NULL);
	return state.count ? state.visitors[0].until_ns - now_ns : 0;
}

/* One look at everybody. A descriptor to hand on, or -1. */
static int look(struct sockaddr_in *peer, int64_t timeout_ns)
{
	struct pollfd polls[PA_GATE_CONNECTIONS + 1] = {
		{ .fd = pa_gate_is_ours() ? state.listen_fd : -1, .events = POLLIN }
	};
	uint32_t count = state.count;

	for (uint32_t i = 0; i < count; i++)
		polls[i + 1] = (struct pollfd){ .fd = state.visitors[i].fd,
			.events = POLLIN | POLLRDHUP };
	if (pa_listen_wait(polls, count + 1, timeout_ns) <= 0)
		return -1;
	/* From the youngest on: removing one moves only those behind it. */
	for (uint32_t i = count; i-- > 0;) {
		bool ended = polls[i + 1].revents & (POLLRDHUP | POLLHUP | POLLERR);
		if (polls[i + 1].revents && examine(i, ended))
			return pass(i, peer);
	}
	if (polls[0].revents & POLLIN && admit())
		return pass(state.count - 1, peer);
	return -1;
}

int pa_gate_accept(struct sockaddr_in *peer)
{
	do {
		int fd = look(peer, expire());
		if (fd >= 0)
			return fd;
	} while (state.count);
	errno = EAGAIN;
	return -1;
}
