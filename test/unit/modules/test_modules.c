/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/core/core.h"
#include "agent/modules/modules.h"
#include "agent/stacks/stack_table.h"
#include "test/lib/c/fake_maps.h"

/* The clock is the test's: a refresh takes no time, and time passes when the test says so. */
static int64_t now_ns;

int64_t pa_clock_mono_ns(void)
{
	return now_ns;
}

static struct pa_bridge bridge;

static int fresh(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	bridge.ring = pa_ring_create(64 * 1024);
	now_ns = PA_NS_PER_S;
	fake_maps_clear();
	pa_modules_abandon();
	pa_stack_table_reset();
	assert_int_equal(pa_stack_table_init(1 << 20), 0);
	pa_modules_init(&pa_stack_table_listener);
	now_ns++;
	return 0;
}

static void record_something(void)
{
	void *record = pa_ring_reserve(bridge.ring, 64);
	assert_non_null(record);
	pa_ring_publish(bridge.ring, record, 64, 64);
}

static void read_everything(void)
{
	size_t bytes;
	while (pa_ring_read(bridge.ring, &bytes))
		pa_ring_release(bridge.ring);
}

/* An event is recorded, and read a little later. */
static void read_event(void)
{
	pa_modules_event(now_ns);
	now_ns++;
}

static struct pa_module *module_of_next_event(uintptr_t pc)
{
	read_event();
	return pa_modules_find(pc);
}

/* Unknown pcs until the maps are not read for them any more. */
static void spend_all(void)
{
	int before;
	fake_maps.takes_ns = 5 * PA_NS_PER_MS;
	fake_maps.clock_ns = &now_ns;
	do {
		before = fake_maps.refreshes;
		assert_null(module_of_next_event(0x9000));
	} while (fake_maps.refreshes != before);
}

static void an_unknown_pc_reads_the_maps_if_they_are_older_than_its_event(void **unused)
{
	struct pa_module *module;
	(void)unused;
	pa_modules_batch();
	assert_null(module_of_next_event(0x1000));
	assert_int_equal(fake_maps.refreshes, 2);
	module = fake_map(0x1000, 0x2000);
	assert_null(pa_modules_find(0x1000));
	assert_null(pa_modules_find(0x5000));
	assert_int_equal(fake_maps.refreshes, 2);
	assert_ptr_equal(module_of_next_event(0x1000), module);
	assert_int_equal(fake_maps.refreshes, 3);
	assert_ptr_equal(module_of_next_event(0x1800), module);
	assert_int_equal(fake_maps.refreshes, 3);
}

static void slow_maps_are_read_for_a_twentieth_of_the_time_at_most(void **unused)
{
	(void)unused;
	spend_all();
	assert_in_range(fake_maps.refreshes, 1 + 100 / 5, 3 + 100 / 5);
	int before = fake_maps.refreshes;
	now_ns += 10 * PA_NS_PER_S;
	spend_all();
	assert_in_range(fake_maps.refreshes - before, 100 / 5, 2 + 100 / 5);
	before = fake_maps.refreshes;
	for (int i = 0; i < 1000; i++) {
		now_ns += 1 * PA_NS_PER_MS;
		pa_modules_batch();
		assert_null(module_of_next_event(0x9000));
	}
	assert_in_range(fake_maps.refreshes - before, 1000 / 105, 2 + 1000 / 100);
}

/* A location without a module must not stay so because the maps could not be read at once. */
static void a_refused_pc_is_placed_by_a_later_batch(void **unused)
{
	uintptr_t pc = 0x1800;
	struct pa_module *module;
	(void)unused;
	spend_all();
	module = fake_map(0x1000, 0x2000);
	assert_null(pa_stack_table_loc(
		pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE)->locs[0])
			    ->module);
	now_ns += PA_NS_PER_S;
	pa_modules_batch();
	assert_ptr_equal(pa_stack_table_loc(pa_stack_table_intern_locked(&pc, 1, true,
						    PA_PSEUDO_NONE)
						    ->locs[0])
				 ->module,
		module);
}

/* The MODULES event is recorded before the loader maps anything, and may be read before, too. */
static void what_a_dlopen_maps_is_found_by_the_first_event_from_there(void **unused)
{
	(void)unused;
	spend_all();
	for (uintptr_t at = 0x10000; at < 0x100000; at += 0x1000) {
		pa_modules_changed(now_ns);
		struct pa_module *module = fake_map(at, at + 0x1000);
		assert_ptr_equal(module_of_next_event(at), module);
	}
}

static void map_another_at_its_place(struct pa_module *old)
{
	uintptr_t pc = old->start;
	assert_ptr_equal(pa_stack_table_loc(pa_stack_table_intern_locked(&pc, 1, true,
						    PA_PSEUDO_NONE)
						    ->locs[0])
				 ->module,
		old);
	fake_unmap(old);
	pa_modules_changed(now_ns++);
	assert_true(old->dead);
	record_something();
	/* Recorded before the refresh, and read after it. */
	pa_modules_event(now_ns - 1 - PA_NS_PER_MS);
	assert_ptr_equal(pa_modules_find(old->start), old);
	struct pa_module *new = fake_map(old->start, old->limit);
	read_event();
	assert_ptr_equal(pa_stack_table_loc(pa_stack_table_intern_locked(&pc, 1, true,
						    PA_PSEUDO_NONE)
						    ->locs[0])
				 ->module,
		new);
}

/* Also while the maps of the last refresh have nothing there, and before a new batch begins. */
static void a_place_that_is_free_is_not_the_old_modules_any_more(void **unused)
{
	(void)unused;
	for (uintptr_t at = 0x10000; at < 0x20000; at += 0x1000) {
		struct pa_module *old = fake_map(at, at + 0x1000);
		assert_ptr_equal(module_of_next_event(at), old);
		map_another_at_its_place(old);
	}
}

