/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/auxv.h>
#include <time.h>

#include "agent/symbols/symbols_memory.h"
#include "test/lib/c/symbols_fixture.h"

static void *library;
static struct pa_module *module;

static bool table_has(const struct pa_module *of, const void *address, const char *name)
{
	struct pa_symbols_table table = { 0 };
	struct pa_symbols_match match;
	bool found;

	if (!pa_symbols_memory_add(of, &table))
		return false;
	pa_symbols_table_finish(&table);
	found = pa_symbols_table_find(&table, (uintptr_t)address - of->bias, &match) &&
		strlen(name) == match.name_bytes && memcmp(match.name, name, match.name_bytes) == 0;
	pa_symbols_table_free(&table);
	return found;
}

static void exports_are_read_from_the_image(void **unused)
{
	(void)unused;
	assert_true(table_has(module, symbol_in(library, "outer"), "outer"));
	assert_true(table_has(module, symbol_in(library, "exported"), "exported"));
	assert_false(table_has(module, quiet_in(library), "quiet"));
}

static void exports_are_counted_by_the_old_hash_too(void **unused)
{
	void *old;

	(void)unused;
	build_library("sysv", library_source, "-O2 -shared -fPIC -Wl,--hash-style=sysv");
	old = open_library("sysv");
	assert_true(table_has(pa_maps_find((uintptr_t)symbol_in(old, "exported")),
		symbol_in(old, "exported"), "exported"));
}

/* Its dynamic section is read-only: its addresses are not those at run time. */
static void the_vdso_has_names(void **unused)
{
	char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	bool known = false;

	(void)unused;
	if (!vdso)
		skip();
	struct pa_module *own = NULL;
	for (char *at = vdso; !own; at += 4096)
		own = pa_maps_find((uintptr_t)at);
	for (uintptr_t at = own->segments[0].start; at < own->segments[0].limit && !known; at += 16)
		known = table_has(own, (void *)at, "clock_gettime") ||
			table_has(own, (void *)at, "__vdso_clock_gettime");
	assert_true(known);
}

/* The target of the first call in a function. */
static char *first_call(char *code)
{
	int32_t displacement;

	while (*(unsigned char *)code != 0xe8)
		code++;
	memcpy(&displacement, code + 1, sizeof(displacement));
	return code + 5 + displacement;
}

static void linkage_stubs_are_named_after_their_function(void **unused)
{
	static const char source[] = "#include <stdlib.h>\n"
				     "int calls(void) { return abs(rand()); }\n"
				     "void *taken(void) { return (void *)rand; }\n";
	static const char *const flags[] = {
		"-O1 -shared -fPIC -Wl,-z,lazy",
		"-O1 -shared -fPIC -Wl,-z,now",
		"-O1 -shared -fPIC -fcf-protection=full -Wl,-z,ibtplt",
	};
	char stub[64], name[16];
	uintptr_t entry;
	uint64_t target;

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(flags); i++) {
		snprintf(name, sizeof(name), "stubs%zu", i);
		build_library(name, source, flags[i]);
		char *calls = symbol_in(open_library(name), "calls");
		char *called = first_call(calls);
		struct pa_module *own = pa_maps_find((uintptr_t)calls);
		assert_true(pa_symbols_memory_stub(own, (uintptr_t)called, stub, sizeof(stub),
			&entry, &target));
		assert_string_equal(stub, "rand@plt");
		assert_int_equal(entry, (uintptr_t)called);
		assert_string_equal(name_at(called + 5), "rand@plt");
		assert_false(pa_symbols_memory_stub(own, (uintptr_t)calls, stub, sizeof(stub),
			&entry, &target));
	}
}

