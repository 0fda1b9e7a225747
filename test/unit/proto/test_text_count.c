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

#include "test/lib/c/text_fixture.h"

static const struct pa_profile_ops goroutine_kind = {
	.text = PA_PROFILE_OPS_TEXT_THREADS, .name = "goroutine", .value_count = 1
};
static const struct pa_profile_ops create_kind = {
	.text = PA_PROFILE_OPS_TEXT_COUNT, .name = "threadcreate", .value_count = 1
};

static void print(const struct pa_profile_ops *kind, struct pa_sample *samples, size_t count)
{
	struct pa_snapshot snapshot = {
		.kind = kind, .period = 1, .sample_count = count, .samples = samples
	};

	assert_int_equal(print_snapshot(&snapshot, 1), 0);
}

/* Only the lines with "@", whose order is to be seen. Takes the text apart. */
static char *heads(void)
{
	static char lines[1 << 14];
	char *line, *rest = out.text, *end = lines;

	lines[0] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (strchr(line, '@'))
			end += snprintf(end, (size_t)(lines + sizeof(lines) - end), "%s\n", line);
	assert_true(end < lines + sizeof(lines));
	return lines;
}

/* ---------------------------------------------------------------- tests */

static void empty_profile_is_its_first_line(void **unused)
{
	(void)unused;
	print(&goroutine_kind, NULL, 0);
	assert_string_equal(out.text, "goroutine profile: total 0\n");
	reset(NULL);
	print(&create_kind, NULL, 0);
	assert_string_equal(out.text, "threadcreate profile: total 0\n");
}

static void threads_with_equal_stacks_are_one_record(void **unused)
{
	struct pa_thread_info info[2] = { { .name = "a" }, { .name = "b" } };
	struct pa_stack *both = STACK(LOC_INLINED, LOC_TWO);
	struct pa_sample samples[] = {
		{ .stack = both, .values = { 1 }, .tid = 10, .thread = "a", .info = &info[0] },
		{ .stack = STACK(LOC_MAIN), .values = { 1 }, .tid = 11 },
		{ .stack = both, .values = { 1 }, .tid = 12, .thread = "b", .info = &info[1] },
	};

	(void)unused;
	print(&goroutine_kind, samples, 3);
	assert_string_equal(out.text,
		"goroutine profile: total 3\n"
		"2 @ 0x1121 0x8011\n"
		"#\t0x1120\tns::in<int>(int)+0x20\tin.h:70\n"
		"#\t0x1120\tmain+0x20\t\tp.c:6\n"
		"#\t0x8010\ttw\xEF\xBF\xBDo+0x8010\t\tt.c:8\n"
		"\n"
		"1 @ 0x1111\n"
		"#\t0x1110\tmain+0x10\tp.c:5\n"
		"\n");
}

static const struct {
	struct pa_labels head;
	struct pa_label labels[2];
} inner = { { .id = 1, .count = 2 }, { { "k", "inner" }, { "z", "1" } } },
  outer = { { .id = 2, .count = 1 }, { { "k", "outer" } } };

static void threads_with_other_labels_are_other_records(void **unused)
{
	struct pa_stack *stack = STACK(LOC_MAIN);
	struct pa_sample samples[] = {
		{ .stack = stack, .values = { 1 }, .labels = &inner.head },
		{ .stack = stack, .values = { 1 } },
		{ .stack = stack, .values = { 1 }, .labels = &outer.head },
		{ .stack = stack, .values = { 1 }, .labels = &inner.head },
	};

	(void)unused;
	print(&goroutine_kind, samples, 4);
	assert_string_equal(out.text,
		"goroutine profile: total 4\n"
		"2 @ 0x1111\n"
		"# labels: {\"k\":\"inner\", \"z\":\"1\"}\n"
		"#\t0x1110\tmain+0x10\tp.c:5\n\n"
		"1 @ 0x1111\n"
		"#\t0x1110\tmain+0x10\tp.c:5\n\n"
		"1 @ 0x1111\n"
		"# labels: {\"k\":\"outer\"}\n"
		"#\t0x1110\tmain+0x10\tp.c:5\n\n");
}

