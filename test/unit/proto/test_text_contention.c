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

static const struct pa_profile_ops block_kind = { .text = PA_PROFILE_OPS_TEXT_BLOCK,
	.value_count = 2 };
static const struct pa_profile_ops mutex_kind = { .text = PA_PROFILE_OPS_TEXT_MUTEX,
	.value_count = 2 };

static void print(const struct pa_profile_ops *kind, struct pa_sample *samples, size_t count)
{
	struct pa_snapshot snapshot = {
		.kind = kind, .period = 1, .fraction = 7, .sample_count = count, .samples = samples
	};

	assert_int_equal(print_snapshot(&snapshot, 1), 0);
}

/* ---------------------------------------------------------------- tests */

static void empty_block_profile_is_two_lines(void **unused)
{
	(void)unused;
	print(&block_kind, NULL, 0);
	assert_string_equal(out.text, "--- contention:\ncycles/second=1000000000\n");
}

static void empty_mutex_profile_is_three_lines(void **unused)
{
	(void)unused;
	print(&mutex_kind, NULL, 0);
	assert_string_equal(out.text, "--- mutex:\ncycles/second=1000000000\nsampling period=7\n");
}

static void record_is_delay_before_count_and_all_frames(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_INLINED, LOC_TWO), .values = { 3, 5000 } };

	(void)unused;
	print(&block_kind, &sample, 1);
	assert_string_equal(out.text,
		"--- contention:\n"
		"cycles/second=1000000000\n"
		"5000 3 @ 0x1121 0x8011\n"
		"#\t0x1120\tns::in<int>(int)+0x20\tin.h:70\n"
		"#\t0x1120\tmain+0x20\t\tp.c:6\n"
		"#\t0x8010\ttw\xEF\xBF\xBDo+0x8010\t\tt.c:8\n"
		"\n");
}

static void longest_delay_comes_first_and_ties_as_they_were(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_NOWHERE), .values = { 1, 20 } },
		{ .stack = STACK(LOC_NOWHERE), .values = { 9, 10 } },
		{ .stack = STACK(LOC_NOWHERE), .values = { 2, 9000000000 } },
		{ .stack = STACK(LOC_NOWHERE), .values = { 8, 10 } },
		{ .stack = NO_STACK, .values = { 7, 10 } },
	};

	(void)unused;
	print(&mutex_kind, samples, 5);
	assert_string_equal(out.text,
		"--- mutex:\ncycles/second=1000000000\nsampling period=7\n"
		"9000000000 2 @ 0xa001\n#\t0xa000\n\n20 1 @ 0xa001\n#\t0xa000\n\n"
		"10 9 @ 0xa001\n#\t0xa000\n\n10 8 @ 0xa001\n#\t0xa000\n\n10 7 @\n#\t0x0\n\n");
}

static void every_debug_gives_the_same_text(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_MAIN), .values = { 3, 5 } };
	struct pa_snapshot snapshot = {
		.kind = &mutex_kind, .sample_count = 1, .samples = &sample
	};
	char *first;

	(void)unused;
	assert_int_equal(print_snapshot(&snapshot, 1), 0);
	first = strdup(out.text);
	reset(NULL);
	assert_int_equal(print_snapshot(&snapshot, 2), 0);
	assert_string_equal(out.text, first);
	free(first);
}

static void comments_stand_at_the_end(void **unused)
{
	char *comments[] = { "dropped 3: waits", "and\nmore" };
	struct pa_snapshot snapshot = {
		.kind = &block_kind, .comment_count = 2, .comments = comments
	};

	(void)unused;
	assert_int_equal(print_snapshot(&snapshot, 1), 0);
	assert_string_equal(out.text,
		"--- contention:\ncycles/second=1000000000\n"
		"\n# dropped 3: waits\n# and\xEF\xBF\xBDmore\n");
}

static void client_that_leaves_cancels(void **unused)
{
	static struct pa_sample samples[1000];
	struct pa_snapshot snapshot = {
		.kind = &block_kind, .sample_count = 1000, .samples = samples
	};

	(void)unused;
	for (size_t i = 0; i < 1000; i++)
		samples[i].stack = STACK(LOC_MAIN);
	out.stop_at = 2;
	assert_int_equal(print_snapshot(&snapshot, 1), -ECANCELED);
	assert_int_equal(out.writes, 2);
}

static void missing_memory_is_told(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_INLINED), .values = { 3, 5 } };
	struct pa_snapshot snapshot = {
		.kind = &block_kind, .sample_count = 1, .samples = &sample
	};

	(void)unused;
	assert_int_equal(missing_memory(&snapshot, 1), 4);
	assert_non_null(strstr(out.text, "p.c:6\n\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(empty_block_profile_is_two_lines, reset),
		cmocka_unit_test_setup(empty_mutex_profile_is_three_lines, reset),
		cmocka_unit_test_setup(record_is_delay_before_count_and_all_frames, reset),
		cmocka_unit_test_setup(longest_delay_comes_first_and_ties_as_they_were, reset),
		cmocka_unit_test_setup(every_debug_gives_the_same_text, reset),
		cmocka_unit_test_setup(comments_stand_at_the_end, reset),
		cmocka_unit_test_setup(client_that_leaves_cancels, reset),
		cmocka_unit_test_setup(missing_memory_is_told, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
