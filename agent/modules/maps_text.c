/* SPDX-License-Identifier: Apache-2.0 */
#include "maps_text.h"

#include <string.h>
#include <sys/sysmacros.h>

/* Position in the text; a missing field sets failed. */
struct cursor {
	const char *at, *end;
	bool failed;
};

static int digit_in_base(char c, unsigned base)
{
	int value = -1;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	return value < (int)base ? value : -1;
}

/* A number and the separator behind it. */
static uint64_t take_map_number(struct cursor *cursor, unsigned base, char separator)
{
	const char *begin = cursor->at;
	uint64_t number = 0;

	while (cursor->at < cursor->end) {
		int digit = digit_in_base(*cursor->at, base);

		if (digit < 0)
			break;
		if (number > (UINT64_MAX - (unsigned)digit) / base)
			cursor->failed = true;
		number = number * base + (unsigned)digit;
		cursor->at++;
	}
	if (cursor->at == begin)
		cursor->failed = true;
	if (cursor->at < cursor->end && *cursor->at == separator)
		cursor->at++;
	else if (cursor->at < cursor->end)
		cursor->failed = true;
	return number;
}

static void take_permissions(struct cursor *cursor, struct pa_maps_line *line)
{
	if (cursor->end - cursor->at < 5 || cursor->at[4] != ' ') {
		cursor->failed = true;
		return;
	}
	line->readable = cursor->at[0] == 'r';
	line->executable = cursor->at[2] == 'x';
	cursor->at += 5;
}

PA_AGENT const char *pa_maps_text_line(const char *text, const char *end, struct pa_maps_line *line)
{
	if (text >= end)
		return NULL;
	const char *newline = memchr(text, '\n', (size_t)(end - text));
	struct cursor cursor = { text, newline ? newline : end, false };

	memset(line, 0, sizeof(*line));
	line->start = take_map_number(&cursor, 16, '-');
	line->limit = take_map_number(&cursor, 16, ' ');
	take_permissions(&cursor, line);
	line->offset = take_map_number(&cursor, 16, ' ');
	unsigned major_number = (unsigned)take_map_number(&cursor, 16, ':');
	unsigned minor_number = (unsigned)take_map_number(&cursor, 16, ' ');
	line->device = makedev(major_number, minor_number);
	line->inode = take_map_number(&cursor, 10, ' ');
	while (cursor.at < cursor.end && *cursor.at == ' ')
		cursor.at++;
	line->path = cursor.at;
	line->path_bytes = (size_t)(cursor.end - cursor.at);
	if (cursor.failed || line->start >= line->limit)
		memset(line, 0, sizeof(*line));
	return newline ? newline + 1 : end;
}

static bool ends_with(const struct pa_maps_line *line, const char *suffix, size_t bytes)
{
	return line->path_bytes >= bytes &&
		memcmp(line->path + line->path_bytes - bytes, suffix, bytes) == 0;
}

PA_AGENT size_t pa_maps_text_path(const struct pa_maps_line *line, char *out, size_t size,
	bool *deleted)
{
	static const char mark[] = " (deleted)";
	static const char newline[] = "\\012"; /* the only escape in this file (proc(5)) */
	const size_t mark_bytes = sizeof(mark) - 1, newline_bytes = sizeof(newline) - 1;
	size_t left = line->path_bytes, length = 0;
	const char *from = line->path;

	*deleted = ends_with(line, mark, mark_bytes);
	if (*deleted)
		left -= mark_bytes;
	while (left && length + 1 < size) {
		bool escaped = left >= newline_bytes && memcmp(from, newline, newline_bytes) == 0;
		size_t used = escaped ? newline_bytes : 1;

		out[length++] = escaped ? '\n' : *from;
		from += used;
		left -= used;
	}
	if (size)
		out[length] = '\0';
	return length;
}

PA_AGENT bool pa_maps_text_path_starts(const struct pa_maps_line *line, const char *prefix)
{
	size_t bytes = strlen(prefix);

	return line->path_bytes >= bytes && memcmp(line->path, prefix, bytes) == 0;
}
