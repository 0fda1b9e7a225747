/* SPDX-License-Identifier: Apache-2.0 */
#include "query.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Returns the value of a digit in bases up to 16, otherwise 16. Independent of the locale. */
static unsigned digit_value(char c)
{
	if (is_digit(c))
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 16;
}

/* Returns the byte encoded by "%XX" at text; -1: not a valid escape. */
static int percent_value(const char *text)
{
	unsigned high = digit_value(text[1]);
	if (high > 15)
		return -1;
	unsigned low = digit_value(text[2]);
	return low > 15 ? -1 : (int)(high << 4 | low);
}

/* ---- parameters ---- */

/* Decodes a part of a query up to end. decode_next returns false at the end or at a bad escape; *c
 * is the next byte. */
struct decoder {
	const char *at, *end;
	bool bad;
};

static bool decode_next(struct decoder *decoder, char *c)
{
	if (decoder->at == decoder->end)
		return false;
	*c = *decoder->at;
	if (*c == '%') {
		int value = decoder->end - decoder->at < 3 ? -1 : percent_value(decoder->at);
		if (value < 0) {
			decoder->bad = true;
			return false;
		}
		decoder->at += 2;
		*c = (char)value;
	} else if (*c == '+') {
		*c = ' ';
	}
	decoder->at++;
	return true;
}

static bool is_key(const char *from, const char *end, const char *key)
{
	struct decoder decoder = { .at = from, .end = end };
	size_t length = strlen(key), at = 0;
	char c;

	while (decode_next(&decoder, &c)) {
		if (at >= length || key[at++] != c)
			return false;
	}
	return !decoder.bad && at == length;
}

/* False: bad escape. */
static bool decode_value(const char *from, const char *end, char *value, size_t size)
{
	struct decoder decoder = { .at = from, .end = end };
	bool junk = false;
	size_t at = 0;
	char c;

	while (decode_next(&decoder, &c)) {
		junk |= c == '\0' || at + 1 >= size;
		if (!junk)
			value[at++] = c;
	}
	value[at] = '\0';
	if (junk)
		memcpy(value, "\1", 2);
	return !decoder.bad;
}

bool pa_query_get(const char *query, const char *key, char *value, size_t size)
{
	for (const char *at = query; *at; at++) {
		const char *end = at + strcspn(at, "&");
		const char *equals = memchr(at, '=', (size_t)(end - at));
		const char *key_end = equals ? equals : end;
		const char *from = equals ? equals + 1 : end;
		bool good = !memchr(at, ';', (size_t)(end - at)) && is_key(at, key_end, key);
		if (good && decode_value(from, end, value, size))
			return true;
		at = end;
		if (!*at)
			break;
	}
	value[0] = '\0';
	return false;
}

void pa_query_leave_out(const char *query, const char *key, char *out, size_t size)
{
	size_t length = 0;

	out[0] = '\0';
	for (const char *at = query; *at;) {
		size_t count = strcspn(at, "&");
		size_t key_count = strcspn(at, "=&");
		if (!is_key(at, at + key_count, key) && length + (length ? 1 : 0) + count < size) {
			out[length] = '&';
			length += length ? 1 : 0;
			memcpy(out + length, at, count);
			length += count;
			out[length] = '\0';
		}
		at += count + (at[count] == '&');
	}
}

/* ---- numbers ---- */

enum number { NUMBER_GOOD, NUMBER_RANGE, NUMBER_SYNTAX };

static enum number parse_int(const char *text, int64_t *value)
{
	bool negative = *text == '-';
	uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
	uint64_t sum = 0;
	bool over = false;

	if (*text == '-' || *text == '+')
		text++;
	if (!*text)
		return NUMBER_SYNTAX;
	for (; *text; text++) {
		if (!is_digit(*text))
			return NUMBER_SYNTAX;
		over |= sum > (limit - digit_value(*text)) / 10;
		if (!over)
			sum = sum * 10 + digit_value(*text);
	}
	if (over)
		sum = limit;
	*value = negative ? (int64_t)(0 - sum) : (int64_t)sum;
	return over ? NUMBER_RANGE : NUMBER_GOOD;
}

bool pa_query_int(const char *text, int64_t *value)
{
	return parse_int(text, value) == NUMBER_GOOD;
}

/* Adds a run of digits to *sum. Returns their number. */
static int add_digits(const char **text, double *sum)
{
	int count = 0;

	for (; is_digit(**text); (*text)++, count++)
		*sum = *sum * 10 + digit_value(**text);
	return count;
}

/* nan must not have a sign. */
static bool is_word(const char *text, bool is_signed, double *value)
{
	bool endless = strcasecmp(text, "inf") == 0 || strcasecmp(text, "infinity") == 0;

	*value = endless ? INFINITY : NAN;
	return endless || (!is_signed && strcasecmp(text, "nan") == 0);
}

