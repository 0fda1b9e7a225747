/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The response of one process of a tree, collected until its end. It may be of any origin.
 *
 * Context: PA_AGENT, one thread at a time. No lock. Memory: one mapping that grows to
 * PA_TREE_ANSWER_BYTES, charged to the budget (client_budget.h) until pa_tree_answer_free.
 */
#ifndef PA_TREE_ANSWER_H
#define PA_TREE_ANSWER_H

#include "../../proto/scratch.h"

/* Of a compressed profile and its header. */
#define PA_TREE_ANSWER_BYTES ((size_t)4 << 20)

struct pa_tree_answer {
	struct pa_scratch room;
	size_t count; /* bytes received */
	/* after pa_tree_answer_parse */
	int status;  /* of HTTP; 0: it is no response */
	size_t body; /* where it begins */
};

/*
 * Receives what the socket has. Returns 1: more may come; 0: the end; -EMSGSIZE: longer than
 * PA_TREE_ANSWER_BYTES; -ENOBUFS: the budget is full; -ENOMEM; other errors: of recv(2).
 */
PA_AGENT int pa_tree_answer_receive(struct pa_tree_answer *answer, int fd);

/* Parses the header of a response whose end was received. */
PA_AGENT void pa_tree_answer_parse(struct pa_tree_answer *answer);

/* Copies as much of the first line of the body as fits. */
PA_AGENT void pa_tree_answer_line(const struct pa_tree_answer *answer, char *line, size_t size);

/* What is left can receive another response. */
PA_AGENT void pa_tree_answer_free(struct pa_tree_answer *answer);

#endif
