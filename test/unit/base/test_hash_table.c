/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/base/hash_table.h"

#define SLOTS 11

/* Members are small numbers; the test says what their hashes are. */
static uint64_t hashes[64];
static uint32_t looked_at;

static bool is_member(const struct pa_hash_table *unused, const void *slot, const void *key)
{
	uint32_t member = *(const uint32_t *)slot, wanted = *(const uint32_t *)key;
	(void)unused;
	if (!pa_hash_table_tag_fits(member, hashes[wanted]))
		return false;
	looked_at++;
	return pa_hash_table_number(member) == wanted;
}

static uint64_t hash_of(const struct pa_hash_table *unused, const void *slot)
{
	(void)unused;
	return hashes[pa_hash_table_number(*(const uint32_t *)slot)];
}

static const struct pa_hash_table_kind kind = {
	.slot_bytes = sizeof(uint32_t),
	.has_key = is_member,
	.hash = hash_of,
};

static uint32_t slots[SLOTS];
static struct pa_hash_table table;

static int empty(void **unused)
{
	(void)unused;
	memset(slots, 0, sizeof(slots));
	table = (struct pa_hash_table){ slots, SLOTS, 0 };
	return 0;
}

/* A hash that places a member in that slot of SLOTS. */
static uint64_t hash_for(uint32_t slot)
{
	return (((uint64_t)slot << 32) / SLOTS + 1) << 32;
}

static void add(uint32_t member, uint32_t home)
{
	hashes[member] = hash_for(home) | member;
	*(uint32_t *)pa_hash_table_add(&kind, &table, hashes[member]) =
		pa_hash_table_tagged(hashes[member], member);
}

static bool is_there(uint32_t member)
{
	uint32_t i = pa_hash_table_find(&kind, &table, hashes[member], &member);
	return pa_hash_table_is_taken(&kind, &table, i);
}

static void drop(uint32_t member)
{
	pa_hash_table_remove(&kind, &table,
		pa_hash_table_find(&kind, &table, hashes[member], &member));
}

static void members_follow_their_home_around_the_end(void **unused)
{
	(void)unused;
	for (uint32_t member = 0; member < 4; member++)
		add(member, SLOTS - 2);
	assert_int_equal(pa_hash_table_number(slots[SLOTS - 2]), 0);
	assert_int_equal(pa_hash_table_number(slots[SLOTS - 1]), 1);
	assert_int_equal(pa_hash_table_number(slots[0]), 2);
	assert_int_equal(pa_hash_table_number(slots[1]), 3);
	assert_int_equal(table.used, 4);
}

/* All homes of five members, and each of them taken: what is left is found, and nothing else. */
static void gaps_close_for_any_homes(void **unused)
{
	enum { MEMBERS = 5, HOMES = 4, CASES = HOMES * HOMES * HOMES * HOMES * HOMES };
	(void)unused;
	for (uint32_t i = 0; i < CASES * MEMBERS; i++) {
		uint32_t homes = i / MEMBERS, gone = i % MEMBERS;
		empty(NULL);
		for (uint32_t member = 0; member < MEMBERS; member++, homes /= HOMES)
			add(member, (SLOTS - 2 + homes % HOMES) % SLOTS);
		drop(gone);
		for (uint32_t member = 0; member < MEMBERS; member++)
			assert_int_equal(is_there(member), member != gone);
		assert_int_equal(table.used, MEMBERS - 1);
	}
}

static void members_with_other_hashes_are_not_looked_at(void **unused)
{
	(void)unused;
	for (uint32_t member = 0; member < 8; member++)
		add(member, 3);
	looked_at = 0;
	assert_true(is_there(7));
	assert_int_equal(looked_at, 1);
}

static void moved_table_has_all_of_it_and_gives_the_old_slots(void **unused)
{
	static uint32_t larger[SLOTS * 3];
	(void)unused;
	for (uint32_t member = 0; member < SLOTS - 1; member++)
		add(member, member * 7 % SLOTS);
	assert_ptr_equal(pa_hash_table_move(&kind, &table, larger, PA_COUNT(larger)), slots);
	assert_int_equal(table.used, SLOTS - 1);
	for (uint32_t member = 0; member < SLOTS - 1; member++)
		assert_true(is_there(member));
}

static void table_grows_from_nothing_and_stays_a_quarter_free(void **unused)
{
	size_t before = pa_map_bytes();
	(void)unused;
	table = (struct pa_hash_table){ 0 };
	for (uint32_t i = 0; i < 100000; i++) {
		assert_true(pa_hash_table_grow(&kind, &table, 16));
		assert_true(table.used < table.capacity - table.capacity / 4);
		hashes[i % 64] = pa_hash_table_hash(i % 64);
		*(uint32_t *)pa_hash_table_add(&kind, &table, hashes[i % 64]) =
			pa_hash_table_tagged(hashes[i % 64], i % 64);
		if (table.capacity > 5000)
			break;
	}
	assert_in_range(table.capacity, 5000, 8000);
	assert_int_equal(pa_map_bytes() - before, table.capacity * sizeof(uint32_t));
	pa_hash_table_free(&kind, &table);
	assert_int_equal(pa_map_bytes(), before);
	assert_int_equal(table.capacity, 0);
}

/* Both are asked for addresses and for small numbers that follow each other. */
static void hashes_of_neighbours_spread_over_a_table(void **unused)
{
	enum { PARTS = 64, VALUES = 64 * 1024 };
	static uint32_t hash[PARTS], mix[PARTS], low[PARTS];
	(void)unused;
	for (uint64_t i = 0; i < VALUES; i++) {
		uint64_t value = 0x7f0000000000 + i * 48;
		hash[pa_hash_table_home(pa_hash_table_hash(value), PARTS)]++;
		mix[pa_hash_table_home(pa_hash_table_mix(0, value), PARTS)]++;
		low[pa_hash_table_hash(value) % PARTS]++;
	}
	for (uint32_t i = 0; i < PARTS; i++) {
		assert_in_range(hash[i], VALUES / PARTS * 3 / 4, VALUES / PARTS * 5 / 4);
		assert_in_range(mix[i], VALUES / PARTS * 3 / 4, VALUES / PARTS * 5 / 4);
		assert_in_range(low[i], VALUES / PARTS * 3 / 4, VALUES / PARTS * 5 / 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(members_follow_their_home_around_the_end, empty),
		cmocka_unit_test_setup(gaps_close_for_any_homes, empty),
		cmocka_unit_test_setup(members_with_other_hashes_are_not_looked_at, empty),
		cmocka_unit_test_setup(moved_table_has_all_of_it_and_gives_the_old_slots, empty),
		cmocka_unit_test_setup(table_grows_from_nothing_and_stays_a_quarter_free, empty),
		cmocka_unit_test(hashes_of_neighbours_spread_over_a_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
