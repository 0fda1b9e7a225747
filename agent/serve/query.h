/*
 * What clients write into URLs, read as Go reads it: paths, query parameters, numbers.
 *
 * Context: PA_AGENT; pure functions.
 */
#ifndef PA_QUERY_H
#define PA_QUERY_H

#include "../base/base.h"

/*
 * Go's FormValue on a raw query: the first value of key, decoded. Pairs with a ';' or a bad
 * percent sign are not there. False, value empty, when the key is missing. A value that does not
 * fit, or has a NUL in it, comes out as one control character, so that it is no number and no
 * token.
 */
PA_AGENT bool pa_query_get(const char *query, const char *key, char *value, size_t size);

/* strconv.ParseInt(text, 10, 64). False when it is no number, or one out of range. */
PA_AGENT bool pa_query_int(const char *text, int64_t *value);

/* strconv.ParseFloat(text, 64) of decimal numbers, inf and nan. False when it is none, or one
 * out of range. */
PA_AGENT bool pa_query_float(const char *text, double *value);

/* strconv.Atoi with its error ignored: 0 for what is no number, the nearest for what is too big. */
PA_AGENT int64_t pa_query_atoi(const char *text);

/*
 * strconv.ParseUint(word, 0, 64) with its error ignored: decimal, 0x, 0o, 0b, 0; underscores
 * between digits when there is such a prefix or not. 0 for what is no number, UINT64_MAX for what
 * is too big.
 */
PA_AGENT uint64_t pa_query_uint(const char *word, size_t length);

enum pa_query_path {
	PA_QUERY_PATH_CLEAN, /* the path itself */
	PA_QUERY_PATH_OTHER, /* another one is meant: it had //, /./ or /../ in it */
	PA_QUERY_PATH_BAD    /* a percent sign without two hexadecimal digits, or too long */
};

/*
 * Go's path cleaning: repeated slashes and dot segments go, a slash at the end stays. Only those
 * percent signs are decoded that stand for letters, digits and "-._~": an encoded slash never
 * separates, and nothing that could end a header line gets through.
 */
PA_AGENT enum pa_query_path pa_query_path(const char *raw, char *path, size_t size);

#endif
