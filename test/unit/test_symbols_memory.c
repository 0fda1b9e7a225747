#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/auxv.h>
#include <time.h>

#include "agent/profile/symbols_memory.h"
#include "symbols_fixture.h"

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
		strlen(name) == match.name_bytes &&
		memcmp(match.name, name, match.name_bytes) == 0;
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
		"-O1 -shared -fPIC -Wl,-z,lazy", "-O1 -shared -fPIC -Wl,-z,now",
		"-O1 -shared -fPIC -fcf-protection=full -Wl,-z,ibtplt",
	};
	char stub[64], name[16];
	uintptr_t entry;

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(flags); i++) {
		snprintf(name, sizeof(name), "stubs%zu", i);
		build_library(name, source, flags[i]);
		char *calls = symbol_in(open_library(name), "calls");
		char *target = first_call(calls);
		struct pa_module *own = pa_maps_find((uintptr_t)calls);
		assert_true(pa_symbols_memory_stub(own, (uintptr_t)target, stub, sizeof(stub),
			&entry));
		assert_string_equal(stub, "rand@plt");
		assert_int_equal(entry, (uintptr_t)target);
		assert_string_equal(name_at(target + 5), "rand@plt");
		assert_false(pa_symbols_memory_stub(own, (uintptr_t)calls, stub, sizeof(stub),
			&entry));
	}
}

static void a_short_buffer_cuts_the_name_of_a_stub(void **unused)
{
	char *exported = symbol_in(library, "exported");
	char *jump = exported;
	char stub[8];
	uintptr_t entry;

	(void)unused;
	/* The call of puts is the last thing that exported does: a jump or a call. */
	while (*(unsigned char *)jump != 0xe8 && *(unsigned char *)jump != 0xe9)
		jump++;
	int32_t displacement;
	memcpy(&displacement, jump + 1, sizeof(displacement));
	assert_true(pa_symbols_memory_stub(module, (uintptr_t)(jump + 5 + displacement), stub,
		sizeof(stub), &entry));
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
	pa_symbols_init(PA_SYMBOLS_LINES);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exports_are_read_from_the_image),
		cmocka_unit_test(exports_are_counted_by_the_old_hash_too),
		cmocka_unit_test(the_vdso_has_names),
		cmocka_unit_test(linkage_stubs_are_named_after_their_function),
		cmocka_unit_test(a_short_buffer_cuts_the_name_of_a_stub),
		cmocka_unit_test(an_image_that_is_not_the_module_is_not_read),
	};

	return cmocka_run_group_tests(tests, open_first_library, remove_directory);
}
