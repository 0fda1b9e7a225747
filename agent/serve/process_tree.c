/* SPDX-License-Identifier: Apache-2.0 */
#include "process_tree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../profile/proc_files.h"
#include "relay_target.h"
#include "tcp_table.h"

/* A process on the way from this one to the one being looked at: its children from next on are
 * still to be looked at. */
struct step {
	pid_t pid;
	size_t next;
	uint32_t depth; /* of its children */
};

/* 1.5 MiB, of which only the used pages are touched. */
struct walk {
	int64_t cpu_end_ns, wall_end_ns;
	bool cut;
	pid_t self;
	struct pa_proc_process_network network; /* of this process */
	uint32_t server_place;                  /* see pa_proc_process_find_agent */
	size_t count;
	struct pa_proc_process all[PA_PROCESS_TREE_MAX]; /* by parent, then by pid */
	size_t listener_count;
	struct pa_address listeners[PA_PROCESS_TREE_MAX]; /* of this network namespace */
	size_t listed;
	struct pa_process_tree_entry entries[PA_PROCESS_TREE_MAX];
	struct pa_buffer texts;
	struct step steps[PA_PROCESS_TREE_MAX];
};

static struct {
	struct pa_lock lock;
	/* guard: lock */
	struct pa_process_tree tree; /* entries NULL: none is kept */
	int64_t made_ns;
} state = { .lock = PA_LOCK_INIT(PA_LOCK_PROCESSES) };

static bool is_walk_over(struct walk *walk)
{
	walk->cut |= pa_clock_thread_cpu_ns() >= walk->cpu_end_ns ||
		pa_clock_mono_ns() >= walk->wall_end_ns;
	return walk->cut;
}

/* ---- all processes ---- */

static bool note_process(void *arg, const struct pa_proc_files_entry *pid)
{
	struct walk *walk = arg;

	if (walk->count == PA_PROCESS_TREE_MAX)
		walk->cut = true;
	if (is_walk_over(walk))
		return false;
	/* A process that has ended meanwhile is skipped. */
	walk->count += pa_proc_process_read((pid_t)pid->number, &walk->all[walk->count]);
	return true;
}

static int compare_processes(const void *a, const void *b)
{
	const struct pa_proc_process *left = a, *right = b;

	if (left->ppid != right->ppid)
		return left->ppid < right->ppid ? -1 : 1;
	return left->pid < right->pid ? -1 : left->pid > right->pid;
}

