/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_head.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../base/clock.h"

#define END "\r\n"

/* Date as in RFC 9110, 5.6.7. strftime() is not used: its names of days depend on the locale. */
static void format_date(char *out, size_t size)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t now = (time_t)(pa_clock_wall_ns() / PA_NS_PER_S);
	struct tm tm = { 0 };

	gmtime_r(&now, &tm);
	snprintf(out, size, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
		tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		tm.tm_sec);
}

struct text {
	char *bytes;
	size_t size, length;
};

/* Adds the line "name: value"; nothing if value is NULL or the line does not fit. */
static void add_line(struct text *text, const char *name, const char *value)
{
	size_t room = text->size - text->length;
	int count =
		value ? snprintf(text->bytes + text->length, room, "%s: %s\r\n", name, value) : 0;
	if (count > 0 && (size_t)count < room)
		text->length += (size_t)count;
}

static void add_length(struct text *text, int64_t length)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", (long long)length);
	add_line(text, "Content-Length", digits);
}

size_t pa_answer_head_write(const struct pa_http_head *head, const struct pa_answer_head *answer,
	char *out, size_t size)
{
	char date[64];
	struct text text = { .bytes = out, .size = size - strlen(END) };
	bool later = head->status == 503 || head->status == 429;

	format_date(date, sizeof(date));
	text.length = (size_t)snprintf(text.bytes, text.size, "HTTP/1.%d %d %s\r\n",
		answer->one_one, head->status, answer->reason);
	add_line(&text, "Allow", head->allow);
	add_line(&text, "Cache-Control", "no-store");
	add_line(&text, "Connection", "close");
	add_line(&text, "Content-Disposition", head->disposition);
	add_line(&text, "Content-Encoding", head->encoding);
	add_line(&text, "Content-Security-Policy", head->policy);
	add_line(&text, "Content-Type", head->type);
	add_line(&text, "Cross-Origin-Resource-Policy", "same-origin");
	add_line(&text, "Date", date);
	add_line(&text, "Location", head->location);
	add_line(&text, "WWW-Authenticate", head->status == 401 ? "Bearer" : NULL);
	add_line(&text, "Referrer-Policy", head->policy ? "no-referrer" : NULL);
	add_line(&text, "Retry-After", later ? "1" : NULL);
	add_line(&text, "X-Content-Type-Options", "nosniff");
	add_line(&text, "X-Go-Pprof", head->pprof_error ? "1" : NULL);
	add_line(&text, "Transfer-Encoding", answer->chunked ? "chunked" : NULL);
	if (head->length >= 0)
		add_length(&text, head->length);
	memcpy(out + text.length, END, strlen(END));
	return text.length + strlen(END);
}
