/* SPDX-License-Identifier: Apache-2.0 */
/* The file under test defines names of libc: here they have other ones. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define gmtime_r shim_gmtime_r
#define gmtime shim_gmtime
#define localtime shim_localtime
#define strftime shim_strftime

struct tm *gmtime_r(const time_t *restrict time, struct tm *restrict tm);
struct tm *gmtime(const time_t *time);
struct tm *localtime(const time_t *time);
size_t strftime(char *restrict text, size_t bytes, const char *restrict format,
	const struct tm *restrict tm);

#include "agent/serve/libc_time.c"

#undef gmtime_r
#undef gmtime

static void assert_same(time_t time)
{
	struct tm ours, libcs;

	assert_non_null(shim_gmtime_r(&time, &ours));
	assert_non_null(gmtime_r(&time, &libcs));
	assert_int_equal(ours.tm_year, libcs.tm_year);
	assert_int_equal(ours.tm_mon, libcs.tm_mon);
	assert_int_equal(ours.tm_mday, libcs.tm_mday);
	assert_int_equal(ours.tm_hour, libcs.tm_hour);
	assert_int_equal(ours.tm_min, libcs.tm_min);
	assert_int_equal(ours.tm_sec, libcs.tm_sec);
	assert_int_equal(ours.tm_wday, libcs.tm_wday);
	assert_int_equal(ours.tm_yday, libcs.tm_yday);
	assert_int_equal(ours.tm_isdst, 0);
	assert_string_equal(ours.tm_zone, libcs.tm_zone);
}

/* First: nothing here has called tzset() yet. */
static void no_time_zone_is_read(void **unused)
{
	time_t now = 1700000000;
	struct tm tm;
	char text[64] = "x";

	(void)unused;
	setenv("TZ", "XYZ-5", 1);
	char *before = strdup(tzname[0]);
	assert_non_null(shim_gmtime_r(&now, &tm));
	assert_non_null(localtime(&now));
	assert_int_equal(strftime(text, sizeof(text), "%Z", &tm), 0);
	assert_string_equal(text, "");
	assert_string_equal(tzname[0], before);
	setenv("TZ", "UVW-6", 1);
	assert_int_equal(localtime_r(&now, &tm)->tm_gmtoff, 6 * 3600);
	assert_string_equal(tzname[0], "UVW");
	free(before);
}

static void dates_are_those_of_libc(void **unused)
{
	(void)unused;
	for (int64_t day = -900000; day < 900000; day++)
		assert_same(day * DAY_S + day % DAY_S);
	assert_same(-1);
	assert_same(0);
	assert_same(INT_MAX);
	assert_same((time_t)INT_MIN);
	assert_same((time_t)1 << 40);
	assert_same(-((time_t)1 << 40));
}

static void year_that_does_not_fit_is_an_error(void **unused)
{
	time_t late = (time_t)1 << 60, early = -late;
	struct tm tm;

	(void)unused;
	errno = 0;
	assert_null(shim_gmtime_r(&late, &tm));
	assert_int_equal(errno, EOVERFLOW);
	assert_null(shim_gmtime_r(&early, &tm));
}

static void static_time_of_the_program_is_left_alone(void **unused)
{
	time_t zero = 0, later = 86400 * 365;

	(void)unused;
	struct tm *programs = gmtime(&zero);
	assert_int_equal(programs->tm_year, 70);
	assert_int_equal(shim_gmtime(&later)->tm_year, 71);
	assert_int_equal(localtime(&later)->tm_year, 71);
	assert_int_equal(programs->tm_year, 70);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_time_zone_is_read),
		cmocka_unit_test(dates_are_those_of_libc),
		cmocka_unit_test(year_that_does_not_fit_is_an_error),
		cmocka_unit_test(static_time_of_the_program_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
