/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/proc_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LINES 3000

static char file[] = "/tmp/test_proc_lines.XXXXXX";

static int make_file(void **unused)
{
	int fd = mkstemp(file);
	FILE *lines = fdopen(fd, "w");
	(void)unused;
	for (int i = 0; i < LINES; i++)
		fprintf(lines, "%d\n", i);
	fputs("not whole", lines);
	return fclose(lines);
}

static int remove_file(void **unused)
{
	(void)unused;
	return unlink(file);
}

struct seen {
	int next, last;
};

static bool follows(void *arg, const char *line)
{
	struct seen *seen = arg;
	assert_int_equal(atoi(line), seen->next);
	return seen->next++ == seen->last;
}

static void lines_come_whole_and_in_order(void **unused)
{
	static const size_t pieces[] = { 1, 7, 150, PA_PROC_LINES_BYTES };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(pieces); i++) {
		struct seen all = { 0, LINES }, some = { 0, 42 };
		assert_false(pa_proc_lines_find(file, pieces[i], follows, &all));
		assert_int_equal(all.next, LINES);
		assert_true(pa_proc_lines_find(file, pieces[i], follows, &some));
		assert_int_equal(some.next, 43);
	}
}

static void a_file_that_is_missing_has_none(void **unused)
{
	struct seen seen = { 0, 0 };
	(void)unused;
	assert_false(pa_proc_lines_find("/nonexistent", 1, follows, &seen));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_come_whole_and_in_order),
		cmocka_unit_test(a_file_that_is_missing_has_none),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
