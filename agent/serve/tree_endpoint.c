/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../core/core.h"
#include "client_budget.h"
#include "profile_endpoints.h"
#include "query.h"
#include "relay_request.h"
#include "reply.h"
#include "tree_answer.h"
#include "tree_members.h"
#include "tree_merge.h"

#define KEY "tree"
#define VALUE_BYTES 32
#define FILE_BYTES (PA_CUSTOM_SET_NAME_BYTES + 16)
#define TEXT_BYTES 256
#define DEFAULT_SECONDS 30
/* The worker waits so long itself; longer waits are without a worker. */
#define SHORT_WAIT_NS (100 * PA_NS_PER_MS)

struct tree {
	struct pa_tree_members *members;
	struct pa_tree_answer answer;                          /* of the member that is read */
	struct pa_buffer header;                               /* of the requests */
	void (*step)(struct pa_http *http, struct tree *tree); /* with a claimed worker */
	int64_t queue_until_ns;                                /* for a worker */
	int64_t wait_ns;                                       /* for the responses to begin */
	int64_t until_ns;                                      /* the same as a time */
	size_t awaited; /* the members before it have begun to respond, or failed */
	char file[FILE_BYTES];
};

void pa_tree_endpoint_reset(void)
{
	pa_client_budget_forget(PA_CLIENT_BUDGET_TREES);
}

/* Without closing connections: see struct pa_http_continuation. */
static void drop_tree(void *arg)
{
	struct tree *tree = arg;

	pa_tree_answer_free(&tree->answer);
	pa_tree_members_free(tree->members);
	pa_buffer_free(&tree->header);
	free(tree);
}

static void end_tree(struct tree *tree)
{
	for (size_t i = 0; tree->members && i < tree->members->count; i++)
		pa_tree_members_close(&tree->members->all[i]);
	drop_tree(tree);
}

static void refuse_tree(struct pa_http *http, struct tree *tree, int status, const char *why)
{
	pa_reply_error(http, status, why);
	end_tree(tree);
}

static void merge_tree(struct pa_http *http, struct tree *tree)
{
	pa_tree_merge(http, tree->members, &tree->answer, tree->file);
	end_tree(tree);
}

/* ---- waiting ---- */

static void claim_worker(struct pa_http *http, struct tree *tree);
static void await_own(struct pa_http *http, struct tree *tree);
static void await_descendants(struct pa_http *http, struct tree *tree);

static void go_on_with_tree(struct pa_http *http, struct tree *tree)
{
	if (tree->step)
		claim_worker(http, tree);
	else if (tree->awaited == 0)
		await_own(http, tree);
	else
		await_descendants(http, tree);
}

static void resume_tree(struct pa_http *http, bool there, void *arg)
{
	if (there)
		go_on_with_tree(http, arg);
	else
		refuse_tree(http, arg, 500, "context canceled");
}

static void refuse_crowd(struct pa_http *http, struct tree *tree)
{
	pa_reply_overloaded(http);
	end_tree(tree);
}

static void claim_worker(struct pa_http *http, struct tree *tree)
{
	const struct pa_http_continuation later = { resume_tree, drop_tree, tree };
	void (*step)(struct pa_http * http, struct tree * tree) = tree->step;

	if (pa_http_claim(http)) {
		tree->step = NULL;
		step(http, tree);
	} else if (pa_clock_mono_ns() >= tree->queue_until_ns || !pa_http_queue(http, &later)) {
		refuse_crowd(http, tree);
	}
}

/* With a worker that may be kept. */
static void take_step(struct pa_http *http, struct tree *tree,
	void (*step)(struct pa_http *http, struct tree *tree))
{
	tree->step = step;
	tree->queue_until_ns = pa_clock_mono_ns() + PA_PROFILE_ENDPOINTS_LONG_QUEUE_NS;
	claim_worker(http, tree);
}

enum wait { ENDED, SUSPENDED, READY, LATE };

/* Waits for bytes of the member that is awaited, at last without a worker. ENDED, SUSPENDED: the
 * request goes on later, or not at all. */
static enum wait wait_for_member(struct pa_http *http, struct tree *tree)
{
	const struct pa_http_continuation later = { resume_tree, drop_tree, tree };
	const int fd = tree->members->all[tree->awaited].fd;
	int64_t left_ns = tree->until_ns - pa_clock_mono_ns();

	/* One that is late may have responded while another one was awaited. */
	switch (pa_http_wait_fd(http, fd, left_ns > 0 ? SHORT_WAIT_NS : 1)) {
	case PA_HTTP_WAIT_READY: return READY;
	case PA_HTTP_WAIT_LEFT: end_tree(tree); return ENDED;
	case PA_HTTP_WAIT_OVER: break;
	}
	if (left_ns <= 0)
		return LATE;
	if (pa_http_await_fd(http, fd, left_ns, &later))
		return SUSPENDED;
	refuse_crowd(http, tree);
	return ENDED;
}

/* All are awaited before the first one is merged, so that merging waits little. */
static void await_descendants(struct pa_http *http, struct tree *tree)
{
	struct pa_tree_members *members = tree->members;

	for (; tree->awaited < members->count; tree->awaited++) {
		struct pa_tree_members_entry *member = &members->all[tree->awaited];
		if (member->step != PA_TREE_MEMBERS_ASKED)
			continue;
		switch (wait_for_member(http, tree)) {
		case READY: break;
		case LATE: pa_tree_members_fail(member, "does not answer"); break;
		case SUSPENDED:
		case ENDED: return;
		}
	}
	take_step(http, tree, merge_tree);
}

