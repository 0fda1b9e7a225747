/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds agent/serve/query.c: a raw query, a key, a number, a path. May not happen: a value with a
 * NUL or without an end; a cleaned path that is not clean, that still has an escaped letter, or a
 * control character that the raw one did not have; numbers that do not come out as written.
 */
#include "fuzz.h"

#include <ctype.h>
#include <errno.h>

#include "agent/serve/query.h"

#define PATH_BYTES 600

static void check_get(const char *query, const char *key)
{
	for (size_t size = 2; size <= 64; size *= 2) {
		char *value = malloc(size);
		bool found = pa_query_get(query, key, value, size);

		must(strnlen(value, size) < size);
		must(found || !*value);
		free(value);
	}
}

static void check_numbers(const char *text)
{
	int64_t value = 0, again;
	char shown[32];
	bool good = pa_query_int(text, &value);

	must(!good || value == strtoll(text, NULL, 10));
	must(!good || pa_query_atoi(text) == value);
	snprintf(shown, sizeof(shown), "%lld", (long long)pa_query_atoi(text));
	must(pa_query_int(shown, &again) && again == pa_query_atoi(text));
	uint64_t number = pa_query_uint(text, strlen(text));
	snprintf(shown, sizeof(shown), "%#llx", (unsigned long long)number);
	must(number == 0 || pa_query_uint(shown, strlen(shown)) == number);
}

static void check_clean(const char *path)
{
	must(path[0] == '/' && !strstr(path, "//"));
	must(!strstr(path, "/./") && !strstr(path, "/../"));
	for (const char *at = path; (at = strchr(at, '%')); at++) {
		char digits[3] = { at[1], at[1] ? at[2] : '\0', '\0' };

		must(isxdigit((unsigned char)digits[0]) && isxdigit((unsigned char)digits[1]));
		int byte = (int)strtoul(digits, NULL, 16);
		must(byte >= 0x80 || !(isalnum(byte) || strchr("-._~", byte ? byte : '%')));
	}
}

static void check_path(const char *raw)
{
	char path[PATH_BYTES], again[PATH_BYTES];
	enum pa_query_path kind = pa_query_path(raw, path, sizeof(path));

	if (kind == PA_QUERY_PATH_BAD)
		return;
	check_clean(path);
	must(strlen(path) <= strlen(raw));
	must(pa_query_path(path, again, sizeof(again)) == PA_QUERY_PATH_CLEAN);
	must(strcmp(path, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
	struct input input = { bytes, count };
	char *key = input_text(&input), *text = input_text(&input);
	char *rest = input_copy(input.at, strnlen((const char *)input.at, input.left));

	check_get(rest, key);
	check_numbers(text);
	check_path(rest);
	free(rest);
	free(text);
	free(key);
	return 0;
}
