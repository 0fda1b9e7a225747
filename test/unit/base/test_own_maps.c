/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/own_maps.h"

#include "agent/base/arena.h"

#define KIB ((size_t)1024)
#define AT(kib) ((char *)0x10000000 + (kib)*KIB)

static struct {
	size_t count;
	char *memory[4];
	size_t bytes[4];
} unlocked;

static void unlock(void *memory, size_t bytes)
{
	assert_in_range(unlocked.count, 0, 3);
	unlocked.memory[unlocked.count] = memory;
	unlocked.bytes[unlocked.count++] = bytes;
}

static struct pa_own_maps maps;

static int setup(void **unused)
{
	(void)unused;
	maps = (struct pa_own_maps){ .unlock = unlock };
	unlocked.count = 0;
	pa_own_maps_join(&maps);
	return 0;
}

static void check_unlocked(size_t at, const char *memory, size_t bytes)
{
	assert_ptr_equal(unlocked.memory[at], memory);
	assert_int_equal(unlocked.bytes[at], bytes);
}

static void what_is_there_is_unlocked(void **unused)
{
	(void)unused;
	pa_own_maps_add(AT(0), 64 * KIB);
	pa_own_maps_add(AT(100), 100 * KIB);
	pa_own_maps_unlock_all();
	assert_int_equal(unlocked.count, 2);
	check_unlocked(0, AT(0), 64 * KIB);
	check_unlocked(1, AT(100), 100 * KIB);
}

static void small_mappings_have_no_entry(void **unused)
{
	(void)unused;
	pa_own_maps_add(AT(0), PA_OWN_MAPS_LEAST_BYTES - 1);
	pa_own_maps_unlock_all();
	assert_int_equal(unlocked.count, 0);
}

static void what_is_unmapped_is_not(void **unused)
{
	(void)unused;
	pa_own_maps_add(AT(0), 64 * KIB);
	pa_own_maps_add(AT(100), 100 * KIB);
	pa_own_maps_remove(AT(0), 64 * KIB);
	pa_own_maps_add(AT(300), 40 * KIB);
	pa_own_maps_unlock_all();
	assert_int_equal(unlocked.count, 2);
	check_unlocked(0, AT(300), 40 * KIB);
	check_unlocked(1, AT(100), 100 * KIB);
}

static void parts_are_unmapped(void **unused)
{
	(void)unused;
	pa_own_maps_add(AT(0), 100 * KIB);
	pa_own_maps_remove(AT(0), 20 * KIB);
	pa_own_maps_remove(AT(70), 30 * KIB);
	pa_own_maps_remove(AT(500), 4 * KIB);
	pa_own_maps_unlock_all();
	assert_int_equal(unlocked.count, 1);
	check_unlocked(0, AT(20), 50 * KIB);
}

static void full_table_drops(void **unused)
{
	(void)unused;
	for (size_t i = 0; i <= PA_OWN_MAPS; i++)
		pa_own_maps_add(AT(64 * i), 64 * KIB);
	for (size_t i = 0; i < PA_OWN_MAPS - 1; i++)
		pa_own_maps_remove(AT(64 * i), 64 * KIB);
	pa_own_maps_unlock_all();
	assert_int_equal(unlocked.count, 1);
	check_unlocked(0, AT(64 * (PA_OWN_MAPS - 1)), 64 * KIB);
}

/* ---- arena.c ---- */

static void mapping_of_a_locked_program_is_unlocked(void **unused)
{
	(void)unused;
	pa_store_release(&maps.locked, 1);
	char *memory = pa_map(64 * KIB);
	assert_int_equal(memory[64 * KIB - 1], 0);
	memory[0] = 1;
	assert_int_equal(unlocked.count, 1);
	check_unlocked(0, memory, 64 * KIB);
	pa_unmap(memory, 64 * KIB);
	pa_own_maps_unlock_all();
	assert_int_equal(unlocked.count, 1);
}

static void arena_enters_its_mappings(void **unused)
{
	(void)unused;
	char *memory = pa_map(64 * KIB), *table = pa_map_table(40 * KIB);
	assert_int_equal(unlocked.count, 0);
	pa_own_maps_unlock_all();
	assert_int_equal(unlocked.count, 2);
	check_unlocked(0, memory, 64 * KIB);
	check_unlocked(1, table, 40 * KIB);
	pa_unmap(memory, 64 * KIB);
	pa_unmap_table(table, 40 * KIB);
	pa_own_maps_unlock_all();
	assert_int_equal(unlocked.count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_there_is_unlocked, setup),
		cmocka_unit_test_setup(small_mappings_have_no_entry, setup),
		cmocka_unit_test_setup(what_is_unmapped_is_not, setup),
		cmocka_unit_test_setup(parts_are_unmapped, setup),
		cmocka_unit_test_setup(full_table_drops, setup),
		cmocka_unit_test_setup(mapping_of_a_locked_program_is_unlocked, setup),
		cmocka_unit_test_setup(arena_enters_its_mappings, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
