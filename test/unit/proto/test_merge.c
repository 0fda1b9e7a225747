/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/kept_pages.h"
#include "test/lib/c/merge_fixture.h"
#include "proto/scratch.h"

/* ---- whole profiles ---- */

static void samples_keep_their_stacks_and_values(void **unused)
{
	struct wire_span p = merge_both();

	(void)unused;
	check_profile(p);
	assert_int_equal(wire_count(p, SAMPLE), 4);
	assert_int_equal(wire_count(p, MAPPING), 7);
	for (size_t i = 0; i < 4; i++)
		same_stack(p, i, i < 2 ? &first : &second, i % 2);
	assert_int_equal(wire_packed(wire_message(p, SAMPLE, 1), 2, 1), 20);
	assert_int_equal(wire_packed(wire_message(p, SAMPLE, 3), 2, 0), -5);
	assert_string_equal(text(p, label_of(p, 0, "thread")), "one");
	assert_int_equal(label_of(p, 1, "tid"), 7);
}

static void samples_tell_their_process(void **unused)
{
	struct wire_span p = merge_both();

	(void)unused;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(label_of(p, i, "pid"), i < 2 ? 11 : 12);
		assert_string_equal(text(p, label_of(p, i, "program")), "prog");
	}
}

static void head_is_that_of_the_first_and_the_time_the_earliest(void **unused)
{
	struct wire_span p = merge_both();

	(void)unused;
	assert_int_equal(wire_count(p, TYPE), 2);
	assert_string_equal(text(p, wire_number(wire_message(p, TYPE, 1), 1)), "cpu");
	assert_string_equal(text(p, wire_number(wire_message(p, TYPE, 1), 2)), "nanoseconds");
	assert_string_equal(text(p, wire_number(wire_message(p, PERIOD_TYPE, 0), 1)), "cpu");
	assert_string_equal(text(p, wire_number(p, DEFAULT_TYPE)), "cpu");
	assert_int_equal(wire_number(p, PERIOD), 512);
	assert_int_equal(wire_number(p, DURATION), 33);
	assert_int_equal(wire_number(p, TIME), 1600);
	for (uint64_t field = TIME; field <= PERIOD; field++)
		assert_int_equal(wire_count(p, field), 1);
}

static void comments_tell_their_process(void **unused)
{
	struct pa_merge *merge = open_merge();

	(void)unused;
	assert_int_equal(add(merge, 11, &first), 0);
	pa_merge_comment(merge, "missing: \xff\n.");
	struct wire_span p = close_merge(merge);
	check_profile(p);
	assert_int_equal(wire_count(p, COMMENT), 2);
	assert_string_equal(text(p, wire_field(p, COMMENT, 0).value),
		"process 11 (prog): dropped 3: frees");
	assert_string_equal(text(p, wire_field(p, COMMENT, 1).value),
		"missing: \xEF\xBF\xBD\xEF\xBF\xBD.");
}

static void result_can_be_merged_again_with_new_labels(void **unused)
{
	merge_both();
	(void)unused;
	take_output(&made);
	struct pa_merge *merge = open_merge();
	assert_int_equal(add(merge, 99, &made), 0);
	struct wire_span p = close_merge(merge);
	check_profile(p);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(label_of(p, i, "pid"), 99); /* once: label_of insists */
		assert_string_equal(text(p, label_of(p, i, "program")), "prog");
	}
}

static void programs_have_any_name(void **unused)
{
	struct pa_merge *merge = open_merge();

	(void)unused;
	assert_int_equal(pa_merge_add(merge, 1, "a\nb\xff", first.gz, first.gz_bytes), 0);
	struct wire_span p = close_merge(merge);
	assert_string_equal(text(p, label_of(p, 0, "program")),
		"a\xEF\xBF\xBD"
		"b\xEF\xBF\xBD");
}

static void hundred_parts_take_no_more_memory(void **unused)
{
	struct pa_merge *merge = open_merge();
	size_t before = 0;

	(void)unused;
	for (int64_t pid = 1; pid <= 100; pid++) {
		assert_int_equal(add(merge, pid, pid % 2 ? &first : &second), 0);
		if (pid == 1)
			before = kernel.open;
		assert_int_equal(kernel.open, before);
	}
	struct wire_span p = close_merge(merge);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
	assert_int_equal(wire_count(p, SAMPLE), 200);
	ids_are_in_order(p);
	assert_int_equal(label_of(p, 199, "pid"), 100);
}

/* ---- what is refused ---- */

