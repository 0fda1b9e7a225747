/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/resource.h>

#include "agent/symbols/symbols_files.h"
#include "test/lib/c/dwarf_fixture.h"

static void all_dialects_give_the_same_scopes(void **unused)
{
	static const char *const dialects[][2] = { { "gcc", "-g -gdwarf-5" },
		{ "gcc", "-g -gdwarf-4" }, { "gcc", "-g -gdwarf-3" }, { "gcc", "-g -gz" },
		{ "gcc", "-g -gz=zlib-gnu" }, { "gcc", "-g -flto" },
		{ "gcc", "-g -ffunction-sections" }, { "clang", "-g" },
		{ "clang", "-g -gdwarf-4" } };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(dialects); i++) {
		uint64_t outer;
		struct pa_symbols_dwarf *dwarf = open_built(dialects[i][0], dialects[i][1], &outer);

		if (!dwarf && strcmp(dialects[i][0], "gcc") != 0)
			continue; /* that compiler is not here */
		assert_non_null(dwarf);
		assert_int_equal(deepest(dwarf, outer), 3);
		assert_string_equal(scopes[0].name, "innermost");
		assert_string_equal(scopes[1].name, "middle");
		assert_int_equal(scopes[1].line, 10);
		assert_string_equal(scopes[2].name, "outer");
		assert_int_equal(scopes[2].line, 15);
		assert_int_equal(scopes[2].declared_at, 12);
		assert_int_equal(scopes[2].start, outer);
		assert_non_null(strstr(scopes[2].file, "d.c"));
		pa_symbols_dwarf_close(dwarf);
	}
}

static void scopes_that_do_not_fit_are_left_out_in_the_middle(void **unused)
{
	uint64_t outer;
	struct pa_symbols_dwarf *dwarf = open_built("gcc", "-g", &outer);

	(void)unused;
	for (uint64_t at = outer; at < outer + 64; at++) {
		if (find(dwarf, at, 8) != 3)
			continue;
		assert_int_equal(find(dwarf, at, 2), 2);
		assert_string_equal(scopes[0].name, "innermost");
		assert_string_equal(scopes[1].name, "outer");
		assert_int_equal(scopes[1].start, outer);
	}
	pa_symbols_dwarf_close(dwarf);
}

/* The compiler's own list of functions in several units. */
static void many_units(unsigned count)
{
	assert_int_equal(run_command("for i in $(seq %u); do"
				     " echo \"int f$i(int x) { return x + $i; }\" >u$i.c; done;"
				     " gcc -O1 -g -fPIC -c $(seq -f 'u%%g.c' %u) &&"
				     " gcc -shared -o units.so $(seq -f 'u%%g.o' %u)",
				 count, count, count),
		0);
}

static void units_are_listed_in_as_many_requests_as_that_takes(void **unused)
{
	uint32_t before = 0;
	unsigned requests = 0;

	(void)unused;
	many_units(140);
	struct pa_symbols_dwarf *dwarf = open_file("units.so");
	/* No time at all: then only some steps are made before the clock is looked at. */
	while (!pa_symbols_dwarf_list(dwarf, pa_clock_thread_cpu_ns() - 1, &late)) {
		assert_true(late);
		assert_true(known.own.count > before || requests == 0);
		before = known.own.count;
		requests++;
		assert_true(requests < 140);
		pa_symbols_dwarf_close(dwarf);
		char path[PATH_MAX];
		struct pa_symbols_elf elf;
		int error;
		int fd = open(path_in(path, "units.so"), O_RDONLY);

		assert_int_equal(pa_symbols_elf_open(&elf, fd, path), 0);
		dwarf = pa_symbols_dwarf_open(&elf, NULL, &known, &error);
		assert_non_null(dwarf);
	}
	assert_true(requests > 1);
	assert_true(known.own.count >= 140);
	assert_int_equal(find(dwarf, known.own.ranges.at[7].low, 8), 1);
	assert_string_equal(scopes[0].name, "f8");
	assert_int_equal(scopes[0].line, 1);
	pa_symbols_dwarf_close(dwarf);
}

