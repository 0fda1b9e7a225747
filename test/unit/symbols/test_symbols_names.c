/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/symbols/symbols_names.h"

static struct pa_function *function(const char *name, const char *file, uint32_t line,
	uintptr_t entry)
{
	struct pa_symbols_function wanted = { .system_name = name,
		.system_name_bytes = strlen(name),
		.file = file,
		.start_line = line,
		.entry = entry };

	return pa_symbols_names_function(&wanted);
}

static void equal_functions_are_one(void **unused)
{
	struct pa_function *first = function("f", "a.c", 3, 16);

	(void)unused;
	assert_non_null(first);
	assert_ptr_equal(function("f", "a.c", 3, 16), first);
	assert_ptr_not_equal(function("g", "a.c", 3, 16), first);
	assert_ptr_not_equal(function("f", "b.c", 3, 16), first);
	assert_ptr_not_equal(function("f", "a.c", 4, 16), first);
	assert_ptr_not_equal(function("f", "a.c", 3, 17), first);
	assert_ptr_equal(function("g", "a.c", 0, 0)->file, first->file);
	assert_int_equal(first->mark, 0);
}

static void a_name_ends_where_its_bytes_end(void **unused)
{
	struct pa_symbols_function wanted = { .system_name = "memcpy@@GLIBC_2.14",
		.system_name_bytes = 6 };

	(void)unused;
	assert_string_equal(pa_symbols_names_function(&wanted)->name, "memcpy");
	assert_string_equal(pa_symbols_names_function(&wanted)->file, "");
	wanted.system_name_bytes = 0;
	assert_null(pa_symbols_names_function(&wanted));
}

static void mangled_names_have_both_forms(void **unused)
{
	struct pa_function *mangled = function("_ZN1a1bEv", "", 0, 0);
	struct pa_function *plain = function("c", "", 0, 0);

	(void)unused;
	assert_string_equal(mangled->name, "a::b()");
	assert_string_equal(mangled->system_name, "_ZN1a1bEv");
	assert_ptr_equal(plain->name, plain->system_name);
}

static void names_are_valid_utf8(void **unused)
{
	static const struct {
		const char *raw, *clean;
	} names[] = { { "main\xc2\xb7main", "main\xc2\xb7main" },
		{ "\xe2\x82\xac", "\xe2\x82\xac" }, { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "a\xff"
		  "b",
			"a?b" },
		{ "\xc0\xaf", "??" }, { "\xed\xa0\x80", "???" }, { "\xf4\x90\x80\x80", "????" },
		{ "\xe2\x82", "??" }, { "a\nb\x7f\x01", "a?b??" }, { "\x80", "?" },
		{ "\xf0\x80\x80\x80", "????" }, { "\xe0\x80\x80", "???" } };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++)
		assert_string_equal(function(names[i].raw, names[i].raw, 0, 0)->name,
			names[i].clean);
	assert_string_equal(function("x", "a\xff", 0, 0)->file, "a?");
}

static void long_names_are_cut_between_characters(void **unused)
{
	char out[6];

	(void)unused;
	assert_int_equal(pa_symbols_names_clean(out, sizeof(out), "abcd\xc2\xb7", 6), 4);
	assert_string_equal(out, "abcd");
	assert_int_equal(pa_symbols_names_clean(out, sizeof(out), "abc\xc2\xb7", 5), 5);
}

/* Runs last: what is stored is never freed. */
static void a_full_store_gives_nothing_and_keeps_what_it_has(void **unused)
{
	static char name[4000];
	struct pa_function *first = function("first", "", 0, 0), *made = first;
	int count = 0;

	(void)unused;
	memset(name, 'n', sizeof(name) - 1);
	for (; made && count < 100000; count++) {
		snprintf(name, 16, "%015d", count);
		name[15] = 'n';
		made = function(name, "", 0, 0);
	}
	assert_null(made);
	assert_true(count > 1000);
	assert_ptr_equal(function("first", "", 0, 0), first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_functions_are_one),
		cmocka_unit_test(a_name_ends_where_its_bytes_end),
		cmocka_unit_test(mangled_names_have_both_forms),
		cmocka_unit_test(names_are_valid_utf8),
		cmocka_unit_test(long_names_are_cut_between_characters),
		cmocka_unit_test(a_full_store_gives_nothing_and_keeps_what_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