/* Events before the MODULES event mean the old module, those after it the new one. */
static void a_reused_place_changes_hands_at_the_modules_event(void **unused)
{
	struct pa_module *old = fake_map(0x1000, 0x2000), *new;
	(void)unused;
	pa_modules_changed(now_ns);
	assert_ptr_equal(pa_modules_find(0x1800), old);
	record_something();

	fake_unmap(old);
	new = fake_map(0x1400, 0x2400);
	pa_modules_batch();
	/* Unknown so far: the maps are read. */
	assert_ptr_equal(module_of_next_event(0x2000), new);
	assert_true(old->dead);
	assert_ptr_equal(pa_modules_find(0x1800), old);
	pa_modules_changed(now_ns);
	assert_ptr_equal(pa_modules_find(0x1800), new);
	assert_true(fake_maps.forgotten_pages > 0);
}

/* The maps that a MODULES event makes us read may be without modules that went later. */
static void a_module_that_goes_later_is_found_until_its_events_are_read(void **unused)
{
	struct pa_module *first = fake_map(0x1000, 0x2000), *second = fake_map(0x3000, 0x4000);
	(void)unused;
	pa_modules_changed(now_ns);
	record_something();
	fake_unmap(first);
	fake_unmap(second);
	pa_modules_changed(now_ns);
	pa_modules_batch();
	assert_ptr_equal(pa_modules_find(0x3800), second);
	read_everything();
	pa_modules_batch();
	assert_null(pa_modules_find(0x3800));
	assert_null(pa_modules_find(0x1800));
}

static void changes_older_than_the_last_reading_cost_nothing(void **unused)
{
	int64_t changed_ns = now_ns;
	int before;
	(void)unused;
	now_ns += 100;
	pa_modules_changed(changed_ns);
	before = fake_maps.refreshes;
	for (int i = 0; i < 1000; i++)
		pa_modules_changed(changed_ns + i % 100);
	assert_int_equal(fake_maps.refreshes, before);
	pa_modules_changed(now_ns);
	assert_int_equal(fake_maps.refreshes, before + 1);
}

static void a_failed_reading_is_tried_again(void **unused)
{
	struct pa_module *old = fake_map(0x1000, 0x2000), *new;
	(void)unused;
	pa_modules_changed(now_ns);
	fake_unmap(old);
	new = fake_map(0x1000, 0x2000);
	fake_maps.fails = true;
	pa_modules_changed(now_ns);
	assert_ptr_equal(pa_modules_find(0x1800), old);
	fake_maps.fails = false;
	pa_modules_batch();
	pa_modules_batch();
	assert_ptr_equal(pa_modules_find(0x1800), new);
}

/* As in a forked child whose own knowledge was lost, while the list of modules was not. */
static void modules_that_died_before_the_start_are_no_ones(void **unused)
{
	struct pa_module *old = fake_map(0x1000, 0x2000), *new;
	(void)unused;
	pa_modules_changed(now_ns);
	fake_unmap(old);
	pa_modules_changed(now_ns);
	assert_true(old->dead);
	record_something();
	new = fake_map(0x1000, 0x2000);
	pa_modules_abandon();
	pa_modules_init(&pa_stack_table_listener);
	assert_ptr_equal(pa_modules_find(0x1800), new);
	fake_unmap(new);
	now_ns++;
	pa_modules_changed(now_ns);
	assert_ptr_equal(pa_modules_find(0x1800), new);
}

static void only_executable_segments_count(void **unused)
{
	struct pa_module *old = fake_map(0x1000, 0x9000);
	(void)unused;
	old->segments[0].limit = 0x2000;
	record_something();
	pa_modules_changed(now_ns);
	fake_unmap(old);
	pa_modules_changed(now_ns);
	assert_ptr_equal(pa_modules_find(0x1fff), old);
	assert_null(pa_modules_find(0x2000));
}

static void more_modules_than_the_first_table_holds_are_followed(void **unused)
{
	(void)unused;
	for (uintptr_t i = 1; i <= 900; i++)
		fake_map(i * 0x10000, i * 0x10000 + 0x1000);
	pa_modules_changed(now_ns);
	for (uint32_t i = 0; i < 900; i++)
		fake_unmap(&fake_maps.modules[i]);
	pa_modules_changed(now_ns);
	pa_modules_batch();
	for (uintptr_t i = 1; i <= 900; i++)
		assert_null(pa_modules_find(i * 0x10000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			an_unknown_pc_reads_the_maps_if_they_are_older_than_its_event, fresh),
		cmocka_unit_test_setup(slow_maps_are_read_for_a_twentieth_of_the_time_at_most,
			fresh),
		cmocka_unit_test_setup(a_refused_pc_is_placed_by_a_later_batch, fresh),
		cmocka_unit_test_setup(what_a_dlopen_maps_is_found_by_the_first_event_from_there,
			fresh),
		cmocka_unit_test_setup(a_place_that_is_free_is_not_the_old_modules_any_more, fresh),
		cmocka_unit_test_setup(a_reused_place_changes_hands_at_the_modules_event, fresh),
		cmocka_unit_test_setup(a_module_that_goes_later_is_found_until_its_events_are_read,
			fresh),
		cmocka_unit_test_setup(changes_older_than_the_last_reading_cost_nothing, fresh),
		cmocka_unit_test_setup(a_failed_reading_is_tried_again, fresh),
		cmocka_unit_test_setup(modules_that_died_before_the_start_are_no_ones, fresh),
		cmocka_unit_test_setup(only_executable_segments_count, fresh),
		cmocka_unit_test_setup(more_modules_than_the_first_table_holds_are_followed, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
