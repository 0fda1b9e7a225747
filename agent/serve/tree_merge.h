/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merges the responses of a tree into one profile, as they are received, and sends it.
 *
 * Context: PA_AGENT, a claimed worker (pa_http_claim). No lock of its own. Memory: what
 * proto/merge.h takes, and one response at a time.
 */
#ifndef PA_TREE_MERGE_H
#define PA_TREE_MERGE_H

#include "http.h"
#include "tree_answer.h"
#include "tree_members.h"

/* Time for a response that has begun to end. */
#define PA_TREE_MERGE_READ_NS (30 * PA_NS_PER_S)

/*
 * own: the response of this process, a parsed 200, which is freed. Members that are ASKED are
 * received and closed; those that are FAILED, or fail now, are named in the comments. Answers in
 * every case; file: the name for the client.
 */
PA_AGENT void pa_tree_merge(struct pa_http *http, struct pa_tree_members *members,
	struct pa_tree_answer *own, const char *file);

/* Why a response was not received, as it follows "process N": an error of pa_tree_answer_receive,
 * or -ETIMEDOUT. */
PA_AGENT const char *pa_tree_merge_explain(int error);

#endif
