/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/symbols/symbols_load.h"
#include "test/lib/c/symbols_fixture.h"

/* The clocks of this test: each look at the time that was used may take long. */
static int64_t cpu_ns = 1000 * PA_NS_PER_S, step_ns, wall_ns = 1000 * PA_NS_PER_S;

int64_t pa_clock_thread_cpu_ns(void)
{
	cpu_ns += step_ns;
	return cpu_ns;
}

int64_t pa_clock_mono_ns(void)
{
	return wall_ns;
}

static struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];

/* A library that was not looked at before. */
static void *fresh_library(const char *name)
{
	build_library(name, library_source, library_flags);
	return open_library(name);
}

static void *place_in(void *library)
{
	return symbol_in(library, "in_innermost");
}

static void out_of_time_names_must_do_until_the_next_request(void **unused)
{
	void *library = fresh_library("late");

	(void)unused;
	step_ns = 3 * PA_NS_PER_S;
	assert_int_equal(look_up(place_in(library), frames), 1);
	assert_string_equal(frames[0].function->name, "outer");
	assert_int_equal(frames[0].line, 0);
	step_ns = 0;
	assert_int_equal(look_up(place_in(library), frames), 1);
	pa_symbols_end_request();
	assert_int_equal(look_up(place_in(library), frames), 3);
	assert_int_equal(look_up(place_in(library), frames), 3);
}

/* On a busy machine a thread waits most of the time. */
static void time_that_passes_without_work_takes_no_lines_away(void **unused)
{
	void *library = fresh_library("busy");

	(void)unused;
	pa_symbols_end_request();
	wall_ns += 3600 * PA_NS_PER_S;
	assert_int_equal(look_up(place_in(library), frames), 3);
}

static void old_requests_have_a_smaller_share(void **unused)
{
	void *one = fresh_library("soon"), *two = fresh_library("old");

	(void)unused;
	pa_symbols_end_request();
	assert_int_equal(look_up(place_in(one), frames), 3);
	step_ns = 2 * PA_NS_PER_S / 5;
	for (char *at = symbol_in(one, "outer"), *end = at + 3; at < end; at++)
		look_up(at, frames);
	step_ns = 0;
	wall_ns += 11 * PA_NS_PER_S;
	assert_int_equal(look_up(place_in(two), frames), 1);
	pa_symbols_end_request();
	assert_int_equal(look_up(place_in(two), frames), 3);
}

static void time_is_shared_by_all_modules_of_a_request(void **unused)
{
	void *one = fresh_library("one"), *two = fresh_library("two");

	(void)unused;
	pa_symbols_end_request();
	assert_int_equal(look_up(place_in(one), frames), 3);
	step_ns = 2 * PA_NS_PER_S / 5;
	for (char *at = symbol_in(one, "outer"), *end = at + 6; at < end; at++)
		look_up(at, frames);
	step_ns = 0;
	assert_int_equal(look_up(place_in(two), frames), 1);
	pa_symbols_end_request();
	assert_int_equal(look_up(place_in(two), frames), 3);
}

static void lines_that_are_lacking_are_counted_until_they_come(void **unused)
{
	void *library = fresh_library("counted");
	uint32_t before = pa_symbols_lacking();

	(void)unused;
	pa_symbols_end_request();
	step_ns = 3 * PA_NS_PER_S;
	look_up(place_in(library), frames);
	look_up(symbol_in(library, "exported"), frames);
	step_ns = 0;
	assert_int_equal(pa_symbols_lacking(), before + 2);
	pa_symbols_end_request();
	look_up(place_in(library), frames);
	assert_int_equal(pa_symbols_lacking(), before + 1);
	look_up(symbol_in(library, "exported"), frames);
	assert_int_equal(pa_symbols_lacking(), before);
}

static void no_request_is_the_last_one_that_may_have_lines(void **unused)
{
	void *library = fresh_library("patient");

	(void)unused;
	for (int i = 0; i < 20; i++) {
		pa_symbols_end_request();
		step_ns = 3 * PA_NS_PER_S;
		assert_int_equal(look_up(place_in(library), frames), 1);
		step_ns = 0;
	}
	pa_symbols_end_request();
	assert_int_equal(look_up(place_in(library), frames), 3);
}

static bool count_down(void *arg)
{
	int *left = arg;

	return (*left)-- > 0;
}

static void locations_are_prepared_in_any_number(void **unused)
{
	void *library = fresh_library("many");
	char *outer = symbol_in(library, "outer");
	uint32_t ids[64];
	int left = 2;

	(void)unused;
	assert_int_equal(pa_stack_table_init(1 << 20), 0);
	for (uint32_t i = 0; i < PA_COUNT(ids); i++) {
		uintptr_t pc = (uintptr_t)outer + i % 32;

		ids[i] = pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE)->locs[0];
	}
	assert_int_equal(pa_symbols_prepare(ids, 0, NULL, NULL), 0);
	step_ns = 3 * PA_NS_PER_S;
	assert_int_equal(pa_symbols_prepare(ids, PA_COUNT(ids), NULL, NULL), PA_COUNT(ids));
	step_ns = 0;
	pa_symbols_prepare(ids, PA_COUNT(ids), count_down, &left);
	assert_int_equal(left, -1);
	assert_int_equal(pa_symbols_prepare(ids, PA_COUNT(ids), NULL, NULL), 0);
	assert_int_equal(pa_symbols_lookup(pa_stack_table_loc(ids[0]), frames, 32), 1);
	assert_true(frames[0].line > 0);
}

