/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text of unknown origin (paths, names from debug information) as valid UTF-8: consumers reject a
 * whole profile for one invalid byte.
 *
 * Context: any; pure functions, no allocation.
 */
#ifndef PA_UTF8_H
#define PA_UTF8_H

#include "base.h"

/*
 * Length of the character at text, of which left bytes may be read (SIZE_MAX when a NUL ends it); 0
 * when it is invalid: not UTF-8 (surrogates, overlong forms and code points above U+10FFFF are
 * not), or with printable an ASCII control byte.
 */
PA_SIGNAL size_t pa_utf8_char(const char *text, size_t left, bool printable);

/* The next bytes of a cleaned text, and the number of input bytes that they represent. */
struct pa_utf8_piece {
	const char *bytes;
	size_t count;  /* of bytes */
	size_t runes;  /* characters in them */
	size_t source; /* input bytes; 0: end of the text */
};

/*
 * The longest valid prefix of text, at most max bytes (no character is cut), or U+FFFD in place of
 * one invalid byte. A valid text is one piece. source is also 0 when the next character does not
 * fit into max.
 */
PA_SIGNAL struct pa_utf8_piece pa_utf8_piece(const char *text, size_t max, bool printable);

/* Total bytes of all pieces of text, at most max. */
PA_SIGNAL size_t pa_utf8_clean_bytes(const char *text, size_t max);

#endif
