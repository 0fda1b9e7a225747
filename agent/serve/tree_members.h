/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes whose profiles become one: this one and its descendants that have an agent. They
 * are asked at the same time, each over a connection of its own: first for their agent pages, which
 * confirm them (relay_target.h), then for the profile.
 *
 * Context: PA_AGENT, the worker of the request. No lock of its own. Memory: one block, malloc;
 * while they are confirmed, a mapping of 2 KiB for each. When full (PA_TREE_MEMBERS_MAX): the rest
 * is counted.
 */
#ifndef PA_TREE_MEMBERS_H
#define PA_TREE_MEMBERS_H

#include "proc_process.h"
#include "relay_target.h"

/* Each takes a descriptor. Fewer if the descriptors are the program's; at most half of
 * RLIMIT_NOFILE. */
#define PA_TREE_MEMBERS_MAX 512
#define PA_TREE_MEMBERS_SHARED_MAX 32

/* Time for all to confirm themselves. Those that take longer than the second time are asked for
 * their profiles after the others. */
#define PA_TREE_MEMBERS_CONFIRM_NS (5 * PA_NS_PER_S)
#define PA_TREE_MEMBERS_TOGETHER_NS (250 * PA_NS_PER_MS)

#define PA_TREE_MEMBERS_WHY_BYTES 128

enum pa_tree_members_step {
	PA_TREE_MEMBERS_FAILED, /* why tells the reason */
	PA_TREE_MEMBERS_PAGE_CONNECTS,
	PA_TREE_MEMBERS_PAGE_COMES,
	PA_TREE_MEMBERS_CONFIRMED,
	PA_TREE_MEMBERS_CONNECTS,
	PA_TREE_MEMBERS_ASKED
};

struct pa_tree_members_entry {
	struct pa_relay_target target;
	char program[PA_PROC_PROCESS_NAME_BYTES]; /* any bytes */
	enum pa_tree_members_step step;
	int fd; /* of the connection; -1: none */
	size_t got;
	char why[PA_TREE_MEMBERS_WHY_BYTES]; /* as it follows "process N" */
};

struct pa_tree_members {
	size_t count;
	size_t too_many; /* that are left out */
	bool cut;        /* the list of processes is not whole */
	struct pa_tree_members_entry all[PA_TREE_MEMBERS_MAX]; /* the first one is this process */
};

/* own: address of this process's server. NULL: no memory, or /proc cannot be read. */
PA_AGENT struct pa_tree_members *pa_tree_members_find(const struct pa_address *own);

/*
 * Sends the request, a whole header, to all of them; afterwards each is ASKED or FAILED. token: for
 * the agent pages. Takes a few milliseconds; PA_TREE_MEMBERS_CONFIRM_NS at most.
 */
PA_AGENT void pa_tree_members_ask(struct pa_tree_members *members, const char *request,
	size_t count, const char *token);

/* Closes its connection. */
PA_AGENT void pa_tree_members_fail(struct pa_tree_members_entry *member, const char *why);

PA_AGENT void pa_tree_members_close(struct pa_tree_members_entry *member);

/* Without closing connections: see struct pa_http_continuation. */
PA_AGENT void pa_tree_members_free(struct pa_tree_members *members);

#endif
