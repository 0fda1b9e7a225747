/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/arena.h"
#include "agent/symbols/perf_map.h"
#include "test/lib/c/perf_map_fixture.h"

#define PARENT 11
#define GRANDPARENT 12

static struct pa_perf_map_wanted wanted[64];
static uint32_t count;

static void want_until(uintptr_t pc, uint32_t until)
{
	wanted[count++] = (struct pa_perf_map_wanted){ .pc = pc, .until = until };
}

static void want(uintptr_t pc)
{
	want_until(pc, 0);
}

static bool find(void)
{
	return pa_perf_map_name(wanted, count, INT64_MAX);
}

static const char *name_of(uint32_t i)
{
	return wanted[i].function ? wanted[i].function->name : "";
}

/* The name of one address. */
static const char *name_at(uintptr_t pc)
{
	count = 0;
	want(pc);
	assert_true(find());
	return name_of(0);
}

static int begin(void **unused)
{
	count = 0;
	return map_set_up(unused);
}

/* ---------------------------------------------------------------- lines */

static void lines_are_two_hexadecimal_numbers_and_a_name(void **unused)
{
	static const struct {
		const char *text;
		uint64_t start, limit; /* 0, 0: none */
		const char *name;
	} lines[] = {
		{ "7f00 10 f", 0x7f00, 0x7f10, "f" },
		{ "0x7F00 0X10 f", 0x7f00, 0x7f10, "f" },
		{ "1 1 a name (with) [blanks] in it ", 1, 2, "a name (with) [blanks] in it " },
		{ "0 ffffffffffffffff x", 0, UINT64_MAX, "x" },
		{ "10  20   y", 0x10, 0x30, "y" },
		{ "", 0, 0, NULL },
		{ " ", 0, 0, NULL },
		{ "7f00", 0, 0, NULL },
		{ "7f00 ", 0, 0, NULL },
		{ "7f00 10", 0, 0, NULL },
		{ "7f00 10 ", 0, 0, NULL },
		{ "7f00 0 f", 0, 0, NULL },
		{ "7f00  f", 0, 0, NULL },
		{ "7g00 10 f", 0, 0, NULL },
		{ "-7f00 10 f", 0, 0, NULL },
		{ "0x 10 f", 0, 0, NULL },
		{ "10000000000000000 10 f", 0, 0, NULL },
		{ "ffffffffffffffff 1 f", 0, 0, NULL },
		{ "7f00\t10\tf", 0, 0, NULL },
	};
	struct pa_perf_map_line line;

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(lines); i++) {
		bool good = pa_perf_map_parse(&line, lines[i].text, strlen(lines[i].text));

		assert_int_equal(good, lines[i].name != NULL);
		if (!good)
			continue;
		assert_int_equal(line.start, lines[i].start);
		assert_int_equal(line.limit, lines[i].limit);
		assert_int_equal(line.name_bytes, strlen(lines[i].name));
		assert_memory_equal(line.name, lines[i].name, line.name_bytes);
	}
}

static void names_stay_as_they_are(void **unused)
{
	(void)unused;
	write_map(getpid(),
		"1000 10 _ZN3foo3barEv\n2000 10 <b>&amp;</b>\"'\n"
		"3000 10 LazyCompile:*f a.js:1:2\n4000 10 a\xff\xc3z\n"
		"5000 10 tab\there\n6000 10 \xc3\xa9t\xc3\xa9\n");
	assert_string_equal(name_at(0x1000), "_ZN3foo3barEv");
	assert_string_equal(wanted[0].function->system_name, "_ZN3foo3barEv");
	assert_int_equal(wanted[0].function->entry, 0x1000);
	assert_string_equal(wanted[0].function->file, "");
	assert_string_equal(name_at(0x200f), "<b>&amp;</b>\"'");
	assert_string_equal(name_at(0x3000), "LazyCompile:*f a.js:1:2");
	assert_string_equal(name_at(0x4000), "a??z");
	assert_string_equal(name_at(0x5000), "tab?here");
	assert_string_equal(name_at(0x6000), "\xc3\xa9t\xc3\xa9");
	assert_string_equal(name_at(0x1010), "");
	assert_string_equal(name_at(0xfff), "");
}

