/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/c/trace_reader.h"

#include "test/lib/c/trace_bytes.h"
#include "test/lib/c/trace_golden.h"

/* ---------------------------------------------------------------- one trace */

static void golden_sample_is_read(void **unused)
{
	static const unsigned char counts[TRACE_TYPES] = { [TRACE_BATCH] = 4,
		[TRACE_FREQUENCY] = 1,
		[TRACE_STRING] = 1,
		[TRACE_STACK] = 1,
		[TRACE_GO_CREATE] = 1,
		[TRACE_PROC_START] = 1,
		[TRACE_GO_START] = 1,
		[TRACE_GOMAXPROCS] = 1,
		[TRACE_GO_PREEMPT] = 1,
		[TRACE_PROC_STOP] = 1 };
	struct trace trace;

	(void)unused;
	assert_int_equal(sizeof(trace_golden), 78);
	if (!trace_read(&trace, trace_golden, sizeof(trace_golden)))
		fail_msg("%s", trace.error);
	assert_true(trace.ok);
	for (unsigned type = 0; type < TRACE_TYPES; type++)
		assert_int_equal(trace.counts[type], counts[type]);
	assert_int_equal(trace.event_count, 6);
	assert_int_equal(trace.goroutine_count, 1);
	assert_string_equal(trace_life(&trace, 1), "GoCreate GoStart GoPreempt");
	assert_int_equal(trace_depth(&trace, 1), 1);
	assert_string_equal(trace_function(&trace, 1, 0), "main");
	assert_int_equal(trace_frame(&trace, 1, 0)->pc, 0x401000);
	trace_free(&trace);
}

/* But for the last record, which is not needed, a trace that is cut is none. */
static void golden_sample_is_not_read_when_cut(void **unused)
{
	(void)unused;
	for (size_t count = 0; count < sizeof(trace_golden); count++) {
		unsigned char *bytes = malloc(count + 1); /* so that a sanitizer sees the end */
		struct trace trace;

		memcpy(bytes, trace_golden, count);
		if (trace_read(&trace, bytes, count) != (count == sizeof(trace_golden) - 2))
			fail_msg("%zu bytes: '%s'", count, trace.error);
		trace_free(&trace);
		free(bytes);
	}
}

/* Whatever a byte is changed to: no crash, and an error that says where. */
static void changed_bytes_are_read_or_refused_with_a_reason(void **unused)
{
	unsigned char bytes[sizeof(trace_golden)];
	struct trace trace;

	(void)unused;
	for (size_t i = 0; i < sizeof(trace_golden) * 256; i++) {
		memcpy(bytes, trace_golden, sizeof(trace_golden));
		bytes[i / 256] = (unsigned char)i;
		if (!trace_read(&trace, bytes, sizeof(bytes)))
			assert_memory_equal(trace.error, "offset ", 7);
		trace_free(&trace);
	}
}

static void history_can_be_asked(void **unused)
{
	struct trace t;

	(void)unused;
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_BLOCK_SYNC, 0, WORKER);
	put_batch(2, 4000);
	PUT(TRACE_GO_UNBLOCK, 3, 1, 2, MAIN);
	PUT(TRACE_LOG, 1, 0, LOCK, 77), put_byte(2), put_bytes("hi", 2);
	made.bytes[made.count - 4] = MAIN; /* the stack, which was another one */
	PUT(TRACE_HEAP_ALLOC, 1, 55);
	PUT(TRACE_GO_SYS_CALL, 0, 77);
	put_batch(1, 5000);
	PUT(TRACE_GO_START, 0, 1, 3);
	put_end();
	if (!trace_read(&t, made.bytes, made.count))
		fail_msg("%s", t.error);
	assert_int_equal(t.goroutine_count, 2);
	assert_int_equal(t.undefined_stacks, 1);
	assert_string_equal(trace_life(&t, 1),
		"GoCreate GoStart GoBlockSync GoUnblock GoStart"
		" GoPreempt");
	assert_string_equal(trace_life(&t, 2),
		"GoCreate GoStart UserLog HeapAlloc GoSysCall"
		" GoPreempt");
	assert_string_equal(trace_life(&t, 3), "");
	assert_int_equal(trace_event_of(&t, 1, TRACE_GO_UNBLOCK, 0)->ts, 4003);
	assert_int_equal(trace_event_of(&t, 1, TRACE_GO_UNBLOCK, 0)->by, 2);
	assert_int_equal(trace_event_of(&t, 1, TRACE_GO_UNBLOCK, 0)->p, 2);
	assert_int_equal(trace_event_of(&t, 1, 0, 2)->stack, WORKER);
	assert_int_equal(trace_event_of(&t, 1, TRACE_GO_START, 1)->ts, 5000);
	assert_null(trace_event_of(&t, 1, TRACE_GO_START, 2));
	assert_int_equal(trace_event_of(&t, 2, TRACE_HEAP_ALLOC, 0)->args[0], 55);
	assert_string_equal(t.text + trace_event_of(&t, 2, TRACE_LOG, 0)->text, "hi");
	assert_string_equal(trace_string(&t, LOCK), "lock");
	assert_string_equal(trace_string(&t, 0), "");
	assert_null(trace_string(&t, 99));
	assert_int_equal(trace_depth(&t, WORKER), 2);
	assert_int_equal(trace_depth(&t, 77), 0);
	assert_int_equal(trace_frame(&t, WORKER, 1)->pc, 0x402001);
	assert_string_equal(trace_function(&t, WORKER, 1), "worker");
	assert_null(trace_function(&t, WORKER, 2));
	trace_free(&t);
}

