/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_fixture.h"
#include "test/lib/c/trace_golden.h"

static struct pa_gotrace_bytes bytes;

static int begin(void **unused)
{
	(void)unused;
	memset(&bytes, 0, sizeof(bytes));
	out.count = out.writes = out.stop_at = 0;
	pa_gotrace_bytes_begin(&bytes, &sink);
	return 0;
}

#define ARGS(...) (const uint64_t[]){ __VA_ARGS__ }, sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8

static void event(uint64_t p, uint64_t ts, enum pa_gotrace_type type, const uint64_t *arguments,
	size_t count)
{
	pa_gotrace_bytes_event(&bytes, p, ts, type, arguments, count);
}

/* What came out from there on is that; returns where it ends. */
static size_t assert_bytes(size_t at, const void *wanted, size_t count)
{
	assert_int_equal(pa_gotrace_bytes_flush(&bytes), 0);
	assert_true(out.count >= at + count);
	assert_memory_equal(out.bytes + at, wanted, count);
	return at + count;
}
#define ASSERT_BYTES(at, ...)                                    \
	assert_bytes(at, (const unsigned char[]){ __VA_ARGS__ }, \
		sizeof((const unsigned char[]){ __VA_ARGS__ }))

static void golden_sample_is_written_byte_by_byte(void **unused)
{
	(void)unused;
	assert_int_equal(sizeof(trace_golden), 78);
	pa_gotrace_bytes_record(&bytes, PA_GOTRACE_BATCH, ARGS(0, 1000));
	bytes.in_batch = true;
	bytes.ts = 1000;
	pa_gotrace_bytes_record(&bytes, PA_GOTRACE_FREQUENCY, ARGS(1000000000));
	pa_gotrace_bytes_string(&bytes, 1, "main");
	pa_gotrace_bytes_record(&bytes, PA_GOTRACE_STACK, ARGS(1, 1, 0x401000, 1, 1, 0));
	event(0, 1000, PA_GOTRACE_GO_CREATE, ARGS(1, 1, 0));
	event(1, 1001, PA_GOTRACE_PROC_START, ARGS(1));
	event(1, 1001, PA_GOTRACE_GO_START, ARGS(1, 1));
	event(0, 1002, PA_GOTRACE_GOMAXPROCS, ARGS(1, 0));
	event(1, 2000, PA_GOTRACE_GO_PREEMPT, ARGS(1));
	event(1, 2000, PA_GOTRACE_PROC_STOP, NULL, 0);
	assert_bytes(0, trace_golden, sizeof(trace_golden));
	assert_int_equal(out.count, sizeof(trace_golden));
	assert_int_equal(bytes.total, sizeof(trace_golden));
	read_out();
	trace_free(&trace);
}

