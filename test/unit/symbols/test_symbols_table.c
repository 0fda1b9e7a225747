/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/symbols/symbols_table.h"

/* Code from 0x1000 to 0x9000. */
static uint64_t code_limit(void *arg, uint64_t address)
{
	(void)arg;
	return address >= 0x1000 && address < 0x9000 ? 0x9000 : 0;
}

struct wanted {
	const char *name;
	uint64_t address, bytes;
	int type, bind;
};

static struct pa_symbols_table make_table(const struct wanted *wanted, uint32_t count)
{
	struct pa_symbols_table table = { 0 };
	Elf64_Sym symbols[16];
	char names[512] = "";
	size_t used = 1;

	for (uint32_t i = 0; i < count; i++) {
		symbols[i] = (Elf64_Sym){ .st_name = (uint32_t)used,
			.st_shndx = 1,
			.st_info = ELF64_ST_INFO(wanted[i].bind, wanted[i].type),
			.st_value = wanted[i].address,
			.st_size = wanted[i].bytes };
		strcpy(names + used, wanted[i].name);
		used += strlen(wanted[i].name) + 1;
	}
	pa_symbols_table_add_symbols(&table, symbols, count, names, used, code_limit, NULL);
	pa_symbols_table_finish(&table);
	return table;
}

static void assert_name(const struct pa_symbols_table *table, uint64_t address, const char *name)
{
	struct pa_symbols_match match;
	bool found = pa_symbols_table_find(table, address, &match);

	if (!name) {
		assert_false(found);
		return;
	}
	assert_true(found);
	assert_int_equal(match.name_bytes, strlen(name));
	assert_memory_equal(match.name, name, match.name_bytes);
}

static void a_function_has_the_addresses_of_its_size(void **unused)
{
	const struct wanted wanted[] = {
		{ "second", 0x2000, 0x10, STT_FUNC, STB_GLOBAL },
		{ "first", 0x1000, 0x10, STT_FUNC, STB_LOCAL },
		{ "resolver", 0x3000, 0x10, STT_GNU_IFUNC, STB_GLOBAL },
		{ "datum", 0x4000, 0x10, STT_OBJECT, STB_GLOBAL },
		{ "elsewhere", 0xa000, 0x10, STT_FUNC, STB_GLOBAL },
		{ "absolute", 0, 0x10, STT_FUNC, STB_GLOBAL },
	};
	struct pa_symbols_table table = make_table(wanted, PA_COUNT(wanted));

	(void)unused;
	assert_name(&table, 0xfff, NULL);
	assert_name(&table, 0x1000, "first");
	assert_name(&table, 0x100f, "first");
	assert_name(&table, 0x1010, NULL);
	assert_name(&table, 0x2008, "second");
	assert_name(&table, 0x3000, "resolver");
	assert_name(&table, 0x4000, NULL);
	assert_name(&table, 0xa000, NULL);
	assert_name(&table, 0, NULL);
	assert_name(&table, UINT64_MAX, NULL);
	pa_symbols_table_free(&table);
	assert_name(&table, 0x1000, NULL);
}

static void functions_without_size_reach_to_the_next_one(void **unused)
{
	const struct wanted wanted[] = {
		{ "label", 0x1000, 0, STT_NOTYPE, STB_GLOBAL },
		{ ".Llabel", 0x1008, 0, STT_NOTYPE, STB_LOCAL },
		{ "$x", 0x1009, 0, STT_NOTYPE, STB_LOCAL },
		{ "unsized", 0x1010, 0, STT_FUNC, STB_LOCAL },
		{ "sized", 0x1020, 0x20, STT_FUNC, STB_LOCAL },
		{ "within", 0x1030, 0, STT_NOTYPE, STB_GLOBAL },
		{ "last", 0x8000, 0, STT_NOTYPE, STB_GLOBAL },
	};
	struct pa_symbols_table table = make_table(wanted, PA_COUNT(wanted));

	(void)unused;
	assert_name(&table, 0x100f, "label");
	assert_name(&table, 0x101f, "unsized");
	assert_name(&table, 0x1038, "sized");
	assert_name(&table, 0x1040, NULL);
	assert_name(&table, 0x8fff, "last");
	assert_name(&table, 0x9000, NULL);
	pa_symbols_table_free(&table);
}

