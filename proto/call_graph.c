/* SPDX-License-Identifier: Apache-2.0 */
#include "call_graph.h"

#include <errno.h>
#include <stdio.h>

#include "look_up.h"
#include "sample_values.h"
#include "text_stack.h"

#define FIRST_ARCS 256

/* Calls of one function by another. Pages have a whole number of them. */
struct arc {
	_Alignas(32) uint64_t pair; /* nodes of the caller and the callee; 0: free */
	int64_t weight;             /* sum of the values */
	uint32_t last;              /* sample counted last, plus 1 */
	bool inline_only;
};

_Static_assert(PA_PAGE_BYTES % sizeof(struct arc) == 0, "arcs fill their pages");

/* ---------------------------------------------------------------- nodes */

PA_AGENT struct pa_call_graph_node *pa_call_graph_node(const struct pa_call_graph *graph,
	uint32_t index)
{
	return (struct pa_call_graph_node *)graph->nodes.at + index;
}

PA_AGENT const char *pa_call_graph_name(const struct pa_call_graph_node *node,
	char buffer[PA_CALL_GRAPH_FILE_BYTES])
{
	if (!node->is_file)
		return node->text;
	snprintf(buffer, PA_CALL_GRAPH_FILE_BYTES, "[%s]", node->text);
	return buffer;
}

/* Adds the node with that key to the frames. file: its name; NULL: key is the name of a function.
 */
static int add_node_frame(struct pa_call_graph *graph, size_t at, const char *key, const char *file)
{
	int64_t index = pa_strtab_index(&graph->names, key);
	struct pa_call_graph_node *node;

	if (index < 0 || !pa_scratch(&graph->frames, (at + 1) * sizeof(uint32_t)) ||
		!pa_scratch(&graph->nodes, ((size_t)index + 1) * sizeof(*node)))
		return -ENOMEM;
	((uint32_t *)graph->frames.at)[at] = (uint32_t)index;
	node = pa_call_graph_node(graph, (uint32_t)index);
	node->text = file ? file : key;
	node->is_file = file != NULL;
	return 0;
}

/* A location of no name and no file is what pprof calls it. */
static int add_nameless_frame(struct pa_call_graph *graph, size_t at, const struct pa_loc *loc)
{
	const char *file = pa_text_stack_file(loc);

	return file ? add_node_frame(graph, at, loc->module->path, file) :
		      add_node_frame(graph, at, "<unknown>", NULL);
}

/* Adds the frames of a location from index at on. Returns the index after them, or -ENOMEM. */
static int64_t add_location_frames(struct pa_call_graph *graph, uint32_t id, uint32_t at)
{
	const struct pa_loc *loc = pa_id_table_loc(&graph->ids, id);
	struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
	uint32_t count = pa_symbols_lookup(loc, frames, PA_SYMBOLS_INLINE_MAX);

	if (!count)
		return add_nameless_frame(graph, at, loc) ? -ENOMEM : at + (int64_t)1;
	for (uint32_t i = 0; i < count; i++)
		if (add_node_frame(graph, at + i, frames[i].function->name, NULL))
			return -ENOMEM;
	return at + (int64_t)count;
}

/* Also for ids that are not used: 0, and one after the last. */
static bool add_all_frames(struct pa_call_graph *graph)
{
	size_t count = graph->ids.loc_count;
	uint32_t *firsts;
	int64_t end = 0;

	if (!pa_scratch(&graph->firsts, (count + 2) * sizeof(*firsts)) ||
		!pa_scratch(&graph->nodes, sizeof(struct pa_call_graph_node)))
		return false;
	firsts = graph->firsts.at;
	for (uint32_t id = 1; id <= count && end >= 0; id++) {
		firsts[id] = (uint32_t)end;
		end = add_location_frames(graph, id, firsts[id]);
	}
	firsts[count + 1] = (uint32_t)end;
	return end >= 0;
}

PA_AGENT int pa_call_graph_open(struct pa_call_graph *graph, const struct pa_snapshot *snapshot,
	uint32_t value, const struct pa_sink *sink)
{
	graph->snapshot = snapshot;
	graph->value = value;
	if (pa_id_table_init(&graph->ids) || pa_strtab_init(&graph->names))
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->sample_count; i++)
		if (pa_id_table_stack(&graph->ids, snapshot->samples[i].stack))
			return -ENOMEM;
	graph->lacking = pa_look_up_ids(&graph->ids, sink);
	return add_all_frames(graph) ? 0 : -ENOMEM;
}

/* ---------------------------------------------------------------- sums */

/* Nodes of one location, innermost first. */
struct frames {
	const uint32_t *at;
	uint32_t count;
};

static struct frames frames_of(const struct pa_call_graph *graph, uint32_t loc_id)
{
	const uint32_t *first =
		(const uint32_t *)graph->firsts.at + pa_id_table_ids(&graph->ids)[loc_id];

	return (struct frames){ (const uint32_t *)graph->frames.at + first[0],
		first[1] - first[0] };
}

static int64_t value_of_sample(const struct pa_call_graph *graph, const struct pa_sample *sample)
{
	int64_t values[PA_PROFILE_OPS_VALUES];

	pa_sample_values_of(graph->snapshot, sample, values);
	return values[graph->value];
}

