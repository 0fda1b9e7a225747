#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "../../proto/memstats.h"
#include "../../proto/text.h"
#include "fake_program.h"

static struct pa_memstats memory;

PA_AGENT void pa_memstats_read(struct pa_memstats *stats)
{
	*stats = memory;
}

/* Each sample stands for two: so scaled and unscaled numbers differ. */
PA_AGENT void pa_snapshot_scale_heap(int64_t count, int64_t bytes, int64_t rate,
	int64_t *scaled_count, int64_t *scaled_bytes)
{
	(void)rate;
	*scaled_count = count * 2;
	*scaled_bytes = bytes * 2;
}

static struct {
	size_t writes, stop_at, bytes;
	char text[1 << 20];
} out;

static bool write_out(void *arg, const void *bytes, size_t count)
{
	(void)arg;
	if (++out.writes == out.stop_at)
		return false;
	assert_true(out.bytes + count < sizeof(out.text));
	memcpy(out.text + out.bytes, bytes, count);
	out.bytes += count;
	out.text[out.bytes] = '\0';
	return true;
}

static const struct pa_sink sink = { .write = write_out };
static const struct pa_kind heap_kind = { .id = PA_KIND_HEAP, .value_count = 4 };
static const struct pa_kind cpu_kind = { .id = PA_KIND_CPU, .value_count = 2 };

static int reset(void **unused)
{
	(void)unused;
	memset(&kernel, 0, sizeof(kernel));
	memset(&out, 0, sizeof(out));
	memory = (struct pa_memstats){ 0 };
	look_ups = 0;
	return 0;
}

static struct pa_stack *stack_of(uint32_t depth, const uint32_t *locs)
{
	static union {
		struct pa_stack stack;
		char room[sizeof(struct pa_stack) + 64];
	} stacks[8];
	static unsigned next;
	struct pa_stack *stack = &stacks[next++ % 8].stack;

	stack->depth = depth;
	memcpy(stack->locs, locs, depth * sizeof(*locs));
	return stack;
}
#define STACK(...)                                                                                \
	stack_of(sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (uint32_t[]){ __VA_ARGS__ })

static int print(struct pa_sample *samples, size_t count)
{
	struct pa_snapshot snapshot = { .kind = &heap_kind, .period = 524288,
		.sample_count = count, .samples = samples };
	int result = pa_text_profile(&snapshot, &sink);

	assert_int_equal(kernel.open, 0);
	return result;
}

/* What stands between the header and the tail. */
static char *records(void)
{
	char *start = strchr(out.text, '\n') + 1, *end = strstr(start, "\n# runtime.MemStats\n");

	assert_non_null(end);
	*end = '\0';
	return start;
}

