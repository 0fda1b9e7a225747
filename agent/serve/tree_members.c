/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_members.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../core/core.h"
#include "listen.h"
#include "process_tree.h"
#include "relay_request.h"

/* The pid and the start are in the first lines of the agent page. */
#define PAGE_BYTES 2048
/* pa_listen_wait takes no more. */
#define POLLS_MAX 190

#define NO_CONNECTION "refuses a connection"
#define NO_ANSWER "does not answer"

struct asking {
	struct pa_tree_members *members;
	char *pages; /* PAGE_BYTES for each */
	const char *request;
	size_t request_bytes;
	const char *token;
	int64_t together_ns, until_ns;
};

/* ---- the list ---- */

/* Half of the descriptors are left to the clients, of which this process is one. */
static size_t members_max(void)
{
	size_t max =
		pa_core_bridge->files_private ? PA_TREE_MEMBERS_MAX : PA_TREE_MEMBERS_SHARED_MAX;
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur / 2 < max ? limit.rlim_cur / 2 : max;
}

static void find_tree_member(struct pa_tree_members_entry *member)
{
	const char *why = "has ended";
	pid_t pid = member->target.pid;

	member->step = PA_TREE_MEMBERS_CONFIRMED;
	switch (pa_relay_target_find(pid, &member->target, &why)) {
	case PA_RELAY_TARGET_SELF: break;
	case PA_RELAY_TARGET_FOUND: member->step = PA_TREE_MEMBERS_PAGE_CONNECTS; break;
	case PA_RELAY_TARGET_UNKNOWN:
	case PA_RELAY_TARGET_UNREACHABLE: pa_tree_members_fail(member, why); break;
	}
}

static void note_processes(void *arg, const struct pa_process_tree *tree)
{
	struct pa_tree_members *members = arg;

	const size_t max = members_max();

	members->cut = tree->cut;
	for (size_t i = 0; i < tree->count; i++) {
		struct pa_tree_members_entry *member = &members->all[members->count];
		const struct pa_proc_process *process = &tree->entries[i].process;
		if (members->count == max) {
			members->too_many++;
			continue;
		}
		members->count++;
		member->fd = -1;
		member->target.pid = process->pid;
		memcpy(member->program, process->program, sizeof(member->program));
	}
}

struct pa_tree_members *pa_tree_members_find(const struct pa_address *own)
{
	struct pa_tree_members *members = calloc(1, sizeof(*members));

	if (!members || !pa_process_tree_use(note_processes, members)) {
		free(members);
		return NULL;
	}
	/* After the list is released: each look at /proc takes a while. */
	for (size_t i = 0; i < members->count; i++)
		find_tree_member(&members->all[i]);
	members->all[0].target.address = *own;
	return members;
}

void pa_tree_members_free(struct pa_tree_members *members)
{
	free(members);
}

/* ---- one of them ---- */

void pa_tree_members_close(struct pa_tree_members_entry *member)
{
	if (member->fd >= 0)
		close(member->fd);
	member->fd = -1;
}

void pa_tree_members_fail(struct pa_tree_members_entry *member, const char *why)
{
	pa_tree_members_close(member);
	member->step = PA_TREE_MEMBERS_FAILED;
	snprintf(member->why, sizeof(member->why), "%s", why);
}

static void connect_member(struct pa_tree_members_entry *member, enum pa_tree_members_step step)
{
	pa_tree_members_close(member);
	member->step = step;
	member->fd = pa_relay_target_connect(&member->target);
	if (member->fd == -EMFILE)
		pa_tree_members_fail(member, "is left out: no descriptor is free");
	else if (member->fd < 0)
		pa_tree_members_fail(member, NO_CONNECTION);
}

/* A new connection has room for a request. */
static void send_to_member(struct pa_tree_members_entry *member, const char *bytes, size_t count,
	enum pa_tree_members_step next)
{
	ssize_t sent = send(member->fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent >= 0 && (size_t)sent == count)
		member->step = next;
	else
		pa_tree_members_fail(member, NO_CONNECTION);
}

static void request_page(struct asking *asking, struct pa_tree_members_entry *member)
{
	struct pa_buffer header = { 0 };

	pa_relay_request_confirm(&header, &member->target.address, asking->token);
	if (header.failed)
		pa_tree_members_fail(member, "is left out: out of memory");
	else
		send_to_member(member, header.bytes, header.length, PA_TREE_MEMBERS_PAGE_COMES);
	pa_buffer_free(&header);
}

