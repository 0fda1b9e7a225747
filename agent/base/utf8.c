/* SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

#define REPLACEMENT "\xEF\xBF\xBD"
#define REPLACEMENT_BYTES 3

static bool is_byte_in(unsigned char byte, unsigned char low, unsigned char high)
{
	return byte >= low && byte <= high;
}

/*
 * Table 3-7 of the Unicode standard: only the range of the second byte depends on the first. A NUL
 * is no valid second byte, so nothing behind the end of a string is read.
 */
PA_SIGNAL size_t pa_utf8_char(const char *text, size_t left, bool printable)
{
	const unsigned char *p = (const unsigned char *)text;
	unsigned char first = p[0], low = 0x80, high = 0xBF;
	size_t count, i;

	if (first < 0x80)
		return printable && (first < 0x20 || first == 0x7F) ? 0 : 1;
	if (!is_byte_in(first, 0xC2, 0xF4))
		return 0;
	count = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	if (first == 0xE0)
		low = 0xA0;
	else if (first == 0xED)
		high = 0x9F;
	else if (first == 0xF0)
		low = 0x90;
	else if (first == 0xF4)
		high = 0x8F;
	if (count > left || !is_byte_in(p[1], low, high))
		return 0;
	for (i = 2; i < count; i++)
		if (!is_byte_in(p[i], 0x80, 0xBF))
			return 0;
	return count;
}

PA_SIGNAL struct pa_utf8_piece pa_utf8_piece(const char *text, size_t max, bool printable)
{
	struct pa_utf8_piece piece = { .bytes = text };

	while (text[piece.source]) {
		size_t count = pa_utf8_char(text + piece.source, SIZE_MAX, printable);

		if (!count || piece.source + count > max)
			break;
		piece.source += count;
		piece.runes++;
	}
	piece.count = piece.source;
	if (piece.source || !*text || max < REPLACEMENT_BYTES ||
		pa_utf8_char(text, SIZE_MAX, printable))
		return piece;
	return (struct pa_utf8_piece){
		.bytes = REPLACEMENT, .count = REPLACEMENT_BYTES, .runes = 1, .source = 1
	};
}

PA_SIGNAL size_t pa_utf8_clean_bytes(const char *text, size_t max)
{
	size_t total = 0;
	struct pa_utf8_piece piece;

	while ((piece = pa_utf8_piece(text, max - total, false)).source) {
		total += piece.count;
		text += piece.source;
	}
	return total;
}
