/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/arch/arch.h"
#include "agent/symbols/symbols_unnamed.h"
#include "test/lib/c/symbols_fixture.h"

/* Two functions in sections of their own, with room between them that no FDE covers. */
static const char source[] = "int first(int n) { return n * 7 + 1; }\n"
			     "asm(\".text; .globl bare; bare: nop; nop; nop; nop; ret\");\n"
			     "int second(int n) { return first(n) * first(n + 3); }\n";

static const struct pa_module *module_of(void *library)
{
	return pa_maps_find((uintptr_t)symbol_in(library, "first"));
}

static void names_function(void *library, const char *file, const char *symbol)
{
	const struct pa_module *module = module_of(library);
	uintptr_t start = (uintptr_t)symbol_in(library, symbol), entry;
	char name[256], expected[256];
	snprintf(expected, sizeof(expected), "%s+0x%lx", file,
		(unsigned long)(start - module->bias));
	for (uintptr_t pc = start; pc < start + 4; pc++) {
		assert_true(pa_symbols_unnamed(module, pc, name, sizeof(name), &entry));
		assert_string_equal(name, expected);
		assert_int_equal(entry, start);
	}
}

static void a_function_is_called_by_its_start_in_the_file(void **unused)
{
	(void)unused;
	build_library("unnamed", source, "-O1 -shared -fPIC -s -fno-ipa-icf -fno-inline");
	void *library = open_library("unnamed");
	names_function(library, "unnamed.so", "first");
	names_function(library, "unnamed.so", "second");
}

static void code_that_no_entry_covers_is_called_by_its_file(void **unused)
{
	char name[256];
	uintptr_t entry;
	(void)unused;
	void *library = open_library("unnamed");
	const struct pa_module *module = module_of(library);
	uintptr_t bare = (uintptr_t)symbol_in(library, "bare");
	for (uintptr_t pc = bare; pc < bare + 5; pc++) {
		assert_true(pa_symbols_unnamed(module, pc, name, sizeof(name), &entry));
		assert_string_equal(name, "[unnamed.so]");
		assert_int_equal(entry, 0);
	}
	assert_true(pa_symbols_unnamed(module, module->start, name, sizeof(name), &entry));
	assert_string_equal(name, "[unnamed.so]");
}

static void a_file_without_unwind_information_is_called_by_its_name(void **unused)
{
	char name[256];
	uintptr_t entry;
	(void)unused;
	build_library("no_cfi", source,
		"-O1 -shared -fPIC -s -nostdlib -fno-asynchronous-unwind-tables");
	void *library = open_library("no_cfi");
	const struct pa_module *module = module_of(library);
	assert_true(pa_symbols_unnamed(module, (uintptr_t)symbol_in(library, "second"), name,
		sizeof(name), &entry));
	assert_string_equal(name, "[no_cfi.so]");
}

static void a_module_that_is_gone_is_not_read(void **unused)
{
	struct pa_module gone = *module_of(open_library("unnamed"));
	char name[256];
	uintptr_t entry;
	(void)unused;
	gone.start = PA_PAGE_BYTES;
	assert_true(pa_symbols_unnamed(&gone, gone.segments[0].start, name, sizeof(name), &entry));
	assert_string_equal(name, "[unnamed.so]");
	gone.is_elf = false;
	assert_false(pa_symbols_unnamed(&gone, gone.segments[0].start, name, sizeof(name), &entry));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_is_called_by_its_start_in_the_file),
		cmocka_unit_test(code_that_no_entry_covers_is_called_by_its_file),
		cmocka_unit_test(a_file_without_unwind_information_is_called_by_its_name),
		cmocka_unit_test(a_module_that_is_gone_is_not_read),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