static void what_is_known_of_another_file_is_forgotten(void **unused)
{
	uint64_t outer;

	(void)unused;
	many_units(3);
	struct pa_symbols_dwarf *dwarf = open_file("units.so");
	assert_true(pa_symbols_dwarf_list(dwarf, soon(), &late));
	pa_symbols_dwarf_close(dwarf);
	pa_symbols_dwarf_close(open_built("gcc", "-g", &outer));
	struct pa_symbols_elf elf;
	char path[PATH_MAX];
	int error, fd = open(path_in(path, "d.so"), O_RDONLY);

	assert_int_equal(pa_symbols_elf_open(&elf, fd, path), 0);
	dwarf = pa_symbols_dwarf_open(&elf, NULL, &known, &error);
	assert_int_equal(find(dwarf, outer, 8), 1);
	assert_string_equal(scopes[0].name, "outer");
	pa_symbols_dwarf_close(dwarf);
}

static void unknown_addresses_have_no_scopes(void **unused)
{
	uint64_t outer;
	struct pa_symbols_dwarf *dwarf = open_built("gcc", "-g", &outer);

	(void)unused;
	assert_int_equal(find(dwarf, 0, 8), 0);
	assert_int_equal(find(dwarf, UINT64_MAX, 8), 0);
	assert_int_equal(find(dwarf, 0x1000000, 8), 0);
	pa_symbols_dwarf_close(dwarf);
}

/* ---------------------------------------------------------------- damage */

static volatile size_t characters;

static void touch(const char *text)
{
	if (text)
		characters += strlen(text);
}

static void ask_dwarf(const struct copy *copy, uint64_t text, uint64_t bytes)
{
	struct pa_symbols_dwarf *dwarf = open_copy(copy->bytes, copy->size);

	for (int i = 0; dwarf && i < 20; i++) {
		uint32_t count =
			find(dwarf, text + (uint64_t)random() % bytes, PA_SYMBOLS_INLINE_MAX);

		for (uint32_t n = 0; n < count; n++) {
			touch(scopes[n].name);
			touch(scopes[n].linkage);
			touch(scopes[n].file);
			touch(scopes[n].dir);
			touch(scopes[n].declared_in);
			touch(scopes[n].declared_dir);
		}
	}
	if (dwarf)
		pa_symbols_dwarf_close(dwarf);
}

static void ask_tables(const struct pa_symbols_elf *elf, uint64_t text, uint64_t bytes)
{
	static const uint32_t types[] = { SHT_SYMTAB, SHT_DYNSYM };
	struct pa_symbols_table table = { 0 };
	struct pa_symbols_match match;
	uint8_t build_id[PA_BUILD_ID_BYTES];

	for (size_t i = 0; i < PA_COUNT(types); i++) {
		const Elf64_Shdr *section = pa_symbols_elf_find_type(elf, types[i]);

		if (section)
			pa_symbols_table_add(&table, elf, section);
	}
	pa_symbols_table_finish(&table);
	for (int i = 0; i < 20; i++) {
		if (pa_symbols_table_find(&table, text + (uint64_t)random() % bytes, &match))
			touch(match.name);
	}
	pa_symbols_table_free(&table);
	pa_symbols_elf_build_id(elf, build_id);
}

/* Bytes of the header, of the section headers, of a section that matters, or of any place. */
static size_t place_of_damage(const struct pa_symbols_elf *elf, size_t size, int what)
{
	const Elf64_Shdr *section = &elf->sections[(uint32_t)random() % elf->section_count];
	bool debug = strncmp(pa_symbols_elf_name(elf, section), ".debug_", 7) == 0;

	if (what == 0)
		return (size_t)random() % sizeof(Elf64_Ehdr);
	if (what == 1)
		return elf->header.e_shoff +
			(size_t)random() % (elf->section_count * sizeof(Elf64_Shdr));
	if (section->sh_type == SHT_NOBITS || section->sh_size == 0 || (what == 2 && !debug))
		return (size_t)random() % size;
	/* Headers of tables stand at the start. */
	return section->sh_offset +
		(size_t)random() % (random() & 1 || section->sh_size < 64 ? section->sh_size : 64);
}

static void damage_and_ask(const struct copy *good, struct copy *bad)
{
	struct pa_symbols_elf elf;
	int what = (int)(random() % 4);

	assert_int_equal(pa_symbols_elf_open_image(&elf, good->bytes, good->size), 0);
	const Elf64_Shdr *section = pa_symbols_elf_find(&elf, ".text");
	uint64_t text = section->sh_addr, bytes = section->sh_size;
	memcpy(bad->bytes, good->bytes, good->size);
	for (long n = 1 + random() % 24; n > 0; n--)
		bad->bytes[place_of_damage(&elf, good->size, what)] =
			(char)(random() & 1          ? random() :
					random() & 1 ? 0xff :
						       0);
	pa_symbols_elf_close(&elf);
	bad->size = random() % 8 ? good->size : (size_t)random() % good->size;
	if (pa_symbols_elf_open_image(&elf, bad->bytes, bad->size) != 0)
		return;
	ask_tables(&elf, text, bytes);
	pa_symbols_elf_close(&elf);
	ask_dwarf(bad, text, bytes);
}

