/* SPDX-License-Identifier: Apache-2.0 */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../base/utf8.h"

#define FIRST_BYTES 4096

/* Makes room for count more bytes and a NUL. */
static bool make_buffer_room(struct pa_buffer *buffer, size_t count)
{
	if (buffer->failed || count >= PA_BUFFER_MAX - buffer->length) {
		buffer->failed = true;
		return false;
	}
	size_t need = buffer->length + count + 1;
	if (need <= buffer->size)
		return true;
	size_t size = buffer->size ? buffer->size : FIRST_BYTES;
	while (size < need)
		size *= 2;
	char *grown = realloc(buffer->bytes, size);
	if (!grown) {
		buffer->failed = true;
		return false;
	}
	buffer->bytes = grown;
	buffer->size = size;
	return true;
}

void pa_buffer_add(struct pa_buffer *buffer, const void *bytes, size_t count)
{
	if (!make_buffer_room(buffer, count))
		return;
	if (count)
		memcpy(buffer->bytes + buffer->length, bytes, count);
	buffer->length += count;
	buffer->bytes[buffer->length] = '\0';
}

void pa_buffer_text(struct pa_buffer *buffer, const char *text)
{
	pa_buffer_add(buffer, text, strlen(text));
}

void pa_buffer_format(struct pa_buffer *buffer, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int count = vsnprintf(NULL, 0, format, args);
	if (count >= 0 && make_buffer_room(buffer, (size_t)count)) {
		vsnprintf(buffer->bytes + buffer->length, (size_t)count + 1, format, again);
		buffer->length += (size_t)count;
	}
	va_end(again);
	va_end(args);
}

/* The control characters U+0080 to U+009F. */
static bool is_high_control(const char *text)
{
	return (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] < 0xa0;
}

void pa_buffer_line(struct pa_buffer *buffer, const char *text)
{
	while (*text) {
		size_t count = pa_utf8_char(text, SIZE_MAX, true);
		if (count && !is_high_control(text))
			pa_buffer_add(buffer, text, count);
		else
			pa_buffer_format(buffer, "\\x%02x", (unsigned char)*text);
		text += count && !is_high_control(text) ? count : 1;
	}
}

void pa_buffer_html(struct pa_buffer *buffer, const char *text)
{
	static const char special[] = "<>&'\"";
	static const char *const escaped[] = { "&lt;", "&gt;", "&amp;", "&#39;", "&#34;" };

	while (*text) {
		size_t plain = strcspn(text, special);
		pa_buffer_add(buffer, text, plain);
		text += plain;
		if (*text)
			pa_buffer_text(buffer, escaped[strchr(special, *text++) - special]);
	}
}

static void add_json_piece(struct pa_buffer *buffer, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (c == '"' || c == '\\')
			pa_buffer_format(buffer, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			pa_buffer_format(buffer, "\\u%04x", c);
		else
			pa_buffer_add(buffer, &bytes[i], 1);
	}
}

void pa_buffer_json(struct pa_buffer *buffer, const char *text)
{
	struct pa_utf8_piece piece;

	pa_buffer_text(buffer, "\"");
	for (; (piece = pa_utf8_piece(text, SIZE_MAX, false)).source; text += piece.source)
		add_json_piece(buffer, piece.bytes, piece.count);
	pa_buffer_text(buffer, "\"");
}

void pa_buffer_time(struct pa_buffer *buffer, int64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / PA_NS_PER_S);
	struct tm tm = { 0 };

	gmtime_r(&seconds, &tm);
	pa_buffer_format(buffer, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void pa_buffer_free(struct pa_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct pa_buffer){ 0 };
}
