/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "agent/base/arena.h"
#include "agent/modules/held_files.h"
#include "test/lib/c/symbols_fixture.h"

#define PAGE ((size_t)4096)

static struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
static void *library;

/* ---------------------------------------------------------------- names, files, lines */

static __attribute__((noinline)) int hidden_in_this_file(int x)
{
	return x + 1;
}

static void a_static_function_of_the_program_is_found_by_address(void **unused)
{
	char *pc = (char *)hidden_in_this_file + 1;

	(void)unused;
	assert_int_equal(hidden_in_this_file(1), 2);
	assert_int_equal(look_up(pc, frames), 1);
	assert_string_equal(frames[0].function->name, "hidden_in_this_file");
	assert_ptr_equal(frames[0].function->system_name, frames[0].function->name);
	assert_int_equal(frames[0].function->entry, (uintptr_t)hidden_in_this_file);
	assert_non_null(strstr(frames[0].function->file, "test_symbols.c"));
	assert_int_equal(frames[0].function->file[0], '/');
	assert_true(frames[0].line >= frames[0].function->start_line);
	assert_true(frames[0].function->start_line > 0);
}

static void inlined_functions_come_innermost_first(void **unused)
{
	static const struct {
		const char *name;
		uint32_t start_line, line;
	} wanted[] = { { "innermost", 3, 6 }, { "middle", 8, 10 }, { "outer", 12, 15 } };
	char path[PATH_MAX];

	(void)unused;
	path_in(path, "library.c");
	assert_int_equal(look_up(symbol_in(library, "in_innermost"), frames), 3);
	for (size_t i = 0; i < PA_COUNT(wanted); i++) {
		assert_string_equal(frames[i].function->name, wanted[i].name);
		assert_string_equal(frames[i].function->file, path);
		assert_int_equal(frames[i].function->start_line, wanted[i].start_line);
		assert_int_equal(frames[i].line, wanted[i].line);
	}
	assert_int_equal(frames[0].function->entry, 0);
	assert_int_equal(frames[2].function->entry, (uintptr_t)symbol_in(library, "outer"));
}

static void when_there_is_no_room_the_inner_frames_go(void **unused)
{
	struct pa_loc loc = location(symbol_in(library, "in_innermost"));

	(void)unused;
	assert_int_equal(pa_symbols_lookup(&loc, frames, 2), 2);
	assert_string_equal(frames[0].function->name, "middle");
	assert_string_equal(frames[1].function->name, "outer");
	assert_int_equal(pa_symbols_lookup(&loc, frames, 1), 1);
	assert_string_equal(frames[0].function->name, "outer");
	assert_int_equal(pa_symbols_lookup(&loc, frames, 0), 0);
}

static void equal_functions_are_equal_pointers(void **unused)
{
	struct pa_frame others[PA_SYMBOLS_INLINE_MAX];
	char *outer = symbol_in(library, "outer");

	(void)unused;
	assert_true(look_up(outer, frames) >= 1);
	assert_int_equal(look_up(symbol_in(library, "in_innermost"), others), 3);
	assert_ptr_equal(frames[0].function, others[2].function);
}

static void a_second_lookup_needs_no_file(void **unused)
{
	void *gone;
	void *pc;

	(void)unused;
	build_library("gone", library_source, library_flags);
	gone = open_library("gone");
	pc = symbol_in(gone, "in_innermost");
	assert_int_equal(look_up(pc, frames), 3);
	assert_int_equal(run_command("rm gone.so gone.c"), 0);
	pa_symbols_end_request();
	assert_int_equal(look_up(pc, frames), 3);
	assert_string_equal(frames[1].function->name, "middle");
	dlclose(gone);
}

static void rest_gives_memory_back_and_takes_no_names(void **unused)
{
	size_t busy;

	(void)unused;
	assert_int_equal(look_up((char *)symbol_in(library, "in_innermost") - 1, frames) > 0, 1);
	busy = pa_map_bytes();
	pa_symbols_end_request();
	assert_true(pa_map_bytes() < busy);
	assert_true(look_up(symbol_in(library, "exported"), frames) > 0);
	assert_string_equal(frames[0].function->name, "exported");
	assert_int_equal(frames[0].line, 23);
}