/* What is chosen when the library is loaded has no symbol in its slot. */
static void stubs_of_chosen_functions_are_named_after_them(void **unused)
{
	static const char source[] =
		"static int fast(int x) { return x + 1; }\n"
		"static int (*choose(void))(int) { return fast; }\n"
		"__attribute__((ifunc(\"choose\"), visibility(\"hidden\"))) int chosen(int x);\n"
		"int calls(int x) { return chosen(x) + 1; }\n";
	char stub[64];
	uintptr_t entry;
	uint64_t target;

	(void)unused;
	build_library("ifunc", source, "-O1 -shared -fPIC");
	char *calls = symbol_in(open_library("ifunc"), "calls");
	char *called = first_call(calls);
	struct pa_module *own = pa_maps_find((uintptr_t)calls);
	assert_true(pa_symbols_memory_stub(own, (uintptr_t)called, stub, sizeof(stub), &entry,
		&target));
	assert_string_equal(stub, "");
	assert_string_equal(name_at((char *)own->bias + target), "choose");
	assert_string_equal(name_at(called), "choose@plt");
}

static void stubs_of_cplusplus_have_names_for_people(void **unused)
{
	static const char source[] =
		"namespace other { int far(int x, const char *y); }\n"
		"extern \"C\" int calls(int x) { return other::far(x, 0) + 1; }\n";
	static const char other[] = "namespace other { int far(int x, const char *y)"
				    " { return y ? 0 : x; } }\n";

	(void)unused;
	write_text("far.cc", other);
	write_text("near.cc", source);
	assert_int_equal(run_command("g++ -O1 -shared -fPIC -o far.so far.cc &&"
				     " g++ -O1 -shared -fPIC -o near.so near.cc -L. -l:far.so"
				     " -Wl,-rpath,'%s'",
				 directory),
		0);
	char *called = first_call(symbol_in(open_library("near"), "calls"));
	assert_string_equal(name_at(called), "other::far(int, char const*)@plt");
}

static void a_short_buffer_cuts_the_name_of_a_stub(void **unused)
{
	char *exported = symbol_in(library, "exported");
	char *jump = exported;
	char stub[8];
	uintptr_t entry;
	uint64_t target;

	(void)unused;
	/* The call of puts is the last thing that exported does: a jump or a call. */
	while (*(unsigned char *)jump != 0xe8 && *(unsigned char *)jump != 0xe9)
		jump++;
	int32_t displacement;
	memcpy(&displacement, jump + 1, sizeof(displacement));
	assert_true(pa_symbols_memory_stub(module, (uintptr_t)(jump + 5 + displacement), stub,
		sizeof(stub), &entry, &target));
	assert_string_equal(stub, "put@plt");
}

static void an_image_that_is_not_the_module_is_not_read(void **unused)
{
	struct pa_symbols_table table = { 0 };
	struct pa_module copy = *module;

	(void)unused;
	assert_true(pa_symbols_memory_intact(&copy));
	copy.build_id[3] ^= 1;
	assert_false(pa_symbols_memory_intact(&copy));
	assert_false(pa_symbols_memory_add(&copy, &table));
	copy = *module;
	copy.dead = true;
	assert_false(pa_symbols_memory_intact(&copy));
	copy = *module;
	copy.start += 4096;
	assert_false(pa_symbols_memory_intact(&copy));
	copy.start = 4096;
	assert_false(pa_symbols_memory_intact(&copy));
}

static int open_first_library(void **unused)
{
	if (make_directory(unused) != 0)
		return -1;
	build_library("library", library_source, library_flags);
	library = open_library("library");
	module = pa_maps_find((uintptr_t)symbol_in(library, "outer"));
	pa_symbols_init(PA_ENV_SYMBOLS_LINES);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exports_are_read_from_the_image),
		cmocka_unit_test(exports_are_counted_by_the_old_hash_too),
		cmocka_unit_test(the_vdso_has_names),
		cmocka_unit_test(linkage_stubs_are_named_after_their_function),
		cmocka_unit_test(stubs_of_chosen_functions_are_named_after_them),
		cmocka_unit_test(stubs_of_cplusplus_have_names_for_people),
		cmocka_unit_test(a_short_buffer_cuts_the_name_of_a_stub),
		cmocka_unit_test(an_image_that_is_not_the_module_is_not_read),
	};

	return cmocka_run_group_tests(tests, open_first_library, remove_directory);
}
