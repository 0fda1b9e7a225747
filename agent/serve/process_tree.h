/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process tree: this process and its descendants that have an agent, from /proc. There is no
 * registry: names of threads tell which processes serve, and on which port (port_name.h).
 *
 * Processes of other users are left out; their descendants are not. A list is kept for
 * PA_PROCESS_TREE_KEPT_NS.
 *
 * Context: PA_AGENT, any worker. Lock: PA_LOCK_PROCESSES, held while a list is made or used, so
 * that many requests at once make one list. Memory: the list, malloc;
 * a mapping while it is made. When full
 * (PA_PROCESS_TREE_MAX processes on the machine, or PA_PROCESS_TREE_CPU_NS): the list is cut, and
 * says so.
 */
#ifndef PA_PROCESS_TREE_H
#define PA_PROCESS_TREE_H

#include "buffer.h"
#include "proc_process.h"

#define PA_PROCESS_TREE_MAX 4096
/* Processor time; and time in all, on a machine with other load. */
#define PA_PROCESS_TREE_CPU_NS (50 * PA_NS_PER_MS)
#define PA_PROCESS_TREE_WALL_NS (2 * PA_NS_PER_S)
#define PA_PROCESS_TREE_KEPT_NS PA_NS_PER_S

#define PA_PROCESS_TREE_TEXT_BYTES 1024

struct pa_process_tree_entry {
	struct pa_proc_process process;
	uint32_t depth;                     /* number of listed ancestors */
	struct pa_proc_process_agent agent; /* address: SERVING; AF_UNSPEC: unknown */
	bool other_network;                 /* SERVING: in another network namespace */
	uint32_t exe, cmdline;              /* offsets in texts */
};

struct pa_process_tree {
	const struct pa_process_tree_entry
		*entries; /* depth first; the first one is this process */
	size_t count;
	const char *texts;
	bool cut;
};

/* Calls use with the list. False: /proc cannot be read, or no memory; use was not called. */
PA_AGENT bool pa_process_tree_use(void (*use)(void *arg, const struct pa_process_tree *tree),
	void *arg);

/* In a forked child: the list is the parent's. */
PA_BOOT void pa_process_tree_reset(void);

#endif