/* The line with the labels is part of what is compared, and its line feed is below a blank. */
static void labels_stand_between_a_stack_and_a_longer_one(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_MAIN, LOC_TWO), .values = { 1 } },
		{ .stack = STACK(LOC_MAIN), .values = { 1 }, .labels = &outer.head },
		{ .stack = STACK(LOC_MAIN), .values = { 1 }, .labels = &inner.head },
		{ .stack = STACK(LOC_MAIN), .values = { 1 } },
	};
	const char *none, *first, *second, *longer;

	(void)unused;
	print(&goroutine_kind, samples, 4);
	none = strstr(out.text, "1 @ 0x1111\n#\t");
	first = strstr(out.text, "inner");
	second = strstr(out.text, "outer");
	longer = strstr(out.text, "1 @ 0x1111 0x8011\n");
	assert_non_null(none);
	assert_true(none < first && first < second && second < longer);
}

static void thread_without_an_answer_is_counted(void **unused)
{
	struct pa_stack *silent = STACK(LOC_NO_ANSWER);
	struct pa_sample samples[] = {
		{ .stack = silent, .values = { 1 } },
		{ .stack = silent, .values = { 1 } },
	};

	(void)unused;
	print(&goroutine_kind, samples, 2);
	assert_string_equal(out.text,
		"goroutine profile: total 2\n"
		"2 @ 0x5\n#\t0x5\t[no answer]+0x0\t:0\n\n");
}

static void creations_are_values_and_not_samples(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = NO_STACK, .values = { 1 } },
		{ .stack = STACK(LOC_MAIN), .values = { 5 } },
	};

	(void)unused;
	print(&create_kind, samples, 2);
	assert_string_equal(out.text,
		"threadcreate profile: total 6\n"
		"5 @ 0x1111\n#\t0x1110\tmain+0x10\tp.c:5\n\n"
		"1 @\n#\t0x0\n\n");
}

static void equal_counts_are_ordered_by_their_text(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_NOWHERE), .values = { 1 } },
		{ .stack = STACK(LOC_MAIN, LOC_TWO), .values = { 1 } },
		{ .stack = STACK(LOC_USED), .values = { 2 } },
		{ .stack = STACK(LOC_MAIN), .values = { 1 } },
		{ .stack = STACK(LOC_TWO), .values = { 1 } },
		{ .stack = STACK(LOC_LOST, LOC_TWO), .values = { 1 } },
		{ .stack = STACK(LOC_MAIN, LOC_INLINED), .values = { 1 } },
		{ .stack = NO_STACK, .values = { 1 } },
	};

	(void)unused;
	print(&goroutine_kind, samples, 8);
	assert_string_equal(heads(),
		"2 @ 0x5011\n"
		"1 @\n"
		"1 @ 0x1 0x8011\n"
		"1 @ 0x1111\n"
		"1 @ 0x1111 0x1121\n"
		"1 @ 0x1111 0x8011\n"
		"1 @ 0x8011\n"
		"1 @ 0xa001\n");
}

/* A library that was loaded again at the same place: other stacks, the same addresses. */
static void records_with_equal_text_stay_in_order_of_appearance(void **unused)
{
	struct pa_stack *a = STACK(LOC_EXTRA), *b = STACK(LOC_EXTRA + 1);
	struct pa_sample samples[] = { { .values = { 1 } }, { .values = { 1 } } };

	(void)unused;
	extra_locs[0] = (struct pa_loc){ .pc = 0x70, .raw_pc = 0x77 };
	extra_locs[1] = (struct pa_loc){ .pc = 0x71, .raw_pc = 0x77 };
	for (int turn = 0; turn < 2; turn++) {
		reset(NULL);
		samples[turn].stack = a;
		samples[!turn].stack = b;
		print(&goroutine_kind, samples, 2);
		assert_string_equal(out.text,
			turn ? "goroutine profile: total 2\n"
			       "1 @ 0x77\n#\t0x71\n\n1 @ 0x77\n#\t0x70\n\n" :
			       "goroutine profile: total 2\n"
			       "1 @ 0x77\n#\t0x70\n\n1 @ 0x77\n#\t0x71\n\n");
	}
}