static void what_was_dropped_is_read_again(void **unused)
{
	void *library = fresh_library("dropped");
	struct pa_module *module = pa_maps_find((uintptr_t)place_in(library));
	struct pa_symbols symbols = { 0 };

	(void)unused;
	for (int i = 0; i < 2; i++) {
		pa_symbols_load_table(module, &symbols);
		assert_true(symbols.table.count >= 4);
		assert_int_equal(symbols.bias, module->bias);
		assert_true(pa_symbols_load_debug(module, &symbols));
		assert_int_equal(symbols.debug, PA_SYMBOLS_DEBUG_OPEN);
		pa_symbols_load_drop_debug(&symbols);
		pa_symbols_load_drop_table(&symbols);
		assert_int_equal(symbols.debug, PA_SYMBOLS_DEBUG_CLOSED);
		assert_int_equal(symbols.table.count, 0);
	}
}

static void debug_information_that_is_not_there_is_asked_for_once(void **unused)
{
	void *library;
	struct pa_module *module;
	struct pa_symbols symbols = { 0 };

	(void)unused;
	build_library("plain", library_source, "-O2 -shared -fPIC");
	library = open_library("plain");
	module = pa_maps_find((uintptr_t)place_in(library));
	assert_false(pa_symbols_load_debug(module, &symbols));
	assert_int_equal(symbols.debug, PA_SYMBOLS_DEBUG_NONE);
}

static void libraries_in_folders_of_the_loader_are_of_the_system(void **unused)
{
	static const char *const of_system[] = { "/lib/x86_64-linux-gnu/libc.so.6",
		"/usr/lib/x86_64-linux-gnu/libz.so.1.2.13", "/usr/lib64/libm.so.6",
		"/lib64/ld-linux-x86-64.so.2", "/usr/lib/libfoo.so", "[vdso]" };
	static const char *const of_program[] = { "/usr/lib/postgresql/15/lib/plpgsql.so",
		"/usr/lib/x86_64-linux-gnu/perl/5.36/auto/Socket/Socket.so", "/opt/lib/libfoo.so",
		"/usr/lib/jvm/libjvm.so", "/usr/libexec/foo.so", "/usr/local/lib/libfoo.so", "" };
	struct pa_module module = { 0 };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(of_system); i++) {
		module.path = (char *)of_system[i];
		assert_true(pa_symbols_load_is_of_system(&module));
	}
	for (size_t i = 0; i < PA_COUNT(of_program); i++) {
		module.path = (char *)of_program[i];
		assert_false(pa_symbols_load_is_of_system(&module));
	}
	module.path = (char *)of_system[0];
	module.is_main = true;
	assert_false(pa_symbols_load_is_of_system(&module));
}

/* Linkers can leave the header out of what is mapped: then the file tells. */
static void without_a_header_in_memory_the_file_gives_the_bias(void **unused)
{
	void *library = fresh_library("headless");
	struct pa_module copy = *pa_maps_find((uintptr_t)place_in(library));
	struct pa_symbols symbols = { 0 };
	uintptr_t bias = copy.bias;

	(void)unused;
	copy.is_elf = false;
	copy.bias = 0;
	copy.build_id_bytes = 0;
	pa_symbols_load_table(&copy, &symbols);
	assert_int_equal(symbols.bias, bias);
	pa_symbols_load_drop_table(&symbols);
}

static int prepare(void **unused)
{
	pa_symbols_init(PA_ENV_SYMBOLS_LINES);
	return make_directory(unused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out_of_time_names_must_do_until_the_next_request),
		cmocka_unit_test(time_that_passes_without_work_takes_no_lines_away),
		cmocka_unit_test(old_requests_have_a_smaller_share),
		cmocka_unit_test(lines_that_are_lacking_are_counted_until_they_come),
		cmocka_unit_test(no_request_is_the_last_one_that_may_have_lines),
		cmocka_unit_test(locations_are_prepared_in_any_number),
		cmocka_unit_test(time_is_shared_by_all_modules_of_a_request),
		cmocka_unit_test(what_was_dropped_is_read_again),
		cmocka_unit_test(debug_information_that_is_not_there_is_asked_for_once),
		cmocka_unit_test(libraries_in_folders_of_the_loader_are_of_the_system),
		cmocka_unit_test(without_a_header_in_memory_the_file_gives_the_bias),
	};

	return cmocka_run_group_tests(tests, prepare, remove_directory);
}