/* Some samples of the program, encoded; their number. */
static size_t encode_random(struct input *input, uint64_t *random)
{
	static const char *const names[] = { "", "one", "two" };
	struct pa_sample samples[6];
	struct pa_snapshot snapshot = { .kind = &kind, .time_ns = 1, .samples = samples };

	memset(samples, 0, sizeof(samples));
	snapshot.sample_count = random_next(random) % PA_COUNT(samples);
	for (size_t i = 0; i < snapshot.sample_count; i++) {
		uint32_t locs[4], depth = 1 + (uint32_t)(random_next(random) % 4);
		for (uint32_t n = 0; n < depth; n++)
			locs[n] = (uint32_t)(random_next(random) % LOC_NAMELESS);
		samples[i].stack = stack_of(depth, locs);
		samples[i].values[0] = (int64_t)random_next(random);
		samples[i].values[1] = (int64_t)(random_next(random) % 200) - 100;
		samples[i].thread = names[random_next(random) % 3];
		samples[i].tid = (int32_t)(random_next(random) % 3);
	}
	encode_to(input, &snapshot);
	return snapshot.sample_count;
}

static void random_profiles_come_out_as_they_went_in(void **unused)
{
	uint64_t random = 1234567;

	(void)unused;
	for (int round = 0; round < 100; round++) {
		size_t counts[2] = { encode_random(&first, &random),
			encode_random(&second, &random) };
		struct wire_span p = merge_both();
		check_profile(p);
		assert_int_equal(wire_count(p, SAMPLE), counts[0] + counts[1]);
		for (size_t i = 0; i < counts[0] + counts[1]; i++) {
			const struct input *from = i < counts[0] ? &first : &second;
			size_t other = i < counts[0] ? i : i - counts[0];
			same_stack(p, i, from, other);
			same_values(p, i, from, other);
			assert_int_equal(label_of(p, i, "pid"), i < counts[0] ? 11 : 12);
		}
		memset(&out, 0, sizeof(out));
	}
}

static void other_types_are_refused_whole(void **unused)
{
	static const struct pa_profile_ops other = { .name = "other",
		.value_count = 2,
		.values = { { "samples", "count" }, { "wall", "nanoseconds" } },
		.period_type = { "cpu", "nanoseconds" } };
	struct pa_snapshot snapshot = { .kind = &other };
	struct pa_merge *merge = open_merge();

	(void)unused;
	assert_int_equal(add(merge, 1, &first), 0);
	memset(&out, 0, sizeof(out));
	encode_to(&made, &snapshot);
	assert_int_equal(add(merge, 2, &made), -EPROTOTYPE);
	assert_int_equal(add(merge, 3, &second), 0);
	struct wire_span p = close_merge(merge);
	check_profile(p);
	assert_int_equal(wire_count(p, SAMPLE), 4);
	assert_int_equal(label_of(p, 2, "pid"), 3);
}

static void without_a_part_nothing_is_written(void **unused)
{
	struct pa_merge *merge = open_merge();

	(void)unused;
	assert_int_equal(pa_merge_add(merge, 1, "x", "no gzip", 7), -EBADMSG);
	assert_int_equal(pa_merge_add(merge, 1, "x", "", 0), -EBADMSG);
	assert_int_equal(pa_merge_close(merge), -ENODATA);
	assert_int_equal(out.gz_bytes, 0);
}

static void client_that_leaves_ends_it(void **unused)
{
	struct pa_merge *merge = open_merge();
	int result = 0;

	(void)unused;
	out.stop_at = 2;
	for (int i = 0; i < 10000 && !result; i++)
		result = add(merge, i, &first);
	assert_int_equal(result, -ECANCELED);
	assert_int_equal(add(merge, 1, &first), -ECANCELED);
	assert_int_equal(pa_merge_close(merge), -ECANCELED);
	assert_int_equal(out.writes, 2);
}

static void without_memory_there_is_none(void **unused)
{
	(void)unused;
	kernel.calls = 0;
	kernel.fail_at = 1;
	assert_null(pa_merge_open(&sink));
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(samples_keep_their_stacks_and_values),
		TEST(samples_tell_their_process),
		TEST(head_is_that_of_the_first_and_the_time_the_earliest),
		TEST(comments_tell_their_process),
		TEST(result_can_be_merged_again_with_new_labels),
		TEST(programs_have_any_name),
		TEST(hundred_parts_take_no_more_memory),
		TEST(random_profiles_come_out_as_they_went_in),
		TEST(other_types_are_refused_whole),
		TEST(without_a_part_nothing_is_written),
		TEST(client_that_leaves_ends_it),
		TEST(without_memory_there_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
