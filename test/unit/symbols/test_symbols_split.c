/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "test/lib/c/dwarf_fixture.h"

#define SPLIT_BYTES 48

/* No labels: llvm-symbolizer calls the code behind them after them. */
static const char split_source[] =
	"volatile int sink;\n"
	"static inline __attribute__((always_inline)) void innermost(int x)\n"
	"{\n"
	"	sink += x;\n"
	"}\n"
	"static inline __attribute__((always_inline)) void middle(int x)\n"
	"{\n"
	"	innermost(x + 1);\n"
	"}\n"
	"void outer(int x)\n"
	"{\n"
	"	sink = x;\n"
	"	middle(x);\n"
	"	for (int i = 0; i < x; i++)\n"
	"		middle(i + x);\n"
	"	sink = 0;\n"
	"}\n";

/* The chain at an address as llvm-symbolizer prints it: file names without folders. */
static void print_chain(struct pa_symbols_dwarf *dwarf, uint64_t address, char *out)
{
	uint32_t count = find(dwarf, address, PA_SYMBOLS_INLINE_MAX);

	*out = '\0';
	for (uint32_t i = 0; i < count; i++) {
		const char *file = scopes[i].file ? scopes[i].file : "?";
		const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;

		out += sprintf(out, "%s %s:%u;", scopes[i].name, base, scopes[i].line);
	}
}

/* What llvm-symbolizer prints for addresses from start on. */
static FILE *ask_llvm(const char *file, uint64_t start, unsigned count)
{
	char command[4 * PATH_MAX];

	snprintf(command, sizeof(command),
		"cd '%s' && i=0; while [ $i -lt %u ]; do"
		" printf '0x%%x\\n' $((%llu + i)); i=$((i + 1)); done |"
		" llvm-symbolizer --inlines -s -e %s 2>/dev/null",
		directory, count, (unsigned long long)start, file);
	return popen(command, "r");
}

static void next_chain(FILE *answer, char *out)
{
	char line[512];

	*out = '\0';
	while (fgets(line, sizeof(line), answer) && line[0] != '\n') {
		line[strcspn(line, "\n")] = '\0';
		out += sprintf(out, "%s ", line);
		assert_non_null(fgets(line, sizeof(line), answer));
		*strrchr(line, ':') = '\0'; /* the column */
		out += sprintf(out, "%s;", line);
	}
}

/*
 * All addresses of outer have the chain that llvm-symbolizer finds in plain.so, which has the same
 * code (version 14 does not find it in all split files). Returns how many have three functions.
 */
static unsigned compare_split(const char *file, uint64_t outer)
{
	struct pa_symbols_dwarf *dwarf = open_file(file);
	FILE *answer = ask_llvm("plain.so", outer, SPLIT_BYTES);
	char own[8192], llvm[8192];
	unsigned deep = 0;

	assert_non_null(answer);
	for (uint64_t at = outer; at < outer + SPLIT_BYTES; at++) {
		print_chain(dwarf, at, own);
		next_chain(answer, llvm);
		assert_string_equal(own, llvm);
		deep += find(dwarf, at, 8) == 3;
	}
	pclose(answer);
	pa_symbols_dwarf_close(dwarf);
	return deep;
}

static void split_units_have_the_functions_of_their_other_file(void **unused)
{
	static const char *const compilers[] = { "gcc", "clang" };
	static const char *const flags[] = { "-g -gdwarf-5 -c", "-g -gdwarf-4 -c",
		"-g -gdwarf-5 -ffunction-sections -c", "-g -gdwarf-4 -ffunction-sections -c" };

	unsigned packages = 0;

	(void)unused;
	if (run_command("llvm-symbolizer --version >/dev/null") != 0)
		skip();
	write_text("d.c", split_source);
	for (size_t i = 0; i < PA_COUNT(compilers) * PA_COUNT(flags); i++) {
		const char *compiler = compilers[i % 2];
		struct pa_symbols_elf elf;

		if (run_command("rm -f *.dwo && %s %s -gsplit-dwarf -O2 -fPIC -o d.o d.c &&"
				" %s -shared -o d.so d.o && %s %s -O2 -fPIC -o p.o d.c &&"
				" %s -shared -o plain.so p.o",
			    compiler, flags[i / 2], compiler, compiler, flags[i / 2],
			    compiler) != 0)
			continue; /* that compiler is not here */
		struct copy copy = read_file("d.so");
		assert_int_equal(pa_symbols_elf_open_image(&elf, copy.bytes, copy.size), 0);
		uint64_t outer = address_of(&elf, "outer");
		pa_symbols_elf_close(&elf);
		free(copy.bytes);
		assert_true(compare_split("d.so", outer) > 0);
		/* Beside the program, when the place it was built at is gone. */
		assert_int_equal(run_command("rm -rf moved; mkdir moved && mv d.so d.dwo moved"),
			0);
		struct pa_symbols_dwarf *dwarf = open_file("moved/d.so");
		assert_int_equal(deepest(dwarf, outer), 3);
		pa_symbols_dwarf_close(dwarf);
		/* In a package. llvm-dwp 14 does not end with what gcc makes, dwp knows DWARF 4. */
		const char *package = i % 2 ? "llvm-dwp d.dwo -o d.so.dwp" :
			i / 2 % 2           ? "dwp -o d.so.dwp d.dwo" :
					      "false";
		if (run_command("cd moved && timeout 60 %s && rm d.dwo", package) == 0) {
			dwarf = open_file("moved/d.so");
			assert_int_equal(deepest(dwarf, outer), 3);
			assert_string_equal(scopes[0].name, "innermost");
			pa_symbols_dwarf_close(dwarf);
			packages++;
		}
		/* Of another build: none. */
		assert_int_equal(
			run_command(
				"echo 'int other;' >o.c && %s %s -gsplit-dwarf -O2 -o d.o o.c &&"
				" rm -f moved/*.dw* && ls *.dwo >/dev/null",
				compiler, flags[i / 2]),
			0);
		dwarf = open_file("moved/d.so");
		assert_int_equal(find(dwarf, outer, 8), 0);
		pa_symbols_dwarf_close(dwarf);
	}
	assert_true(packages > 0 || run_command("dwp --version >/dev/null") != 0);
}

/* A line alone would be that of an inlined function. */
static void split_units_without_their_other_file_have_nothing(void **unused)
{
	uint64_t outer;
	struct pa_symbols_dwarf *dwarf;

	(void)unused;
	assert_int_equal(run_command("rm -f *.dwo"), 0);
	dwarf = open_built("gcc", "-g -gsplit-dwarf", &outer);
	assert_int_equal(run_command("rm *.dwo"), 0);
	assert_int_equal(find(dwarf, outer, 8), 0);
	assert_false(late);
	pa_symbols_dwarf_close(dwarf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_units_have_the_functions_of_their_other_file),
		cmocka_unit_test(split_units_without_their_other_file_have_nothing),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
