/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "agent/core/core.h"
#include "agent/stacks/stack_table.h"
#include "agent/symbols/symbols_inflate.h"
#include "test/lib/c/symbols_fixture.h"

#define UNITS 24

static struct pa_bridge bridge;

/* A library of UNITS units f1, f2, ..., together more than what stays in memory. */
static void build_many_units(const char *name)
{
	write_text("unit.c",
		"#define S(n) struct s##n { int a##n, b##n; struct s##n *c##n; } v##n;\n"
		"#define T(n) S(n##0) S(n##1) S(n##2) S(n##3) S(n##4) S(n##5) S(n##6) "
		"S(n##7) S(n##8) S(n##9)\n"
		"#define U(n) T(n##0) T(n##1) T(n##2) T(n##3) T(n##4) T(n##5) T(n##6) "
		"T(n##7) T(n##8) T(n##9)\n"
		"#define V(n) U(n##0) U(n##1) U(n##2) U(n##3) U(n##4) U(n##5) U(n##6) "
		"U(n##7) U(n##8) U(n##9)\n"
		"static V(0) V(1) V(2) V(3) V(4) V(5) V(6) V(7) V(8) V(9)\n"
		"int f(int x) { return x + v0000.a0000; }\n");
	assert_int_equal(run_command("gcc -g -gdwarf-4 -fno-eliminate-unused-debug-symbols -fPIC"
				     " -c -o unit.o unit.c && for i in $(seq %d); do"
				     " objcopy --redefine-sym f=f$i unit.o unit$i.o; done;"
				     " gcc -shared -Wl,-Bsymbolic,--allow-multiple-definition"
				     " -o %s.so unit[0-9]*.o",
				 UNITS, name),
		0);
}

static uint64_t file_bytes(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	assert_int_equal(stat(path_in(path, name), &st), 0);
	return (uint64_t)st.st_size;
}

static void each_section_is_decompressed_once(void **unused)
{
	struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
	uint32_t ids[UNITS];
	char name[16];

	(void)unused;
	build_many_units("many");
	uint64_t plain = file_bytes("many.so");
	assert_true(plain > (uint64_t)16 << 20);
	assert_int_equal(run_command("objcopy --compress-debug-sections=zlib many.so"), 0);
	assert_true(file_bytes("many.so") < plain / 2);
	void *library = open_library("many");
	for (unsigned i = 0; i < UNITS; i++) {
		snprintf(name, sizeof(name), "f%u", UNITS - i);
		uintptr_t pc = (uintptr_t)symbol_in(library, name) + 1;

		ids[i] = pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE)->locs[0];
	}
	uint64_t before = pa_symbols_inflate_total();
	assert_int_equal(pa_symbols_prepare(ids, UNITS, NULL, NULL), 0);
	uint64_t all = pa_symbols_inflate_total() - before;
	assert_in_range(all, plain / 2, plain + plain / 10);
	for (unsigned i = 0; i < UNITS; i++) {
		assert_int_equal(pa_symbols_lookup(pa_stack_table_loc(ids[i]), frames, 32), 1);
		snprintf(name, sizeof(name), "f%u", UNITS - i);
		assert_string_equal(frames->function->name, name);
		assert_true(frames->line > 0);
	}
	pa_symbols_end_request();
	assert_int_equal(pa_symbols_inflate_total() - before, all);
	dlclose(library);
}

static int prepare(void **unused)
{
	pa_core_bridge = &bridge;
	pa_symbols_init(PA_ENV_SYMBOLS_LINES);
	if (pa_stack_table_init(1 << 20) != 0)
		return -1;
	return make_directory(unused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_section_is_decompressed_once),
	};

	return cmocka_run_group_tests(tests, prepare, remove_directory);
}
