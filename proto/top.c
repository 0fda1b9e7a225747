/* SPDX-License-Identifier: Apache-2.0 */
#include "top.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "call_graph.h"
#include "look_up.h"
#include "mappings.h"
#include "measure.h"
#include "text_stack.h"
#include "text_writer.h"

/* pprof's defaults: shares of the total below which functions and calls are not looked at. */
#define NODE_FRACTION 0.005
#define EDGE_FRACTION 0.001

struct top {
	struct pa_text_writer writer;
	struct pa_call_graph graph;
	const char *unit; /* of the value */
	int step;         /* of measure.h, for all values */
	int64_t total;
	struct pa_scratch order; /* uint32_t: nodes, in the order of the output */
	uint32_t count;          /* nodes with a value that are not dropped */
	uint32_t shown;          /* of them, those in the output */
	uint32_t dropped;        /* nodes below NODE_FRACTION */
};

static uint64_t absolute_of(int64_t value)
{
	return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

/* ---------------------------------------------------------------- which functions */

static const struct pa_call_graph_node *node_at(const struct top *top, uint32_t place)
{
	return pa_call_graph_node(&top->graph, ((const uint32_t *)top->order.at)[place]);
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

/* By flat, then by name; two files of one name by cum. */
static int compare_nodes(const void *a, const void *b, void *arg)
{
	const struct pa_call_graph *graph = arg;
	const struct pa_call_graph_node *x = pa_call_graph_node(graph, *(const uint32_t *)a);
	const struct pa_call_graph_node *y = pa_call_graph_node(graph, *(const uint32_t *)b);
	char first[PA_CALL_GRAPH_FILE_BYTES], second[PA_CALL_GRAPH_FILE_BYTES];
	int result = compare_numbers(absolute_of(x->flat), absolute_of(y->flat));

	if (!result)
		result = strcmp(pa_call_graph_name(x, first), pa_call_graph_name(y, second));
	return result ? result : compare_numbers(absolute_of(x->cum), absolute_of(y->cum));
}

static uint64_t fraction_of(int64_t total, double fraction)
{
	return absolute_of((int64_t)((double)total * fraction));
}

/* Marks the nodes whose calls count: those in the output, or all if none was left out. */
static void keep_nodes(struct top *top)
{
	bool all = !top->dropped && top->shown == top->count;

	for (uint32_t i = 1; all && i < top->graph.names.count; i++)
		pa_call_graph_node(&top->graph, i)->kept = true;
	for (uint32_t i = 0; i < top->shown; i++)
		pa_call_graph_node(&top->graph, ((uint32_t *)top->order.at)[i])->kept = true;
}

static bool select_nodes(struct top *top, uint32_t rows)
{
	const uint64_t least = fraction_of(top->graph.flat_total, NODE_FRACTION);
	const uint32_t names = top->graph.names.count;
	uint32_t *order;

	if (!pa_scratch(&top->order, names * sizeof(*order)))
		return false;
	order = top->order.at;
	for (uint32_t i = 1; i < names; i++) {
		const struct pa_call_graph_node *node = pa_call_graph_node(&top->graph, i);

		if (!node->flat && !node->cum)
			continue;
		if (absolute_of(node->cum) < least)
			top->dropped++;
		else
			order[top->count++] = i;
	}
	if (top->count)
		qsort_r(order, top->count, sizeof(*order), compare_nodes, &top->graph);
	top->shown = rows && rows < top->count ? rows : top->count;
	keep_nodes(top);
	return true;
}

/* ---------------------------------------------------------------- the unit of all values */

/* The smallest value of a row that is not 0. */
static uint64_t smallest_value(const struct top *top)
{
	uint64_t least = 0;

	for (uint32_t i = 0; i < top->shown; i++) {
		const struct pa_call_graph_node *node = node_at(top, i);
		uint64_t value = absolute_of(node->flat ? node->flat : node->cum);

		if (value && (!least || value < least))
			least = value;
	}
	return least;
}

/* The step of the smallest value; of a hundred times as much if the total has another one, so that
 * the smallest is shown as 0.01 at least. */
static int choose_step(const struct top *top)
{
	uint64_t value = smallest_value(top);
	int64_t least = value ? (int64_t)value : top->total;
	int64_t hundred = (int64_t)((uint64_t)least * 100);
	int step = pa_measure_step(least, top->unit);

	if (!top->shown)
		return PA_MEASURE_AUTO;
	if (step != pa_measure_step(top->total, top->unit) && hundred < top->total)
		step = pa_measure_step(hundred, top->unit);
	return step;
}

/* ---------------------------------------------------------------- header lines */

static void put_top_label(struct top *top, const char *before, int64_t value)
{
	char label[PA_MEASURE_BYTES];

	pa_text_writer_format(&top->writer, "%s%s", before,
		pa_measure_label(label, value, top->unit, top->step));
}

static void put_text_line(struct top *top, const char *before, const char *text)
{
	pa_text_writer_put(&top->writer, before, strlen(before));
	pa_text_writer_clean(&top->writer, text);
	pa_text_writer_put(&top->writer, "\n", 1);
}

static void put_program(struct top *top)
{
	const struct pa_module *module = pa_maps_count() ? pa_maps_get(1) : NULL;
	const struct pa_loc loc = { .module = (struct pa_module *)module };
	char build_id[PA_MAPPINGS_BUILD_ID_BYTES];

	if (!module || !module->segment_count)
		return;
	put_text_line(top, "File: ", pa_text_stack_file(&loc));
	pa_mappings_build_id(module, build_id);
	if (*build_id)
		put_text_line(top, "Build ID: ", build_id);
}

static void put_notes(struct top *top)
{
	const struct pa_snapshot *snapshot = top->graph.snapshot;
	char lacking[PA_LOOK_UP_COMMENT_BYTES];

	for (size_t i = 0; i < snapshot->comment_count; i++)
		put_text_line(top, "", snapshot->comments[i]);
	if (pa_look_up_comment(lacking, top->graph.lacking))
		put_text_line(top, "", lacking);
}

static void put_time(struct top *top)
{
	time_t seconds = top->graph.snapshot->time_ns / PA_NS_PER_S;
	struct tm tm;

	if (!top->graph.snapshot->time_ns)
		return;
	gmtime_r(&seconds, &tm);
	pa_text_writer_format(&top->writer, "Time: %04d-%02d-%02d %02d:%02d:%02d UTC\n",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void put_duration(struct top *top)
{
	const int64_t duration_ns = top->graph.snapshot->duration_ns;
	char text[PA_MEASURE_BYTES];

	if (!duration_ns)
		return;
	pa_text_writer_format(&top->writer, "Duration: %s",
		pa_measure_label(text, duration_ns, "nanoseconds", PA_MEASURE_AUTO));
	put_top_label(top, ", Total samples = ", top->total);
	pa_text_writer_put(&top->writer, " ", 1);
	if (top->total && strcmp(top->unit, "nanoseconds") == 0)
		pa_text_writer_format(&top->writer, "(%s)",
			pa_measure_percent(text, top->total, duration_ns));
	pa_text_writer_put(&top->writer, "\n", 1);
}

static void put_shown(struct top *top)
{
	char percent[PA_MEASURE_BYTES];
	int64_t sum = 0;

	for (uint32_t i = 0; i < top->shown; i++)
		sum = (int64_t)((uint64_t)sum + (uint64_t)node_at(top, i)->flat);
	pa_measure_percent(percent, sum, top->total);
	put_top_label(top, "Showing nodes accounting for ", sum);
	pa_text_writer_format(&top->writer, ", %s", percent + strspn(percent, " "));
	put_top_label(top, " of ", top->total);
	pa_text_writer_format(&top->writer, " total\n");
	if (!top->total)
		return;
	if (top->dropped) {
		pa_text_writer_format(&top->writer, "Dropped %u node%s", top->dropped,
			top->dropped > 1 ? "s" : "");
		put_top_label(top, " (cum <= ", (int64_t)fraction_of(top->total, NODE_FRACTION));
		pa_text_writer_format(&top->writer, ")\n");
	}
	if (top->shown < top->count)
		pa_text_writer_format(&top->writer, "Showing top %u nodes out of %u\n", top->shown,
			top->count);
}

/* ---------------------------------------------------------------- the table */

static void put_top_row(struct top *top, const struct pa_call_graph_node *node, int64_t sum)
{
	char flat[PA_MEASURE_BYTES], flat_share[PA_MEASURE_BYTES], sum_share[PA_MEASURE_BYTES],
		cum[PA_MEASURE_BYTES], cum_share[PA_MEASURE_BYTES], name[PA_CALL_GRAPH_FILE_BYTES];

	pa_text_writer_format(&top->writer, "%10s %s %s %10s %s  ",
		pa_measure_label(flat, node->flat, top->unit, top->step),
		pa_measure_percent(flat_share, node->flat, top->total),
		pa_measure_percent(sum_share, sum, top->total),
		pa_measure_label(cum, node->cum, top->unit, top->step),
		pa_measure_percent(cum_share, node->cum, top->total));
	pa_text_writer_clean(&top->writer, pa_call_graph_name(node, name));
	if (node->inlined)
		pa_text_writer_format(&top->writer, " %s",
			node->called ? "(partial-inline)" : "(inline)");
	pa_text_writer_put(&top->writer, "\n", 1);
}

static void put_table(struct top *top)
{
	int64_t sum = 0;

	pa_text_writer_format(&top->writer, "%10s %5s%% %5s%% %10s %5s%%\n", "flat", "flat", "sum",
		"cum", "cum");
	for (uint32_t i = 0; i < top->shown && !top->writer.error; i++) {
		const struct pa_call_graph_node *node = node_at(top, i);

		sum = (int64_t)((uint64_t)sum + (uint64_t)node->flat);
		put_top_row(top, node, sum);
	}
}

static void put_top(struct top *top)
{
	const struct pa_snapshot *snapshot = top->graph.snapshot;

	put_program(top);
	put_notes(top);
	put_text_line(top, "Type: ", snapshot->kind->values[top->graph.value].type);
	put_time(top);
	put_duration(top);
	put_shown(top);
	put_table(top);
}

static bool make_top(struct top *top, const struct pa_snapshot *snapshot, uint32_t value,
	uint32_t rows, const struct pa_sink *sink)
{
	if (pa_call_graph_open(&top->graph, snapshot, value, sink))
		return false;
	pa_call_graph_sum(&top->graph);
	top->total = (int64_t)top->graph.total;
	if (!select_nodes(top, rows) ||
		pa_call_graph_calls(&top->graph, fraction_of(top->graph.flat_total, EDGE_FRACTION)))
		return false;
	top->step = choose_step(top);
	return true;
}

PA_AGENT int pa_top_write(const struct pa_snapshot *snapshot, uint32_t value, uint32_t rows,
	const struct pa_sink *sink)
{
	struct top top = { .writer = { .sink = sink }, .unit = snapshot->kind->values[value].unit };

	if (make_top(&top, snapshot, value, rows, sink))
		put_top(&top);
	else
		pa_text_writer_fail(&top.writer, -ENOMEM);
	pa_text_writer_flush(&top.writer);
	pa_scratch_free(&top.order);
	pa_call_graph_close(&top.graph);
	return top.writer.error;
}
