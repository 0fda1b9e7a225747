/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/kept_pages.h"
#include "proto/call_graph.h"
#include "proto/scratch.h"

#include "test/lib/c/text_fixture.h"

static const struct pa_profile_ops kind = { .value_count = 1, .values = { { "x", "count" } } };

static struct pa_sample samples[4];
static struct pa_call_graph graph;

static void open_graph(size_t count)
{
	static struct pa_snapshot snapshot = { .kind = &kind, .samples = samples };

	snapshot.sample_count = count;
	graph = (struct pa_call_graph){ 0 };
	assert_int_equal(pa_call_graph_open(&graph, &snapshot, 0, &sink), 0);
	pa_call_graph_sum(&graph);
}

static void close_graph(void)
{
	pa_call_graph_close(&graph);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

static struct pa_sample sample_of(const struct pa_stack *stack, int64_t value)
{
	return (struct pa_sample){ .stack = stack, .values = { value } };
}

static struct pa_call_graph_node *node_of(const char *text)
{
	char name[PA_CALL_GRAPH_FILE_BYTES];

	for (uint32_t i = 1; i < graph.names.count; i++)
		if (strcmp(pa_call_graph_name(pa_call_graph_node(&graph, i), name), text) == 0)
			return pa_call_graph_node(&graph, i);
	return NULL;
}

static void has(const char *text, int64_t flat, int64_t cum)
{
	const struct pa_call_graph_node *node = node_of(text);

	assert_non_null(node);
	assert_int_equal(node->flat, flat);
	assert_int_equal(node->cum, cum);
}

static void functions_have_flat_and_cum_once_a_sample(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_USED, LOC_INLINED, LOC_MAIN), 5);
	samples[1] = sample_of(STACK(LOC_INLINED), 20);
	samples[2] = sample_of(STACK(LOC_USED, LOC_USED), -1);
	samples[3] = sample_of(NO_STACK, 7);
	open_graph(4);
	has("used", 4, 4);
	has("main", 0, 25);
	has("ns::in<int>(int)", 20, 25);
	assert_int_equal(graph.total, 33);
	assert_int_equal(graph.flat_total, 24);
	assert_int_equal(look_ups, 3);
	close_graph();
}

static void functions_of_one_name_are_one(void **unused)
{
	struct pa_function kept = fn_used;
	(void)unused;
	fn_used.name = "main";
	samples[0] = sample_of(STACK(LOC_USED, LOC_MAIN), 5);
	open_graph(1);
	has("main", 5, 5);
	fn_used = kept;
	close_graph();
}

static void nameless_code_is_its_file(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_NAMELESS, LOC_GAP, LOC_NOWHERE), 5);
	open_graph(1);
	has("[two.so]", 5, 5);
	has("<unknown>", 0, 5);
	close_graph();
}

static void keep(const char *text)
{
	node_of(text)->kept = true;
}

static void is_called(const char *text, bool inlined, bool called)
{
	assert_int_equal(node_of(text)->inlined, inlined);
	assert_int_equal(node_of(text)->called, called);
}

static void calls_say_who_was_inlined(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_INLINED, LOC_USED), 5);
	open_graph(1);
	keep("ns::in<int>(int)");
	keep("main");
	assert_int_equal(pa_call_graph_calls(&graph, 5), 0);
	is_called("ns::in<int>(int)", true, false);
	is_called("main", false, false); /* its caller is not kept */
	close_graph();
	samples[0] = sample_of(STACK(LOC_INLINED), 5);
	samples[1] = sample_of(STACK(LOC_INLINED), -3);
	open_graph(2);
	keep("ns::in<int>(int)");
	keep("main");
	assert_int_equal(pa_call_graph_calls(&graph, 3), 0); /* the sum is 2 */
	is_called("ns::in<int>(int)", false, false);
	close_graph();
}

static void a_call_that_is_once_not_inlined_is_none(void **unused)
{
	struct pa_function kept = fn_used;
	(void)unused;
	fn_used.name = "ns::in<int>(int)";
	samples[0] = sample_of(STACK(LOC_INLINED), 5);
	samples[1] = sample_of(STACK(LOC_USED, LOC_MAIN), 1);
	open_graph(2);
	keep("ns::in<int>(int)");
	keep("main");
	assert_int_equal(pa_call_graph_calls(&graph, 0), 0);
	is_called("ns::in<int>(int)", false, true);
	close_graph();
	samples[1] = sample_of(STACK(LOC_USED, LOC_TWO), 1);
	open_graph(2);
	keep("ns::in<int>(int)");
	keep("main");
	keep("tw\xFFo");
	assert_int_equal(pa_call_graph_calls(&graph, 0), 0);
	is_called("ns::in<int>(int)", true, true);
	fn_used = kept;
	close_graph();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(functions_have_flat_and_cum_once_a_sample, reset),
		cmocka_unit_test_setup(functions_of_one_name_are_one, reset),
		cmocka_unit_test_setup(nameless_code_is_its_file, reset),
		cmocka_unit_test_setup(calls_say_who_was_inlined, reset),
		cmocka_unit_test_setup(a_call_that_is_once_not_inlined_is_none, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
