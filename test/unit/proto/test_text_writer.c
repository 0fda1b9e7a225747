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

static struct pa_text_writer writer;

static int reset_writer(void **unused)
{
	writer = (struct pa_text_writer){ .sink = &sink };
	return reset(unused);
}

static const char *quoted(const char *text)
{
	reset_writer(NULL);
	pa_text_writer_quoted(&writer, text);
	pa_text_writer_flush(&writer);
	return out.text;
}

/* ---------------------------------------------------------------- tests */

static void bytes_reach_the_sink_in_order_and_in_few_writes(void **unused)
{
	char all[3 * PA_TEXT_WRITER_BYTES];

	(void)unused;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)('a' + i % 23);
	for (size_t i = 0; i < sizeof(all); i += 3)
		pa_text_writer_put(&writer, all + i, 3);
	pa_text_writer_put(&writer, all, PA_TEXT_WRITER_BYTES + 10);
	pa_text_writer_flush(&writer);
	assert_int_equal(writer.error, 0);
	assert_int_equal(out.bytes, 4 * PA_TEXT_WRITER_BYTES + 10);
	assert_int_equal(writer.total, out.bytes);
	assert_memory_equal(out.text, all, sizeof(all));
	assert_memory_equal(out.text + sizeof(all), all, PA_TEXT_WRITER_BYTES + 10);
	assert_int_equal(out.writes, 5);
}

static void empty_buffer_is_not_written(void **unused)
{
	(void)unused;
	pa_text_writer_flush(&writer);
	pa_text_writer_put(&writer, "", 0);
	pa_text_writer_flush(&writer);
	assert_int_equal(out.writes, 0);
}

static void nothing_is_written_after_an_error(void **unused)
{
	(void)unused;
	out.stop_at = 1;
	pa_text_writer_put(&writer, "one", 3);
	pa_text_writer_flush(&writer);
	assert_int_equal(writer.error, -ECANCELED);
	assert_false(pa_text_writer_fail(&writer, -ENOMEM));
	assert_int_equal(writer.error, -ECANCELED);
	pa_text_writer_put(&writer, "two", 3);
	pa_text_writer_flush(&writer);
	assert_int_equal(out.writes, 1);
	assert_int_equal(out.bytes, 0);
}

static void muted_writer_only_counts(void **unused)
{
	(void)unused;
	pa_text_writer_put(&writer, "ab", 2);
	writer.muted = true;
	pa_text_writer_format(&writer, "%d", 1234);
	assert_int_equal(writer.total, 6);
	writer.muted = false;
	pa_text_writer_put(&writer, "cd", 2);
	pa_text_writer_flush(&writer);
	assert_string_equal(out.text, "abcd");
}

static void format_is_cut_and_not_overrun(void **unused)
{
	(void)unused;
	pa_text_writer_format(&writer, "%0300d", 7);
	pa_text_writer_flush(&writer);
	assert_int_equal(out.bytes, 255);
}

static void clean_text_is_one_character_for_each_bad_byte(void **unused)
{
	static const char text[] = "a\tb\n\x7F\xFF\xC3\xA4";

	(void)unused;
	pa_text_writer_clean(&writer, text);
	pa_text_writer_flush(&writer);
	assert_string_equal(out.text,
		"a\xEF\xBF\xBD"
		"b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
		"\xC3\xA4");
	assert_int_equal(pa_text_writer_clean_width(text), 7);
}

/* Expected: what Go's strconv.Quote makes of them. */
static void quotes_are_those_of_go(void **unused)
{
	(void)unused;
	assert_string_equal(quoted(""), "\"\"");
	assert_string_equal(quoted("worker 1"), "\"worker 1\"");
	assert_string_equal(quoted("a\"b\\c'"), "\"a\\\"b\\\\c'\"");
	assert_string_equal(quoted("\a\b\f\n\r\t\v"), "\"\\a\\b\\f\\n\\r\\t\\v\"");
	assert_string_equal(quoted("\x01\x1B\x1F\x7F"), "\"\\x01\\x1b\\x1f\\x7f\"");
	assert_string_equal(quoted("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"),
		"\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"");
	assert_string_equal(quoted("\xFFx\xC3"), "\"\\xffx\\xc3\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(bytes_reach_the_sink_in_order_and_in_few_writes,
			reset_writer),
		cmocka_unit_test_setup(empty_buffer_is_not_written, reset_writer),
		cmocka_unit_test_setup(nothing_is_written_after_an_error, reset_writer),
		cmocka_unit_test_setup(muted_writer_only_counts, reset_writer),
		cmocka_unit_test_setup(format_is_cut_and_not_overrun, reset_writer),
		cmocka_unit_test_setup(clean_text_is_one_character_for_each_bad_byte, reset_writer),
		cmocka_unit_test_setup(quotes_are_those_of_go, reset_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
