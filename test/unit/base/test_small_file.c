/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/small_file.h"

static char text[64];

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The reading end of a pipe that has these bytes and then ends. */
static int pipe_with(const char *bytes, size_t count)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], bytes, count), count);
	close(ends[1]);
	return ends[0];
}

static void whole_file_is_read_and_closed(void **unused)
{
	int fd = pipe_with("12 MB\n", 6);
	(void)unused;
	memset(text, 'x', sizeof(text));
	assert_int_equal(pa_small_file_text(fd, text, sizeof(text)), 6);
	assert_string_equal(text, "12 MB\n");
	assert_false(is_open(fd));
}

static void long_file_is_cut_before_the_nul(void **unused)
{
	int fd = pipe_with("0123456789", 10);
	(void)unused;
	memset(text, 'x', sizeof(text));
	assert_int_equal(pa_small_file_text(fd, text, 5), 4);
	assert_string_equal(text, "0123");
	assert_int_equal(text[5], 'x');
	assert_false(is_open(fd));
}

/* A packet a read, as /proc gives its records. */
static int pipe_with_two_records(void)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_DIRECT), 0);
	assert_int_equal(write(ends[1], "one\n", 4), 4);
	assert_int_equal(write(ends[1], "two\n", 4), 4);
	close(ends[1]);
	return ends[0];
}

static void a_record_is_one_read_and_the_file_is_closed(void **unused)
{
	int fd = pipe_with_two_records();
	(void)unused;
	assert_int_equal(pa_small_file_record(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "one\n");
	assert_false(is_open(fd));
	assert_int_equal(pa_small_file_record(-ENOENT, text, sizeof(text)), -ENOENT);
	assert_string_equal(text, "");
	fd = pipe_with("0123456789", 10);
	assert_int_equal(pa_small_file_record(fd, text, 5), 4);
	assert_string_equal(text, "0123");
	fd = pipe_with("", 0);
	assert_int_equal(pa_small_file_record(fd, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	fd = open("/", O_RDONLY);
	assert_int_equal(pa_small_file_record(fd, text, sizeof(text)), -EISDIR);
	assert_string_equal(text, "");
	assert_false(is_open(fd));
}

static void file_that_comes_in_parts_is_read_to_its_end(void **unused)
{
	int fd = pipe_with_two_records();
	(void)unused;
	assert_int_equal(pa_small_file_text(fd, text, sizeof(text)), 8);
	assert_string_equal(text, "one\ntwo\n");
}

static void empty_file_has_no_length(void **unused)
{
	(void)unused;
	text[0] = 'x';
	assert_int_equal(pa_small_file_text(pipe_with("", 0), text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

static void errors_of_open_and_read_are_returned(void **unused)
{
	int directory = open("/", O_RDONLY | O_DIRECTORY);
	(void)unused;
	text[0] = 'x';
	assert_int_equal(pa_small_file_text(-ENOENT, text, sizeof(text)), -ENOENT);
	assert_string_equal(text, "");
	text[0] = 'x';
	assert_int_equal(pa_small_file_text(directory, text, sizeof(text)), -EISDIR);
	assert_string_equal(text, "");
	assert_false(is_open(directory));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_file_is_read_and_closed),
		cmocka_unit_test(long_file_is_cut_before_the_nul),
		cmocka_unit_test(a_record_is_one_read_and_the_file_is_closed),
		cmocka_unit_test(file_that_comes_in_parts_is_read_to_its_end),
		cmocka_unit_test(empty_file_has_no_length),
		cmocka_unit_test(errors_of_open_and_read_are_returned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
