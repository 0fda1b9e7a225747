/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "agent/modules/maps_text.h"

static void read_line(const char *text, struct pa_maps_line *line)
{
	assert_non_null(pa_maps_text_line(text, text + strlen(text), line));
}

static void a_line_gives_all_fields(void **unused)
{
	struct pa_maps_line line;
	char path[64];
	bool deleted;

	(void)unused;
	read_line("7f0011223000-7f0011224000 r-xp 0001b000 fe:01 1234567    /usr/lib/x y.so\n",
		&line);
	assert_true(line.start == 0x7f0011223000 && line.limit == 0x7f0011224000);
	assert_true(line.readable && line.executable);
	assert_int_equal(line.offset, 0x1b000);
	assert_int_equal(line.device, makedev(0xfe, 1));
	assert_int_equal(line.inode, 1234567);
	assert_int_equal(pa_maps_text_path(&line, path, sizeof(path), &deleted), 15);
	assert_string_equal(path, "/usr/lib/x y.so");
	assert_false(deleted);
}

static void deleted_mark_and_escaped_newline_are_taken_off_the_path(void **unused)
{
	struct pa_maps_line line;
	char path[64];
	bool deleted;

	(void)unused;
	read_line("1000-2000 ---p 00000000 00:00 9 /a\\012b\\0123 \\040 (deleted)", &line);
	assert_false(line.readable || line.executable);
	pa_maps_text_path(&line, path, sizeof(path), &deleted);
	assert_string_equal(path, "/a\nb\n3 \\040");
	assert_true(deleted);
}

static void a_path_is_cut_at_the_end_of_the_buffer(void **unused)
{
	struct pa_maps_line line;
	char path[4];
	bool deleted;

	(void)unused;
	read_line("1000-2000 r-xp 00000000 00:00 9 /abcdef", &line);
	assert_int_equal(pa_maps_text_path(&line, path, sizeof(path), &deleted), 3);
	assert_string_equal(path, "/ab");
}

static void a_line_may_be_longer_than_a_page(void **unused)
{
	static char text[12000], path[12000];
	struct pa_maps_line line;
	size_t length = (size_t)sprintf(text, "1000-2000 r-xp 00000000 08:02 77 /");
	bool deleted;

	(void)unused;
	memset(text + length, 'p', 9000);
	strcpy(text + length + 9000, "\n2000-3000 rw-p 00000000 00:00 0 \n");
	const char *next = pa_maps_text_line(text, text + strlen(text), &line);
	assert_int_equal(pa_maps_text_path(&line, path, sizeof(path), &deleted), 9001);
	next = pa_maps_text_line(next, text + strlen(text), &line);
	assert_int_equal(line.start, 0x2000);
	assert_int_equal(line.path_bytes, 0);
	assert_null(pa_maps_text_line(next, text + strlen(text), &line));
}

static void lines_that_make_no_sense_are_empty(void **unused)
{
	static const char *const lines[] = { "", "\n", "zz-2000 r-xp 0 0:0 0",
		"2000-1000 r-xp 0 0:0 0", "1000-1000 r-xp 0 0:0 0", "1000-2000", "1000-2000 r-x",
		"1000-2000 r-xp", "1000-2000 r-xp 10 8-1 5 /x",
		"fffffffffffffffff-1ffffffffffffffffff r-xp 0 0:0 0 /x",
		"1000 -2000 r-xp 0 0:0 0" };
	struct pa_maps_line line;

	(void)unused;
	for (size_t i = 1; i < PA_COUNT(lines); i++) {
		read_line(lines[i], &line);
		assert_int_equal(line.start, 0);
		assert_int_equal(line.limit, 0);
	}
	assert_null(pa_maps_text_line(lines[0], lines[0], &line));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_gives_all_fields),
		cmocka_unit_test(deleted_mark_and_escaped_newline_are_taken_off_the_path),
		cmocka_unit_test(a_path_is_cut_at_the_end_of_the_buffer),
		cmocka_unit_test(a_line_may_be_longer_than_a_page),
		cmocka_unit_test(lines_that_make_no_sense_are_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
