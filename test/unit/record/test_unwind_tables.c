/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "agent/record/unwind_tables.h"

/* Those made before are gone. */
static struct pa_unwind_tables *make_tables(void)
{
	static struct pa_unwind_tables tables;
	memset(&tables, 0, sizeof(tables));
	return &tables;
}

static struct pa_unwind_tables_slot *find_table(struct pa_unwind_tables *tables, uintptr_t begin)
{
	struct pa_unwind_tables_slot *slots = pa_load_acquire(&tables->slots), *found = NULL;
	for (size_t i = 0; slots && i < PA_UNWIND_TABLES_SLOTS; i++)
		if (pa_load_relaxed(&slots[i].state) & PA_UNWIND_TABLES_FILLED &&
			pa_load_relaxed(&slots[i].begin) == begin) {
			assert_null(found);
			found = &slots[i];
		}
	return found;
}

static uint64_t state_of(struct pa_unwind_tables *tables, uintptr_t begin)
{
	struct pa_unwind_tables_slot *slot = find_table(tables, begin);
	return slot ? pa_load_relaxed(&slot->state) : 0;
}

static bool is_announced(const struct pa_unwind_tables *tables,
	const struct pa_unwind_tables_slot *slot)
{
	size_t group =
		(size_t)(slot - pa_load_relaxed(&tables->slots)) / PA_UNWIND_TABLES_GROUP_SLOTS;
	return pa_load_relaxed(&tables->changed[group / 64]) >> group % 64 & 1;
}

static void table_is_added_once_and_removed_once(void **unused)
{
	(void)unused;
	struct pa_unwind_tables *tables = make_tables();
	assert_false(pa_unwind_tables_remove(tables, 0x5000, 1));
	assert_true(pa_unwind_tables_add(tables, 0x5000, false, 100));
	assert_true(pa_unwind_tables_add(tables, 0x6000, true, 200));
	assert_int_equal(pa_load_relaxed(&tables->adds), 2);
	assert_int_equal(pa_unwind_tables_time_ns(state_of(tables, 0x5000)), 100);
	assert_false(state_of(tables, 0x5000) & PA_UNWIND_TABLES_LIST);
	assert_true(state_of(tables, 0x6000) & PA_UNWIND_TABLES_LIST);
	struct pa_unwind_tables_slot *slot = find_table(tables, 0x5000);
	assert_true(is_announced(tables, slot));
	assert_true(pa_unwind_tables_is_there(slot, 100));
	assert_false(pa_unwind_tables_is_there(slot, 101));
	assert_false(pa_unwind_tables_remove(tables, 0x5000, 300));
	assert_null(find_table(tables, 0x5000));
	assert_false(pa_unwind_tables_is_there(slot, 100));
	/* By then it was gone. */
	assert_int_equal(pa_unwind_tables_time_ns(pa_load_relaxed(&slot->state)), 300);
	assert_true(pa_load_relaxed(&slot->state) & PA_UNWIND_TABLES_GONE);
	assert_false(pa_unwind_tables_remove(tables, 0x5000, 400));
}

static void removal_tells_whether_rules_may_be_cached(void **unused)
{
	(void)unused;
	struct pa_unwind_tables *tables = make_tables();
	assert_true(pa_unwind_tables_add(tables, 0x5000, false, 100));
	struct pa_unwind_tables_slot *slot = find_table(tables, 0x5000);
	assert_true(pa_unwind_tables_mark(slot, 100, PA_UNWIND_TABLES_SEEN));
	assert_false(pa_unwind_tables_remove(tables, 0x5000, 200));
	assert_false(pa_unwind_tables_mark(slot, 100, PA_UNWIND_TABLES_USED));
	assert_true(pa_unwind_tables_add(tables, 0x5000, false, 300));
	slot = find_table(tables, 0x5000);
	assert_false(pa_unwind_tables_mark(slot, 100, PA_UNWIND_TABLES_USED));
	assert_true(pa_unwind_tables_mark(slot, 300, PA_UNWIND_TABLES_USED));
	assert_true(pa_unwind_tables_mark(slot, 300, PA_UNWIND_TABLES_USED));
	assert_true(pa_unwind_tables_remove(tables, 0x5000, 400));
}