/* The whole response of this process has come. */
static void take_own_answer(struct pa_http *http, struct tree *tree)
{
	struct pa_tree_answer *answer = &tree->answer;
	char line[TEXT_BYTES];

	pa_tree_members_close(&tree->members->all[0]);
	pa_tree_answer_parse(answer);
	pa_tree_answer_line(answer, line, sizeof(line));
	if (answer->status == 200) {
		tree->awaited = 1;
		await_descendants(http, tree);
	} else {
		refuse_tree(http, tree, answer->status ? answer->status : 502, line);
	}
}

/*
 * The response of this process is read without a claimed worker: the request that it answers needs
 * one, and several trees would wait for each other.
 */
static void await_own(struct pa_http *http, struct tree *tree)
{
	char text[TEXT_BYTES];
	int result = 1;

	while (result > 0) {
		switch (wait_for_member(http, tree)) {
		case READY:
			result = pa_tree_answer_receive(&tree->answer, tree->members->all[0].fd);
			break;
		case LATE: result = -ETIMEDOUT; break;
		case SUSPENDED:
		case ENDED: return;
		}
	}
	if (result == 0) {
		take_own_answer(http, tree);
		return;
	}
	snprintf(text, sizeof(text), "this process %s", pa_tree_merge_explain(result));
	refuse_tree(http, tree, result == -ENOBUFS ? 503 : 500, text);
}

/* ---- the request ---- */

static void ask_tree(struct pa_http *http, struct tree *tree)
{
	struct pa_tree_members *members = tree->members;
	char text[TEXT_BYTES];

	pa_tree_members_ask(members, tree->header.bytes, tree->header.length,
		pa_core_bridge->settings->token);
	pa_buffer_free(&tree->header);
	tree->until_ns = pa_clock_mono_ns() + tree->wait_ns;
	if (members->all[0].step == PA_TREE_MEMBERS_ASKED) {
		await_own(http, tree);
		return;
	}
	snprintf(text, sizeof(text), "this process %s", members->all[0].why);
	refuse_tree(http, tree, 502, text);
}

bool pa_tree_endpoint_is_asked(const struct pa_request *request)
{
	char value[VALUE_BYTES];

	return pa_query_get(request->query, KEY, value, sizeof(value)) && pa_query_atoi(value) > 0;
}

bool pa_tree_endpoint_refuse(struct pa_http *http, const struct pa_request *request)
{
	char debug[VALUE_BYTES], format[VALUE_BYTES];

	pa_query_get(request->query, "debug", debug, sizeof(debug));
	pa_query_get(request->query, "format", format, sizeof(format));
	if (pa_query_atoi(debug) != 0)
		pa_reply_error(http, 400, "tree and debug params are incompatible");
	else if (format[0] && strcmp(format, "pprof") != 0)
		pa_reply_error(http, 400, "tree and format params are incompatible");
	else
		return false;
	return true;
}

static int64_t seconds_of_tree(const struct pa_request *request)
{
	char value[VALUE_BYTES];
	int64_t seconds;

	pa_query_get(request->query, "seconds", value, sizeof(value));
	return pa_query_int(value, &seconds) && seconds > 0 ? seconds : 0;
}

/* The same request for all. This Host is accepted wherever an agent listens. */
static void write_tree_request(struct pa_buffer *header, const struct pa_request *request)
{
	const struct pa_address host =
		pa_address_of_ipv4(htonl(INADDR_LOOPBACK), request->server.port);
	struct pa_request each = *request;
	char *query = malloc(strlen(request->query) + 1);

	if (!query) {
		header->failed = true;
		return;
	}
	pa_query_leave_out(request->query, KEY, query, strlen(request->query) + 1);
	each.query = query;
	pa_relay_request_write(header, &each, false, &host);
	pa_buffer_text(header, "\r\n");
	free(query);
}

static void name_tree_file(struct tree *tree, const struct pa_tree_endpoint_path *path,
	bool changes)
{
	snprintf(tree->file, sizeof(tree->file), "%s%s%s", path->prefix, path->name,
		changes ? "-delta" : "");
	/* A name chosen by the program may have some. */
	for (char *at = tree->file; (at = strpbrk(at, "\"\\")); at++)
		*at = '_';
}

static void start_tree(struct pa_http *http, struct tree *tree, const struct pa_request *request,
	const struct pa_tree_endpoint_path *path)
{
	int64_t seconds = seconds_of_tree(request);

	name_tree_file(tree, path, path->shows_changes && seconds);
	if (path->takes_time && !seconds)
		seconds = DEFAULT_SECONDS;
	tree->wait_ns =
		PA_TREE_ENDPOINT_ANSWER_NS + (seconds ? pa_profile_endpoints_ns(seconds) : 0);
	write_tree_request(&tree->header, request);
	tree->members = pa_tree_members_find(&request->server);
	if (tree->header.failed)
		refuse_tree(http, tree, 500, "out of memory");
	else if (!tree->members)
		refuse_tree(http, tree, 502, "/proc does not show the processes");
	else
		take_step(http, tree, ask_tree);
}

void pa_tree_endpoint_answer(struct pa_http *http, const struct pa_request *request,
	const struct pa_tree_endpoint_path *path)
{
	if (!pa_core_bridge->may(PA_CALLS_REACH)) {
		pa_reply_error(http, 502, "filters of system calls (seccomp) forbid to connect");
		return;
	}
	if (!pa_http_may_suspend()) {
		pa_reply_overloaded(http);
		return;
	}
	struct tree *tree = calloc(1, sizeof(*tree));
	if (tree)
		start_tree(http, tree, request, path);
	else
		pa_reply_no_job(http, -ENOMEM);
}
