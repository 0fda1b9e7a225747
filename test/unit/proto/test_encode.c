/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/base/kept_pages.h"
#include "test/lib/c/encode_fixture.h"
#include "proto/scratch.h"

static const struct pa_profile_ops heap_kind = { .text = PA_PROFILE_OPS_TEXT_HEAP,
	.scaled = true,
	.name = "heap",
	.value_count = 4,
	.values = { { "alloc_objects", "count" }, { "alloc_space", "bytes" },
		{ "inuse_objects", "count" }, { "inuse_space", "bytes" } },
	.period_type = { "space", "bytes" } };
static const struct pa_profile_ops allocs_kind = { .text = PA_PROFILE_OPS_TEXT_HEAP,
	.scaled = true,
	.name = "allocs",
	.default_sample_type = "b",
	.value_count = 2,
	.values = { { "a", "count" }, { "b", "bytes" } },
	.period_type = { "space", "bytes" } };
static const struct pa_profile_ops cpu_kind = { .name = "profile",
	.value_count = 2,
	.values = { { "samples", "count" }, { "cpu", "nanoseconds" } },
	.period_type = { "cpu", "nanoseconds" } };

/* A heap profile of one stack. */
static struct wire_span encode_stack(struct pa_stack *stack)
{
	struct pa_sample sample = { .stack = stack, .values = { 1, 2, 1, 2 }, .bytes_label = 2 };

	return encode(&heap_kind, &sample, 1);
}

/* ---------------------------------------------------------------- tests */

static void head_is_that_of_kind_and_snapshot(void **unused)
{
	char *comments[] = { "dropped 3: frees", "second" };
	struct pa_snapshot snapshot = { .kind = &allocs_kind,
		.time_ns = 1700,
		.duration_ns = 33,
		.period = 512,
		.comment_count = 2,
		.comments = comments };
	struct wire_span p;

	(void)unused;
	assert_int_equal(pa_encode_profile(&snapshot, &sink), 0);
	assert_true(gunzip());
	p = (struct wire_span){ out.raw, out.raw + out.bytes };
	assert_int_equal(wire_count(p, TYPE), 2);
	assert_string_equal(text(p, wire_number(wire_message(p, TYPE, 0), 1)), "a");
	assert_string_equal(text(p, wire_number(wire_message(p, TYPE, 1), 1)), "b");
	assert_string_equal(text(p, wire_number(wire_message(p, TYPE, 1), 2)), "bytes");
	assert_string_equal(text(p, wire_number(p, DEFAULT_TYPE)), "b");
	assert_string_equal(text(p, wire_number(wire_message(p, PERIOD_TYPE, 0), 1)), "space");
	assert_string_equal(text(p, wire_number(wire_message(p, PERIOD_TYPE, 0), 2)), "bytes");
	assert_int_equal(wire_number(p, PERIOD), 512);
	assert_int_equal(wire_number(p, TIME), 1700);
	assert_int_equal(wire_number(p, DURATION), 33);
	assert_int_equal(wire_count(p, COMMENT), 2);
	assert_string_equal(text(p, wire_field(p, COMMENT, 0).value), "dropped 3: frees");
	assert_string_equal(text(p, wire_field(p, COMMENT, 1).value), "second");
	assert_int_equal(wire_count(p, SAMPLE), 0);
	assert_int_equal(wire_count(p, MAPPING), 3);
}

static void lines_that_are_not_read_yet_are_a_comment(void **unused)
{
	char *comments[] = { "first" };
	struct pa_sample sample = { .stack = STACK(LOC_MAIN, LOC_TWO), .values = { 1, 2 } };
	struct pa_snapshot snapshot = { .kind = &allocs_kind,
		.sample_count = 1,
		.samples = &sample,
		.comment_count = 1,
		.comments = comments };
	struct wire_span p;

	(void)unused;
	fake_symbols_lacking = 1;
	assert_int_equal(pa_encode_profile(&snapshot, &sink), 0);
	fake_symbols_lacking = 0;
	assert_true(gunzip());
	p = (struct wire_span){ out.raw, out.raw + out.bytes };
	assert_int_equal(wire_count(p, COMMENT), 2);
	assert_string_equal(text(p, wire_field(p, COMMENT, 0).value), "first");
	assert_string_equal(text(p, wire_field(p, COMMENT, 1).value),
		"lines not read yet: 1 locations have names only; the next profile has more");
}