static void cplusplus_names_are_demangled(void **unused)
{
	static const char source[] =
		"namespace app { template <class T> __attribute__((noinline)) T hot(T x)"
		" { return x * 2; } }\n"
		"extern \"C\" void *address(void) { return (void *)app::hot<int>; }\n";
	void *(*address)(void), *cplusplus;

	(void)unused;
	write_text("plus.cc", source);
	assert_int_equal(run_command("g++ -O1 -g -shared -fPIC -o plus.so plus.cc"), 0);
	cplusplus = open_library("plus");
	*(void **)&address = symbol_in(cplusplus, "address");
	assert_int_equal(look_up(address(), frames), 1);
	assert_string_equal(frames[0].function->name, "int app::hot<int>(int)");
	assert_string_equal(frames[0].function->system_name, "_ZN3app3hotIiEET_S1_");
}

static void rust_names_are_demangled(void **unused)
{
	static const char source[] =
		"mod app { #[inline(never)] pub fn hot(x: u64) -> u64 { x.wrapping_mul(3) } }\n"
		"#[no_mangle] pub extern \"C\" fn address() -> usize { app::hot as usize }\n";
	static const char *const versions[] = { "legacy", "v0" };

	(void)unused;
	if (run_command("rustc --version >/dev/null") != 0)
		skip();
	write_text("rusty.rs", source);
	for (size_t i = 0; i < PA_COUNT(versions); i++) {
		char name[32];
		void *(*address)(void);

		snprintf(name, sizeof(name), "rust_%s", versions[i]);
		/* legacy is the compiler's choice and needs no flag */
		assert_int_equal(run_command("rustc -g --crate-type cdylib %s -o %s.so rusty.rs",
					 i ? "-C symbol-mangling-version=v0" : "", name),
			0);
		*(void **)&address = symbol_in(open_library(name), "address");
		assert_int_equal(look_up(address(), frames), 1);
		assert_string_equal(frames[0].function->name, "rusty::app::hot");
		assert_int_equal(frames[0].line, 1);
	}
}

/* The mangled name has about 6,000 characters: as templates of today have. */
static void long_names_are_demangled_and_cut(void **unused)
{
	void *(*address)(void);

	(void)unused;
	assert_int_equal(
		run_command(
			"{ echo 'template <class...> struct list {};'; i=0;"
			" while [ $i -lt 100 ]; do echo \"struct a_class_with_a_long_name_to_add"
			"_up_$i {};\"; i=$((i + 1)); done;"
			" echo 'template <class T> __attribute__((noinline)) int hot(T)"
			" { return 1; }'; printf 'typedef list<int'; i=0;"
			" while [ $i -lt 100 ]; do printf ', a_class_with_a_long_name_to_add_up_"
			"%%s' $i; i=$((i + 1)); done; echo '> big;';"
			" echo 'extern \"C\" void *address(void) { return (void *)hot<big>; }';"
			" } >long.cc && g++ -O1 -g -shared -fPIC -o long.so long.cc"),
		0);
	*(void **)&address = symbol_in(open_library("long"), "address");
	assert_int_equal(look_up(address(), frames), 1);
	const char *name = frames[0].function->name;
	assert_memory_equal(name, "int hot<list<int, a_class_with", 30);
	assert_true(strlen(name) > 4000);
	assert_string_equal(name + strlen(name) - 3, "...");
	assert_true(frames[0].line > 0);
}