/* Index of the first child of that process, or of where it would be. */
static size_t first_child(const struct walk *walk, pid_t parent)
{
	size_t low = 0, high = walk->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (walk->all[middle].ppid < parent)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* ---- those in the list ---- */

static bool note_listener(void *arg, const struct pa_tcp_socket *socket)
{
	struct walk *walk = arg;

	walk->listeners[walk->listener_count++] = socket->local;
	return walk->listener_count == PA_COUNT(walk->listeners);
}

/* Several sockets listen on one port, each on an address of its own: then the process is looked
 * at. */
static struct pa_address address_of_port(const struct walk *walk, pid_t pid,
	const struct pa_proc_process_agent *agent)
{
	struct pa_address address = { .family = AF_UNSPEC }, unknown = address;
	size_t count = 0;

	for (size_t i = 0; i < walk->listener_count; i++) {
		if (walk->listeners[i].port == agent->port && count++ == 0)
			address = walk->listeners[i];
	}
	if (count < 2)
		return address;
	return pa_relay_target_socket(pid, agent, &address) ? address : unknown;
}

/* Offset of the text in texts. */
static uint32_t keep_tree_text(struct walk *walk, const char *text)
{
	size_t at = walk->texts.length;

	pa_buffer_add(&walk->texts, text, strlen(text) + 1);
	return (uint32_t)at;
}

static void list_process(struct walk *walk, const struct pa_proc_process *process, uint32_t depth,
	struct pa_proc_process_agent agent)
{
	char text[PA_PROCESS_TREE_TEXT_BYTES];
	struct pa_process_tree_entry *entry = &walk->entries[walk->listed++];

	*entry = (struct pa_process_tree_entry){
		.process = *process, .depth = depth, .agent = agent
	};
	pa_proc_process_exe(process->pid, text, sizeof(text));
	entry->exe = keep_tree_text(walk, text);
	pa_proc_process_cmdline(process->pid, text, sizeof(text));
	entry->cmdline = keep_tree_text(walk, text);
	if (agent.state != PA_PROC_PROCESS_SERVING || agent.address.family == AF_UNIX)
		return;
	entry->other_network = !pa_proc_process_is_in_network(process->pid, &walk->network);
	if (!entry->other_network)
		entry->agent.address = address_of_port(walk, process->pid, &agent);
}

/* True if the process is listed. */
static bool look_at_process(struct walk *walk, const struct pa_proc_process *process,
	uint32_t depth)
{
	uint64_t now_ticks = pa_proc_process_now_ticks();
	uint64_t age = now_ticks > process->start_ticks ? now_ticks - process->start_ticks : 0;

	if (!pa_proc_process_is_of_user(process->pid, NULL))
		return false;
	struct pa_proc_process_agent agent =
		pa_proc_process_find_agent(process->pid, age, &walk->server_place);
	if (agent.state == PA_PROC_PROCESS_NONE && process->pid != walk->self)
		return false;
	list_process(walk, process, depth, agent);
	return true;
}

static void enter_process(struct walk *walk, size_t level, pid_t pid, uint32_t depth)
{
	walk->steps[level] = (struct step){ pid, first_child(walk, pid), depth };
}

/*
 * Depth first from this process. /proc changes meanwhile, so that numbers which come again could
 * make a circle: the limits of the table end it.
 */
static void list_tree(struct walk *walk, const struct pa_proc_process *self)
{
	size_t level = 0;

	look_at_process(walk, self, 0);
	enter_process(walk, 0, self->pid, 1);
	for (;;) {
		struct step *step = &walk->steps[level];
		const struct pa_proc_process *child = &walk->all[step->next];
		if (step->next == walk->count || child->ppid != step->pid) {
			if (level-- == 0)
				return;
			continue;
		}
		walk->cut |=
			walk->listed == PA_PROCESS_TREE_MAX || level + 1 == PA_PROCESS_TREE_MAX;
		if (is_walk_over(walk))
			return;
		step->next++;
		bool listed = look_at_process(walk, child, step->depth);
		enter_process(walk, ++level, child->pid, step->depth + listed);
	}
}

static void list_descendants(struct walk *walk)
{
	struct pa_proc_process self;

	walk->self = pa_proc_process_self();
	if (!walk->self || !pa_proc_process_read(walk->self, &self))
		return;
	pa_proc_files_entries("/proc", note_process, walk);
	qsort(walk->all, walk->count, sizeof(walk->all[0]), compare_processes);
	pa_tcp_table_listeners(note_listener, walk);
	walk->network = pa_proc_process_own_network();
	list_tree(walk, &self);
}

/* ---- the list that is kept ---- */

static void drop_tree_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_PROCESSES);
	free((void *)state.tree.entries);
	free((void *)state.tree.texts);
	state.tree = (struct pa_process_tree){ 0 };
}

/* Takes the texts. */
static void keep_tree_locked(struct walk *walk)
{
	PA_ASSERT_HELD(PA_LOCK_PROCESSES);
	size_t bytes = walk->listed * sizeof(walk->entries[0]);
	struct pa_process_tree_entry *entries = walk->texts.failed ? NULL : malloc(bytes);

	if (!entries) {
		pa_buffer_free(&walk->texts);
		return;
	}
	memcpy(entries, walk->entries, bytes);
	state.tree = (struct pa_process_tree){
		.entries = entries,
		.count = walk->listed,
		.texts = walk->texts.bytes,
		.cut = walk->cut,
	};
	state.made_ns = pa_clock_mono_ns();
}

static void make_tree_locked(void)
{
	PA_ASSERT_HELD(PA_LOCK_PROCESSES);
	struct walk *walk = pa_map(sizeof(*walk));

	drop_tree_locked();
	if (!walk)
		return;
	walk->cpu_end_ns = pa_clock_thread_cpu_ns() + PA_PROCESS_TREE_CPU_NS;
	walk->wall_end_ns = pa_clock_mono_ns() + PA_PROCESS_TREE_WALL_NS;
	list_descendants(walk);
	if (walk->listed)
		keep_tree_locked(walk);
	pa_unmap(walk, sizeof(*walk));
}

bool pa_process_tree_use(void (*use)(void *arg, const struct pa_process_tree *tree), void *arg)
{
	pa_lock(&state.lock);
	if (!state.tree.entries || pa_clock_mono_ns() - state.made_ns >= PA_PROCESS_TREE_KEPT_NS)
		make_tree_locked();
	bool made = state.tree.entries != NULL;
	if (made)
		use(arg, &state.tree);
	pa_unlock(&state.lock);
	return made;
}

void pa_process_tree_reset(void)
{
	pa_lock_reset(&state.lock);
	/* Not freed: the parent may have been changing it. */
	state.tree = (struct pa_process_tree){ 0 };
}