static void kind_without_default_type_has_none(void **unused)
{
	struct wire_span p = encode(&heap_kind, NULL, 0);

	(void)unused;
	assert_int_equal(wire_count(p, DEFAULT_TYPE), 0);
	assert_int_equal(wire_count(p, TYPE), 4);
}

static void ids_count_from_one_in_order_of_use(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_TWO, LOC_MAIN), .bytes_label = -1 },
		{ .stack = STACK(LOC_INLINED, LOC_MAIN, LOC_TWO), .bytes_label = -1 },
	};
	struct wire_span p = encode(&heap_kind, samples, 2);

	(void)unused;
	assert_int_equal(wire_packed_count(wire_message(p, SAMPLE, 0), 1), 2);
	assert_int_equal(wire_packed(wire_message(p, SAMPLE, 0), 1, 0), 1);
	assert_int_equal(wire_packed(wire_message(p, SAMPLE, 0), 1, 1), 2);
	assert_int_equal(wire_packed(wire_message(p, SAMPLE, 1), 1, 0), 3);
	assert_int_equal(wire_packed(wire_message(p, SAMPLE, 1), 1, 2), 1);
	assert_int_equal(wire_count(p, LOCATION), 3);
	assert_int_equal(wire_number(wire_message(p, LOCATION, 0), 3), 0x8010);
	for (int number = MAPPING; number <= FUNCTION; number++)
		for (size_t i = 0; i < wire_count(p, (uint64_t)number); i++)
			assert_int_equal(wire_number(wire_message(p, (uint64_t)number, i), 1),
				i + 1);
	assert_int_equal(look_ups, 3);
}

static void string_table_starts_empty_and_has_no_doubles(void **unused)
{
	struct wire_span p =
		encode_stack(STACK(LOC_MAIN, LOC_INLINED, LOC_USED, LOC_TWO, LOC_LOST));
	size_t count = wire_count(p, STRING);

	(void)unused;
	assert_string_equal(text(p, 0), "");
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(text(p, i), text(p, j));
}

static void heap_values_are_scaled_in_pairs(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_MAIN), .values = { 7, 70, -3, -30 } };
	struct wire_span s = wire_message(encode(&heap_kind, &sample, 1), SAMPLE, 0);

	(void)unused;
	assert_int_equal(wire_packed_count(s, 2), 4);
	assert_int_equal(wire_packed(s, 2, 0), 7 * 2 + 512);
	assert_int_equal(wire_packed(s, 2, 1), 70 * 10 + 7);
	assert_int_equal(wire_packed(s, 2, 2), -3 * 2 + 512);
	assert_int_equal(wire_packed(s, 2, 3), -30 * 10 - 3);
	assert_int_equal(sample.values[0], 7);
}

static void bytes_label_is_the_object_size(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_MAIN), .bytes_label = 4096, .tid = 9, .thread = "not here" },
		{ .stack = STACK(LOC_MAIN), .bytes_label = 0 },
		{ .stack = STACK(LOC_MAIN), .bytes_label = -1 },
	};
	struct wire_span p = encode(&heap_kind, samples, 3),
			 label = wire_message(wire_message(p, SAMPLE, 0), 3, 0);

	(void)unused;
	assert_string_equal(text(p, wire_number(label, 1)), "bytes");
	assert_int_equal(wire_number(label, 3), 4096);
	assert_int_equal(wire_count(label, 2) + wire_count(label, 4), 0);
	assert_int_equal(wire_count(wire_message(p, SAMPLE, 0), 3), 1);
	assert_int_equal(wire_count(wire_message(p, SAMPLE, 1), 3), 0);
	assert_int_equal(wire_count(wire_message(p, SAMPLE, 2), 3), 0);
}

