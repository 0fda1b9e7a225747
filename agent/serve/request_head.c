/* SPDX-License-Identifier: Apache-2.0 */
#include "request_head.h"

#include <string.h>
#include <strings.h>

/* Digits that fit into an int64_t. */
#define LENGTH_DIGITS 18

size_t pa_request_head_length(const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)bytes[i];
		size_t left = count - i;
		if ((c < 0x20 && c != '\r' && c != '\n') || c == 0x7f)
			return count;
		if (left >= 2 && memcmp(bytes + i, "\n\n", 2) == 0)
			return i + 2;
		if (left >= 4 && memcmp(bytes + i, "\r\n\r\n", 4) == 0)
			return i + 4;
	}
	return 0;
}

/* RFC 9110, 5.6.2: the characters of a token. */
static bool is_token_character(char c)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		(c && strchr(others, c));
}

/*
 * Returns the length of the field name of a line; 0: the line is not a field (RFC 9112, 5.1, 5.2).
 */
static size_t field_name_length(const char *line, size_t length)
{
	size_t name = 0;

	while (name < length && is_token_character(line[name]))
		name++;
	bool is_field = name && name < length && line[name] == ':' && !memchr(line, '\r', length);
	return is_field ? name : 0;
}

static bool is_field(const char *name, const char *line, size_t length)
{
	return strlen(name) == length && strncasecmp(line, name, length) == 0;
}

/* RFC 9110, 8.6: digits only, and a number that fits. */
static bool is_length_good(const char *value, const char *end)
{
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (value < end && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	for (const char *at = value; at < end; at++) {
		if (*at < '0' || *at > '9')
			return false;
	}
	return value < end && end - value <= LENGTH_DIGITS;
}

/*
 * Checks the fields up to the empty line. RFC 9112, 6.3: at most one field gives the body's length.
 */
static bool are_fields_good(const char *at, const char *end)
{
	int lengths = 0;

	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		if (!line_end)
			return false;
		size_t length = (size_t)(line_end - at);
		if (length && at[length - 1] == '\r')
			length--;
		if (!length)
			return true;
		size_t name = field_name_length(at, length);
		bool is_length = is_field("Content-Length", at, name);
		lengths += is_length || is_field("Transfer-Encoding", at, name);
		if (!name || lengths > 1)
			return false;
		if (is_length && !is_length_good(at + name + 1, at + length))
			return false;
		at = line_end + 1;
	}
	return true;
}

enum pa_request_head_verdict pa_request_head_judge(const char *bytes, size_t count)
{
	size_t length = pa_request_head_length(bytes, count), at = 0;

	if (!length)
		return count < PA_REQUEST_HEAD_BYTES ? PA_REQUEST_HEAD_MORE :
						       PA_REQUEST_HEAD_TOO_LONG;
	while (at < length && (bytes[at] == '\r' || bytes[at] == '\n' || bytes[at] == ' '))
		at++;
	const char *space = memchr(bytes + at, ' ', length - at);
	const char *line_end = memchr(bytes + at, '\n', length - at);
	if (!space || !line_end || space > line_end)
		return PA_REQUEST_HEAD_PASS;
	if (space[1] != '/')
		return PA_REQUEST_HEAD_FOREIGN;
	return are_fields_good(line_end + 1, bytes + length) ? PA_REQUEST_HEAD_PASS :
							       PA_REQUEST_HEAD_BAD;
}