/* As llvm-symbolizer has them. */
static void functions_of_classes_in_functions_have_frames(void **unused)
{
	static const char source[] =
		"volatile unsigned sink;\n"
		"static inline __attribute__((always_inline)) void mix(unsigned x)\n"
		"{\n"
		"	sink += x; /* line 4 */\n"
		"}\n"
		"struct outer { static void *run(unsigned n) {\n"
		"	struct inner { unsigned k;\n"
		"		__attribute__((noinline)) void go() {\n"
		"			mix(k); /* line 9 */\n"
		"			asm volatile(\".globl in_go\\nin_go: nop\");\n"
		"		} };\n"
		"	inner it = { n }; it.go(); return nullptr; } };\n"
		"extern \"C\" void *call(unsigned n) { return outer::run(n); }\n";
	static const char *const flags[] = { "-O0 -gdwarf-5", "-O1 -gdwarf-4", "-O2 -gdwarf-5" };

	(void)unused;
	write_text("local.cc", source);
	for (size_t i = 0; i < PA_COUNT(flags); i++) {
		char name[16];

		snprintf(name, sizeof(name), "local%zu", i);
		assert_int_equal(run_command("g++ %s -g -shared -fPIC -o %s.so local.cc", flags[i],
					 name),
			0);
		char *place = symbol_in(open_library(name), "in_go");
		assert_int_equal(look_up(place, frames), 1);
		assert_int_equal(frames[0].line, 10);
		assert_non_null(strstr(frames[0].function->name, "inner::go()"));
		bool inlined = false;
		for (int at = 1; at < 32 && !inlined; at++) {
			inlined = look_up(place - at, frames) == 2 &&
				strcmp(frames[0].function->name, "mix") == 0 &&
				frames[0].line == 4 && frames[1].line == 9 &&
				strstr(frames[1].function->name, "inner::go()");
		}
		assert_true(inlined);
	}
}

/* The unit has a function at f, one inlined into it, and no names; there is no symbol either. */
static void functions_without_any_name_have_frames(void **unused)
{
	static const char source[] =
		".text\n.globl start\n.type start, @function\nstart: ret\n.size start, 1\n"
		".skip 15\nf: .skip 64, 0x90\n"
		".section .debug_abbrev\n"
		".byte 1, 0x11, 1, 0x11, 1, 0x12, 7, 0, 0\n"
		".byte 2, 0x2e, 1, 0x11, 1, 0x12, 7, 0, 0\n"
		".byte 3, 0x1d, 0, 0x11, 1, 0x12, 7, 0x59, 0xb, 0, 0, 0\n"
		".section .debug_info\n"
		".long 2f - 1f\n1: .value 4\n.long 0\n.byte 8\n"
		".byte 1\n.quad f, 64\n.byte 2\n.quad f, 64\n.byte 3\n.quad f, 32\n.byte 77\n"
		".byte 0, 0\n2:\n.section .note.GNU-stack,\"\"\n";

	(void)unused;
	write_text("nameless.s", source);
	assert_int_equal(run_command("gcc -shared -o nameless.so nameless.s && strip -K start"
				     " --keep-section=.debug_info --keep-section=.debug_abbrev"
				     " nameless.so"),
		0);
	char *start = symbol_in(open_library("nameless"), "start");
	assert_int_equal(look_up(start + 20, frames), 2);
	assert_string_equal(frames[0].function->name, "[unnamed function]");
	assert_string_equal(frames[1].function->name, "[unnamed function]");
	assert_int_equal(frames[1].line, 77);
	assert_int_equal(look_up(start + 60, frames), 1);
	assert_int_equal(frames[0].function->entry, (uintptr_t)start + 16);
}

static void assembly_without_types_has_names_and_lines(void **unused)
{
	static const char source[] =
		".text\n.globl bare_one\nbare_one:\n nop\n.Llocal:\n nop\n nop\n"
		".globl bare_two\nbare_two:\n ret\n .section .note.GNU-stack,\"\"\n";
	char *one;

	(void)unused;
	write_text("bare.s", source);
	assert_int_equal(run_command("gcc -g -shared -o bare.so bare.s"), 0);
	one = symbol_in(open_library("bare"), "bare_one");
	assert_string_equal(name_at(one), "bare_one");
	assert_string_equal(name_at(one + 2), "bare_one");
	assert_string_equal(name_at(one + 3), "bare_two");
	assert_int_equal(look_up(one + 2, frames), 1);
	assert_int_equal(frames[0].line, 7);
}

