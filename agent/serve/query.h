/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses URLs as Go does: paths, query parameters, numbers.
 *
 * Context: PA_AGENT; pure functions. Results go to the caller's memory.
 */
#ifndef PA_QUERY_H
#define PA_QUERY_H

#include "../base/base.h"

/*
 * Go's Request.FormValue on a raw query: the first value of key, decoded. Pairs with a ';' or a bad
 * percent escape are ignored. False: the key is missing, value is empty. A value that does not fit
 * or contains a NUL becomes one control character, so that it is neither a number nor a token.
 */
PA_AGENT bool pa_query_get(const char *query, const char *key, char *value, size_t size);

/* Copies the query without the pairs of that key, however that is escaped. out needs
 * strlen(query) + 1 bytes. */
PA_AGENT void pa_query_leave_out(const char *query, const char *key, char *out, size_t size);

/* strconv.ParseInt(text, 10, 64). False: not a number, or out of range. */
PA_AGENT bool pa_query_int(const char *text, int64_t *value);

/* strconv.ParseFloat(text, 64) of decimal numbers, inf and nan. False: not a number, or out of
 * range. */
PA_AGENT bool pa_query_float(const char *text, double *value);

/* strconv.Atoi without its error: 0 if text is not a number, the limit if it is out of range. */
PA_AGENT int64_t pa_query_atoi(const char *text);

/* strconv.ParseUint(word, 0, 64) without its error: decimal, 0x, 0o, 0b, 0 prefixes, underscores
 * between digits. 0 if word is not a number, UINT64_MAX if it is out of range. */
PA_AGENT uint64_t pa_query_uint(const char *word, size_t length);

enum pa_query_path {
	PA_QUERY_PATH_CLEAN, /* path is clean */
	PA_QUERY_PATH_OTHER, /* path was changed: it had //, /./ or /../ */
	PA_QUERY_PATH_BAD    /* bad percent escape, or too long */
};

/*
 * Go's path cleaning: removes repeated slashes and dot segments, keeps a slash at the end. Decodes
 * only percent escapes of letters, digits and "-._~": an encoded slash never becomes a separator,
 * and no byte that could end a header line is decoded.
 */
PA_AGENT enum pa_query_path pa_query_path(const char *raw, char *path, size_t size);

#endif