static void cpu_samples_carry_thread_and_tid_unscaled(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_MAIN),
			.values = { 3, 30000000 },
			.bytes_label = -1,
			.tid = 4242,
			.thread = "worker" },
		{ .stack = STACK(LOC_LOST), .values = { 1, 10000000 }, .bytes_label = -1 },
		{ .stack = STACK(LOC_MAIN), .values = { 1, 10000000 }, .tid = 7, .thread = "" },
	};
	struct wire_span p = encode(&cpu_kind, samples, 3), s = wire_message(p, SAMPLE, 0);

	(void)unused;
	assert_int_equal(wire_packed_count(s, 2), 2);
	assert_int_equal(wire_packed(s, 2, 0), 3);
	assert_int_equal(wire_packed(s, 2, 1), 30000000);
	assert_int_equal(wire_count(s, 3), 2);
	assert_string_equal(text(p, wire_number(wire_message(s, 3, 0), 1)), "thread");
	assert_string_equal(text(p, wire_number(wire_message(s, 3, 0), 2)), "worker");
	assert_string_equal(text(p, wire_number(wire_message(s, 3, 1), 1)), "tid");
	assert_int_equal(wire_number(wire_message(s, 3, 1), 3), 4242);
	assert_int_equal(wire_count(wire_message(p, SAMPLE, 1), 3), 0);
	assert_int_equal(wire_count(wire_message(p, SAMPLE, 2), 3), 1);
}

static void mappings_are_the_loaded_and_the_used_modules(void **unused)
{
	struct wire_span p = encode_stack(STACK(LOC_USED)), m = wire_message(p, MAPPING, 0);

	(void)unused;
	assert_int_equal(wire_count(p, MAPPING), 4);
	assert_string_equal(text(p, wire_number(m, 5)), "/bin/prog");
	assert_string_equal(text(p, wire_number(m, 6)), "dead0b");
	assert_int_equal(wire_number(m, 2), 0x1000);
	assert_int_equal(wire_number(m, 3), 0x2000);
	assert_int_equal(wire_number(m, 4), 0x400);
	assert_string_equal(text(p, wire_number(wire_message(p, MAPPING, 1), 5)), "/lib/used.so");
	assert_int_equal(wire_number(wire_message(p, LOCATION, 0), 2), 2);
	assert_int_equal(wire_count(wire_message(p, MAPPING, 1), 6), 0);
	assert_string_equal(text(p, wire_number(wire_message(p, MAPPING, 2), 5)), "/lib/two.so");
	assert_int_equal(wire_number(wire_message(p, MAPPING, 3), 2), 0x8000);
}

static void location_is_in_its_own_segment(void **unused)
{
	struct wire_span p = encode_stack(STACK(LOC_TWO, LOC_GAP, LOC_NOWHERE));

	(void)unused;
	assert_int_equal(wire_count(p, MAPPING), 3);
	assert_int_equal(wire_number(wire_message(p, LOCATION, 0), 2), 3);
	assert_int_equal(wire_number(wire_message(p, LOCATION, 1), 2), 0);
	assert_int_equal(wire_number(wire_message(p, LOCATION, 2), 2), 0);
	assert_int_equal(wire_number(wire_message(p, LOCATION, 2), 3), 0xA000);
}

static void flags_are_promises_for_every_location(void **unused)
{
	struct wire_span p =
		encode_stack(STACK(LOC_INLINED, LOC_MAIN, LOC_USED, LOC_TWO, LOC_NAMELESS));

	(void)unused;
	for (uint64_t flag = 7; flag <= 10; flag++) {
		/* All is known of the executable, of used.so only names. */
		assert_int_equal(wire_number(wire_message(p, MAPPING, 0), flag), 1);
		assert_int_equal(wire_number(wire_message(p, MAPPING, 1), flag), flag == 7);
		/* Nothing was looked up in the first segment, and not all found in the other. */
		assert_int_equal(wire_number(wire_message(p, MAPPING, 2), flag), 0);
		assert_int_equal(wire_number(wire_message(p, MAPPING, 3), flag), 0);
	}
}

static void executable_without_inlines_does_not_claim_them(void **unused)
{
	struct wire_span m = wire_message(encode_stack(STACK(LOC_MAIN)), MAPPING, 0);

	(void)unused;
	assert_int_equal(wire_number(m, 9), 1);
	assert_int_equal(wire_number(m, 10), 0);
}

