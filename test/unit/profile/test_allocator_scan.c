/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/profile/allocator_scan.h"
#include "test/lib/c/symbols_fixture.h"

#define HASH "54eaed1d8b56b1aa528be3bdd1877e59c56fa90c"
static const char flags[] = "-O1 -shared -fPIC";

static struct pa_allocator_scan scan;

/* Compiles and opens name.so and scans it; *library: its handle. */
static bool scan_library(const char *name, const char *source, const char *given, void **library)
{
	build_library(name, source, given);
	*library = open_library(name);
	return pa_allocator_scan(pa_maps_find((uintptr_t)symbol_in(*library, "anchor")), &scan);
}

#define ANCHOR "void anchor(void) {}\n"
#define VERSION "const char *version(void) { return \"5.2.1-0-g" HASH "\"; }\n"

static void jemalloc_is_found_with_any_prefix(void **unused)
{
	void *library;
	(void)unused;
	assert_true(scan_library("jemalloc",
		ANCHOR VERSION "int _rjem_mallctl(void) { return 1; }\n"
			       "int _rjem_mallctlnametomib(void) { return 2; }\n"
			       "int _rjem_pvalloc(void) { return 3; }\n",
		flags, &library));
	assert_int_equal(scan.kind, PA_ALLOCATOR_JEMALLOC);
	assert_string_equal(scan.version, "5.2.1");
	assert_true(scan.has_pvalloc);
	assert_false(scan.has_malloc || scan.has_new || scan.stripped);
	assert_int_equal(scan.entries[PA_ALLOCATOR_CONTROL],
		(uintptr_t)symbol_in(library, "_rjem_mallctl"));
}

static bool is_in_ranges(const void *code)
{
	for (uint32_t i = 0; i < scan.range_count; i++)
		if ((uintptr_t)code >= scan.ranges[i].start &&
			(uintptr_t)code < scan.ranges[i].limit)
			return true;
	return false;
}

/* "jemalloc_local.c" counts as a source of it. Functions of others lie between. */
static void ranges_have_its_functions_and_no_others(void **unused)
{
	void *library;
	(void)unused;
	assert_true(scan_library("jemalloc.local",
		ANCHOR "#define FAR __attribute__((noinline, aligned(4096)))\n"
		       "FAR static int local(int x) { __asm__(\"\"); return x; }\n"
		       "void *address_of_local(void) { return (void *)local; }\n"
		       "FAR int mallctl(void) { return 1; }\n"
		       "FAR int je_ctl_byname(int x) { return local(x); }\n"
		       "FAR int je_large_ralloc(void) { return 2; }\n"
		       "FAR int others(void) { return 3; }\n"
		       "FAR int _Znwm(void) { return 4; }\n"
		       "FAR int malloc_info(void) { return 5; }\n",
		flags, &library));
	assert_int_equal(scan.kind, PA_ALLOCATOR_JEMALLOC);
	assert_true(scan.has_new);
	assert_true(is_in_ranges(symbol_in(library, "mallctl")));
	assert_true(is_in_ranges(symbol_in(library, "je_large_ralloc")));
	assert_true(is_in_ranges(symbol_in(library, "_Znwm")));
	assert_false(is_in_ranges(symbol_in(library, "others")));
	assert_false(is_in_ranges(symbol_in(library, "malloc_info")));
	void *(*address_of_local)(void);
	*(void **)&address_of_local = symbol_in(library, "address_of_local");
	assert_true(is_in_ranges(address_of_local()));
	for (uint32_t i = 1; i < scan.range_count; i++)
		assert_true(scan.ranges[i - 1].limit <= scan.ranges[i].start);
}

static void mallctl_alone_is_no_jemalloc(void **unused)
{
	void *library;
	(void)unused;
	assert_false(scan_library("folly", ANCHOR "int mallctl(void) { return 1; }\n", flags,
		&library));
	assert_int_equal(scan.kind, PA_ALLOCATOR_NONE);
}

static void functions_that_are_not_defined_do_not_count(void **unused)
{
	void *library;
	(void)unused;
	assert_false(scan_library("caller",
		ANCHOR "extern int mi_malloc(int) __attribute__((weak));\n"
		       "int call(void) { return mi_malloc ? mi_malloc(1) : 0; }\n",
		flags, &library));
}