static void addresses_are_ordered_as_text_and_not_as_numbers(void **unused)
{
	static struct pa_sample samples[LOC_EXTRA_COUNT];
	static struct {
		struct pa_stack stack;
		uint32_t room[2];
	} stacks[LOC_EXTRA_COUNT];
	uint64_t random = 88172645463325252u;
	char *line, *rest, *before = NULL;

	(void)unused;
	for (uint32_t i = 0; i < LOC_EXTRA_COUNT; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* Equal beginnings of different lengths, zero, and 64 bits; not in order. */
		extra_locs[i].raw_pc = i < 64 ? 63 - i : i < 128 ? (uint64_t)i << i % 50 : random;
		stacks[i].stack.depth = 1;
		stacks[i].stack.locs[0] = LOC_EXTRA + i;
		samples[i] = (struct pa_sample){ .stack = &stacks[i].stack, .values = { 1 } };
	}
	print(&goroutine_kind, samples, LOC_EXTRA_COUNT);
	rest = heads();
	for (uint32_t i = 0; i < LOC_EXTRA_COUNT; i++) {
		line = strsep(&rest, "\n");
		assert_true(!before || strcmp(before, line) <= 0);
		before = line;
	}
	assert_string_equal(rest, "");
}

static void threadcreate_is_the_same_with_every_debug(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_MAIN), .values = { 3 } };
	struct pa_snapshot snapshot = {
		.kind = &create_kind, .sample_count = 1, .samples = &sample
	};

	(void)unused;
	for (int64_t debug = 1; debug < 4; debug++) {
		reset(NULL);
		assert_int_equal(print_snapshot(&snapshot, debug), 0);
		assert_string_equal(out.text,
			"threadcreate profile: total 3\n3 @ 0x1111\n"
			"#\t0x1110\tmain+0x10\tp.c:5\n\n");
	}
}

static void comments_stand_at_the_end(void **unused)
{
	char *comments[] = { "dropped 3: creations" };
	struct pa_snapshot snapshot = {
		.kind = &create_kind, .comment_count = 1, .comments = comments
	};

	(void)unused;
	assert_int_equal(print_snapshot(&snapshot, 1), 0);
	assert_string_equal(out.text, "threadcreate profile: total 0\n\n# dropped 3: creations\n");
}

static void client_that_leaves_cancels(void **unused)
{
	static struct pa_sample samples[LOC_EXTRA_COUNT];
	static struct {
		struct pa_stack stack;
		uint32_t room[2];
	} stacks[LOC_EXTRA_COUNT];
	struct pa_snapshot snapshot = {
		.kind = &goroutine_kind, .samples = samples, .sample_count = LOC_EXTRA_COUNT
	};

	(void)unused;
	for (size_t i = 0; i < LOC_EXTRA_COUNT; i++) {
		stacks[i].stack.depth = 1;
		samples[i].stack = &stacks[i].stack;
	}
	out.stop_at = 2;
	assert_int_equal(print_snapshot(&snapshot, 1), -ECANCELED);
	assert_int_equal(out.writes, 2);
}

static void missing_memory_is_told(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_INLINED), .values = { 3 } };
	struct pa_snapshot snapshot = {
		.kind = &goroutine_kind, .sample_count = 1, .samples = &sample
	};

	(void)unused;
	assert_int_equal(missing_memory(&snapshot, 1), 5);
	assert_non_null(strstr(out.text, "p.c:6\n\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_profile_is_its_first_line, reset),
		cmocka_unit_test_setup(threads_with_equal_stacks_are_one_record, reset),
		cmocka_unit_test_setup(threads_with_other_labels_are_other_records, reset),
		cmocka_unit_test_setup(labels_stand_between_a_stack_and_a_longer_one, reset),
		cmocka_unit_test_setup(thread_without_an_answer_is_counted, reset),
		cmocka_unit_test_setup(creations_are_values_and_not_samples, reset),
		cmocka_unit_test_setup(equal_counts_are_ordered_by_their_text, reset),
		cmocka_unit_test_setup(records_with_equal_text_stay_in_order_of_appearance, reset),
		cmocka_unit_test_setup(addresses_are_ordered_as_text_and_not_as_numbers, reset),
		cmocka_unit_test_setup(threadcreate_is_the_same_with_every_debug, reset),
		cmocka_unit_test_setup(comments_stand_at_the_end, reset),
		cmocka_unit_test_setup(client_that_leaves_cancels, reset),
		cmocka_unit_test_setup(missing_memory_is_told, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