static void the_last_line_that_has_an_address_names_it(void **unused)
{
	(void)unused;
	write_map(getpid(),
		"2000 1000 large\n2100 10 inside\n2080 10 before it\n1000 2000 over\n"
		"2100 8 again\n");
	want(0x2080);
	want(0x2100);
	want(0x2108);
	want(0x2fff);
	assert_true(find());
	assert_string_equal(name_of(0), "over");
	assert_string_equal(name_of(1), "again");
	assert_string_equal(name_of(2), "over");
	assert_string_equal(name_of(3), "over");
}

static void code_has_the_name_that_it_had_when_it_was_sampled(void **unused)
{
	static const char first[] = "1000 10 first\n";
	static const char second[] = "1000 10 first\n1000 10 second\n";

	(void)unused;
	write_map(getpid(), second);
	append_map(getpid(), "1000 20 third\n");
	want_until(0x1001, sizeof(first) - 1);
	want_until(0x1002, sizeof(second) - 1);
	want(0x1003);
	/* Its name came late: the first one is nearest. */
	want_until(0x1018, 1);
	assert_true(find());
	assert_string_equal(name_of(0), "first");
	assert_string_equal(name_of(1), "second");
	assert_string_equal(name_of(2), "third");
	assert_string_equal(name_of(3), "third");
}

static void of_late_names_the_first_is_taken(void **unused)
{
	(void)unused;
	write_map(getpid(), "5000 10 other\n1000 10 soon\n1000 10 later\n1000 10 last\n");
	want_until(0x1000, 10);
	assert_true(find());
	assert_string_equal(name_of(0), "soon");
}

/* ---------------------------------------------------------------- files */

static void a_line_that_is_half_written_names_nothing(void **unused)
{
	(void)unused;
	write_map(getpid(), "1000 10 whole\n1000 10 hal");
	assert_string_equal(name_at(0x1000), "whole");
	append_map(getpid(), "f\n");
	assert_string_equal(name_at(0x1000), "half");
	write_map(getpid(), "1000 10 no newline");
	assert_string_equal(name_at(0x1000), "");
	write_map(getpid(), "");
	assert_string_equal(name_at(0x1000), "");
}

static void every_line_of_a_large_map_is_found(void **unused)
{
	enum { LINES = 20000 };
	FILE *file = fopen(map_path(getpid()), "w");

	(void)unused;
	assert_non_null(file);
	for (unsigned i = 0; i < LINES; i++)
		fprintf(file, "%x 10 function_%u%.*s\n", 0x100000 + i * 16, i, (int)(i % 60),
			"............................................................");
	fclose(file);
	/* Five blocks; all lines near their borders, and some others. */
	for (unsigned first = 0; first < LINES; first += PA_COUNT(wanted)) {
		count = 0;
		for (unsigned i = first; i < first + PA_COUNT(wanted) && i < LINES; i++)
			want(0x100000 + i * 16 + 15);
		assert_true(find());
		for (unsigned i = 0; i < count; i++) {
			char name[32];

			snprintf(name, sizeof(name), "function_%u", first + i);
			assert_int_equal(strncmp(name_of(i), name, strlen(name)), 0);
			assert_true(name_of(i)[strlen(name)] == '.' || !name_of(i)[strlen(name)]);
		}
	}
}

