/* SPDX-License-Identifier: Apache-2.0 */
/* What else is in a trace, and how it ends. */
#include "test/lib/c/trace_writer.h"

#include "proto/gotrace_look.h"

/* ---- CPU samples, memory ---- */

static void samples_have_their_own_time_thread_and_stack(void **unused)
{
	struct pa_trace_queue_item tick = item_at(100, ANNA, PA_TRACE_EVENTS_TICK);

	(void)unused;
	tick.stack = other_stack;
	memcpy(tick.name, "anna", 4);
	begin_with_three();
	feed(item_at(500, BERT, PA_TRACE_EVENTS_TICK));
	feed(tick);
	feed(block_of(600, ANNA, PA_TRACE_EVENTS_IN_SLEEP, 0, lock_stack));
	feed(woke_of(700, ANNA, 0));
	finish();
	const struct trace_event *sample = event_of(ANNA, TRACE_CPU_SAMPLE);
	assert_int_equal(sample->ts, 1103);
	assert_int_equal(sample->p, event_of(ANNA, TRACE_GO_SLEEP)->p);
	assert_string_equal(trace_function(&trace, sample->stack, 0), "other");
	const struct trace_event *start = event_of(ANNA, TRACE_GO_START_LABEL);
	assert_string_equal(trace_string(&trace, start->args[2]), "anna");
	assert_int_equal(event_of(BERT, TRACE_GO_PREEMPT)->stack, 0);
}

static void samples_from_before_their_thread_are_left_out(void **unused)
{
	(void)unused;
	begin_with_three();
	feed(item_at(500, 99, PA_TRACE_EVENTS_TICK));
	feed(item_at(-5, ANNA, PA_TRACE_EVENTS_TICK));
	feed(item_at(501, 99, PA_TRACE_EVENTS_TICK));
	finish();
	assert_int_equal(trace.counts[TRACE_CPU_SAMPLE], 2);
	assert_null(trace_event_of(&trace, 99, TRACE_CPU_SAMPLE, 1));
}

static void one_sample_does_not_end_a_wait_and_two_do(void **unused)
{
	(void)unused;
	begin_with_three();
	feed(block_of(100, ANNA, PA_TRACE_EVENTS_IN_SLEEP, 0, lock_stack));
	feed(item_at(110, ANNA, PA_TRACE_EVENTS_TICK));
	feed(woke_of(700, ANNA, 0));
	feed(block_of(100, BERT, PA_TRACE_EVENTS_IN_SLEEP, 0, lock_stack));
	feed(item_at(800, BERT, PA_TRACE_EVENTS_TICK));
	feed(item_at(900, BERT, PA_TRACE_EVENTS_TICK));
	finish();
	assert_int_equal(trace.counts[TRACE_CPU_SAMPLE], 3);
	assert_int_equal(event_of(ANNA, TRACE_GO_UNBLOCK)->ts, 1703);
	assert_int_equal(event_of(BERT, TRACE_GO_UNBLOCK)->ts, 1903);
}

static void memory_in_use_is_shown(void **unused)
{
	struct pa_trace_queue_item heap = item_at(100, 0, PA_TRACE_EVENTS_HEAP);

	(void)unused;
	heap.object = 123456;
	begin_with_three();
	feed(heap);
	finish();
	const struct trace_event *event = event_of(0, TRACE_HEAP_ALLOC);
	assert_int_equal(event->args[0], 123456);
	assert_int_equal(event->p, 0);
	assert_int_equal(trace.goroutine_count, 3);
}

/* ---- the program's own ---- */

static struct pa_trace_queue_item own(int64_t ns, enum pa_trace_events_op op, uint64_t task)
{
	struct pa_trace_queue_item item = item_at(ns, ANNA, op);

	item.link = task;
	item.stack = lock_stack;
	return item;
}

static void feed_own(int64_t ns, enum pa_trace_events_op op, uint64_t task, const char *text)
{
	feed_text(own(ns, op, task), text, strlen(text));
}

static void tasks_have_names_and_parents(void **unused)
{
	struct pa_trace_queue_item child = own(200, PA_TRACE_EVENTS_TASK, 2);

	(void)unused;
	child.object = 1;
	begin_with_three();
	feed_own(100, PA_TRACE_EVENTS_TASK, 1, "request");
	feed_text(child, "query", 5);
	feed(own(300, PA_TRACE_EVENTS_TASK_END, 2));
	finish();
	const struct trace_event *task = trace_event_of(&trace, ANNA, TRACE_TASK_CREATE, 1);
	assert_int_equal(task->args[0], 2);
	assert_int_equal(task->args[1], 1);
	assert_string_equal(trace_string(&trace, task->args[2]), "query");
	assert_string_equal(trace_function(&trace, task->stack, 0), "take_lock");
	assert_int_equal(event_of(ANNA, TRACE_TASK_END)->args[0], 2);
}

