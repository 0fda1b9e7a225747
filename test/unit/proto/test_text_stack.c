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

/* Without the line's beginning, which is the form's matter. */
static void print_stack(const struct pa_stack *stack)
{
	struct pa_text_writer writer = { .sink = &sink };
	struct pa_text_stack stacks = { .writer = &writer };

	pa_text_stack_put(&stacks, stack);
	pa_text_writer_flush(&writer);
	pa_text_stack_free(&stacks);
	assert_int_equal(writer.error, 0);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

/* ---------------------------------------------------------------- tests */

/* Expected texts of rows: what Go's tabwriter(1, 8, 1, '\t', 0) makes of them. */
static void columns_are_aligned_as_go_does(void **unused)
{
	(void)unused;
	print_stack(STACK(LOC_INLINED, LOC_MAIN, LOC_TWO));
	assert_string_equal(out.text,
		" 0x1121 0x1111 0x8011\n"
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
	assert_string_equal(out.text,
		" 0x1111 0x5011\n"
		"#\t0x1110\tfourch+0x10\tp.c:5\n"
		"#\t0x5010\tused+0x5010\t:0\n\n");
	reset(NULL);
	fn_main.name = "elevenchars"; /* + "+0x10" = 16: no room for the gap before the stop */
	print_stack(STACK(LOC_MAIN, LOC_USED));
	fn_main.name = saved;
	assert_string_equal(out.text,
		" 0x1111 0x5011\n"
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
	assert_string_equal(out.text,
		" 0x8011 0x1111\n"
		"#\t0x8010\teightchr+0x8010\tt.c:8\n"
		"#\t0x1110\tmain+0x10\tp.c:5\n\n");
}

static void nameless_frame_has_only_its_address_and_ends_the_columns(void **unused)
{
	(void)unused;
	print_stack(STACK(LOC_INLINED, LOC_NAMELESS, LOC_MAIN));
	assert_string_equal(out.text,
		" 0x1121 0x8021 0x1111\n"
		"#\t0x1120\tns::in<int>(int)+0x20\tin.h:70\n"
		"#\t0x1120\tmain+0x20\t\tp.c:6\n"
		"#\t0x8020\n"
		"#\t0x1110\tmain+0x10\tp.c:5\n\n");
}

static void pseudo_frame_and_empty_stack_have_lines(void **unused)
{
	(void)unused;
	print_stack(STACK(LOC_LOST));
	assert_string_equal(out.text,
		" 0x1\n"
		"#\t0x1\tpprofagent.lostEvents+0x0\t:0\n\n");
	reset(NULL);
	print_stack(NO_STACK);
	assert_string_equal(out.text, "\n#\t0x0\n\n");
}

static void name_with_control_bytes_stays_in_its_line(void **unused)
{
	const char *saved = fn_main.name;

	(void)unused;
	fn_main.name = "a\tb\n";
	print_stack(STACK(LOC_MAIN));
	fn_main.name = saved;
	assert_string_equal(out.text,
		" 0x1111\n"
		"#\t0x1110\ta\xEF\xBF\xBD"
		"b\xEF\xBF\xBD+0x10\tp.c:5\n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(columns_are_aligned_as_go_does, reset),
		cmocka_unit_test_setup(column_grows_where_a_cell_fills_its_tab_stop, reset),
		cmocka_unit_test_setup(cell_that_just_fits_does_not_widen_its_column, reset),
		cmocka_unit_test_setup(nameless_frame_has_only_its_address_and_ends_the_columns,
			reset),
		cmocka_unit_test_setup(pseudo_frame_and_empty_stack_have_lines, reset),
		cmocka_unit_test_setup(name_with_control_bytes_stays_in_its_line, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
