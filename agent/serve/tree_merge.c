/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_merge.h"

#include <errno.h>
#include <stdio.h>

#include "../../proto/merge.h"
#include "../base/clock.h"
#include "profile_endpoints.h"
#include "reply.h"

#define COMMENT_BYTES 256
/* Comments that name processes; the others are counted. */
#define NAMED_MAX 100

struct merging {
	struct pa_http *http;
	struct pa_tree_members *members;
	struct pa_tree_answer *answer; /* of the member that is added */
	const char *file;
	struct pa_merge *merge;
	bool begun; /* the response */
	bool left;  /* the client */
	size_t named;
};

static bool write_tree(void *arg, const void *bytes, size_t count)
{
	struct merging *merging = arg;

	if (!merging->begun && !pa_reply_begin(merging->http, merging->file))
		merging->left = true;
	merging->begun = true;
	merging->left = merging->left || !pa_http_write(merging->http, bytes, count);
	return !merging->left;
}

const char *pa_tree_merge_explain(int error)
{
	switch (error) {
	case -EMSGSIZE: return "has a profile of more than 4 MiB";
	case -ENOBUFS:
		return "is left out: what is kept for clients has all the memory that it is given";
	case -ENOMEM: return "is left out: out of memory";
	case -ETIMEDOUT: return "does not end its answer";
	default: return "breaks its answer off";
	}
}

static const char *explain_merge(int error)
{
	switch (error) {
	case -EPROTOTYPE: return "has a profile of other types";
	case -EOVERFLOW: return "is left out: the profile would be too large";
	case -ENOMEM: return "is left out: out of memory";
	default: return "has a damaged profile";
	}
}

/* The reason is its own error text. */
static void fail_with_text(const struct pa_tree_answer *answer,
	struct pa_tree_members_entry *member)
{
	char line[PA_TREE_MEMBERS_WHY_BYTES / 2], why[PA_TREE_MEMBERS_WHY_BYTES];

	pa_tree_answer_line(answer, line, sizeof(line));
	snprintf(why, sizeof(why), "answers %d %s", answer->status, line);
	pa_tree_members_fail(member, answer->status ? why : "ends without an answer");
}

/* Receives the response to its end. False: the member has failed, or the client has left. */
static bool receive_member(struct merging *merging, struct pa_tree_members_entry *member)
{
	int64_t until_ns = pa_clock_mono_ns() + PA_TREE_MERGE_READ_NS, left_ns;
	int result = 1;

	while (result > 0 && (left_ns = until_ns - pa_clock_mono_ns()) > 0) {
		switch (pa_http_wait_fd(merging->http, member->fd, left_ns)) {
		case PA_HTTP_WAIT_LEFT: merging->left = true; return false;
		case PA_HTTP_WAIT_READY:
			result = pa_tree_answer_receive(merging->answer, member->fd);
			break;
		case PA_HTTP_WAIT_OVER: break;
		}
	}
	if (result == 0)
		return true;
	pa_tree_members_fail(member, pa_tree_merge_explain(result > 0 ? -ETIMEDOUT : result));
	return false;
}

/* Returns 0, or the error of the merge. */
static int add_answer(struct merging *merging, const struct pa_tree_members_entry *member)
{
	const struct pa_tree_answer *answer = merging->answer;

	return pa_merge_add(merging->merge, member->target.pid, member->program,
		(const char *)answer->room.at + answer->body, answer->count - answer->body);
}

static void merge_member(struct merging *merging, struct pa_tree_members_entry *member)
{
	struct pa_tree_answer *answer = merging->answer;

	if (receive_member(merging, member)) {
		pa_tree_members_close(member);
		pa_tree_answer_parse(answer);
		int error = answer->status == 200 ? add_answer(merging, member) : 0;
		if (answer->status != 200)
			fail_with_text(answer, member);
		else if (error)
			pa_tree_members_fail(member, explain_merge(error));
	}
	pa_tree_answer_free(answer);
}

static void name_failed(struct merging *merging, const struct pa_tree_members_entry *member)
{
	char text[COMMENT_BYTES];

	if (merging->named++ >= NAMED_MAX)
		return;
	snprintf(text, sizeof(text), "missing: process %d (%s) %s", member->target.pid,
		member->program, member->why);
	pa_merge_comment(merging->merge, text);
}

static void comment_on_missing(struct merging *merging)
{
	const struct pa_tree_members *members = merging->members;
	char text[COMMENT_BYTES];

	for (size_t i = 0; i < members->count; i++) {
		if (members->all[i].step == PA_TREE_MEMBERS_FAILED)
			name_failed(merging, &members->all[i]);
	}
	if (merging->named > NAMED_MAX) {
		snprintf(text, sizeof(text), "missing: %zu more processes",
			merging->named - NAMED_MAX);
		pa_merge_comment(merging->merge, text);
	}
	if (members->too_many) {
		snprintf(text, sizeof(text), "missing: %zu processes beyond the first %zu",
			members->too_many, members->count);
		pa_merge_comment(merging->merge, text);
	}
	if (members->cut)
		pa_merge_comment(merging->merge,
			"missing: the list of processes was cut off, there are more");
}

/* False: not even this process's profile can be merged, and nothing was sent. */
static bool merge_all(struct merging *merging)
{
	struct pa_tree_members *members = merging->members;
	int error = add_answer(merging, &members->all[0]);

	pa_tree_answer_free(merging->answer);
	if (error && !merging->left) {
		pa_merge_close(merging->merge);
		return false;
	}
	for (size_t i = 1; i < members->count && !merging->left; i++) {
		if (members->all[i].step == PA_TREE_MEMBERS_ASKED)
			merge_member(merging, &members->all[i]);
	}
	if (!merging->left)
		comment_on_missing(merging);
	/* Without the end the client sees a truncated response. */
	if (pa_merge_close(merging->merge) == 0 && !merging->left)
		pa_http_end(merging->http);
	return true;
}

void pa_tree_merge(struct pa_http *http, struct pa_tree_members *members,
	struct pa_tree_answer *own, const char *file)
{
	struct merging merging = { .http = http, .members = members, .answer = own, .file = file };
	const struct pa_sink sink = { .write = write_tree, .arg = &merging };

	merging.merge = pa_merge_open(&sink);
	if (!merging.merge)
		pa_reply_no_job(http, -ENOMEM);
	else if (!merge_all(&merging))
		pa_reply_error(http, 500, pa_profile_endpoints_explain(PA_PROFILE_ENDPOINTS_NONE));
}