static void numbers_take_seven_bits_a_byte(void **unused)
{
	(void)unused;
	assert_int_equal(pa_gotrace_bytes_width(0), 1);
	assert_int_equal(pa_gotrace_bytes_width(0x7f), 1);
	assert_int_equal(pa_gotrace_bytes_width(0x80), 2);
	assert_int_equal(pa_gotrace_bytes_width(0x3fff), 2);
	assert_int_equal(pa_gotrace_bytes_width(0x4000), 3);
	assert_int_equal(pa_gotrace_bytes_width((uint64_t)1 << 62), 9);
	assert_int_equal(pa_gotrace_bytes_width((uint64_t)1 << 63), 10);
	assert_int_equal(pa_gotrace_bytes_width(UINT64_MAX), 10);
	pa_gotrace_bytes_record(&bytes, PA_GOTRACE_BATCH, ARGS(0x7f, 0x80));
	pa_gotrace_bytes_record(&bytes, PA_GOTRACE_BATCH, ARGS(0x3fff, 0x4000));
	pa_gotrace_bytes_record(&bytes, PA_GOTRACE_FREQUENCY, ARGS(UINT64_MAX));
	size_t at = ASSERT_BYTES(16, 0x41, 0x7f, 0x80, 0x01);
	at = ASSERT_BYTES(at, 0x41, 0xff, 0x7f, 0x80, 0x80, 0x01);
	at = ASSERT_BYTES(at, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
	assert_int_equal(at, out.count);
}

static void four_arguments_say_their_length(void **unused)
{
	(void)unused;
	event(3, 5, PA_GOTRACE_GO_START, ARGS(1, 300));
	event(3, 5, PA_GOTRACE_GO_UNBLOCK, ARGS(1, 300, 2));
	size_t at = ASSERT_BYTES(16, 0x41, 3, 5, 0x8e, 0, 1, 0xac, 0x02);
	at = ASSERT_BYTES(at, 0xd5, 5, 0, 1, 0xac, 0x02, 2);
	assert_int_equal(at, out.count);
}

static void batch_begins_when_the_row_changes_and_at_the_first_event_of_row_0(void **unused)
{
	(void)unused;
	event(0, 10, PA_GOTRACE_PROC_START, ARGS(1));
	event(0, 13, PA_GOTRACE_PROC_STOP, NULL, 0);
	event(2, 20, PA_GOTRACE_PROC_START, ARGS(1));
	event(0, 21, PA_GOTRACE_PROC_START, ARGS(1));
	event(0, 400, PA_GOTRACE_PROC_STOP, NULL, 0);
	size_t at = ASSERT_BYTES(16, 0x41, 0, 10, 0x45, 0, 1, 0x06, 3);
	at = ASSERT_BYTES(at, 0x41, 2, 20, 0x45, 0, 1);
	at = ASSERT_BYTES(at, 0x41, 0, 21, 0x45, 0, 1, 0x06, 0xfb, 0x02);
	assert_int_equal(at, out.count);
	assert_int_equal(bytes.records, 8);
}

/* The samples' delta is 0 in all readers' eyes; the next event counts from the last. */
static void sample_leaves_the_clock_of_its_batch(void **unused)
{
	(void)unused;
	event(1, 10, PA_GOTRACE_PROC_START, ARGS(1));
	pa_gotrace_bytes_sample(&bytes, ARGS(7, 1, 2, 3));
	event(1, 12, PA_GOTRACE_PROC_STOP, NULL, 0);
	size_t at = ASSERT_BYTES(16, 0x41, 1, 10, 0x45, 0, 1);
	at = ASSERT_BYTES(at, 0xf1, 5, 0, 7, 1, 2, 3, 0x06, 2);
	assert_int_equal(at, out.count);
}

static void length_of_a_log_leaves_its_message_out(void **unused)
{
	(void)unused;
	pa_gotrace_bytes_log(&bytes, 1, 9, 4, 5, 6, "abc");
	pa_gotrace_bytes_log(&bytes, 1, 9, 4, 5, 6, "");
	size_t at = ASSERT_BYTES(16, 0x41, 1, 9, 0xf0, 4, 0, 4, 5, 6, 3, 'a', 'b', 'c');
	at = ASSERT_BYTES(at, 0xf0, 4, 0, 4, 5, 6, 0);
	assert_int_equal(at, out.count);
}

static void long_texts_are_cut(void **unused)
{
	static char text[3000];

	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	pa_gotrace_bytes_string(&bytes, 1, text);
	pa_gotrace_bytes_log(&bytes, 0, 9, 0, 1, 0, text);
	size_t at = ASSERT_BYTES(16, 0x25, 1, 0xe8, 0x07);
	assert_memory_equal(out.bytes + at, text, PA_GOTRACE_STRING_BYTES);
	at = ASSERT_BYTES(at + PA_GOTRACE_STRING_BYTES, 0x41, 0, 9, 0xf0, 4, 0, 0, 1, 0, 0xe8,
		0x07);
	assert_int_equal(out.count, at + PA_GOTRACE_STRING_BYTES);
}

/* Bytes that went to the sink so far are a trace up to the end of a record. */
static bool write_whole(void *arg, const void *data, size_t count)
{
	struct trace whole;

	write_out(arg, data, count);
	/* Said of the trace as a whole, when all of its records were read. */
	bool ok = trace_read(&whole, out.bytes, out.count);
	if (!ok && !strstr(whole.error, "there is none"))
		fail_msg("%s", whole.error);
	trace_free(&whole);
	return true;
}

static void sink_gets_whole_records(void **unused)
{
	static const struct pa_sink strict = { .write = write_whole };
	static char text[PA_GOTRACE_STRING_BYTES + 1];
	uint64_t stack[2 + 4 * 100] = { 1, 100 };

	(void)unused;
	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 2; i < PA_COUNT(stack); i++)
		stack[i] = 1 << 20;
	bytes.sink = &strict;
	for (uint64_t i = 1; i < 300; i++) {
		event(i % 3, i * 100, PA_GOTRACE_HEAP_ALLOC, ARGS(i << (i % 50)));
		pa_gotrace_bytes_string(&bytes, i, text + i);
		pa_gotrace_bytes_record(&bytes, PA_GOTRACE_STACK, stack, PA_COUNT(stack));
		pa_gotrace_bytes_log(&bytes, i % 5, i * 100, 0, i, 0, text + 300 - i);
	}
	assert_int_equal(pa_gotrace_bytes_flush(&bytes), 0);
	assert_true(out.writes > 30);
	assert_int_equal(out.count, bytes.total);
}

static void sink_that_says_stop_is_not_asked_again(void **unused)
{
	(void)unused;
	out.stop_at = 2;
	for (uint64_t i = 1; i < 30000; i++)
		event(i % 3, i, PA_GOTRACE_HEAP_ALLOC, ARGS(i));
	assert_true(bytes.failed);
	assert_int_equal(pa_gotrace_bytes_flush(&bytes), -ECANCELED);
	assert_int_equal(out.writes, 2);
	assert_true(out.count <= PA_GOTRACE_BUFFER_BYTES);
}

static void empty_flush_writes_nothing(void **unused)
{
	(void)unused;
	assert_int_equal(pa_gotrace_bytes_flush(&bytes), 0);
	assert_int_equal(out.count, 16);
	assert_int_equal(pa_gotrace_bytes_flush(&bytes), 0);
	assert_int_equal(out.writes, 1);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(golden_sample_is_written_byte_by_byte),
		TEST(numbers_take_seven_bits_a_byte),
		TEST(four_arguments_say_their_length),
		TEST(batch_begins_when_the_row_changes_and_at_the_first_event_of_row_0),
		TEST(sample_leaves_the_clock_of_its_batch),
		TEST(length_of_a_log_leaves_its_message_out),
		TEST(long_texts_are_cut),
		TEST(sink_gets_whole_records),
		TEST(sink_that_says_stop_is_not_asked_again),
		TEST(empty_flush_writes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
