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

static const struct pa_profile_ops heap_kind = {
	.text = PA_PROFILE_OPS_TEXT_HEAP, .scaled = true, .value_count = 4
};
static const struct pa_profile_ops allocs_kind = {
	.text = PA_PROFILE_OPS_TEXT_HEAP, .scaled = true, .value_count = 4
};

static int print(struct pa_sample *samples, size_t count)
{
	struct pa_snapshot snapshot = {
		.kind = &heap_kind, .period = 524288, .sample_count = count, .samples = samples
	};

	return print_snapshot(&snapshot, 1);
}

/* What stands between the header and the tail. */
static char *records(void)
{
	char *start = strchr(out.text, '\n') + 1, *end = strstr(start, "\n# runtime.MemStats\n");

	assert_non_null(end);
	*end = '\0';
	return start;
}

/* ---------------------------------------------------------------- tests */

static void header_has_unscaled_totals_and_twice_the_rate(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_MAIN), .values = { 10, 160, 2, 32 } },
		{ .stack = STACK(LOC_TWO), .values = { 1, 4096, 1, 4096 } },
	};

	(void)unused;
	assert_int_equal(print(samples, 2), 0);
	*strchr(out.text, '\n') = '\0';
	assert_string_equal(out.text, "heap profile: 3: 4128 [11: 4256] @ heap/1048576");
}

static void header_never_has_equal_halves(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_MAIN), .values = { 1, 16, 1, 16 } };

	(void)unused;
	assert_int_equal(print(&sample, 1), 0);
	*strchr(out.text, '\n') = '\0';
	assert_string_equal(out.text, "heap profile: 1: 16 [1: 17] @ heap/1048576");
}

static void profile_without_records_is_header_and_tail(void **unused)
{
	static const char start[] = "heap profile: 0: 0 [0: 1] @ heap/1048576\n"
				    "\n# runtime.MemStats\n# Alloc = 0\n";

	(void)unused;
	assert_int_equal(print(NULL, 0), 0);
	assert_memory_equal(out.text, start, sizeof(start) - 1);
}

static void record_has_what_is_in_use_before_what_was_allocated(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_INLINED), .values = { 3, 48, 1, 16 } };

	(void)unused;
	assert_int_equal(print(&sample, 1), 0);
	assert_string_equal(records(),
		"1: 16 [3: 48] @ 0x1121\n"
		"#\t0x1120\tns::in<int>(int)+0x20\tin.h:70\n"
		"#\t0x1120\tmain+0x20\t\tp.c:6\n\n");
}

static void most_bytes_in_use_come_first(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_NOWHERE), .values = { 9, 900, 0, 0 } },
		{ .stack = STACK(LOC_NOWHERE), .values = { 1, 7, 1, 7 } },
		{ .stack = STACK(LOC_NOWHERE), .values = { 2, 90, 1, 80 } },
		{ .stack = STACK(LOC_NOWHERE), .values = { 3, 7, 2, 7 } },
	};

	(void)unused;
	assert_int_equal(print(samples, 4), 0);
	assert_string_equal(records(),
		"1: 80 [2: 90] @ 0xa001\n#\t0xa000\n\n1: 7 [1: 7] @ 0xa001\n#\t0xa000\n\n"
		"2: 7 [3: 7] @ 0xa001\n#\t0xa000\n\n0: 0 [9: 900] @ 0xa001\n#\t0xa000\n\n");
}

static void location_is_looked_up_once(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_MAIN, LOC_NOWHERE), .values = { 1, 2, 1, 2 } },
		{ .stack = STACK(LOC_MAIN, LOC_NOWHERE), .values = { 1, 2, 1, 2 } },
	};

	(void)unused;
	assert_int_equal(print(samples, 2), 0);
	assert_int_equal(look_ups, 2);
}

static void tail_tells_the_heap_of_glibc(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_MAIN), .values = { 3, 48, 1, 16 } };

	(void)unused;
	memory = (struct pa_memstats){ .heap_known = true,
		.heap_sys = 1000,
		.heap_idle = 300,
		.sys = 5000,
		.rss = 4096,
		.max_rss = 8192,
		.profiler = 400 };
	assert_int_equal(print(&sample, 1), 0);
	assert_string_equal(strstr(out.text, "\n\n\n# runtime"),
		"\n\n\n# runtime.MemStats\n# Alloc = 700\n# TotalAlloc = 96\n# Sys = 5000\n"
		"# Mallocs = 6\n# Frees = 4\n# HeapAlloc = 700\n# HeapSys = 1000\n"
		"# HeapIdle = 300\n# HeapInuse = 700\n# HeapReleased = 0\n# HeapObjects = 2\n"
		"# BuckHashSys = 400\n# OtherSys = 3600\n# NumGC = 0\n# NumForcedGC = 0\n"
		"# GCCPUFraction = 0\n# DebugGC = false\n# RSS = 4096\n# MaxRSS = 8192\n");
}