static void inlined_frames_are_lines_innermost_first(void **unused)
{
	struct wire_span p = encode_stack(STACK(LOC_INLINED)), l = wire_message(p, LOCATION, 0), f;

	(void)unused;
	assert_int_equal(wire_count(l, 4), 2);
	f = wire_message(p, FUNCTION, wire_number(wire_message(l, 4, 0), 1) - 1);
	assert_string_equal(text(p, wire_number(f, 2)), "ns::in<int>(int)");
	assert_string_equal(text(p, wire_number(f, 3)), "_ZN2ns2inIiEEvi");
	assert_string_equal(text(p, wire_number(f, 4)), "in.h");
	assert_int_equal(wire_number(wire_message(l, 4, 0), 2), 70);
	f = wire_message(p, FUNCTION, wire_number(wire_message(l, 4, 1), 1) - 1);
	assert_string_equal(text(p, wire_number(f, 2)), "main");
	assert_int_equal(wire_number(f, 2), wire_number(f, 3));
	assert_int_equal(wire_number(f, 5), 3);
	assert_int_equal(wire_number(wire_message(l, 4, 1), 2), 6);
}

static void unnamed_location_has_an_address_and_no_line(void **unused)
{
	struct wire_span p = encode_stack(STACK(LOC_NAMELESS)), l = wire_message(p, LOCATION, 0);

	(void)unused;
	assert_int_equal(wire_count(l, 4), 0);
	assert_int_equal(wire_number(l, 3), 0x8020);
	assert_int_equal(wire_number(l, 2), 3);
	assert_int_equal(wire_count(p, FUNCTION), 0);
}

static void pseudo_location_has_a_name_and_no_mapping(void **unused)
{
	struct wire_span p = encode_stack(STACK(LOC_LOST)), l = wire_message(p, LOCATION, 0);

	(void)unused;
	assert_int_equal(wire_number(l, 2), 0);
	assert_int_equal(wire_number(l, 3), PA_PSEUDO_LOST);
	assert_string_equal(text(p, wire_number(wire_message(p, FUNCTION, 0), 2)),
		"pprofagent.lostEvents");
}

static void empty_stack_is_a_sample_without_locations(void **unused)
{
	struct pa_stack empty = { .depth = 0 };
	struct wire_span p = encode_stack(&empty);

	(void)unused;
	assert_int_equal(wire_count(p, SAMPLE), 1);
	assert_int_equal(wire_count(wire_message(p, SAMPLE, 0), 1), 0);
}

static void bad_utf8_is_replaced_and_long_text_cut(void **unused)
{
	static char path[100000];
	char *saved = modules[0].path;
	struct wire_span p;

	(void)unused;
	memset(path, 'x', sizeof(path) - 1);
	modules[0].path = path;
	p = encode_stack(STACK(LOC_TWO));
	modules[0].path = saved;
	assert_string_equal(text(p, wire_number(wire_message(p, FUNCTION, 0), 2)),
		"tw\xEF\xBF\xBDo");
	assert_int_equal(strlen(text(p, wire_number(wire_message(p, MAPPING, 0), 5))), 65535);
}

static void same_snapshot_gives_the_same_bytes_again(void **unused)
{
	static unsigned char first[4096];
	struct pa_stack *stack = STACK(LOC_INLINED, LOC_MAIN, LOC_TWO);
	size_t bytes;

	(void)unused;
	encode_stack(stack);
	assert_int_equal(fn_main.mark | fn_in.mark | fn_two.mark, 0);
	bytes = out.gz_bytes;
	assert_true(bytes < sizeof(first));
	memcpy(first, out.gz, bytes);
	reset(NULL);
	encode_stack(stack);
	assert_int_equal(out.gz_bytes, bytes);
	assert_memory_equal(out.gz, first, bytes);
}

/* Many samples with values that do not compress. */
static struct pa_sample *many_samples(size_t count)
{
	struct pa_sample *samples = calloc(count, sizeof(*samples));
	struct pa_stack *stack = STACK(LOC_MAIN, LOC_TWO, LOC_USED);
	uint64_t random = 88172645463325252u;