static void libc_functions_have_the_names_that_people_use(void **unused)
{
	(void)unused;
	assert_string_equal(name_at(dlsym(RTLD_NEXT, "write")), "write");
	assert_string_equal(name_at((char *)dlsym(RTLD_NEXT, "qsort") + 1), "qsort");
}

/* ---------------------------------------------------------------- what has no name */

static void pseudo_locations_have_constant_names(void **unused)
{
	static const char *const names[PA_PSEUDO_LIMIT] = {
		[PA_PSEUDO_LOST] = "pprofagent.lostEvents",
		[PA_PSEUDO_BROKEN] = "[no unwind information]",
		[PA_PSEUDO_SHORT] = "[stack copy limit]",
		[PA_PSEUDO_CUT] = "[stack depth limit]",
		[PA_PSEUDO_NO_ANSWER] = "[no answer]",
		[PA_PSEUDO_EXIT] = "[thread exit]",
		[PA_PSEUDO_REST] = "[not sampled]",
	};

	(void)unused;
	for (uintptr_t pc = 1; pc < PA_PSEUDO_LIMIT; pc++) {
		struct pa_loc loc = { .pc = pc };

		assert_int_equal(pa_symbols_lookup(&loc, frames, 1), 1);
		assert_string_equal(frames[0].function->name, names[pc]);
		assert_string_equal(frames[0].function->system_name, names[pc]);
		assert_string_equal(frames[0].function->file, "");
	}
	assert_int_equal(look_up(NULL, frames), 0);
}

static void a_location_outside_modules_has_no_frames(void **unused)
{
	struct pa_loc loc = { .pc = (uintptr_t)frames };

	(void)unused;
	assert_int_equal(pa_symbols_lookup(&loc, frames, 1), 0);
}

/* ---------------------------------------------------------------- modes */

static void names_mode_reads_tables_only(void **unused)
{
	void *other;

	(void)unused;
	build_library("other", library_source, library_flags);
	other = open_library("other");
	pa_symbols_init(PA_ENV_SYMBOLS_NAMES);
	assert_int_equal(look_up(symbol_in(other, "in_innermost"), frames), 1);
	pa_symbols_init(PA_ENV_SYMBOLS_LINES);
	assert_string_equal(frames[0].function->name, "outer");
	assert_string_equal(frames[0].function->file, "");
	assert_int_equal(frames[0].line, 0);
	assert_int_equal(frames[0].function->entry, (uintptr_t)symbol_in(other, "outer"));
}

static void none_mode_gives_no_frames(void **unused)
{
	void *nothing;

	(void)unused;
	build_library("nothing", library_source, library_flags);
	nothing = open_library("nothing");
	pa_symbols_init(PA_ENV_SYMBOLS_NONE);
	assert_int_equal(look_up(symbol_in(nothing, "outer"), frames), 0);
	assert_null(pa_symbols_at((uintptr_t)symbol_in(nothing, "outer")));
	pa_symbols_init(PA_ENV_SYMBOLS_LINES);
}

/* ---------------------------------------------------------------- by address */

static void an_address_gives_the_function_around_it(void **unused)
{
	struct pa_function *function = pa_symbols_at((uintptr_t)symbol_in(library, "in_innermost"));

	(void)unused;
	assert_non_null(function);
	assert_string_equal(function->name, "outer");
	assert_int_equal(function->entry, (uintptr_t)symbol_in(library, "outer"));
	assert_ptr_equal(pa_symbols_at((uintptr_t)symbol_in(library, "outer")), function);
}

static void addresses_that_are_no_code_give_nothing(void **unused)
{
	int local = 0;
	void *closed;
	uintptr_t pc;

	(void)unused;
	assert_null(pa_symbols_at(0));
	assert_null(pa_symbols_at(UINTPTR_MAX));
	assert_null(pa_symbols_at((uintptr_t)&local));
	assert_null(pa_symbols_at((uintptr_t)symbol_in(library, "sink")));
	build_library("closed", library_source, library_flags);
	closed = open_library("closed");
	pc = (uintptr_t)symbol_in(closed, "outer");
	assert_non_null(pa_symbols_at(pc));
	dlclose(closed);
	assert_int_equal(pa_maps_refresh(), 0);
	if (!pa_maps_find(pc))
		assert_null(pa_symbols_at(pc));
}