static void print_stack(struct pa_stack *stack)
{
	struct pa_sample sample = { .stack = stack, .values = { 3, 48, 1, 16 } };

	assert_int_equal(print(&sample, 1), 0);
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

/* Expected texts of rows: what Go's tabwriter(1, 8, 1, '\t', 0) makes of them. */
static void columns_are_aligned_as_go_does(void **unused)
{
	(void)unused;
	print_stack(STACK(LOC_INLINED, LOC_MAIN, LOC_TWO));
	assert_string_equal(records(), "1: 16 [3: 48] @ 0x1121 0x1111 0x8011\n"
				       "#\t0x1120\tns::in<int>(int)+0x20\tin.h:70\n"
				       "#\t0x1120\tmain+0x20\t\tp.c:6\n"
				       "#\t0x1110\tmain+0x10\t\tp.c:5\n"
				       "#\t0x8010\ttw\xEF\xBF\xBDo+0x8010\t\tt.c:8\n"
				       "\n");
}

static void column_grows_where_a_cell_fills_its_tab_stop(void **unused)
{
	const char *saved = fn_main.name;

	(void)unused;
	fn_main.name = "fourch"; /* + "+0x10" = 11; with the gap 12 */
	print_stack(STACK(LOC_MAIN, LOC_USED));
	assert_string_equal(records(), "1: 16 [3: 48] @ 0x1111 0x5011\n"
				       "#\t0x1110\tfourch+0x10\tp.c:5\n"
				       "#\t0x5010\tused+0x5010\t:0\n\n");
	reset(NULL);
	fn_main.name = "elevenchars"; /* + "+0x10" = 16: no room for the gap before the stop */
	print_stack(STACK(LOC_MAIN, LOC_USED));
	fn_main.name = saved;
	assert_string_equal(records(), "1: 16 [3: 48] @ 0x1111 0x5011\n"
				       "#\t0x1110\televenchars+0x10\tp.c:5\n"
				       "#\t0x5010\tused+0x5010\t\t:0\n\n");
}

static void cell_that_just_fits_does_not_widen_its_column(void **unused)
{
	const char *saved = fn_two.name;

	(void)unused;
	fn_two.name = "eightchr"; /* + "+0x8010" = 15 */
	print_stack(STACK(LOC_TWO, LOC_MAIN));
	fn_two.name = saved;
	assert_string_equal(records(), "1: 16 [3: 48] @ 0x8011 0x1111\n"
				       "#\t0x8010\teightchr+0x8010\tt.c:8\n"
				       "#\t0x1110\tmain+0x10\tp.c:5\n\n");
}

static void nameless_frame_has_only_its_address_and_ends_the_columns(void **unused)
{
	(void)unused;
	print_stack(STACK(LOC_INLINED, LOC_NAMELESS, LOC_MAIN));
	assert_string_equal(records(), "1: 16 [3: 48] @ 0x1121 0x8021 0x1111\n"
				       "#\t0x1120\tns::in<int>(int)+0x20\tin.h:70\n"
				       "#\t0x1120\tmain+0x20\t\tp.c:6\n"
				       "#\t0x8020\n"
				       "#\t0x1110\tmain+0x10\tp.c:5\n\n");
}

static void pseudo_frame_and_empty_stack_have_lines(void **unused)
{
	struct pa_stack empty = { .depth = 0 };

	(void)unused;
	print_stack(STACK(LOC_LOST));
	assert_string_equal(records(), "1: 16 [3: 48] @ 0x1\n"
				       "#\t0x1\tpprofagent.lostEvents+0x0\t:0\n\n");
	reset(NULL);
	print_stack(&empty);
	assert_string_equal(records(), "1: 16 [3: 48] @\n#\t0x0\n\n");
}

static void name_with_control_bytes_stays_in_its_line(void **unused)
{
	const char *saved = fn_main.name;

	(void)unused;
	fn_main.name = "a\tb\n";
	print_stack(STACK(LOC_MAIN));
	fn_main.name = saved;
	assert_string_equal(records(), "1: 16 [3: 48] @ 0x1111\n"
				       "#\t0x1110\ta\xEF\xBF\xBD" "b\xEF\xBF\xBD+0x10\tp.c:5\n\n");
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
	memory = (struct pa_memstats){ .heap_known = true, .heap_sys = 1000, .heap_idle = 300,
		.sys = 5000, .rss = 4096, .max_rss = 8192, .profiler = 400 };
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

static void comments_stand_before_the_tail(void **unused)
{
	char *comments[] = { "dropped 3: frees", "and\nmore" };
	struct pa_snapshot snapshot = { .kind = &heap_kind, .period = 1, .comment_count = 2,
		.comments = comments };

	(void)unused;
	assert_int_equal(pa_text_profile(&snapshot, &sink), 0);
	assert_string_equal(records(), "\n# dropped 3: frees\n# and\xEF\xBF\xBDmore\n");
}

static void kind_without_a_text_form_is_refused(void **unused)
{
	struct pa_snapshot snapshot = { .kind = &cpu_kind };

	(void)unused;
	assert_int_equal(pa_text_profile(&snapshot, &sink), -EINVAL);
	assert_int_equal(out.writes, 0);
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

static void missing_memory_is_told(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_INLINED, LOC_TWO) };
	int result = -ENOMEM;
	size_t fail_at;

	(void)unused;
	for (fail_at = 1; result == -ENOMEM; fail_at++) {
		reset(NULL);
		kernel.fail_at = fail_at;
		result = print(&sample, 1);
		assert_int_equal(strstr(out.text, "# MaxRSS") != NULL, result == 0);
	}
	assert_int_equal(result, 0);
	assert_int_equal(fail_at, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(header_has_unscaled_totals_and_twice_the_rate, reset),
		cmocka_unit_test_setup(header_never_has_equal_halves, reset),
		cmocka_unit_test_setup(profile_without_records_is_header_and_tail, reset),
		cmocka_unit_test_setup(columns_are_aligned_as_go_does, reset),
		cmocka_unit_test_setup(column_grows_where_a_cell_fills_its_tab_stop, reset),
		cmocka_unit_test_setup(cell_that_just_fits_does_not_widen_its_column, reset),
		cmocka_unit_test_setup(nameless_frame_has_only_its_address_and_ends_the_columns,
			reset),
		cmocka_unit_test_setup(pseudo_frame_and_empty_stack_have_lines, reset),
		cmocka_unit_test_setup(name_with_control_bytes_stays_in_its_line, reset),
		cmocka_unit_test_setup(most_bytes_in_use_come_first, reset),
		cmocka_unit_test_setup(location_is_looked_up_once, reset),
		cmocka_unit_test_setup(tail_tells_the_heap_of_glibc, reset),
		cmocka_unit_test_setup(tail_of_another_allocator_is_estimated, reset),
		cmocka_unit_test_setup(comments_stand_before_the_tail, reset),
		cmocka_unit_test_setup(kind_without_a_text_form_is_refused, reset),
		cmocka_unit_test_setup(client_that_leaves_cancels, reset),
		cmocka_unit_test_setup(missing_memory_is_told, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