static void tail_of_another_allocator_is_estimated(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_MAIN), .values = { 3, 48, 1, 16 } };

	(void)unused;
	assert_int_equal(print(&sample, 1), 0);
	assert_non_null(strstr(out.text, "# Alloc = 32\n"));
	assert_non_null(strstr(out.text, "# HeapAlloc = 32\n"));
	assert_null(strstr(out.text, "# HeapSys"));
	assert_null(strstr(out.text, "# HeapReleased"));
}

static void allocs_and_every_debug_give_the_same_text(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_MAIN), .values = { 3, 48, 1, 16 } };
	struct pa_snapshot snapshot = {
		.kind = &heap_kind, .period = 524288, .sample_count = 1, .samples = &sample
	};
	char *first;

	(void)unused;
	assert_int_equal(print_snapshot(&snapshot, 1), 0);
	first = strdup(out.text);
	for (int64_t debug = -1; debug < 4; debug++) {
		reset(NULL);
		snapshot.kind = &allocs_kind;
		assert_int_equal(print_snapshot(&snapshot, debug), 0);
		assert_string_equal(out.text, first);
	}
	free(first);
}

static void comments_stand_before_the_tail(void **unused)
{
	char *comments[] = { "dropped 3: frees", "and\nmore" };
	struct pa_snapshot snapshot = {
		.kind = &heap_kind, .period = 1, .comment_count = 2, .comments = comments
	};

	(void)unused;
	assert_int_equal(print_snapshot(&snapshot, 1), 0);
	assert_string_equal(records(), "\n# dropped 3: frees\n# and\xEF\xBF\xBDmore\n");
}

static void client_that_leaves_cancels(void **unused)
{
	static struct pa_sample samples[1000];

	(void)unused;
	for (size_t i = 0; i < 1000; i++)
		samples[i].stack = STACK(LOC_MAIN);
	out.stop_at = 2;
	assert_int_equal(print(samples, 1000), -ECANCELED);
	assert_int_equal(out.writes, 2);
}

static void lines_that_are_not_read_yet_are_said_at_the_end(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_INLINED, LOC_TWO) };

	(void)unused;
	fake_symbols_lacking = 2;
	assert_int_equal(print(&sample, 1), 0);
	fake_symbols_lacking = 0;
	assert_non_null(strstr(out.text, "\n# lines not read yet: 2 locations have names only;"));
}

static void missing_memory_is_told(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_INLINED, LOC_TWO) };
	struct pa_snapshot snapshot = { .kind = &heap_kind, .sample_count = 1, .samples = &sample };

	(void)unused;
	assert_int_equal(missing_memory(&snapshot, 1), 4);
	assert_non_null(strstr(out.text, "# MaxRSS"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(header_has_unscaled_totals_and_twice_the_rate, reset),
		cmocka_unit_test_setup(header_never_has_equal_halves, reset),
		cmocka_unit_test_setup(profile_without_records_is_header_and_tail, reset),
		cmocka_unit_test_setup(record_has_what_is_in_use_before_what_was_allocated, reset),
		cmocka_unit_test_setup(most_bytes_in_use_come_first, reset),
		cmocka_unit_test_setup(location_is_looked_up_once, reset),
		cmocka_unit_test_setup(tail_tells_the_heap_of_glibc, reset),
		cmocka_unit_test_setup(tail_of_another_allocator_is_estimated, reset),
		cmocka_unit_test_setup(allocs_and_every_debug_give_the_same_text, reset),
		cmocka_unit_test_setup(comments_stand_before_the_tail, reset),
		cmocka_unit_test_setup(client_that_leaves_cancels, reset),
		cmocka_unit_test_setup(lines_that_are_not_read_yet_are_said_at_the_end, reset),
		cmocka_unit_test_setup(missing_memory_is_told, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
