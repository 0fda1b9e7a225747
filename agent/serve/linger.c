/* SPDX-License-Identifier: Apache-2.0 */
#include "linger.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "queue_wake.h"

/* Reads from one connection before the next one is read. */
#define READS_MAX 8
#define READ_BYTES 8192

struct entry {
	int fd;
	int64_t until_ns;
	size_t bytes; /* read so far */
};

static struct {
	struct pa_lock lock;
	/* guard: lock */
	uint32_t count;
	struct entry entries[PA_LINGER_MAX]; /* oldest first */
} state = { .lock = PA_LOCK_INIT(PA_LOCK_PORT) };

void pa_linger_reset(void)
{
	pa_lock_reset(&state.lock);
	state.count = 0;
}

static void close_locked(uint32_t at)
{
	PA_ASSERT_HELD(PA_LOCK_PORT);
	close(state.entries[at].fd);
	state.count--;
	memmove(&state.entries[at], &state.entries[at + 1],
		(state.count - at) * sizeof(*state.entries));
}

void pa_linger_add(int fd)
{
	const struct entry entry = { .fd = fd, .until_ns = pa_clock_mono_ns() + PA_LINGER_NS };

	pa_lock(&state.lock);
	if (state.count == PA_LINGER_MAX)
		close_locked(0);
	state.entries[state.count++] = entry;
	pa_unlock(&state.lock);
	pa_queue_wake();
}

uint32_t pa_linger_fill(struct pollfd *polls)
{
	pa_lock(&state.lock);
	uint32_t count = state.count;
	for (uint32_t i = 0; i < count; i++)
		polls[i] = (struct pollfd){ .fd = state.entries[i].fd, .events = POLLIN };
	pa_unlock(&state.lock);
	return count;
}

/* False: the connection has ended, or the limit is reached. */
static bool read_some(struct entry *entry)
{
	char bytes[READ_BYTES];

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t got = recv(entry->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (got < 0)
			return errno == EAGAIN || errno == EINTR;
		entry->bytes += (size_t)got;
		if (got == 0 || entry->bytes > PA_LINGER_BYTES)
			return false;
	}
	return true;
}

void pa_linger_read(const struct pollfd *polls, uint32_t count)
{
	pa_lock(&state.lock);
	/* An entry of an earlier fill may be closed; another entry may have its descriptor now,
	 * which is harmless: recv() does not block. */
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t at = 0; polls[i].revents && at < state.count; at++) {
			if (state.entries[at].fd != polls[i].fd)
				continue;
			if (!read_some(&state.entries[at]))
				close_locked(at);
			break;
		}
	}
	pa_unlock(&state.lock);
}

int64_t pa_linger_expire(int64_t now_ns)
{
	pa_lock(&state.lock);
	while (state.count && state.entries[0].until_ns <= now_ns)
		close_locked(0);
	int64_t left_ns = state.count ? state.entries[0].until_ns - now_ns : -1;
	pa_unlock(&state.lock);
	return left_ns;
}

uint32_t pa_linger_count(void)
{
	pa_lock(&state.lock);
	uint32_t count = state.count;
	pa_unlock(&state.lock);
	return count;
}

bool pa_linger_drop(void)
{
	pa_lock(&state.lock);
	bool any = state.count != 0;
	if (any)
		close_locked(0);
	pa_unlock(&state.lock);
	return any;
}
