/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>

static const char *value_of(const char *query, const char *key)
{
	static char value[16];
	return pa_query_get(query, key, value, sizeof(value)) ? value : NULL;
}

static void first_value_wins(void **unused)
{
	(void)unused;
	assert_string_equal(value_of("debug=1", "debug"), "1");
	assert_string_equal(value_of("a=b&debug=2&debug=3", "debug"), "2");
	assert_string_equal(value_of("debug&x=1", "debug"), "");
	assert_string_equal(value_of("&&debug=a=b&", "debug"), "a=b");
	assert_null(value_of("debug=1", "deb"));
	assert_null(value_of("debug=1", "debugs"));
	assert_null(value_of("", "debug"));
}

static void escapes_are_decoded(void **unused)
{
	(void)unused;
	assert_string_equal(value_of("s=%2B1", "s"), "+1");
	assert_string_equal(value_of("s=+1", "s"), " 1");
	assert_string_equal(value_of("%73econds=1", "seconds"), "1");
}

static void bad_pairs_are_not_there(void **unused)
{
	(void)unused;
	assert_null(value_of("s=%", "s"));
	assert_null(value_of("s=%4", "s"));
	assert_null(value_of("s=%zz", "s"));
	assert_null(value_of("s=1;2", "s"));
	assert_string_equal(value_of("s=%zz&s=4", "s"), "4");
	/* the percent sign of one pair never eats the separator */
	assert_string_equal(value_of("a=%4&s=5", "s"), "5");
}

static void long_values_and_nul_become_junk(void **unused)
{
	(void)unused;
	assert_string_equal(value_of("s=0000000000000001", "s"), "\1");
	assert_string_equal(value_of("s=000000000000001", "s"), "000000000000001");
	assert_string_equal(value_of("s=1%00", "s"), "\1");
}

static bool is_int(const char *text, int64_t wanted)
{
	int64_t value = ~wanted;
	return pa_query_int(text, &value) && value == wanted;
}

static void int_takes_what_go_takes(void **unused)
{
	int64_t value;
	(void)unused;
	assert_true(is_int("0", 0));
	assert_true(is_int("+1", 1));
	assert_true(is_int("01", 1));
	assert_true(is_int("-1", -1));
	assert_true(is_int("9223372036854775807", INT64_MAX));
	assert_true(is_int("-9223372036854775808", INT64_MIN));
	const char *const bad[] = { "", "+", "-", " 1", "1 ", "1.5", "1e18", "NaN", "0x1", "1_0",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999" };
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		assert_false(pa_query_int(bad[i], &value));
}

static void atoi_saturates_and_forgives(void **unused)
{
	(void)unused;
	assert_int_equal(pa_query_atoi("12"), 12);
	assert_int_equal(pa_query_atoi("x"), 0);
	assert_int_equal(pa_query_atoi(""), 0);
	assert_true(pa_query_atoi("99999999999999999999") == INT64_MAX);
	assert_true(pa_query_atoi("-99999999999999999999") == INT64_MIN);
	assert_int_equal(pa_query_atoi("99999999999999999999x"), 0);
}

static uint64_t uint_of(const char *word)
{
	return pa_query_uint(word, strlen(word));
}

static void uint_knows_all_bases(void **unused)
{
	(void)unused;
	assert_int_equal(uint_of("10"), 10);
	assert_int_equal(uint_of("0xA"), 10);
	assert_int_equal(uint_of("0Xa"), 10);
	assert_int_equal(uint_of("010"), 8);
	assert_int_equal(uint_of("0o17"), 15);
	assert_int_equal(uint_of("0b101"), 5);
	assert_int_equal(uint_of("0"), 0);
	assert_true(uint_of("0xffffffffffffffff") == UINT64_MAX);
	assert_true(uint_of("18446744073709551616") == UINT64_MAX);
}

static void uint_passes_over_junk(void **unused)
{
	(void)unused;
	const char *const bad[] = { "", "zz", "0x", "0b", "08", "-1", "+1", "1x", " 1", "0xg",
		"0b2" };
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		assert_int_equal(uint_of(bad[i]), 0);
}

static void underscores_stand_between_digits(void **unused)
{
	(void)unused;
	assert_int_equal(uint_of("1_0"), 10);
	assert_int_equal(uint_of("0x_f"), 15);
	assert_int_equal(uint_of("0_7"), 7);
	assert_int_equal(uint_of("_1"), 0);
	assert_int_equal(uint_of("1_"), 0);
	assert_int_equal(uint_of("1__0"), 0);
	assert_int_equal(uint_of("0x_"), 0);
}

/* Go's strconv.ParseFloat says the same of these. */
static void floats_are_read_as_go_does(void **unused)
{
	static const struct {
		const char *text;
		double value;
	} good[] = { { "0", 0 }, { "-0", 0 }, { "5", 5 }, { "+5", 5 }, { "-5", -5 }, { "0.5", 0.5 },
		{ ".5", 0.5 }, { "5.", 5 }, { "1e3", 1000 }, { "1E+3", 1000 }, { "25e-2", 0.25 },
		{ "007", 7 }, { "1e-999", 0 }, { "0e999", 0 }, { "0e99999999999999999999", 0 },
		{ "0.0000e5", 0 }, { "1e308", 1e308 }, { "inf", INFINITY }, { "+Inf", INFINITY },
		{ "-infinity", -INFINITY }, { "123456789.5", 123456789.5 } };
	static const char *const bad[] = { "", "+", "-", ".", "-.", "e5", ".e5", "5e", "5e+", "5ex",
		"5e5x", "5e5.5", "5x", "5 ", " 5", "--5", "+-5", "0x10", "5,5", "5.5.5", "in",
		"infi", "infinit", "nanx", "+nan", "-nan", "\1", "1e309", "-1e309", "1e999",
		"1e99999999999999999999" };
	double value;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(good); i++) {
		if (!pa_query_float(good[i].text, &value))
			fail_msg("'%s' is one", good[i].text);
		bool is_same = value == good[i].value ||
			fabs(value - good[i].value) <= 1e-15 * fabs(good[i].value);
		if (!is_same)
			fail_msg("'%s' is not %g", good[i].text, value);
	}
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		if (pa_query_float(bad[i], &value))
			fail_msg("'%s' is none", bad[i]);
	assert_true(pa_query_float("nan", &value) && isnan(value));
	assert_true(pa_query_float("NaN", &value) && isnan(value));
}