static void regions_are_nested(void **unused)
{
	(void)unused;
	begin_with_three();
	feed_own(100, PA_TRACE_EVENTS_REGION, 3, "outer");
	feed_own(200, PA_TRACE_EVENTS_REGION, 0, "inner");
	feed_own(300, PA_TRACE_EVENTS_REGION_END, 0, "inner");
	feed_own(400, PA_TRACE_EVENTS_REGION_END, 3, "outer");
	finish();
	assert_int_equal(trace.counts[TRACE_REGION], 4);
	const struct trace_event *end_of_outer = trace_event_of(&trace, ANNA, TRACE_REGION, 3);
	assert_int_equal(end_of_outer->args[0], 3);
	assert_int_equal(end_of_outer->args[1], 1);
	assert_string_equal(trace_string(&trace, end_of_outer->args[2]), "outer");
}

/* Begun before the trace, or in another order than it says, or too deep. */
static void ends_of_other_regions_are_left_out(void **unused)
{
	(void)unused;
	begin_with_three();
	feed_own(100, PA_TRACE_EVENTS_REGION_END, 0, "before");
	feed_own(200, PA_TRACE_EVENTS_REGION, 0, "one");
	feed_own(210, PA_TRACE_EVENTS_REGION_END, 0, "two");
	feed_own(220, PA_TRACE_EVENTS_REGION_END, 7, "one");
	for (int i = 0; i < 12; i++)
		feed_own(300 + i, PA_TRACE_EVENTS_REGION, 0, "deep");
	for (int i = 0; i < 12; i++)
		feed_own(400 + i, PA_TRACE_EVENTS_REGION_END, 0, "deep");
	feed_own(500, PA_TRACE_EVENTS_REGION_END, 0, "one");
	finish();
	assert_int_equal(trace.counts[TRACE_REGION], 16);
	const struct trace_event *last = trace_event_of(&trace, ANNA, TRACE_REGION, 15);
	assert_string_equal(trace_string(&trace, last->args[2]), "one");
}

static void log_has_its_category_and_message(void **unused)
{
	(void)unused;
	begin_with_three();
	feed_text(own(100, PA_TRACE_EVENTS_LOG, 4), "color\0red", 9);
	feed_own(200, PA_TRACE_EVENTS_LOG, 0, "alone");
	finish();
	const struct trace_event *log = event_of(ANNA, TRACE_LOG);
	assert_int_equal(log->args[0], 4);
	assert_string_equal(trace_string(&trace, log->args[1]), "color");
	assert_string_equal(trace.text + log->text, "red");
	log = trace_event_of(&trace, ANNA, TRACE_LOG, 1);
	assert_string_equal(trace_string(&trace, log->args[1]), "alone");
	assert_string_equal(trace.text + log->text, "");
}

static void what_has_no_stack_is_left_out(void **unused)
{
	static const enum pa_trace_events_op ops[] = { PA_TRACE_EVENTS_TASK,
		PA_TRACE_EVENTS_TASK_END, PA_TRACE_EVENTS_REGION, PA_TRACE_EVENTS_REGION_END,
		PA_TRACE_EVENTS_LOG };

	(void)unused;
	begin_with_three();
	for (size_t i = 0; i < PA_COUNT(ops); i++) {
		struct pa_trace_queue_item item = own(100, ops[i], 1);
		item.stack = NULL;
		feed_text(item, "text", 4);
	}
	finish();
	assert_int_equal(trace.counts[TRACE_TASK_CREATE] + trace.counts[TRACE_TASK_END], 0);
	assert_int_equal(trace.counts[TRACE_REGION] + trace.counts[TRACE_LOG], 0);
}

static void what_lost_its_text_has_an_empty_one(void **unused)
{
	(void)unused;
	begin_with_three();
	feed(own(100, PA_TRACE_EVENTS_TASK, 1));
	feed(own(200, PA_TRACE_EVENTS_REGION, 1));
	feed(own(300, PA_TRACE_EVENTS_REGION_END, 1));
	feed(own(400, PA_TRACE_EVENTS_LOG, 1));
	finish();
	assert_int_equal(trace.counts[TRACE_REGION], 2);
	assert_int_equal(event_of(ANNA, TRACE_TASK_CREATE)->args[2], 0);
}