/* sum * 10^exponent. Ends: sum reaches 0 or infinity after at most 10,000 steps. */
static double scale_by_ten(double sum, int64_t exponent)
{
	long double scaled = sum;

	for (; exponent > 0 && scaled != 0 && isfinite(scaled); exponent--)
		scaled *= 10;
	for (; exponent < 0 && scaled != 0 && isfinite(scaled); exponent++)
		scaled /= 10;
	return (double)scaled;
}

/* Not strtod(): its decimal point depends on the program's locale. */
bool pa_query_float(const char *text, double *value)
{
	bool negative = *text == '-', is_signed = negative || *text == '+';
	double sum = 0;
	int64_t exponent = 0;
	int fraction = 0;

	text += is_signed;
	if (is_word(text, is_signed, value)) {
		*value = negative ? -*value : *value;
		return true;
	}
	int digits = add_digits(&text, &sum);
	if (*text == '.') {
		text++;
		fraction = add_digits(&text, &sum);
	}
	if (!digits && !fraction)
		return false;
	if ((*text | 0x20) == 'e') {
		if (parse_int(text + 1, &exponent) == NUMBER_SYNTAX)
			return false;
		text = "";
	}
	if (exponent > INT_MIN) /* the difference cannot overflow */
		exponent -= fraction;
	sum = scale_by_ten(sum, exponent);
	*value = negative ? -sum : sum;
	return *text == '\0' && isfinite(sum);
}

int64_t pa_query_atoi(const char *text)
{
	int64_t value = 0;
	return parse_int(text, &value) == NUMBER_SYNTAX ? 0 : value;
}

/* Returns the base given by the prefix of word, and the prefix's length. As in Go, "0x" needs
 * digits behind it. */
static unsigned base_of(const char *word, size_t length, size_t *prefix)
{
	*prefix = 0;
	if (length == 0 || word[0] != '0')
		return 10;
	*prefix = 2;
	char letter = length >= 3 ? (char)(word[1] | 0x20) : '\0';
	if (letter == 'x')
		return 16;
	if (letter == 'o')
		return 8;
	if (letter == 'b')
		return 2;
	*prefix = 1;
	return 8;
}

/* Each underscore must be between two digits; the base prefix counts as a digit. */
static bool are_underscores_good(const char *digits, size_t length, bool prefixed)
{
	bool digit_before = prefixed;

	for (size_t i = 0; i < length; i++) {
		if (digits[i] == '_' && !digit_before)
			return false;
		digit_before = digits[i] != '_';
	}
	return length == 0 || digits[length - 1] != '_';
}

uint64_t pa_query_uint(const char *word, size_t length)
{
	size_t prefix;
	unsigned base = base_of(word, length, &prefix);
	uint64_t sum = 0;
	bool over = false;

	if (length == 0)
		return 0;
	for (size_t i = prefix; i < length; i++) {
		unsigned digit = digit_value(word[i]);
		if (word[i] == '_')
			continue;
		if (digit >= base)
			return 0;
		/* Go reports a range error at the first digit too many, whatever follows. */
		over = sum > (UINT64_MAX - digit) / base;
		if (over)
			return UINT64_MAX;
		sum = sum * base + digit;
	}
	return are_underscores_good(word + prefix, length - prefix, prefix != 0) ? sum : 0;
}

/* ---- paths ---- */

static bool is_unreserved(int c)
{
	return is_digit((char)c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
		c == '.' || c == '_' || c == '~';
}

/* False: bad escape, or the path does not fit. */
static bool decode_path(const char *raw, char *path, size_t size)
{
	size_t at = 0;

	while (*raw) {
		int value = *raw == '%' ? percent_value(raw) : 0;
		if (value < 0 || at + 1 >= size)
			return false;
		bool decode = *raw == '%' && is_unreserved(value);
		path[at++] = decode ? (char)value : *raw;
		raw += decode ? 3 : 1;
	}
	path[at] = '\0';
	return true;
}

/* Removes dot segments and empty segments, in place. path begins with a slash. */
static void clean_path(char *path)
{
	char *to = path; /* behind the last segment kept; each begins with its slash */
	const char *at = path;
	bool slash_at_end = false;

	while (*at) {
		at += strspn(at, "/");
		size_t length = strcspn(at, "/");
		bool is_dot = length == 1 && at[0] == '.';
		bool is_dots = length == 2 && at[0] == '.' && at[1] == '.';
		if (is_dots) {
			while (to > path && *--to != '/')
				;
		} else if (length && !is_dot) {
			*to++ = '/';
			memmove(to, at, length);
			to += length;
		}
		at += length;
		slash_at_end = length == 0;
	}
	if (slash_at_end || to == path)
		*to++ = '/';
	*to = '\0';
}

enum pa_query_path pa_query_path(const char *raw, char *path, size_t size)
{
	if (raw[0] != '/' || !decode_path(raw, path, size))
		return PA_QUERY_PATH_BAD;
	size_t length = strlen(path);
	clean_path(path);
	/* Cleaning only removes bytes: equal lengths mean equal paths. */
	return strlen(path) == length ? PA_QUERY_PATH_CLEAN : PA_QUERY_PATH_OTHER;
}
