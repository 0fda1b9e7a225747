/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/profile/thread_names.h"

static void assert_clean(size_t size, const char *name, const char *expected)
{
	char padded[PA_EVENT_NAME_BYTES] = { 0 }, out[PA_THREAD_NAMES_BYTES + 1];
	for (size_t i = 0; i < sizeof(padded) && name[i]; i++)
		padded[i] = name[i];
	memset(out, '#', sizeof(out));
	assert_int_equal(pa_thread_names_clean(out, size, padded), strlen(expected));
	assert_string_equal(out, expected);
	assert_int_equal(out[size], '#');
}

static void good_names_stay_as_they_are(void **unused)
{
	(void)unused;
	assert_clean(PA_THREAD_NAMES_BYTES, "", "");
	assert_clean(PA_THREAD_NAMES_BYTES, "worker", "worker");
	assert_clean(PA_THREAD_NAMES_BYTES, "sixteen letters!", "sixteen letters!");
	assert_clean(PA_THREAD_NAMES_BYTES,
		"gr\xc3\xbc\xc3\x9f"
		"e",
		"gr\xc3\xbc\xc3\x9f"
		"e");
}

static void bad_bytes_are_replaced(void **unused)
{
	(void)unused;
	assert_clean(PA_THREAD_NAMES_BYTES,
		"a\xff"
		"b",
		"a\xef\xbf\xbd"
		"b");
	assert_clean(PA_THREAD_NAMES_BYTES, "fifteen bytes..\xc3", "fifteen bytes..\xef\xbf\xbd");
}

/* What does not fit is left out, and no character is cut. */
static void names_end_where_the_room_ends(void **unused)
{
	(void)unused;
	assert_clean(1, "worker", "");
	assert_clean(4, "worker", "wor");
	assert_clean(3, "a\xc3\xbc", "a");
	assert_clean(4, "a\xc3\xbc", "a\xc3\xbc");
	assert_clean(4, "a\xff", "a");
	assert_clean(5, "a\xff", "a\xef\xbf\xbd");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_names_stay_as_they_are),
		cmocka_unit_test(bad_bytes_are_replaced),
		cmocka_unit_test(names_end_where_the_room_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
