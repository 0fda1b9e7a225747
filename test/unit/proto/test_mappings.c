/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/kept_pages.h"
#include "proto/mappings.h"
#include "proto/scratch.h"

#include <errno.h>

#include "test/lib/c/fake_program.h"

static struct pa_mappings mappings;

static int setup(void **unused)
{
	(void)unused;
	pa_kept_pages_trim();
	memset(&kernel, 0, sizeof(kernel));
	assert_int_equal(pa_mappings_init(&mappings), 0);
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	pa_mappings_free(&mappings);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
	return 0;
}

static void module_that_is_gone_needs_a_location(void **unused)
{
	(void)unused;
	pa_mappings_refer(&mappings, pa_stack_table_loc(LOC_USED));
	pa_mappings_refer(&mappings, pa_stack_table_loc(LOC_LOST));
	assert_int_equal(pa_mappings_number(&mappings), 0);
	assert_int_equal(mappings.count, 4);
	assert_ptr_equal(pa_mappings_get(&mappings, 1)->module, &modules[0]);
	assert_ptr_equal(pa_mappings_get(&mappings, 2)->module, &modules[2]);
	assert_ptr_equal(pa_mappings_get(&mappings, 4)->segment, &modules[3].segments[1]);
}

static void limits_of_a_segment_are_exact(void **unused)
{
	struct pa_loc loc = { .module = &modules[3] };

	(void)unused;
	assert_int_equal(pa_mappings_number(&mappings), 0);
	loc.pc = 0x7000;
	assert_int_equal(pa_mappings_id(&mappings, &loc), 2);
	loc.pc = 0x77FF;
	assert_int_equal(pa_mappings_id(&mappings, &loc), 2);
	loc.pc = 0x7800;
	assert_int_equal(pa_mappings_id(&mappings, &loc), 0);
	loc.pc = 0x8000;
	assert_int_equal(pa_mappings_id(&mappings, &loc), 3);
}

static void module_that_came_later_has_no_mapping(void **unused)
{
	struct pa_module later = modules[0];
	struct pa_loc loc = { .pc = 0x1100, .module = &later };

	(void)unused;
	later.id = 5;
	pa_mappings_refer(&mappings, &loc);
	assert_int_equal(pa_mappings_number(&mappings), 0);
	assert_int_equal(pa_mappings_id(&mappings, &loc), 0);
}

static void what_was_found_is_noted(void **unused)
{
	struct pa_frame frames[] = { { &fn_in, 0 }, { &fn_used, 4 } };
	const struct pa_mapping *mapping;

	(void)unused;
	assert_int_equal(pa_mappings_number(&mappings), 0);
	pa_mappings_named(&mappings, 0, frames, 2);
	mapping = pa_mappings_get(&mappings, 1);
	assert_false(mapping->used);
	pa_mappings_named(&mappings, 1, frames, 2);
	assert_true(mapping->used && mapping->inlined);
	assert_true(mapping->without_file && mapping->without_line);
	assert_false(mapping->unnamed);
	pa_mappings_named(&mappings, 1, frames, 0);
	assert_true(mapping->unnamed);
}

static void build_id_of_full_length_fits(void **unused)
{
	struct pa_module saved = modules[0];

	(void)unused;
	memset(modules[0].build_id, 0xA5, sizeof(modules[0].build_id));
	modules[0].build_id_bytes = PA_BUILD_ID_BYTES;
	assert_int_equal(pa_mappings_number(&mappings), 0);
	modules[0] = saved;
	assert_string_equal(pa_mappings_get(&mappings, 1)->build_id,
		"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5");
	assert_string_equal(pa_mappings_get(&mappings, 2)->build_id, "");
}

static void missing_memory_is_told(void **unused)
{
	(void)unused;
	kernel.fail_at = kernel.calls + 1;
	assert_int_equal(pa_mappings_number(&mappings), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(module_that_is_gone_needs_a_location, setup,
			teardown),
		cmocka_unit_test_setup_teardown(limits_of_a_segment_are_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(module_that_came_later_has_no_mapping, setup,
			teardown),
		cmocka_unit_test_setup_teardown(what_was_found_is_noted, setup, teardown),
		cmocka_unit_test_setup_teardown(build_id_of_full_length_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_memory_is_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
