/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/utf8.h"

#define BAD "\xEF\xBF\xBD"

/* text cleaned, in a buffer of its own. */
static const char *clean(const char *text, size_t max, bool printable)
{
	static char out[256];
	struct pa_utf8_piece piece;
	size_t used = 0;

	while ((piece = pa_utf8_piece(text, max - used, printable)).source) {
		assert_true(used + piece.count < sizeof(out));
		memcpy(out + used, piece.bytes, piece.count);
		used += piece.count;
		text += piece.source;
	}
	out[used] = '\0';
	return out;
}

static void good_text_is_one_piece(void **unused)
{
	static const char text[] = "h\xC3\xA9llo \xE2\x82\xAC \xF0\x9F\x98\x80 \xF4\x8F\xBF\xBF";
	struct pa_utf8_piece piece = pa_utf8_piece(text, SIZE_MAX, true);

	(void)unused;
	assert_ptr_equal(piece.bytes, text);
	assert_int_equal(piece.count, sizeof(text) - 1);
	assert_int_equal(piece.source, sizeof(text) - 1);
	assert_int_equal(piece.runes, 11);
	assert_int_equal(pa_utf8_piece("", SIZE_MAX, true).source, 0);
}

static void each_bad_byte_is_replaced(void **unused)
{
	(void)unused;
	assert_string_equal(clean("a\xFF"
				  "b",
				    99, false),
		"a" BAD "b");
	assert_string_equal(clean("\x80\x80", 99, false), BAD BAD);
	assert_string_equal(clean("\xC0\xAF", 99, false), BAD BAD); /* overlong '/' */
	assert_string_equal(clean("\xE0\x80\xAF", 99, false), BAD BAD BAD);
	assert_string_equal(clean("\xF0\x80\x80\xAF", 99, false), BAD BAD BAD BAD);
	assert_string_equal(clean("\xED\xA0\x80", 99, false), BAD BAD BAD); /* surrogate */
	assert_string_equal(clean("\xF4\x90\x80\x80", 99, false), BAD BAD BAD BAD);
	assert_string_equal(clean("\xF5", 99, false), BAD);
}

static void character_cut_by_the_end_is_bad(void **unused)
{
	(void)unused;
	assert_string_equal(clean("x\xE2\x82", 99, false), "x" BAD BAD);
	assert_string_equal(clean("\xF0\x9F\x98", 99, false), BAD BAD BAD);
	assert_string_equal(clean("\xC3", 99, false), BAD);
}

static void controls_are_bad_only_when_printable(void **unused)
{
	(void)unused;
	assert_string_equal(clean("a\tb\n\x7F", 99, false), "a\tb\n\x7F");
	assert_string_equal(clean("a\tb\n\x7F", 99, true), "a" BAD "b" BAD BAD);
}

static void limit_cuts_between_characters(void **unused)
{
	(void)unused;
	assert_string_equal(clean("ab\xE2\x82\xAC", 5, false), "ab\xE2\x82\xAC");
	assert_string_equal(clean("ab\xE2\x82\xAC", 4, false), "ab");
	assert_string_equal(clean("ab\xFF", 4, false), "ab");
	assert_int_equal(pa_utf8_clean_bytes("ab\xE2\x82\xAC", 4), 2);
	assert_int_equal(pa_utf8_clean_bytes("a\xFF\xFF", 99), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_text_is_one_piece),
		cmocka_unit_test(each_bad_byte_is_replaced),
		cmocka_unit_test(character_cut_by_the_end_is_bad),
		cmocka_unit_test(controls_are_bad_only_when_printable),
		cmocka_unit_test(limit_cuts_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