/* Clocks of some machines have ticks of milliseconds. */
static void each_change_has_a_time_of_its_own(void **unused)
{
	(void)unused;
	struct pa_unwind_tables *tables = make_tables();
	int64_t last = 0;
	for (int i = 0; i < 100; i++) {
		assert_true(pa_unwind_tables_add(tables, 0x5000, false, 1000));
		struct pa_unwind_tables_slot *slot = find_table(tables, 0x5000);
		int64_t time_ns = pa_unwind_tables_time_ns(pa_load_relaxed(&slot->state));
		assert_true(time_ns >= 1000 && time_ns > last);
		last = time_ns;
		pa_unwind_tables_remove(tables, 0x5000, 1000);
		assert_true(pa_unwind_tables_time_ns(pa_load_relaxed(&slot->state)) > last);
	}
}

/* Tables of one page, of pages, and of larger blocks: 40,000 of 65,536 slots find a place. */
static void many_tables_find_a_place(void **unused)
{
	(void)unused;
	static const uintptr_t steps[] = { 8, 96, 4096, 1 << 21 };
	for (size_t s = 0; s < PA_COUNT(steps); s++) {
		struct pa_unwind_tables *tables = make_tables();
		for (uintptr_t i = 1; i <= 40000; i++)
			assert_true(pa_unwind_tables_add(tables, 0x7f0000000000 + i * steps[s],
				false, (int64_t)i));
		for (uintptr_t i = 1; i <= 40000; i++) {
			struct pa_unwind_tables_slot *slots = pa_load_relaxed(&tables->slots);
			assert_false(pa_unwind_tables_remove(tables, 0x7f0000000000 + i * steps[s],
				50000));
			assert_non_null(slots);
		}
		for (size_t i = 0; i < PA_UNWIND_TABLES_SLOTS; i++)
			assert_false(pa_load_relaxed(&pa_load_relaxed(&tables->slots)[i].state) &
				PA_UNWIND_TABLES_FILLED);
	}
}

static void full_tables_refuse_more_and_forget_nothing(void **unused)
{
	(void)unused;
	struct pa_unwind_tables *tables = make_tables();
	size_t added = 0, refused = 0;
	for (uintptr_t i = 1; refused < 20000; i++) {
		bool is_in = pa_unwind_tables_add(tables, i * 64, false, (int64_t)i);
		added += is_in;
		refused += !is_in;
	}
	assert_true(added > 60000 && added <= PA_UNWIND_TABLES_SLOTS);
	size_t filled = 0;
	for (size_t i = 0; i < PA_UNWIND_TABLES_SLOTS; i++)
		filled += pa_load_relaxed(&pa_load_relaxed(&tables->slots)[i].state) &
			PA_UNWIND_TABLES_FILLED;
	assert_int_equal(filled, added);
	assert_int_equal(pa_load_relaxed(&tables->adds), added);
}

enum { THREADS = 4, ROUNDS = 20000 };
static struct pa_unwind_tables *shared;

/* Each thread has its own tables, in slots that all of them use. */
static void *add_and_remove(void *arg)
{
	uintptr_t base = (uintptr_t)arg << 32;
	for (uintptr_t i = 1; i <= ROUNDS; i++) {
		if (!pa_unwind_tables_add(shared, base + i * 16, false, (int64_t)i))
			return "an addition failed";
		if (i > 100)
			pa_unwind_tables_remove(shared, base + (i - 100) * 16, (int64_t)i);
	}
	return NULL;
}

static void threads_do_not_lose_tables(void **unused)
{
	(void)unused;
	pthread_t threads[THREADS];
	shared = make_tables();
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_and_remove, (void *)(i + 1)),
			0);
	for (size_t i = 0; i < THREADS; i++) {
		void *fault;
		pthread_join(threads[i], &fault);
		assert_null(fault);
	}
	for (uintptr_t i = 1; i <= THREADS; i++) {
		assert_null(find_table(shared, (i << 32) + (uintptr_t)(ROUNDS - 100) * 16));
		assert_non_null(find_table(shared, (i << 32) + (uintptr_t)(ROUNDS - 99) * 16));
		assert_non_null(find_table(shared, (i << 32) + (uintptr_t)ROUNDS * 16));
	}
	assert_int_equal(pa_load_relaxed(&shared->adds), THREADS * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_is_added_once_and_removed_once),
		cmocka_unit_test(removal_tells_whether_rules_may_be_cached),
		cmocka_unit_test(each_change_has_a_time_of_its_own),
		cmocka_unit_test(many_tables_find_a_place),
		cmocka_unit_test(full_tables_refuse_more_and_forget_nothing),
		cmocka_unit_test(threads_do_not_lose_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
