/*
 * Text of unknown origin (paths, names out of debug information) as valid UTF-8: consumers refuse a
 * whole profile for one bad byte.
 *
 * Context: any; pure functions, no allocation.
 */
#ifndef PA_UTF8_H
#define PA_UTF8_H

#include "base.h"

/*
 * Bytes of the character at text, of which left bytes may be read (SIZE_MAX when a NUL ends it); 0
 * when there is no good one: not UTF-8 (surrogates, overlong forms and what is above U+10FFFF are
 * not), and with printable also ASCII control bytes.
 */
PA_SIGNAL size_t pa_utf8_char(const char *text, size_t left, bool printable);

/* The next bytes of a cleaned text, and how many bytes of the text they stand for. */
struct pa_utf8_piece {
	const char *bytes;
	size_t count;  /* of bytes */
	size_t runes;  /* characters in them */
	size_t source; /* bytes of the text; 0: the text is at its end */
};

/*
 * The longest good beginning of text, at most max bytes (no character is cut), or U+FFFD in place
 * of one bad byte. A text that is good is one piece. source is 0 also when the next character does
 * not fit into max.
 */
PA_SIGNAL struct pa_utf8_piece pa_utf8_piece(const char *text, size_t max, bool printable);

/* Bytes of all pieces of text, with at most max of them. */
PA_SIGNAL size_t pa_utf8_clean_bytes(const char *text, size_t max);

#endif
