/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pa_buffer buffer;

static int tear_down(void **unused)
{
	(void)unused;
	pa_buffer_free(&buffer);
	return 0;
}

static void parts_are_joined(void **unused)
{
	(void)unused;
	pa_buffer_text(&buffer, "a");
	pa_buffer_format(&buffer, "%d-%s", 12, "b");
	pa_buffer_add(&buffer, "\0c", 2);
	pa_buffer_add(&buffer, NULL, 0);
	assert_int_equal(buffer.length, 7);
	assert_memory_equal(buffer.bytes, "a12-b\0c", 8);
}

static void buffer_grows(void **unused)
{
	(void)unused;
	for (int i = 0; i < 20000; i++)
		pa_buffer_format(&buffer, "%04d", i % 10000);
	assert_false(buffer.failed);
	assert_int_equal(buffer.length, 80000);
	assert_memory_equal(buffer.bytes + 79996, "9999", 5);
}

static void too_much_fails_and_keeps_what_was(void **unused)
{
	(void)unused;
	char *big = calloc(1, PA_BUFFER_MAX);
	assert_non_null(big);
	pa_buffer_text(&buffer, "kept");
	pa_buffer_add(&buffer, big, PA_BUFFER_MAX - 4);
	assert_true(buffer.failed);
	pa_buffer_text(&buffer, "late");
	assert_string_equal(buffer.bytes, "kept");
	free(big);
}

static void html_is_escaped(void **unused)
{
	(void)unused;
	pa_buffer_html(&buffer, "<a href='x'>\"&\"</a>");
	assert_string_equal(buffer.bytes, "&lt;a href=&#39;x&#39;&gt;&#34;&amp;&#34;&lt;/a&gt;");
}

static void json_is_escaped_and_utf8(void **unused)
{
	(void)unused;
	pa_buffer_json(&buffer, "a\"\\\n\x7f\xc3\xa4\xff");
	assert_string_equal(buffer.bytes, "\"a\\\"\\\\\\u000a\\u007f\xc3\xa4\xef\xbf\xbd\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(parts_are_joined, tear_down),
		cmocka_unit_test_teardown(buffer_grows, tear_down),
		cmocka_unit_test_teardown(too_much_fails_and_keeps_what_was, tear_down),
		cmocka_unit_test_teardown(html_is_escaped, tear_down),
		cmocka_unit_test_teardown(json_is_escaped_and_utf8, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