static void damaged_files_do_no_harm(void **unused)
{
	static const char *const flags[] = { "-g -gdwarf-5", "-g -gdwarf-4", "-g -gz", "-g -flto" };

	(void)unused;
	srandom(7);
	for (size_t i = 0; i < PA_COUNT(flags); i++) {
		uint64_t outer;

		pa_symbols_dwarf_close(open_built("gcc", flags[i], &outer));
		struct copy good = read_file("d.so");
		struct copy bad = { malloc(good.size), good.size };
		for (int n = 0; n < 500; n++)
			damage_and_ask(&good, &bad);
		free(good.bytes);
		free(bad.bytes);
	}
	assert_true(characters > 0);
}

/* ---------------------------------------------------------------- greed */

/*
 * One unit at the 4 KiB of f, with a thousand functions that all have the same 40000 ranges, and a
 * table of 3 MiB of lines.
 */
static const char greedy_source[] =
	".text\nf: .skip 4096, 0x90\n"
	".section .debug_abbrev\n"
	".byte 1, 0x11, 1, 0x11, 1, 0x12, 7, 0x10, 0x17, 0, 0\n" /* low, high, lines */
	".byte 2, 0x2e, 0, 0x55, 0x17, 0, 0, 0\n"                /* ranges */
	".section .debug_info\n"
	".long 2f - 1f\n1: .value 4\n.long 0\n.byte 8\n.byte 1\n.quad f, 4096\n.long 0\n"
	".rept 1000\n.byte 2\n.long 0\n.endr\n.byte 0\n2:\n"
	".section .debug_ranges\n.rept 40000\n.quad 16, 32\n.endr\n.quad 0, 0\n"
	".section .debug_line\n.long 3 << 20\n.skip 3 << 20\n";

#define GREEDY_KILOBYTES (500 << 10)

/* What is left is given to libdw in part only. */
static uint32_t find_in_little_room(struct pa_symbols_dwarf *dwarf, uint64_t address)
{
	struct rlimit before, tight;
	char text[64] = "";
	FILE *statm = fopen("/proc/self/statm", "r");

	assert_non_null(fgets(text, sizeof(text), statm));
	fclose(statm);
	getrlimit(RLIMIT_AS, &before);
	tight = before;
	tight.rlim_cur = strtoull(text, NULL, 10) * 4096 + ((rlim_t)800 << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
	uint32_t count = find(dwarf, address, 8);
	assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
	return count;
}

static void small_files_that_mean_very_much_get_no_more_than_there_is(void **unused)
{
	struct rusage before, after;
	struct pa_symbols_elf elf;
	uint64_t address;

	(void)unused;
	write_text("greedy.s", greedy_source);
	assert_int_equal(run_command("gcc -shared -nostdlib -o greedy.so greedy.s"), 0);
	struct copy copy = read_file("greedy.so");
	assert_int_equal(pa_symbols_elf_open_image(&elf, copy.bytes, copy.size), 0);
	address = pa_symbols_elf_find(&elf, ".text")->sh_addr + 16;
	pa_symbols_elf_close(&elf);
	struct pa_symbols_dwarf *dwarf = open_copy(copy.bytes, copy.size);
	assert_non_null(dwarf);
	assert_int_equal(find_in_little_room(dwarf, address), 0);
	assert_true(late);
	getrusage(RUSAGE_SELF, &before);
	find(dwarf, address, PA_SYMBOLS_INLINE_MAX);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss < GREEDY_KILOBYTES);
	pa_symbols_dwarf_close(dwarf);
	free(copy.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_dialects_give_the_same_scopes),
		cmocka_unit_test(scopes_that_do_not_fit_are_left_out_in_the_middle),
		cmocka_unit_test(units_are_listed_in_as_many_requests_as_that_takes),
		cmocka_unit_test(what_is_known_of_another_file_is_forgotten),
		cmocka_unit_test(unknown_addresses_have_no_scopes),
		cmocka_unit_test(damaged_files_do_no_harm),
		cmocka_unit_test(small_files_that_mean_very_much_get_no_more_than_there_is),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