static void decimal_point_is_not_the_programs(void **unused)
{
	double value;
	(void)unused;
	/* Where there is such a locale; else this shows nothing. */
	setlocale(LC_NUMERIC, "de_DE.UTF-8");
	assert_true(pa_query_float("0.5", &value) && value == 0.5);
	assert_false(pa_query_float("0,5", &value));
	setlocale(LC_NUMERIC, "C");
}

static void assert_path(const char *raw, enum pa_query_path kind, const char *wanted)
{
	char path[64];
	assert_int_equal(pa_query_path(raw, path, sizeof(path)), kind);
	if (kind != PA_QUERY_PATH_BAD)
		assert_string_equal(path, wanted);
}

static void clean_paths_stay(void **unused)
{
	(void)unused;
	const char *const clean[] = { "/", "/a", "/a/", "/debug/pprof/", "/debug/pprof/cmdline/",
		"/a/.b", "/a/..b/c", "/example.com/my.custom" };
	for (size_t i = 0; i < PA_COUNT(clean); i++)
		assert_path(clean[i], PA_QUERY_PATH_CLEAN, clean[i]);
}

static void paths_are_cleaned_as_go_does(void **unused)
{
	(void)unused;
	assert_path("/debug/pprof//heap", PA_QUERY_PATH_OTHER, "/debug/pprof/heap");
	assert_path("//", PA_QUERY_PATH_OTHER, "/");
	assert_path("/a/./b", PA_QUERY_PATH_OTHER, "/a/b");
	assert_path("/a/.", PA_QUERY_PATH_OTHER, "/a");
	assert_path("/a/b/..", PA_QUERY_PATH_OTHER, "/a");
	assert_path("/a/b/../", PA_QUERY_PATH_OTHER, "/a/");
	assert_path("/../../a", PA_QUERY_PATH_OTHER, "/a");
	assert_path("/a/..", PA_QUERY_PATH_OTHER, "/");
	assert_path("/%2e%2e/a", PA_QUERY_PATH_OTHER, "/a");
}

static void only_harmless_escapes_are_decoded(void **unused)
{
	(void)unused;
	assert_path("/%68eap", PA_QUERY_PATH_CLEAN, "/heap");
	assert_path("/a%2fb", PA_QUERY_PATH_CLEAN, "/a%2fb");
	assert_path("/a%0d%0ab%00", PA_QUERY_PATH_CLEAN, "/a%0d%0ab%00");
	assert_path("/a%3Cb", PA_QUERY_PATH_CLEAN, "/a%3Cb");
}

static void bad_paths_are_refused(void **unused)
{
	char longest[70];
	(void)unused;
	assert_path("/%", PA_QUERY_PATH_BAD, NULL);
	assert_path("/%4", PA_QUERY_PATH_BAD, NULL);
	assert_path("/%gg", PA_QUERY_PATH_BAD, NULL);
	assert_path("a", PA_QUERY_PATH_BAD, NULL);
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[64] = '\0';
	assert_path(longest, PA_QUERY_PATH_BAD, NULL);
	longest[63] = '\0';
	assert_path(longest, PA_QUERY_PATH_CLEAN, longest);
}

static void leaves_out(const char *query, const char *expected)
{
	char out[128];

	pa_query_leave_out(query, "pid", out, strlen(query) + 1);
	assert_string_equal(out, expected);
}

static void pairs_of_a_key_are_left_out(void **unused)
{
	(void)unused;
	leaves_out("", "");
	leaves_out("pid=1", "");
	leaves_out("pid", "");
	leaves_out("debug=1", "debug=1");
	leaves_out("pid=1&debug=1", "debug=1");
	leaves_out("debug=1&pid=1", "debug=1");
	leaves_out("a=1&pid=1&b=2&pid=3&c", "a=1&b=2&c");
	leaves_out("%70%69d=1&a=%70id", "a=%70id");
	leaves_out("0x1+0x2&pid=5", "0x1+0x2");
	leaves_out("pidx=1&xpid=2&pi=3&PID=4", "pidx=1&xpid=2&pi=3&PID=4");
	leaves_out("&&pid=1&&", "");
	leaves_out("pid=1;a=2", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_of_a_key_are_left_out),
		cmocka_unit_test(first_value_wins),
		cmocka_unit_test(escapes_are_decoded),
		cmocka_unit_test(bad_pairs_are_not_there),
		cmocka_unit_test(long_values_and_nul_become_junk),
		cmocka_unit_test(int_takes_what_go_takes),
		cmocka_unit_test(atoi_saturates_and_forgives),
		cmocka_unit_test(floats_are_read_as_go_does),
		cmocka_unit_test(decimal_point_is_not_the_programs),
		cmocka_unit_test(uint_knows_all_bases),
		cmocka_unit_test(uint_passes_over_junk),
		cmocka_unit_test(underscores_stand_between_digits),
		cmocka_unit_test(clean_paths_stay),
		cmocka_unit_test(paths_are_cleaned_as_go_does),
		cmocka_unit_test(only_harmless_escapes_are_decoded),
		cmocka_unit_test(bad_paths_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
