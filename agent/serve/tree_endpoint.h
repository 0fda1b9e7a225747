/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles with ?tree=1: one profile of this process and all its descendants that have an agent,
 * taken at the same time. Each sample has the labels pid and program.
 *
 *   find them -> ask all at once -> wait until each responds -> merge one after the other
 *
 * This process is asked like the others, through its own port, so that all parameters mean the same
 * for all; its error is the error of the whole. Other processes that fail are named in the
 * comments. They are asked without tree, so that a request never goes round.
 *
 * Context: PA_AGENT, the worker of the request; waiting takes no worker, and merging one that is
 * claimed. No lock of its own. Memory: tree_members.h, one profile at a time (tree_answer.h), and
 * what tree_merge.h takes. A client that leaves ends the connections, and with them the work
 * everywhere.
 */
#ifndef PA_TREE_ENDPOINT_H
#define PA_TREE_ENDPOINT_H

#include "http.h"

/* Time for a response to begin, beyond the seconds of the request. */
#define PA_TREE_ENDPOINT_ANSWER_NS (30 * PA_NS_PER_S)

struct pa_tree_endpoint_path {
	const char *prefix, *name; /* of the file */
	bool takes_time;           /* 30 seconds if the request does not say */
	bool shows_changes;        /* with seconds: the file is a -delta */
};

/* True if the request has tree=1, with a number that is greater than 0. */
PA_AGENT bool pa_tree_endpoint_is_asked(const struct pa_request *request);

/* Answers 400 if tree=1 cannot be had with the other parameters, and returns true. */
PA_AGENT bool pa_tree_endpoint_refuse(struct pa_http *http, const struct pa_request *request);

/* request: GET, not refused. */
PA_AGENT void pa_tree_endpoint_answer(struct pa_http *http, const struct pa_request *request,
	const struct pa_tree_endpoint_path *path);

/* In a forked child, after the waiting requests were dropped. */
PA_BOOT void pa_tree_endpoint_reset(void);

#endif