/* ---- the end ---- */

static void lost_events_are_said(void **unused)
{
	(void)unused;
	begin_with_three();
	finish_lacking(42);
	const struct trace_event *log = event_of(0, TRACE_LOG);
	assert_string_equal(trace_string(&trace, log->args[1]), "pprofagent");
	assert_string_equal(trace.text + log->text,
		"42 events are missing: they came faster than they were read");
}

static void trace_that_gets_too_large_ends_early_and_says_so(void **unused)
{
	static char text[PA_TRACE_EVENTS_TEXT_BYTES];
	struct pa_trace_queue_item log = item_at(100, ANNA, PA_TRACE_EVENTS_LOG);
	size_t count = 0;

	(void)unused;
	memset(text, 'x', sizeof(text));
	text[1] = '\0';
	log.stack = lock_stack;
	begin_with_three();
	feed(block_of(50, BERT, PA_TRACE_EVENTS_IN_MUTEX, OBJECT, lock_stack));
	for (; !pa_gotrace_is_over(writer) && count < 100000; count++) {
		log.time_ns++;
		feed_text(log, text, sizeof(text));
	}
	assert_in_range(count, 30000, 40000);
	int64_t over_ns = log.time_ns - START_NS;
	for (size_t i = 0; i < 2 * PA_GOTRACE_WINDOW; i++) {
		log.time_ns++;
		feed_text(log, text, sizeof(text));
	}
	finish();
	assert_in_range(out.count, PA_GOTRACE_MAX_BYTES, PA_GOTRACE_MAX_BYTES + 4096);
	const struct trace_event *preempt = event_of(ANNA, TRACE_GO_PREEMPT);
	assert_true(preempt->ts <= 1003 + (uint64_t)over_ns);
	assert_life(BERT, "GoCreate GoStart GoBlockSync");
	const struct trace_event *comment = event_of(0, TRACE_LOG);
	assert_non_null(strstr(trace.text + comment->text, "the trace ended early"));
}

/* Not read: it would take a GiB. */
static void trace_of_too_many_records_ends_early_and_says_so(void **unused)
{
	static const char comment[] = "the trace ended early";
	struct pa_trace_queue_item heap = item_at(100, 0, PA_TRACE_EVENTS_HEAP);
	uint64_t count = 0;

	(void)unused;
	begin_with_three();
	for (; !pa_gotrace_is_over(writer) && count < 2 * PA_GOTRACE_RECORDS_MAX; count++)
		feed(heap);
	assert_in_range(count, PA_GOTRACE_RECORDS_MAX - 100, PA_GOTRACE_RECORDS_MAX + 2000);
	assert_int_equal(pa_gotrace_finish(writer, START_NS + 1000, 0), 0);
	assert_in_range(pa_gotrace_stats(writer).records, PA_GOTRACE_RECORDS_MAX,
		PA_GOTRACE_RECORDS_MAX + 20);
	assert_non_null(memmem(out.bytes, out.count, comment, strlen(comment)));
}

static void sink_that_says_stop_ends_the_trace(void **unused)
{
	(void)unused;
	out.stop_at = 1;
	begin_with_three();
	assert_false(pa_gotrace_is_over(writer));
	for (int i = 0; i < 20000 && !pa_gotrace_is_over(writer); i++)
		feed(item_at(i, ANNA, PA_TRACE_EVENTS_TICK));
	assert_true(pa_gotrace_is_over(writer));
	assert_int_equal(pa_gotrace_finish(writer, START_NS + 1000, 0), -ECANCELED);
	assert_int_equal(out.writes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(samples_have_their_own_time_thread_and_stack),
		TEST(samples_from_before_their_thread_are_left_out),
		TEST(one_sample_does_not_end_a_wait_and_two_do),
		TEST(memory_in_use_is_shown),
		TEST(tasks_have_names_and_parents),
		TEST(regions_are_nested),
		TEST(ends_of_other_regions_are_left_out),
		TEST(log_has_its_category_and_message),
		TEST(what_has_no_stack_is_left_out),
		TEST(what_lost_its_text_has_an_empty_one),
		TEST(lost_events_are_said),
		TEST(trace_that_gets_too_large_ends_early_and_says_so),
		TEST(trace_of_too_many_records_ends_early_and_says_so),
		TEST(sink_that_says_stop_ends_the_trace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
