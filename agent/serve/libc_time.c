/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dates without time zones: see libc_shims.h. On their first call libc's gmtime_r() and strftime()
 * read TZ and /etc/localtime (tzset(3)). That would set the program's tzname, make its
 * localtime_r() ignore a TZ that the program sets later, and read the environment while another
 * thread may be changing it.
 */
#include "libc_shims.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

#define DAY_S 86400
#define DAYS_400_YEARS 146097
#define MARCH_1_0000 719468 /* days before 1970-01-01 */
#define DAYS_TO_MARCH 59    /* without the leap day */
#define DAYS_FROM_MARCH 306

static int64_t floor_divide(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Sets the fields for a day since 1970, in years that begin in March, so that the leap day is the
 * last day. Returns the year, which may not fit into tm. */
static int64_t set_date(struct tm *tm, int64_t day)
{
	int64_t cycle = floor_divide(day + MARCH_1_0000, DAYS_400_YEARS);
	int in_cycle = (int)(day + MARCH_1_0000 - cycle * DAYS_400_YEARS);
	int years = (in_cycle - in_cycle / 1460 + in_cycle / 36524 - in_cycle / 146096) / 365;
	int in_year = in_cycle - (365 * years + years / 4 - years / 100);
	int month = (5 * in_year + 2) / 153; /* 0: March */
	bool next_year = month >= 10;
	int64_t year = cycle * 400 + years + next_year;

	tm->tm_mday = in_year - (153 * month + 2) / 5 + 1;
	tm->tm_mon = next_year ? month - 10 : month + 2;
	tm->tm_yday =
		next_year ? in_year - DAYS_FROM_MARCH : in_year + DAYS_TO_MARCH + is_leap(year);
	tm->tm_wday = (int)(day + 4 - 7 * floor_divide(day + 4, 7));
	return year;
}

struct tm *gmtime_r(const time_t *restrict time, struct tm *restrict tm)
{
	int64_t day = floor_divide(*time, DAY_S);
	int second = (int)(*time - day * DAY_S);

	*tm = (struct tm){
		.tm_hour = second / 3600,
		.tm_min = second / 60 % 60,
		.tm_sec = second % 60,
		.tm_zone = "GMT",
	};
	int64_t year = set_date(tm, day) - 1900;
	if (year < INT_MIN || year > INT_MAX) {
		errno = EOVERFLOW;
		return NULL;
	}
	tm->tm_year = (int)year;
	return tm;
}

struct tm *gmtime(const time_t *time)
{
	static __thread struct tm tm;
	return gmtime_r(time, &tm);
}

/* UTC: reading the time zone is left to the program. */
struct tm *localtime(const time_t *time)
{
	return gmtime(time);
}

/* Always returns 0: used only by civetweb's logs, which are off. */
size_t strftime(char *restrict text, size_t bytes, const char *restrict format,
	const struct tm *restrict tm)
{
	(void)format;
	(void)tm;
	if (bytes)
		text[0] = 0;
	return 0;
}
