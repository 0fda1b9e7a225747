/*
 * A writer of execution traces, three threads that it knows from the start, and questions to what
 * it wrote. Included by one file of a test.
 */
#ifndef TRACE_WRITER_H
#define TRACE_WRITER_H

#include "trace_fixture.h"

#define OBJECT 0x1000

enum { ANNA = 11, BERT, CARL };

static struct pa_trace *writer;
static struct pa_stack *lock_stack, *other_stack, *worker_stack;
static size_t mapped;

static inline int set_up(void **unused)
{
	(void)unused;
	out.count = out.writes = out.stop_at = 0;
	mapped = pa_map_bytes();
	lock_stack = STACK(IN_LOCK, IN_MAIN);
	other_stack = STACK(IN_OTHER, IN_WORKER);
	worker_stack = STACK(IN_WORKER);
	writer = pa_trace_new(&sink);
	return writer ? 0 : -1;
}

static inline int tear_down(void **unused)
{
	(void)unused;
	trace_free(&trace);
	if (writer)
		pa_trace_free(writer);
	writer = NULL;
	assert_int_equal(pa_map_bytes(), mapped);
	return 0;
}

static struct pa_sample samples[3];

/* Anna, Bert and Carl are there, and run. */
static inline void begin_with_three(void)
{
	const struct pa_snapshot snapshot = { .samples = samples, .sample_count = 3 };

	for (int32_t i = 0; i < 3; i++)
		samples[i] = (struct pa_sample){ .stack = lock_stack, .tid = ANNA + i };
	pa_trace_begin(writer, &snapshot, START_NS);
}

static inline void feed(struct pa_tracer_item item)
{
	pa_trace_feed(writer, &item, 1);
}

static inline void feed_text(struct pa_tracer_item item, const char *text, size_t bytes)
{
	struct texted texted = with_text(item, text, bytes);

	pa_trace_feed(writer, texted.items, 1 + pa_tracer_text_items(texted.items));
}

static inline void finish_lacking(uint64_t lost)
{
	assert_int_equal(pa_trace_finish(writer, START_NS + 1000000, lost), 0);
	assert_int_equal(pa_trace_tables(writer, &sink), 0);
	assert_int_equal(pa_trace_stats(writer).bytes, out.count);
	read_out();
}

static inline void finish(void)
{
	finish_lacking(0);
}

static inline const struct trace_event *event_of(uint64_t g, unsigned type)
{
	const struct trace_event *event = trace_event_of(&trace, g, type, 0);

	assert_non_null(event);
	return event;
}

static inline void assert_life(uint64_t g, const char *life)
{
	assert_string_equal(trace_life(&trace, g), life);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