/* Sums of saturated values wrap instead of trapping. */
static int64_t plus_wrapping(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static void sum_location(struct pa_call_graph *graph, uint32_t loc_id, int64_t value,
	uint32_t number)
{
	struct frames frames = frames_of(graph, loc_id);

	for (uint32_t i = 0; i < frames.count; i++) {
		struct pa_call_graph_node *node = pa_call_graph_node(graph, frames.at[i]);

		if (node->last != number)
			node->cum = plus_wrapping(node->cum, value);
		node->last = number;
	}
}

PA_AGENT void pa_call_graph_sum(struct pa_call_graph *graph)
{
	const struct pa_snapshot *snapshot = graph->snapshot;

	for (uint32_t s = 0; s < snapshot->sample_count; s++) {
		const struct pa_stack *stack = snapshot->samples[s].stack;
		int64_t value = value_of_sample(graph, &snapshot->samples[s]);

		graph->total += value < 0 ? -(uint64_t)value : (uint64_t)value;
		for (uint32_t i = 0; i < stack->depth; i++)
			sum_location(graph, stack->locs[i], value, s + 1);
		if (!stack->depth)
			continue;
		struct pa_call_graph_node *leaf =
			pa_call_graph_node(graph, *frames_of(graph, stack->locs[0]).at);
		leaf->flat = plus_wrapping(leaf->flat, value);
		graph->flat_total = plus_wrapping(graph->flat_total, value);
	}
}

/* ---------------------------------------------------------------- calls */

static bool is_arc_taken(const void *slot)
{
	return ((const struct arc *)slot)->pair != 0;
}

static bool is_wanted_arc(const struct pa_hash_table *unused, const void *slot, const void *key)
{
	(void)unused;
	return ((const struct arc *)slot)->pair == *(const uint64_t *)key;
}

static uint64_t hash_of_arc(const struct pa_hash_table *unused, const void *slot)
{
	(void)unused;
	return pa_hash_table_hash(((const struct arc *)slot)->pair);
}

static const struct pa_hash_table_kind arc_kind = {
	.slot_bytes = sizeof(struct arc),
	.is_taken = is_arc_taken,
	.has_key = is_wanted_arc,
	.hash = hash_of_arc,
};

/* Returns the arc of that pair, added if it is new; NULL: out of memory. */
static struct arc *find_arc(struct pa_call_graph *graph, uint64_t pair)
{
	struct pa_hash_table *arcs = &graph->arcs;
	uint64_t hash = pa_hash_table_hash(pair);
	struct arc *arc;

	if (!pa_hash_table_grow(&arc_kind, arcs, FIRST_ARCS))
		return NULL;
	arc = pa_hash_table_at(&arc_kind, arcs, pa_hash_table_find(&arc_kind, arcs, hash, &pair));
	if (arc->pair)
		return arc;
	arc = pa_hash_table_add(&arc_kind, arcs, hash);
	*arc = (struct arc){ .pair = pair, .inline_only = true };
	return arc;
}

/* A stack that is being walked from its outermost frame. */
struct walk {
	struct pa_call_graph *graph;
	int64_t value;
	uint32_t number; /* of the sample, plus 1 */
	uint32_t caller; /* node; 0: none yet */
};

static bool add_call(struct walk *walk, uint32_t callee, bool is_inline)
{
	struct arc *arc;

	if (!pa_call_graph_node(walk->graph, callee)->kept)
		return true;
	if (walk->caller && walk->caller != callee) {
		arc = find_arc(walk->graph, (uint64_t)walk->caller << 32 | callee);
		if (!arc)
			return false;
		if (arc->last != walk->number) {
			arc->weight = plus_wrapping(arc->weight, walk->value);
			arc->inline_only &= is_inline;
		}
		arc->last = walk->number;
	}
	walk->caller = callee;
	return true;
}

static bool add_calls(struct pa_call_graph *graph, uint32_t s)
{
	const struct pa_sample *sample = &graph->snapshot->samples[s];
	struct walk walk = { graph, value_of_sample(graph, sample), s + 1, 0 };

	for (uint32_t i = sample->stack->depth; walk.value && i-- > 0;) {
		struct frames frames = frames_of(graph, sample->stack->locs[i]);

		for (uint32_t f = frames.count; f-- > 0;)
			if (!add_call(&walk, frames.at[f], f != frames.count - 1))
				return false;
	}
	return true;
}

static void mark_callee(struct pa_call_graph *graph, const struct arc *arc, uint64_t least)
{
	struct pa_call_graph_node *callee = pa_call_graph_node(graph, (uint32_t)arc->pair);
	uint64_t weight = arc->weight < 0 ? -(uint64_t)arc->weight : (uint64_t)arc->weight;

	if (weight < least)
		return;
	callee->inlined |= arc->inline_only;
	callee->called |= !arc->inline_only;
}

PA_AGENT int pa_call_graph_calls(struct pa_call_graph *graph, uint64_t least)
{
	for (uint32_t s = 0; s < graph->snapshot->sample_count; s++)
		if (!add_calls(graph, s))
			return -ENOMEM;
	for (uint32_t i = 0; i < graph->arcs.capacity; i++)
		if (pa_hash_table_is_taken(&arc_kind, &graph->arcs, i))
			mark_callee(graph, pa_hash_table_at(&arc_kind, &graph->arcs, i), least);
	return 0;
}

PA_AGENT void pa_call_graph_close(struct pa_call_graph *graph)
{
	pa_hash_table_free(&arc_kind, &graph->arcs);
	pa_scratch_free(&graph->firsts);
	pa_scratch_free(&graph->frames);
	pa_scratch_free(&graph->nodes);
	pa_strtab_free(&graph->names);
	pa_id_table_free(&graph->ids);
}