	for (size_t i = 0; i < count; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		samples[i] = (struct pa_sample){ .stack = stack,
			.bytes_label = 16,
			.values = { (int64_t)(random >> 40), (int64_t)(random >> 20 & 0xFFFFF),
				(int64_t)(random & 0xFFFF), (int64_t)(random >> 30 & 0xFFFFF) } };
	}
	return samples;
}

static void first_bytes_leave_before_any_look_up(void **unused)
{
	struct pa_sample *samples = many_samples(20000);

	(void)unused;
	encode(&heap_kind, samples, 20000);
	free(samples);
	assert_true(out.writes > 2);
	assert_int_equal(out.look_ups_at_first, 0);
	assert_int_equal(look_ups, 3);
}

static void client_that_leaves_cancels(void **unused)
{
	struct pa_sample *samples = many_samples(20000);
	struct pa_snapshot snapshot = {
		.kind = &heap_kind, .sample_count = 20000, .samples = samples
	};

	(void)unused;
	for (out.stop_at = 1; out.stop_at < 4; out.stop_at++) {
		out.writes = out.gz_bytes = 0;
		assert_int_equal(pa_encode_profile(&snapshot, &sink), -ECANCELED);
		assert_int_equal(out.writes, out.stop_at);
		pa_kept_pages_trim();
		assert_int_equal(kernel.open, 0);
		assert_int_equal(fn_main.mark, 0);
	}
	free(samples);
}

static void missing_memory_is_told_and_leaves_no_whole_file(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_INLINED, LOC_TWO), .bytes_label = -1 };
	struct pa_snapshot snapshot = { .kind = &heap_kind, .sample_count = 1, .samples = &sample };
	int result = -ENOMEM;
	size_t fail_at;

	(void)unused;
	for (fail_at = 1; result == -ENOMEM; fail_at++) {
		reset(NULL);
		kernel.fail_at = fail_at;
		result = pa_encode_profile(&snapshot, &sink);
		pa_kept_pages_trim();
		assert_int_equal(kernel.open, 0);
		assert_int_equal(fn_main.mark | fn_in.mark | fn_two.mark, 0);
		assert_int_equal(gunzip(), result == 0);
	}
	assert_int_equal(result, 0);
	assert_true(fail_at > 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(head_is_that_of_kind_and_snapshot, reset),
		cmocka_unit_test_setup(lines_that_are_not_read_yet_are_a_comment, reset),
		cmocka_unit_test_setup(kind_without_default_type_has_none, reset),
		cmocka_unit_test_setup(ids_count_from_one_in_order_of_use, reset),
		cmocka_unit_test_setup(string_table_starts_empty_and_has_no_doubles, reset),
		cmocka_unit_test_setup(heap_values_are_scaled_in_pairs, reset),
		cmocka_unit_test_setup(bytes_label_is_the_object_size, reset),
		cmocka_unit_test_setup(cpu_samples_carry_thread_and_tid_unscaled, reset),
		cmocka_unit_test_setup(mappings_are_the_loaded_and_the_used_modules, reset),
		cmocka_unit_test_setup(location_is_in_its_own_segment, reset),
		cmocka_unit_test_setup(flags_are_promises_for_every_location, reset),
		cmocka_unit_test_setup(executable_without_inlines_does_not_claim_them, reset),
		cmocka_unit_test_setup(inlined_frames_are_lines_innermost_first, reset),
		cmocka_unit_test_setup(unnamed_location_has_an_address_and_no_line, reset),
		cmocka_unit_test_setup(pseudo_location_has_a_name_and_no_mapping, reset),
		cmocka_unit_test_setup(empty_stack_is_a_sample_without_locations, reset),
		cmocka_unit_test_setup(bad_utf8_is_replaced_and_long_text_cut, reset),
		cmocka_unit_test_setup(same_snapshot_gives_the_same_bytes_again, reset),
		cmocka_unit_test_setup(first_bytes_leave_before_any_look_up, reset),
		cmocka_unit_test_setup(client_that_leaves_cancels, reset),
		cmocka_unit_test_setup(missing_memory_is_told_and_leaves_no_whole_file, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