/* ---------------------------------------------------------------- records */

static void header_is_of_another_version(bool wrong)
{
	put_world();
	put_end();
	if (wrong)
		memcpy(made.bytes, "go 1.20", 7);
}

static void header_has_no_zeros(bool wrong)
{
	put_world();
	put_end();
	made.bytes[15] = wrong;
}

/* In front of all other records. */
static void put_first(bool wrong)
{
	put_header();
	if (wrong)
		blame();
	else
		put_batch(0, 1000);
}

static void put_rest(void)
{
	put_tables();
	PUT(TRACE_GO_CREATE, 0, 1, MAIN, 0);
	PUT(TRACE_GOMAXPROCS, 1, 1, 0);
}

static void string_is_before_the_first_batch(bool wrong)
{
	put_first(wrong);
	put_string(9, "early");
	put_rest();
}

static void stack_is_before_the_first_batch(bool wrong)
{
	put_first(wrong);
	put_stack(9, 1, 0x500000, 0);
	put_rest();
}

static void frequency_is_missing(bool wrong)
{
	put_header();
	put_batch(0, 1000);
	if (!wrong)
		PUT(TRACE_FREQUENCY, 1000000000);
	put_stack(MAIN, 1, 0x401000, 0);
	PUT(TRACE_GO_CREATE, 0, 1, MAIN, 0);
	PUT(TRACE_GOMAXPROCS, 1, 1, 0);
}

static void frequency_comes_twice(bool wrong)
{
	put_world();
	blame();
	if (wrong)
		PUT(TRACE_FREQUENCY, 1000000000);
	put_end();
}

static void frequency_is_zero(bool wrong)
{
	put_header();
	put_batch(0, 1000);
	blame();
	PUT(TRACE_FREQUENCY, wrong ? 0 : 1);
	put_stack(MAIN, 1, 0x401000, 0);
	PUT(TRACE_GO_CREATE, 0, 1, MAIN, 0);
	PUT(TRACE_GOMAXPROCS, 1, 1, 0);
}

static void gomaxprocs_is_missing(bool wrong)
{
	put_header();
	put_tables();
	PUT(TRACE_GO_CREATE, 0, 1, MAIN, 0);
	if (!wrong)
		PUT(TRACE_GOMAXPROCS, 1, 1, 0);
}

/* Bytes between the world and its end, in the middle of what happens on P0. */
#define BETWEEN(...)                                               \
	do {                                                       \
		put_world();                                       \
		blame();                                           \
		put_bytes((unsigned char[]){ __VA_ARGS__ },        \
			sizeof((unsigned char[]){ __VA_ARGS__ })); \
		put_end();                                         \
	} while (0)

static void first_byte_says_another_count(bool wrong)
{
	BETWEEN(wrong ? 0xa1 : 0x61, 0, 5);
}

static void short_record_has_a_length(bool wrong)
{
	if (wrong)
		BETWEEN(0xe1, 2, 0, 5);
	else
		BETWEEN(0x61, 0, 5);
}