static void gperftools_has_its_hooks(void **unused)
{
	void *library;
	(void)unused;
	assert_true(scan_library("gperftools",
		ANCHOR "const char *version(void) { return \"gperftools 2.10\"; }\n"
		       "int tc_malloc(void) { return 1; }\n"
		       "int MallocHook_AddNewHook(void) { return 2; }\n"
		       "int MallocHook_RemoveNewHook(void) { return 3; }\n"
		       "int MallocHook_AddDeleteHook(void) { return 4; }\n"
		       "int malloc(void) { return 5; }\n",
		flags, &library));
	assert_int_equal(scan.kind, PA_ALLOCATOR_GPERFTOOLS);
	assert_string_equal(scan.version, "2.10");
	assert_true(scan.has_malloc);
	assert_int_equal(scan.entries[PA_ALLOCATOR_ADD_NEW],
		(uintptr_t)symbol_in(library, "MallocHook_AddNewHook"));
	assert_int_equal(scan.entries[PA_ALLOCATOR_REMOVE_NEW],
		(uintptr_t)symbol_in(library, "MallocHook_RemoveNewHook"));
	assert_int_equal(scan.entries[PA_ALLOCATOR_REMOVE_DELETE], 0);
	assert_int_equal(scan.entries[PA_ALLOCATOR_CONTROL], 0);
}

static void exported_names_do_where_others_are_stripped(void **unused)
{
	void *library;
	(void)unused;
	assert_true(scan_library("bare", ANCHOR "int mi_malloc(void) { return 1; }\n",
		"-O1 -shared -fPIC -s", &library));
	assert_int_equal(scan.kind, PA_ALLOCATOR_MIMALLOC);
	assert_string_equal(pa_allocator_scan_name(scan.kind), "mimalloc");
	assert_string_equal(scan.version, "");
}

static void python_that_contains_one_has_none(void **unused)
{
	void *library;
	(void)unused;
	assert_false(scan_library("python",
		ANCHOR "int mi_malloc(void) { return 1; }\n"
		       "int PyMem_RawMalloc(void) { return 2; }\n",
		"-O1 -shared -fPIC", &library));
	assert_int_equal(scan.kind, PA_ALLOCATOR_NONE);
}

/* 40 hexadecimal digits are not enough. At the end of the constants a text does no harm. */
static void texts_like_a_version_are_none(void **unused)
{
	void *library;
	(void)unused;
	assert_true(scan_library("texts",
		ANCHOR "const char *a(void) { return \"x-g" HASH "\"; }\n"
		       "const char *b(void) { return \"1.2.3-0-g54ea\"; }\n"
		       "const char *c(void) { return \"-g\"; }\n"
		       "int mallctl(void) { return 1; }\n"
		       "int mallctlnametomib(void) { return 2; }\n",
		flags, &library));
	assert_string_equal(scan.version, "");
}

static void program_that_uses_operator_new_imports_it(void **unused)
{
	void *library;
	(void)unused;
	build_library("cxx", ANCHOR "extern int _Znwm(int);\nint use(void) { return _Znwm(1); }\n",
		"-O1 -shared -fPIC -Wl,--no-as-needed -lstdc++");
	library = open_library("cxx");
	assert_true(pa_allocator_scan_imports_new(pa_maps_find((uintptr_t)symbol_in(library,
		"anchor"))));
	build_library("plain", ANCHOR "int _Znwm(int x) { return x; }\n", flags);
	library = open_library("plain");
	assert_false(pa_allocator_scan_imports_new(pa_maps_find((uintptr_t)symbol_in(library,
		"anchor"))));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jemalloc_is_found_with_any_prefix),
		cmocka_unit_test(ranges_have_its_functions_and_no_others),
		cmocka_unit_test(mallctl_alone_is_no_jemalloc),
		cmocka_unit_test(functions_that_are_not_defined_do_not_count),
		cmocka_unit_test(gperftools_has_its_hooks),
		cmocka_unit_test(exported_names_do_where_others_are_stripped),
		cmocka_unit_test(python_that_contains_one_has_none),
		cmocka_unit_test(texts_like_a_version_are_none),
		cmocka_unit_test(program_that_uses_operator_new_imports_it),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