static void lines_longer_than_a_block_are_skipped(void **unused)
{
	const size_t bytes = 5 * PA_PERF_MAP_BLOCK_BYTES / 2;
	char *text = pa_map(bytes);

	(void)unused;
	memset(text, 'x', bytes);
	memcpy(text, "3000 10 ", 8);
	write_map(getpid(), "1000 10 before\n");
	write_map_bytes(getpid(), "a", text, bytes);
	assert_string_equal(name_at(0x1000), "before");
	append_map(getpid(), "\n2000 10 behind\n");
	assert_string_equal(name_at(0x1000), "before");
	assert_string_equal(name_at(0x2000), "behind");
	assert_string_equal(name_at(0x3000), "");
	/* One that just fits. */
	write_map(getpid(), "1000 10 before\n");
	text[PA_PERF_MAP_BLOCK_BYTES - 2] = '\n';
	write_map_bytes(getpid(), "a", text, PA_PERF_MAP_BLOCK_BYTES - 1);
	append_map(getpid(), "2000 10 behind\n");
	assert_string_equal(name_at(0x1000), "before");
	assert_int_equal(strncmp(name_at(0x3000), "xxxx", 4), 0);
	/* Nothing but zeros, as of a file that is being written with holes. */
	memset(text, 0, bytes);
	write_map_bytes(getpid(), "w", text, bytes);
	append_map(getpid(), "\n1000 10 behind zeros\n");
	assert_string_equal(name_at(0x1000), "behind zeros");
	assert_string_equal(name_at(0x2000), "");
	pa_unmap(text, bytes);
}

static void out_of_time_the_rest_has_no_name(void **unused)
{
	(void)unused;
	write_map(getpid(), "1000 10 f\n");
	want(0x1000);
	assert_false(pa_perf_map_name(wanted, count, 0));
	assert_string_equal(name_of(0), "");
	assert_true(find());
	assert_string_equal(name_of(0), "f");
}

static void lines_that_all_contain_each_other_end_in_time(void **unused)
{
	enum { LINES = 200000 };
	FILE *file = fopen(map_path(getpid()), "w");

	(void)unused;
	for (unsigned i = 0; i < LINES; i++)
		fprintf(file, "0 100000 f%u\n", i);
	fclose(file);
	for (unsigned i = 0; i < PA_COUNT(wanted); i++)
		want_until(i, 1);
	assert_true(find());
	assert_string_equal(name_of(0), "f0");
	assert_string_equal(name_of(PA_COUNT(wanted) - 1), "f0");
}

/* ---------------------------------------------------------------- ancestors */

static void code_inherited_by_fork_has_the_names_of_the_ancestors(void **unused)
{
	(void)unused;
	write_map(PARENT, "1000 10 of parent\n2000 10 of parent\n");
	write_map(GRANDPARENT, "2000 10 of grandparent\n3000 10 of grandparent\n");
	map_bridge.ancestors[0].pid = PARENT;
	map_bridge.ancestors[1].pid = GRANDPARENT;
	pa_perf_map_file_boot();
	/* What they make from now on is not in this process. */
	append_map(PARENT, "1000 10 later\n4000 10 later\n");
	assert_string_equal(name_at(0x1000), "of parent");
	assert_string_equal(name_at(0x2000), "of parent");
	assert_string_equal(name_at(0x3000), "of grandparent");
	assert_string_equal(name_at(0x4000), "");
	write_map(getpid(), "1000 10 own\n");
	assert_string_equal(name_at(0x1000), "own");
	assert_string_equal(name_at(0x2000), "of parent");
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, begin, map_tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_two_hexadecimal_numbers_and_a_name),
		IN_DIRECTORY(names_stay_as_they_are),
		IN_DIRECTORY(the_last_line_that_has_an_address_names_it),
		IN_DIRECTORY(code_has_the_name_that_it_had_when_it_was_sampled),
		IN_DIRECTORY(of_late_names_the_first_is_taken),
		IN_DIRECTORY(a_line_that_is_half_written_names_nothing),
		IN_DIRECTORY(every_line_of_a_large_map_is_found),
		IN_DIRECTORY(lines_longer_than_a_block_are_skipped),
		IN_DIRECTORY(out_of_time_the_rest_has_no_name),
		IN_DIRECTORY(lines_that_all_contain_each_other_end_in_time),
		IN_DIRECTORY(code_inherited_by_fork_has_the_names_of_the_ancestors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
