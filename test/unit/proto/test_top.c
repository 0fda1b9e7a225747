/* SPDX-License-Identifier: Apache-2.0 */
/* The texts are those of go tool pprof -top for the same samples (test/e2e/test_formats.py compares
 * whole profiles). */
#include "agent/base/kept_pages.h"
#include "proto/scratch.h"
#include "proto/top.h"

#include "test/lib/c/text_fixture.h"

static const struct pa_profile_ops cpu_kind = { .value_count = 2,
	.values = { { "samples", "count" }, { "cpu", "nanoseconds" } } };
static const struct pa_profile_ops heap_kind = { .value_count = 2,
	.values = { { "alloc_objects", "count" }, { "alloc_space", "bytes" } } };

static struct pa_sample samples[4];
static struct pa_snapshot snapshot = { .samples = samples };

static struct pa_sample sample_of(const struct pa_stack *stack, int64_t first, int64_t second)
{
	return (struct pa_sample){ .stack = stack, .values = { first, second } };
}

#define FILE_LINES "File: prog\nBuild ID: dead0b\n"
#define COLUMNS "      flat  flat%   sum%        cum   cum%\n"

static void gives(uint32_t value, uint32_t rows, const char *text)
{
	reset(NULL);
	assert_int_equal(pa_top_write(&snapshot, value, rows, &sink), 0);
	assert_string_equal(out.text, text);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

static void set_samples(const struct pa_profile_ops *kind, size_t count)
{
	snapshot = (struct pa_snapshot){ .kind = kind, .samples = samples, .sample_count = count };
}

static void a_profile_of_time(void **unused)
{
	char *comments[] = { "dropped 3: allocations", "two\nlines" };
	(void)unused;
	samples[0] = sample_of(STACK(LOC_USED, LOC_INLINED, LOC_MAIN), 3, 30000000);
	samples[1] = sample_of(STACK(LOC_INLINED), 1, 10000000);
	set_samples(&cpu_kind, 2);
	snapshot.time_ns = 1700000000 * PA_NS_PER_S + 999999999;
	snapshot.duration_ns = PA_NS_PER_S / 2;
	snapshot.comments = comments;
	snapshot.comment_count = 2;
	gives(1, 0,
		FILE_LINES "dropped 3: allocations\ntwo\xEF\xBF\xBDlines\nType: cpu\n"
			   "Time: 2023-11-14 22:13:20 UTC\n"
			   "Duration: 500ms, Total samples = 40ms ( 8.00%)\n"
			   "Showing nodes accounting for 40ms, 100% of 40ms total\n" COLUMNS
			   "      30ms 75.00% 75.00%       30ms 75.00%  used\n"
			   "      10ms 25.00%   100%       40ms   100%  ns::in<int>(int) (inline)\n"
			   "         0     0%   100%       40ms   100%  main\n");
}

static void other_units_have_no_share_of_the_duration(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_MAIN), 2, 524319);
	set_samples(&heap_kind, 1);
	snapshot.duration_ns = PA_NS_PER_S;
	gives(1, 40,
		FILE_LINES "Type: alloc_space\nDuration: 1s, Total samples = 512.03kB \n"
			   "Showing nodes accounting for 512.03kB, 100% of 512.03kB total\n" COLUMNS
			   "  512.03kB   100%   100%   512.03kB   100%  main\n");
	gives(0, 40,
		FILE_LINES "Type: alloc_objects\nDuration: 1s, Total samples = 2 \n"
			   "Showing nodes accounting for 2, 100% of 2 total\n" COLUMNS
			   "         2   100%   100%          2   100%  main\n");
}

static void small_functions_are_dropped_and_rows_are_counted(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_MAIN), 0, 3 << 20);
	samples[1] = sample_of(STACK(LOC_USED), 0, 20 << 10);
	samples[2] = sample_of(STACK(LOC_TWO), 0, 1 << 10);
	samples[3] = sample_of(STACK(LOC_NOWHERE), 1, 0);
	set_samples(&heap_kind, 4);
	gives(1, 0,
		FILE_LINES "Type: alloc_space\n"
			   "Showing nodes accounting for 3.02MB, 100% of 3.02MB total\n"
			   "Dropped 1 node (cum <= 0.02MB)\n" COLUMNS
			   "       3MB 99.32% 99.32%        3MB 99.32%  main\n"
			   "    0.02MB  0.65%   100%     0.02MB  0.65%  used\n");
	gives(1, 1,
		FILE_LINES "Type: alloc_space\n"
			   "Showing nodes accounting for 3MB, 99.32% of 3.02MB total\n"
			   "Dropped 1 node (cum <= 0.02MB)\n"
			   "Showing top 1 nodes out of 2\n" COLUMNS
			   "       3MB 99.32% 99.32%        3MB 99.32%  main\n");
}

static void negative_values_keep_their_sign(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_USED, LOC_MAIN), 0, -3000);
	samples[1] = sample_of(STACK(LOC_TWO, LOC_MAIN), 0, 1000);
	set_samples(&cpu_kind, 2);
	gives(1, 0,
		FILE_LINES "Type: cpu\n"
			   "Showing nodes accounting for -2us, 50.00% of 4us total\n" COLUMNS
			   "      -3us 75.00% 75.00%       -3us 75.00%  used\n"
			   "       1us 25.00% 50.00%        1us 25.00%  tw\xEF\xBF\xBDo\n"
			   "         0     0% 50.00%       -2us 50.00%  main\n");
}

static void an_empty_profile_has_a_header(void **unused)
{
	(void)unused;
	set_samples(&cpu_kind, 0);
	gives(1, 40,
		FILE_LINES "Type: cpu\nShowing nodes accounting for 0, 0% of 0 total\n" COLUMNS);
	fake_symbols_lacking = 2;
	gives(1, 40,
		FILE_LINES "lines not read yet: 2 locations have names only; the next profile has "
			   "more\nType: cpu\n"
			   "Showing nodes accounting for 0, 0% of 0 total\n" COLUMNS);
	fake_symbols_lacking = 0;
}

static void failures_are_told(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_NAMELESS, LOC_INLINED), 0, 3);
	set_samples(&cpu_kind, 1);
	reset(NULL);
	out.stop_at = 1;
	assert_int_equal(pa_top_write(&snapshot, 1, 0, &sink), -ECANCELED);
	size_t failures = 0;
	for (int result = -ENOMEM; result; failures++) {
		reset(NULL);
		kernel.fail_at = failures + 1;
		result = pa_top_write(&snapshot, 1, 0, &sink);
		assert_true(result == 0 || (result == -ENOMEM && !out.bytes));
		pa_kept_pages_trim();
		assert_int_equal(kernel.open, 0);
	}
	assert_true(failures > 7); /* each table, and the names of files */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_profile_of_time, reset),
		cmocka_unit_test_setup(other_units_have_no_share_of_the_duration, reset),
		cmocka_unit_test_setup(small_functions_are_dropped_and_rows_are_counted, reset),
		cmocka_unit_test_setup(negative_values_keep_their_sign, reset),
		cmocka_unit_test_setup(an_empty_profile_has_a_header, reset),
		cmocka_unit_test_setup(failures_are_told, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
