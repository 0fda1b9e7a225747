/* SPDX-License-Identifier: Apache-2.0 */
#include "text_writer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../agent/base/utf8.h"

/* For numbers only: long texts do not use it. */
#define FORMAT_BYTES 256

PA_AGENT bool pa_text_writer_fail(struct pa_text_writer *writer, int error)
{
	if (!writer->error)
		writer->error = error;
	return false;
}

PA_AGENT void pa_text_writer_flush(struct pa_text_writer *writer)
{
	const struct pa_sink *sink = writer->sink;
	size_t used = writer->used;

	writer->used = 0;
	if (used && !writer->error && !sink->write(sink->arg, writer->buffer, used))
		writer->error = -ECANCELED;
}

PA_AGENT void pa_text_writer_put(struct pa_text_writer *writer, const char *bytes, size_t count)
{
	writer->total += count;
	if (writer->muted)
		return;
	while (count && !writer->error) {
		size_t room = sizeof(writer->buffer) - writer->used;
		size_t part = count < room ? count : room;

		memcpy(writer->buffer + writer->used, bytes, part);
		writer->used += part;
		bytes += part;
		count -= part;
		if (writer->used == sizeof(writer->buffer))
			pa_text_writer_flush(writer);
	}
}

PA_AGENT void pa_text_writer_format(struct pa_text_writer *writer, const char *format, ...)
{
	char line[FORMAT_BYTES];
	va_list args;
	int count;

	va_start(args, format);
	count = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (count > 0)
		pa_text_writer_put(writer, line,
			(size_t)count < sizeof(line) ? (size_t)count : sizeof(line) - 1);
}

PA_AGENT void pa_text_writer_clean(struct pa_text_writer *writer, const char *text)
{
	struct pa_utf8_piece piece;

	while ((piece = pa_utf8_piece(text, SIZE_MAX, true)).source) {
		pa_text_writer_put(writer, piece.bytes, piece.count);
		text += piece.source;
	}
}

PA_AGENT size_t pa_text_writer_clean_width(const char *text)
{
	struct pa_utf8_piece piece;
	size_t width = 0;

	while ((piece = pa_utf8_piece(text, SIZE_MAX, true)).source) {
		width += piece.runes;
		text += piece.source;
	}
	return width;
}

/* Writes an escape for a control character or invalid UTF-8. */
static void put_escape(struct pa_text_writer *writer, unsigned char byte)
{
	static const char from[] = "\a\b\f\n\r\t\v", to[] = "abfnrtv";
	const char *at = strchr(from, byte);

	if (at)
		pa_text_writer_format(writer, "\\%c", to[at - from]);
	else
		pa_text_writer_format(writer, "\\x%02x", byte);
}

PA_AGENT void pa_text_writer_quoted(struct pa_text_writer *writer, const char *text)
{
	pa_text_writer_put(writer, "\"", 1);
	while (*text) {
		size_t count = pa_utf8_char(text, SIZE_MAX, true);

		if (!count) {
			put_escape(writer, (unsigned char)*text++);
			continue;
		}
		if (*text == '"' || *text == '\\')
			pa_text_writer_put(writer, "\\", 1);
		pa_text_writer_put(writer, text, count);
		text += count;
	}
	pa_text_writer_put(writer, "\"", 1);
}