static void of_several_names_the_usual_one_is_shown(void **unused)
{
	const struct wanted wanted[] = {
		{ "__read", 0x1000, 8, STT_FUNC, STB_GLOBAL },
		{ "read", 0x1000, 8, STT_FUNC, STB_WEAK },
		{ "local_alias", 0x1000, 8, STT_FUNC, STB_LOCAL },
		{ "weak", 0x2000, 8, STT_FUNC, STB_WEAK },
		{ "strong", 0x2000, 8, STT_FUNC, STB_GLOBAL },
		{ "label", 0x3000, 8, STT_NOTYPE, STB_GLOBAL },
		{ "function", 0x3000, 0, STT_FUNC, STB_LOCAL },
		{ "small", 0x4000, 0, STT_FUNC, STB_GLOBAL },
		{ "large", 0x4000, 8, STT_FUNC, STB_LOCAL },
		{ "__GI_clone", 0x5000, 8, STT_FUNC, STB_LOCAL },
		{ "__GI___clone", 0x5000, 8, STT_FUNC, STB_LOCAL },
		{ "__clone", 0x5000, 8, STT_FUNC, STB_LOCAL },
		{ "first_of_equal", 0x6000, 8, STT_FUNC, STB_LOCAL },
		{ "equal", 0x6000, 8, STT_FUNC, STB_LOCAL },
	};
	struct pa_symbols_table table = make_table(wanted, PA_COUNT(wanted));

	(void)unused;
	assert_name(&table, 0x1000, "read");
	assert_name(&table, 0x2000, "strong");
	assert_name(&table, 0x3000, "function");
	assert_name(&table, 0x4000, "large");
	assert_name(&table, 0x5000, "__clone");
	assert_name(&table, 0x6000, "first_of_equal");
	pa_symbols_table_free(&table);
}

static void a_function_in_a_function_ends_before_it(void **unused)
{
	const struct wanted wanted[] = {
		{ "outer", 0x1000, 0x100, STT_FUNC, STB_GLOBAL },
		{ "entry", 0x1010, 0x8, STT_FUNC, STB_GLOBAL },
	};
	struct pa_symbols_table table = make_table(wanted, PA_COUNT(wanted));

	(void)unused;
	assert_name(&table, 0x1010, "entry");
	assert_name(&table, 0x1020, "outer");
	assert_name(&table, 0x1100, NULL);
	pa_symbols_table_free(&table);
}

/* Without a bound on what of a name is looked at, this takes minutes. */
static void many_names_that_are_endless_are_put_in_order(void **unused)
{
	enum { NAMES = 300000, NAME_BYTES = 4 << 20 };
	Elf64_Sym *symbols = calloc(NAMES, sizeof(*symbols));
	char *names = malloc(NAME_BYTES);
	struct pa_symbols_table table = { 0 };
	struct pa_symbols_match match;

	(void)unused;
	memset(names, '_', NAME_BYTES);
	for (uint32_t i = 0; i < NAMES; i++)
		symbols[i] = (Elf64_Sym){ .st_name = i % 16,
			.st_shndx = 1,
			.st_value = 0x1000,
			.st_size = 8,
			.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC) };
	assert_true(pa_symbols_table_add_symbols(&table, symbols, NAMES, names, NAME_BYTES,
		code_limit, NULL));
	pa_symbols_table_finish(&table);
	assert_true(pa_symbols_table_find(&table, 0x1000, &match));
	pa_symbols_table_free(&table);
	free(names);
	free(symbols);
}

static void versions_are_no_part_of_a_name(void **unused)
{
	const struct wanted wanted[] = {
		{ "memcpy@@GLIBC_2.14", 0x1000, 8, STT_FUNC, STB_GLOBAL },
		{ "memcpy@GLIBC_2.2.5", 0x2000, 8, STT_FUNC, STB_GLOBAL },
	};
	struct pa_symbols_table table = make_table(wanted, PA_COUNT(wanted));

	(void)unused;
	assert_name(&table, 0x1000, "memcpy");
	assert_name(&table, 0x2000, "memcpy");
	pa_symbols_table_free(&table);
}

static void tables_are_added_to_each_other(void **unused)
{
	const char first_names[] = "\0first", second_names[] = "\0second";
	const Elf64_Sym first = { .st_name = 1,
		.st_shndx = 1,
		.st_value = 0x1000,
		.st_size = 8,
		.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC) };
	const Elf64_Sym second = { .st_name = 1,
		.st_shndx = 1,
		.st_value = 0x2000,
		.st_size = 8,
		.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC) };
	const Elf64_Sym wild = { .st_name = 8,
		.st_shndx = 1,
		.st_value = 0x3000,
		.st_size = 8,
		.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC) };
	struct pa_symbols_table table = { 0 };

	(void)unused;
	assert_true(pa_symbols_table_add_symbols(&table, &first, 1, first_names,
		sizeof(first_names), code_limit, NULL));
	assert_true(pa_symbols_table_add_symbols(&table, &second, 1, second_names,
		sizeof(second_names), code_limit, NULL));
	assert_false(pa_symbols_table_add_symbols(&table, &wild, 1, second_names,
		sizeof(second_names), code_limit, NULL));
	pa_symbols_table_finish(&table);
	assert_name(&table, 0x1000, "first");
	assert_name(&table, 0x2000, "second");
	assert_name(&table, 0x3000, NULL);
	assert_true(pa_symbols_table_bytes(&table) >= sizeof(first_names));
	pa_symbols_table_free(&table);
	assert_int_equal(pa_symbols_table_bytes(&table), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_function_has_the_addresses_of_its_size),
		cmocka_unit_test(functions_without_size_reach_to_the_next_one),
		cmocka_unit_test(of_several_names_the_usual_one_is_shown),
		cmocka_unit_test(a_function_in_a_function_ends_before_it),
		cmocka_unit_test(many_names_that_are_endless_are_put_in_order),
		cmocka_unit_test(versions_are_no_part_of_a_name),
		cmocka_unit_test(tables_are_added_to_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
