/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/core/core.h"
#include "agent/modules/held_files.h"
#include "agent/stacks/stack_table.h"
#include "agent/symbols/symbols_twins.h"
#include "agent/symbols/symbols_unloaded.h"
#include "test/lib/c/symbols_fixture.h"

static struct pa_bridge bridge;
static struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
static int starts;

static void count_start(void)
{
	starts++;
}

/* An event at this moment, and all that depends on what is mapped. */
static void refresh_modules(void)
{
	int64_t now_ns = pa_clock_mono_ns();

	pa_modules_event(now_ns);
	pa_modules_changed(now_ns);
	pa_modules_batch();
}

/* A location in the library, as a sample makes it. */
static const struct pa_loc *sample_in(void *library, const char *name)
{
	uintptr_t pc = (uintptr_t)symbol_in(library, name);

	refresh_modules();
	return pa_stack_table_loc(
		pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE)->locs[0]);
}

/* The file goes, too. */
static void unload(void *library, const char *name)
{
	assert_int_equal(dlclose(library), 0);
	assert_int_equal(run_command("rm %s.so", name), 0);
	refresh_modules();
}

static void name_all(void)
{
	int64_t wait_ns;

	while ((wait_ns = pa_symbols_unloaded_name(NULL)) >= 0)
		usleep((useconds_t)(wait_ns / PA_NS_PER_MS * 1000 + 1000));
}

static void assert_named(const struct pa_loc *loc)
{
	assert_int_equal(pa_symbols_lookup(loc, frames, PA_SYMBOLS_INLINE_MAX), 3);
	assert_string_equal(frames[0].function->name, "innermost");
	assert_int_equal(frames[0].line, 6);
	assert_string_equal(frames[2].function->name, "outer");
	assert_int_equal(frames[2].line, 15);
}

static int fresh(void **unused)
{
	(void)unused;
	pa_held_files_reset();
	pa_held_files_begin(NULL);
	pa_symbols_unloaded_begin(count_start);
	name_all();
	starts = 0;
	return 0;
}

static void code_is_named_after_its_library_and_file_are_gone(void **unused)
{
	(void)unused;
	build_library("gone", library_source, library_flags);
	void *library = open_library("gone");
	const struct pa_loc *loc = sample_in(library, "in_innermost");
	assert_int_equal(pa_held_files_count(), 1);
	assert_int_equal(pa_symbols_unloaded_name(NULL), -1);
	unload(library, "gone");
	assert_true(pa_load_relaxed(&loc->module->dead));
	name_all();
	assert_int_equal(pa_held_files_count(), 0);
	assert_named(loc);
}

static void a_request_may_come_first(void **unused)
{
	(void)unused;
	build_library("asked", library_source, library_flags);
	void *library = open_library("asked");
	const struct pa_loc *loc = sample_in(library, "in_innermost");
	unload(library, "asked");
	assert_named(loc);
	pa_symbols_end_request();
	assert_int_equal(pa_held_files_count(), 1);
	name_all();
	assert_int_equal(pa_held_files_count(), 0);
	assert_named(loc);
}

static bool stop(void *unused)
{
	(void)unused;
	return false;
}

static void a_slice_that_is_ended_is_continued(void **unused)
{
	(void)unused;
	build_library("ended", library_source, library_flags);
	void *library = open_library("ended");
	const struct pa_loc *loc = sample_in(library, "in_innermost");
	unload(library, "ended");
	for (int i = 0; i < 2 * PA_SYMBOLS_UNLOADED_TRIES; i++) {
		pa_symbols_unloaded_begin(count_start); /* no pause */
		assert_true(pa_symbols_unloaded_name(stop) > 0);
	}
	assert_int_equal(pa_held_files_count(), 1);
	name_all();
	assert_named(loc);
}

static void a_thread_is_started_when_there_is_work(void **unused)
{
	(void)unused;
	pa_symbols_unloaded_look();
	assert_int_equal(starts, 0);
	build_library("started", library_source, library_flags);
	void *library = open_library("started");
	sample_in(library, "in_innermost");
	pa_symbols_unloaded_begin(count_start); /* no pause */
	pa_symbols_unloaded_look();
	assert_int_equal(starts, 0);
	unload(library, "started");
	pa_symbols_unloaded_look();
	pa_symbols_unloaded_look(); /* it has not had time to begin */
	assert_int_equal(starts, 1);
	name_all();
	pa_symbols_unloaded_look();
	assert_int_equal(starts, 1);
}

static void libraries_without_locations_are_no_work(void **unused)
{
	(void)unused;
	build_library("unused", library_source, library_flags);
	void *library = open_library("unused");
	refresh_modules();
	unload(library, "unused");
	pa_symbols_unloaded_look();
	assert_int_equal(starts, 0);
	assert_int_equal(pa_symbols_unloaded_name(NULL), -1);
}

/* Loaded again at the same place: known without any file. */
static void a_library_that_is_loaded_again_is_known(void **unused)
{
	(void)unused;
	build_library("again", library_source, library_flags);
	void *library = open_library("again");
	const struct pa_loc *first = sample_in(library, "in_innermost");
	assert_int_equal(dlclose(library), 0);
	refresh_modules();
	name_all();
	library = open_library("again");
	const struct pa_loc *second = sample_in(library, "in_innermost");
	if (second->pc != first->pc)
		skip(); /* the loader has chosen another place */
	assert_ptr_not_equal(second->module, first->module);
	unload(library, "again");
	pa_held_files_release(second->module);
	assert_ptr_equal(pa_symbols_twins_of(second->module), first->module);
	name_all();
	assert_named(second);
}

static void another_build_is_no_twin(void **unused)
{
	struct pa_module one = { .start = 4096, .inode = 1, .build_id_bytes = 20 }, other = one;

	(void)unused;
	assert_null(pa_symbols_twins_of(&one));
	assert_null(pa_symbols_twins_of(&one));
	assert_ptr_equal(pa_symbols_twins_of(&other), &one);
	other.build_id[19] = 1;
	assert_null(pa_symbols_twins_of(&other));
	/* Neither build-id nor time: nothing tells them apart. */
	one = (struct pa_module){ .start = 8192, .inode = 2 };
	other = one;
	assert_null(pa_symbols_twins_of(&one));
	assert_null(pa_symbols_twins_of(&other));
}

static int prepare(void **unused)
{
	pa_core_bridge = &bridge;
	bridge.ring = pa_ring_create(64 * 1024);
	pa_symbols_init(PA_ENV_SYMBOLS_LINES);
	if (pa_stack_table_init(1 << 20) != 0)
		return -1;
	pa_modules_init(&pa_stack_table_listener);
	return make_directory(unused);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(code_is_named_after_its_library_and_file_are_gone, fresh),
		cmocka_unit_test_setup(a_request_may_come_first, fresh),
		cmocka_unit_test_setup(a_slice_that_is_ended_is_continued, fresh),
		cmocka_unit_test_setup(a_thread_is_started_when_there_is_work, fresh),
		cmocka_unit_test_setup(libraries_without_locations_are_no_work, fresh),
		cmocka_unit_test_setup(a_library_that_is_loaded_again_is_known, fresh),
		cmocka_unit_test_setup(another_build_is_no_twin, fresh),
	};

	return cmocka_run_group_tests(tests, prepare, remove_directory);
}
