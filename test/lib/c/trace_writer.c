/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/kept_pages.h"
#include "test/lib/c/trace_writer.h"

#include "proto/scratch.h"

struct pa_gotrace *writer;
struct pa_stack *lock_stack, *other_stack, *worker_stack;
static size_t mapped;

int set_up(void **unused)
{
	(void)unused;
	out.count = out.writes = out.stop_at = 0;
	mapped = pa_map_bytes();
	lock_stack = STACK(IN_LOCK, IN_MAIN);
	other_stack = STACK(IN_OTHER, IN_WORKER);
	worker_stack = STACK(IN_WORKER);
	writer = pa_gotrace_new(&sink);
	return writer ? 0 : -1;
}

int tear_down(void **unused)
{
	(void)unused;
	trace_free(&trace);
	if (writer)
		pa_gotrace_free(writer);
	writer = NULL;
	pa_kept_pages_trim();
	assert_int_equal(pa_map_bytes(), mapped);
	return 0;
}

struct pa_sample samples[3];

void begin_with_three(void)
{
	const struct pa_snapshot snapshot = { .samples = samples, .sample_count = 3 };

	for (int32_t i = 0; i < 3; i++)
		samples[i] = (struct pa_sample){ .stack = lock_stack, .tid = ANNA + i };
	pa_gotrace_begin(writer, &made_up_process, &snapshot, START_NS);
}

void feed(struct pa_trace_queue_item item)
{
	pa_gotrace_feed(writer, &item, 1);
}

void feed_text(struct pa_trace_queue_item item, const char *text, size_t bytes)
{
	struct texted texted = with_text(item, text, bytes);

	pa_gotrace_feed(writer, texted.items, 1 + pa_trace_queue_text_items(texted.items));
}

void finish_lacking(uint64_t lost)
{
	assert_int_equal(pa_gotrace_finish(writer, START_NS + 1000000, lost), 0);
	assert_int_equal(pa_gotrace_write_tables(writer, &sink), 0);
	assert_int_equal(pa_gotrace_stats(writer).bytes, out.count);
	read_out();
}

void finish(void)
{
	finish_lacking(0);
}

const struct trace_event *event_of(uint64_t g, unsigned type)
{
	const struct trace_event *event = trace_event_of(&trace, g, type, 0);

	assert_non_null(event);
	return event;
}

void assert_life(uint64_t g, const char *life)
{
	assert_string_equal(trace_life(&trace, g), life);
}
