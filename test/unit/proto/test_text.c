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
#include "test/lib/c/text_fixture.h"
#include "proto/scratch.h"

enum kind { ALLOCS, BLOCK, GOROUTINE, HEAP, MUTEX, CPU, THREADCREATE, CUSTOM };

static const struct pa_profile_ops kinds[] = {
	[ALLOCS] = { .text = PA_PROFILE_OPS_TEXT_HEAP, .name = "allocs" },
	[BLOCK] = { .text = PA_PROFILE_OPS_TEXT_BLOCK, .name = "block" },
	[GOROUTINE] = { .text = PA_PROFILE_OPS_TEXT_THREADS, .name = "goroutine" },
	[HEAP] = { .text = PA_PROFILE_OPS_TEXT_HEAP, .name = "heap" },
	[MUTEX] = { .text = PA_PROFILE_OPS_TEXT_MUTEX, .name = "mutex" },
	[CPU] = { .name = "profile" },
	[THREADCREATE] = { .text = PA_PROFILE_OPS_TEXT_COUNT, .name = "threadcreate" },
	[CUSTOM] = { .text = PA_PROFILE_OPS_TEXT_COUNT, .name = "example.com/a %d" },
};

/* The first line of the text of one thread, sample or whatever the kind has. */
static const char *first_line(enum kind id, int64_t debug)
{
	struct pa_sample sample = { .stack = STACK(LOC_MAIN), .values = { 1, 1, 1, 1 }, .tid = 7 };
	struct pa_snapshot snapshot = {
		.kind = &kinds[id], .period = 1, .sample_count = 1, .samples = &sample
	};

	reset(NULL);
	assert_int_equal(print_snapshot(&snapshot, debug), 0);
	*strchr(out.text, '\n') = '\0';
	return out.text;
}

/* ---------------------------------------------------------------- tests */

static void each_kind_has_its_form(void **unused)
{
	(void)unused;
	for (int64_t debug = 1; debug < 4; debug++) {
		assert_string_equal(first_line(ALLOCS, debug),
			"heap profile: 1: 1 [1: 2] @ heap/2");
		assert_string_equal(first_line(HEAP, debug), "heap profile: 1: 1 [1: 2] @ heap/2");
		assert_string_equal(first_line(BLOCK, debug), "--- contention:");
		assert_string_equal(first_line(MUTEX, debug), "--- mutex:");
		assert_string_equal(first_line(THREADCREATE, debug),
			"threadcreate profile: total 1");
		assert_string_equal(first_line(CUSTOM, debug), "example.com/a %d profile: total 1");
	}
}

static void debug_chooses_between_groups_and_threads(void **unused)
{
	(void)unused;
	assert_string_equal(first_line(GOROUTINE, 1), "goroutine profile: total 1");
	assert_string_equal(first_line(GOROUTINE, 2), "goroutine 7 [running]:");
	assert_string_equal(first_line(GOROUTINE, INT64_MAX), "goroutine 7 [running]:");
}

static void kind_without_a_text_form_is_refused(void **unused)
{
	struct pa_snapshot snapshot = { .kind = &kinds[CPU] };

	(void)unused;
	assert_int_equal(print_snapshot(&snapshot, 1), -EINVAL);
	assert_int_equal(out.writes, 0);
}

static int backwards(const void *a, const void *b, void *samples)
{
	const struct pa_sample *all = samples;

	return all[*(const uint32_t *)b].tid - all[*(const uint32_t *)a].tid;
}

static void order_is_that_of_the_comparison(void **unused)
{
	struct pa_sample samples[] = { { .tid = 2 }, { .tid = 9 }, { .tid = 5 } };
	struct pa_snapshot snapshot = { .kind = &kinds[BLOCK],
		.sample_count = 3,
		.samples = samples },
			   empty = { .kind = &kinds[BLOCK] };
	struct pa_text text;
	const uint32_t *order;

	(void)unused;
	pa_text_open(&text, &snapshot, &sink);
	order = pa_text_order(&text, backwards);
	assert_non_null(order);
	assert_int_equal(order[0], 1);
	assert_int_equal(order[1], 2);
	assert_int_equal(order[2], 0);
	assert_int_equal(pa_text_close(&text), 0);
	pa_text_open(&text, &empty, &sink);
	assert_non_null(pa_text_order(&text, backwards));
	assert_int_equal(pa_text_close(&text), 0);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_kind_has_its_form, reset),
		cmocka_unit_test_setup(debug_chooses_between_groups_and_threads, reset),
		cmocka_unit_test_setup(kind_without_a_text_form_is_refused, reset),
		cmocka_unit_test_setup(order_is_that_of_the_comparison, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
