/* SPDX-License-Identifier: Apache-2.0 */
#include "waiting_requests.h"

#include "../base/atomic.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "queue_wake.h"

enum entry_state { FREE, WAITING, DUE };

struct entry {
	/* Written last: fork() may happen at any point, and the child drops the waiting entries.
	 * Release under the lock; relaxed loads under the lock and in reset. */
	PA_ATOMIC(uint32_t) state;
	struct pa_waiting_request request;
	int64_t received_ns; /* when bytes of the body arrived last */
};

static struct {
	struct pa_lock lock;
	/* guard: lock */
	uint32_t count; /* entries that are not FREE */
	struct entry entries[PA_WAITING_REQUESTS_MAX];
} state = { .lock = PA_LOCK_INIT(PA_LOCK_PORT) };

void pa_waiting_requests_reset(void)
{
	pa_lock_reset(&state.lock);
	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++) {
		struct entry *entry = &state.entries[i];
		if (pa_load_relaxed(&entry->state) != FREE)
			entry->request.drop(entry->request.arg);
		pa_store_release(&entry->state, FREE);
	}
	state.count = 0;
}

static struct entry *find_waiting_locked(enum entry_state wanted, int fd)
{
	PA_ASSERT_HELD(PA_LOCK_PORT);
	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++) {
		struct entry *entry = &state.entries[i];
		if (pa_load_relaxed(&entry->state) != wanted)
			continue;
		if (wanted == FREE || entry->request.fd == fd)
			return entry;
	}
	return NULL;
}

/* When all places for bodies are taken, makes the one that has been silent longest due. */
static void expire_silent_body_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_PORT);
	struct entry *silent = NULL;
	uint32_t awaited = 0;

	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++) {
		struct entry *entry = &state.entries[i];
		if (pa_load_relaxed(&entry->state) != WAITING || !entry->request.body ||
			!entry->request.due_ns)
			continue;
		awaited++;
		if (!silent || entry->received_ns < silent->received_ns)
			silent = entry;
	}
	if (awaited >= PA_WAITING_REQUESTS_BODIES)
		silent->request.due_ns = 0;
}

bool pa_waiting_requests_add(const struct pa_waiting_request *request)
{
	pa_lock(&state.lock);
	if (request->body)
		expire_silent_body_locked();
	struct entry *entry = find_waiting_locked(FREE, -1);
	if (entry) {
		entry->request = *request;
		entry->request.left = false;
		entry->received_ns = request->body ? pa_clock_mono_ns() : 0;
		pa_store_release(&entry->state, WAITING);
		state.count++;
	}
	pa_unlock(&state.lock);
	if (entry)
		pa_queue_wake();
	return entry != NULL;
}

uint32_t pa_waiting_requests_fill(struct pollfd *polls)
{
	uint32_t count = 0;

	pa_lock(&state.lock);
	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++) {
		const struct pa_waiting_request *request = &state.entries[i].request;
		if (pa_load_relaxed(&state.entries[i].state) != WAITING)
			continue;
		polls[count++] = (struct pollfd){ .fd = request->fd,
			.events = request->body ? POLLIN | POLLRDHUP : POLLRDHUP };
		if (request->other_fd)
			polls[count++] =
				(struct pollfd){ .fd = request->other_fd, .events = POLLIN };
	}
	pa_unlock(&state.lock);
	return count;
}

static short events_of(const struct pollfd *polls, uint32_t count, int fd)
{
	for (uint32_t i = 0; i < count; i++) {
		if (polls[i].fd == fd)
			return polls[i].revents;
	}
	return 0;
}

/* A client that has sent its whole body may have shut down its sending side. */
static bool is_due_locked(struct entry *entry, short events, int64_t now_ns)
{
	PA_ASSERT_HELD(PA_LOCK_PORT);
	struct pa_waiting_request *request = &entry->request;

	if (request->body && events) {
		entry->received_ns = now_ns;
		request->left = !pa_body_receive(request->body, request->fd);
		if (request->body->state != PA_BODY_MORE)
			return true;
	} else {
		request->left = events & (POLLRDHUP | POLLHUP | POLLERR);
	}
	return request->left || request->due_ns <= now_ns;
}

int pa_waiting_requests_next(const struct pollfd *polls, uint32_t count, int64_t now_ns)
{
	struct entry *next = NULL;

	pa_lock(&state.lock);
	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++) {
		struct entry *entry = &state.entries[i];
		if (pa_load_relaxed(&entry->state) != WAITING ||
			(next && next->request.queued_ns <= entry->request.queued_ns))
			continue;
		const int other = entry->request.other_fd;
		if (is_due_locked(entry, events_of(polls, count, entry->request.fd), now_ns) ||
			(other && events_of(polls, count, other)))
			next = entry;
	}
	if (next)
		pa_store_release(&next->state, DUE);
	int fd = next ? next->request.fd : -1;
	pa_unlock(&state.lock);
	return fd;
}

bool pa_waiting_requests_is_first(int64_t since_ns)
{
	bool first = true;

	pa_lock(&state.lock);
	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++) {
		const struct entry *entry = &state.entries[i];
		if (pa_load_relaxed(&entry->state) != FREE && entry->request.queued_ns &&
			entry->request.queued_ns < since_ns)
			first = false;
	}
	pa_unlock(&state.lock);
	return first;
}

void pa_waiting_requests_wake_first(void)
{
	struct pa_waiting_request *first = NULL;

	pa_lock(&state.lock);
	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++) {
		struct pa_waiting_request *request = &state.entries[i].request;
		if (pa_load_relaxed(&state.entries[i].state) == WAITING && request->queued_ns &&
			request->due_ns && (!first || request->queued_ns < first->queued_ns))
			first = request;
	}
	if (first)
		first->due_ns = 0;
	pa_unlock(&state.lock);
	if (first)
		pa_queue_wake();
}

int64_t pa_waiting_requests_wait_ns(int64_t now_ns)
{
	int64_t wait_ns = -1;

	pa_lock(&state.lock);
	for (size_t i = 0; i < PA_WAITING_REQUESTS_MAX; i++) {
		int64_t left_ns = state.entries[i].request.due_ns - now_ns;
		if (pa_load_relaxed(&state.entries[i].state) != WAITING)
			continue;
		if (left_ns < 0)
			left_ns = 0;
		if (wait_ns < 0 || left_ns < wait_ns)
			wait_ns = left_ns;
	}
	pa_unlock(&state.lock);
	return wait_ns;
}

bool pa_waiting_requests_is_due(int fd)
{
	pa_lock(&state.lock);
	bool due = find_waiting_locked(DUE, fd) != NULL;
	pa_unlock(&state.lock);
	return due;
}

bool pa_waiting_requests_take(int fd, struct pa_waiting_request *out)
{
	pa_lock(&state.lock);
	struct entry *entry = find_waiting_locked(DUE, fd);
	if (entry) {
		*out = entry->request;
		pa_store_release(&entry->state, FREE);
		state.count--;
	}
	pa_unlock(&state.lock);
	return entry != NULL;
}

uint32_t pa_waiting_requests_count(void)
{
	pa_lock(&state.lock);
	uint32_t count = state.count;
	pa_unlock(&state.lock);
	return count;
}