static void read_member_page(struct asking *asking, struct pa_tree_members_entry *member)
{
	char *page = asking->pages + PAGE_BYTES * (size_t)(member - asking->members->all);
	ssize_t got =
		recv(member->fd, page + member->got, PAGE_BYTES - 1 - member->got, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	member->got += got > 0 ? (size_t)got : 0;
	int verdict = pa_relay_target_confirm(&member->target, page);
	if (verdict > 0) {
		pa_tree_members_close(member);
		member->step = PA_TREE_MEMBERS_CONFIRMED;
	} else if (verdict < 0 || got <= 0 || member->got == PAGE_BYTES - 1) {
		pa_tree_members_fail(member,
			"does not confirm its pid and start time by its agent page");
	}
}

/* Its connection is ready. */
static void go_on_with_member(struct asking *asking, struct pa_tree_members_entry *member)
{
	switch (member->step) {
	case PA_TREE_MEMBERS_PAGE_CONNECTS: request_page(asking, member); break;
	case PA_TREE_MEMBERS_PAGE_COMES: read_member_page(asking, member); break;
	case PA_TREE_MEMBERS_CONNECTS:
		send_to_member(member, asking->request, asking->request_bytes,
			PA_TREE_MEMBERS_ASKED);
		break;
	case PA_TREE_MEMBERS_CONFIRMED:
	case PA_TREE_MEMBERS_ASKED:
	case PA_TREE_MEMBERS_FAILED: break;
	}
}

/* ---- all of them ---- */

static short member_events(const struct pa_tree_members_entry *member)
{
	switch (member->step) {
	case PA_TREE_MEMBERS_PAGE_CONNECTS:
	case PA_TREE_MEMBERS_CONNECTS: return POLLOUT;
	case PA_TREE_MEMBERS_PAGE_COMES: return POLLIN;
	default: return 0;
	}
}

static bool is_confirming(const struct pa_tree_members *members)
{
	for (size_t i = 0; i < members->count; i++) {
		enum pa_tree_members_step step = members->all[i].step;
		if (step == PA_TREE_MEMBERS_PAGE_CONNECTS || step == PA_TREE_MEMBERS_PAGE_COMES)
			return true;
	}
	return false;
}

static void connect_confirmed(struct asking *asking)
{
	struct pa_tree_members *members = asking->members;

	if (is_confirming(members) && pa_clock_mono_ns() < asking->together_ns)
		return;
	for (size_t i = 0; i < members->count; i++) {
		if (members->all[i].step == PA_TREE_MEMBERS_CONFIRMED)
			connect_member(&members->all[i], PA_TREE_MEMBERS_CONNECTS);
	}
}

/* Waits for the first ones that are not done, and goes on with those that are ready. False: all are
 * done. */
static bool wait_for_members(struct asking *asking)
{
	struct pollfd polls[POLLS_MAX];
	struct pa_tree_members_entry *polled[POLLS_MAX];
	struct pa_tree_members *members = asking->members;
	nfds_t count = 0;

	for (size_t i = 0; i < members->count && count < POLLS_MAX; i++) {
		short events = member_events(&members->all[i]);
		if (!events)
			continue;
		polled[count] = &members->all[i];
		polls[count++] = (struct pollfd){ .fd = members->all[i].fd, .events = events };
	}
	int64_t now_ns = pa_clock_mono_ns();
	int64_t until_ns = now_ns < asking->together_ns ? asking->together_ns : asking->until_ns;
	if (!count || now_ns >= asking->until_ns)
		return false;
	if (pa_listen_wait(polls, count, until_ns - now_ns) <= 0)
		return true;
	for (nfds_t i = 0; i < count; i++) {
		if (polls[i].revents)
			go_on_with_member(asking, polled[i]);
	}
	return true;
}

static void ask_members(struct asking *asking)
{
	struct pa_tree_members *members = asking->members;

	for (size_t i = 0; i < members->count; i++) {
		if (members->all[i].step == PA_TREE_MEMBERS_PAGE_CONNECTS)
			connect_member(&members->all[i], PA_TREE_MEMBERS_PAGE_CONNECTS);
	}
	do
		connect_confirmed(asking);
	while (wait_for_members(asking));
}

void pa_tree_members_ask(struct pa_tree_members *members, const char *request, size_t count,
	const char *token)
{
	const size_t bytes = PAGE_BYTES * members->count;
	const int64_t now_ns = pa_clock_mono_ns();
	struct asking asking = {
		.members = members,
		.pages = pa_map(bytes),
		.request = request,
		.request_bytes = count,
		.token = token,
		.together_ns = now_ns + PA_TREE_MEMBERS_TOGETHER_NS,
		.until_ns = now_ns + PA_TREE_MEMBERS_CONFIRM_NS,
	};

	if (asking.pages)
		ask_members(&asking);
	for (size_t i = 0; i < members->count; i++) {
		enum pa_tree_members_step step = members->all[i].step;
		if (step != PA_TREE_MEMBERS_ASKED && step != PA_TREE_MEMBERS_FAILED)
			pa_tree_members_fail(&members->all[i], NO_ANSWER);
	}
	if (asking.pages)
		pa_unmap(asking.pages, bytes);
}