/* ---------------------------------------------------------------- fork */

static void a_forked_child_knows_what_its_parent_knew(void **unused)
{
	void *pc = symbol_in(library, "in_innermost");
	int status;

	(void)unused;
	assert_int_equal(look_up(pc, frames), 3);
	pid_t pid = fork();
	if (pid == 0) {
		pa_maps_reset();
		pa_symbols_reset();
		_exit(look_up(pc, frames) == 3 && strcmp(name_at((char *)pc + 1), "outer") == 0 ?
				0 :
				1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#ifndef __SANITIZE_ADDRESS__ /* its allocator's locks stay as they are in a forked child */
static PA_ATOMIC(bool) stop;

static void *look_up_for_ever(void *arg)
{
	struct pa_frame found[PA_SYMBOLS_INLINE_MAX];
	const struct pa_module *module = arg;

	for (uintptr_t i = 0; !pa_load_relaxed(&stop); i++) {
		struct pa_loc loc = { .pc = module->segments[0].start + i % 65536,
			.module = (struct pa_module *)module };

		pa_symbols_lookup(&loc, found, PA_SYMBOLS_INLINE_MAX);
		if (i % 64 == 0)
			pa_symbols_end_request();
	}
	return NULL;
}

/* The parent's thread is somewhere in the middle of it, and gone in the child. */
static void a_child_of_a_busy_parent_starts_afresh(void **unused)
{
	void *pc = symbol_in(library, "in_innermost");
	pthread_t thread;
	int status;

	(void)unused;
	assert_int_equal(pthread_create(&thread, NULL, look_up_for_ever, pa_maps_get(1)), 0);
	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pa_maps_reset();
			pa_symbols_reset();
			pa_held_files_reset();
			_exit(look_up(pc, frames) == 3 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	pa_store_relaxed(&stop, true);
	pthread_join(thread, NULL);
}
#endif

static int open_first_library(void **unused)
{
	if (make_directory(unused) != 0)
		return -1;
	build_library("library", library_source, library_flags);
	library = open_library("library");
	pa_symbols_init(PA_ENV_SYMBOLS_LINES);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_static_function_of_the_program_is_found_by_address),
		cmocka_unit_test(inlined_functions_come_innermost_first),
		cmocka_unit_test(when_there_is_no_room_the_inner_frames_go),
		cmocka_unit_test(equal_functions_are_equal_pointers),
		cmocka_unit_test(a_second_lookup_needs_no_file),
		cmocka_unit_test(rest_gives_memory_back_and_takes_no_names),
		cmocka_unit_test(cplusplus_names_are_demangled),
		cmocka_unit_test(rust_names_are_demangled),
		cmocka_unit_test(long_names_are_demangled_and_cut),
		cmocka_unit_test(functions_of_classes_in_functions_have_frames),
		cmocka_unit_test(functions_without_any_name_have_frames),
		cmocka_unit_test(assembly_without_types_has_names_and_lines),
		cmocka_unit_test(libc_functions_have_the_names_that_people_use),
		cmocka_unit_test(pseudo_locations_have_constant_names),
		cmocka_unit_test(a_location_outside_modules_has_no_frames),
		cmocka_unit_test(names_mode_reads_tables_only),
		cmocka_unit_test(none_mode_gives_no_frames),
		cmocka_unit_test(an_address_gives_the_function_around_it),
		cmocka_unit_test(addresses_that_are_no_code_give_nothing),
		cmocka_unit_test(a_forked_child_knows_what_its_parent_knew),
#ifndef __SANITIZE_ADDRESS__
		cmocka_unit_test(a_child_of_a_busy_parent_starts_afresh),
#endif
	};

	return cmocka_run_group_tests(tests, open_first_library, remove_directory);
}