static void string_has_a_count(bool wrong)
{
	BETWEEN(wrong ? 0x65 : 0x25, 9, 1, 'a');
}

static void length_ends_inside_a_varint(bool wrong)
{
	BETWEEN(0xcd, wrong ? 5 : 6, 0, 3, MAIN, 0x80, 0x80, 0x00);
}

static void length_takes_a_fifth_argument(bool wrong)
{
	if (wrong)
		BETWEEN(0xcd, 5, 0, 3, MAIN, 0, 0);
	else
		BETWEEN(0xcd, 4, 0, 3, MAIN, 0);
}

static void length_leaves_out_an_argument(bool wrong)
{
	if (wrong)
		BETWEEN(0xcd, 3, 0, 3, MAIN);
	else
		BETWEEN(0xcd, 4, 0, 3, MAIN, 0);
}

static void varint_has_eleven_bytes(bool wrong)
{
	if (wrong)
		BETWEEN(0x61, 0, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0);
	else
		BETWEEN(0x61, 0, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0);
	made.blamed += 2;
}

static void varint_has_more_than_64_bits(bool wrong)
{
	BETWEEN(0x61, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, wrong ? 2 : 1);
	made.blamed += 2;
}

static void message_ends_behind_the_trace(bool wrong)
{
	put_world();
	put_end();
	put_batch(0, 9000);
	blame();
	PUT(TRACE_LOG, 0, 0, LOCK, 0);
	put_byte(wrong ? 4 : 3);
	put_bytes("end", 3);
}

static void message_is_too_long(bool wrong)
{
	static const char text[1000001];

	put_world();
	blame();
	PUT(TRACE_LOG, 0, 0, LOCK, 0);
	put_number(wrong ? 1000001 : 1000000);
	put_bytes(text, wrong ? 1000001 : 1000000);
	put_end();
}

static void types_that_no_trace_may_have_are_refused(void **unused)
{
	static const unsigned char types[] = { 0, 7, 8, 9, 10, 11, 12, 16, 32, 36, 38, 39, 40, 42,
		43, 44, 50, 63 };
	struct trace trace;
	char reason[64];

	(void)unused;
	for (size_t i = 0; i < sizeof(types); i++) {
		BETWEEN(types[i] | 0x40, 0, 1);
		assert_false(trace_read(&trace, made.bytes, made.count));
		snprintf(reason, sizeof(reason), "offset %zu: trace: type %d may not be used",
			made.blamed, types[i]);
		assert_string_equal(trace.error, reason);
		trace_free(&trace);
	}
}

/* ---------------------------------------------------------------- main */

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(golden_sample_is_read),
	cmocka_unit_test(golden_sample_is_not_read_when_cut),
	cmocka_unit_test(changed_bytes_are_read_or_refused_with_a_reason),
	cmocka_unit_test(history_can_be_asked),
	cmocka_unit_test(types_that_no_trace_may_have_are_refused),
	TWINS(header_is_of_another_version, "not the header of a trace"),
	TWINS(header_has_no_zeros, "not the header of a trace"),
	TWINS(string_is_before_the_first_batch, "the first record is no Batch"),
	TWINS(stack_is_before_the_first_batch, "the first record is no Batch"),
	TWINS(frequency_is_missing, "Frequency: there is none"),
	TWINS(frequency_comes_twice, "Frequency: a second one"),
	TWINS(frequency_is_zero, "0 ticks a second"),
	TWINS(gomaxprocs_is_missing, "Gomaxprocs: there is none"),
	TWINS(first_byte_says_another_count, "its first byte is 0xa1, not 0x61"),
	TWINS(short_record_has_a_length, "its first byte is 0xe1, not 0x61"),
	TWINS(string_has_a_count, "its first byte is 0x65, not 0x25"),
	TWINS(length_ends_inside_a_varint, "wrong length: 5 said, 6 taken"),
	TWINS(length_takes_a_fifth_argument, "wrong number of arguments: 5, not 4"),
	TWINS(length_leaves_out_an_argument, "wrong number of arguments: 3, not 4"),
	TWINS(varint_has_eleven_bytes, "a varint has more than 64 bits"),
	TWINS(varint_has_more_than_64_bits, "a varint has more than 64 bits"),
	TWINS(message_ends_behind_the_trace, "the trace ends inside a record"),
	TWINS(message_is_too_long, "a text of 1000001 bytes"),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
