/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "agent/base/arena.h"
#include "agent/base/atomic.h"
#include "agent/record/alloc_counts.h"

static struct pa_alloc_counts *counts;

static int set_up(void **unused)
{
	(void)unused;
	counts = pa_alloc_counts_create(); /* the one before leaks */
	return counts ? 0 : -1;
}

static struct pa_alloc_counts_key key_of(const uintptr_t *pcs, uint32_t depth, size_t bytes)
{
	return pa_alloc_counts_key(counts, pcs, depth, false, bytes, 3);
}

static struct pa_alloc_counts_key numbered_key(uintptr_t number)
{
	const uintptr_t pcs[2] = { 0x555555554000 + number * 16, 0x555555555000 };
	return key_of(pcs, 2, 8);
}

static void keys_differ_by_all_that_they_are_made_of(void **unused)
{
	(void)unused;
	const uintptr_t pcs[5] = { 11, 22, 33, 44, 0 };
	const uintptr_t swapped[4] = { 22, 11, 33, 44 }, crossed[4] = { 33, 22, 11, 44 };
	pa_alloc_counts_publish(counts, key_of(pcs, 4, 100), 1);
	assert_int_equal(pa_alloc_counts_find(counts, key_of(pcs, 4, 100)), 1);
	assert_int_equal(pa_alloc_counts_find(counts, key_of(pcs, 4, 101)), 0);
	assert_int_equal(pa_alloc_counts_find(counts, key_of(pcs, 3, 100)), 0);
	assert_int_equal(pa_alloc_counts_find(counts, key_of(pcs, 5, 100)), 0);
	assert_int_equal(pa_alloc_counts_find(counts, key_of(pcs + 1, 4, 100)), 0);
	assert_int_equal(pa_alloc_counts_find(counts, key_of(swapped, 4, 100)), 0);
	assert_int_equal(pa_alloc_counts_find(counts, key_of(crossed, 4, 100)), 0);
	assert_int_equal(pa_alloc_counts_find(counts,
				 pa_alloc_counts_key(counts, pcs, 4, true, 100, 3)),
		0);
	assert_int_equal(pa_alloc_counts_find(counts,
				 pa_alloc_counts_key(counts, pcs, 4, false, 100, 4)),
		0);
}

static void deepest_and_empty_stacks_have_keys(void **unused)
{
	(void)unused;
	uintptr_t pcs[PA_ALLOC_COUNTS_DEPTH];
	for (uint32_t i = 0; i < PA_ALLOC_COUNTS_DEPTH; i++)
		pcs[i] = 0x400000 + i;
	pa_alloc_counts_publish(counts, key_of(pcs, PA_ALLOC_COUNTS_DEPTH, 1), 7);
	pa_alloc_counts_publish(counts, key_of(pcs, 0, 1), PA_ALLOC_COUNTS_NUMBERS);
	assert_int_equal(pa_alloc_counts_find(counts, key_of(pcs, PA_ALLOC_COUNTS_DEPTH, 1)), 7);
	assert_int_equal(pa_alloc_counts_find(counts, key_of(pcs, 0, 1)), PA_ALLOC_COUNTS_NUMBERS);
	pcs[PA_ALLOC_COUNTS_DEPTH - 1]++;
	assert_int_equal(pa_alloc_counts_find(counts, key_of(pcs, PA_ALLOC_COUNTS_DEPTH, 1)), 0);
}

/* More keys than places in one set; of all numbers together most are found. */
static void a_full_table_forgets_some_keys_and_mistakes_none(void **unused)
{
	(void)unused;
	uint32_t found = 0;
	for (uint32_t i = 1; i <= PA_ALLOC_COUNTS_NUMBERS; i++) {
		pa_alloc_counts_publish(counts, numbered_key(i), i);
		assert_int_equal(pa_alloc_counts_find(counts, numbered_key(i)), i);
	}
	for (uint32_t i = 1; i <= PA_ALLOC_COUNTS_NUMBERS; i++) {
		uint32_t number = pa_alloc_counts_find(counts, numbered_key(i));
		assert_true(!number || number == i);
		found += number != 0;
	}
	assert_true(found > PA_ALLOC_COUNTS_NUMBERS / 100 * 90);
}

static void forgotten_keys_are_unknown_until_they_are_published_again(void **unused)
{
	(void)unused;
	pa_alloc_counts_publish(counts, numbered_key(1), 5);
	pa_alloc_counts_forget_keys(counts);
	assert_int_equal(pa_alloc_counts_find(counts, numbered_key(1)), 0);
	pa_alloc_counts_publish(counts, numbered_key(1), 5);
	assert_int_equal(pa_alloc_counts_find(counts, numbered_key(1)), 5);
}

static void counts_are_taken_once(void **unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++)
		pa_alloc_counts_made(counts, 9);
	pa_alloc_counts_freed(counts, 9);
	pa_alloc_counts_missed(counts, 9);
	struct pa_alloc_counts_taken taken = pa_alloc_counts_take(counts, 9);
	assert_int_equal(taken.made, 3);
	assert_int_equal(taken.freed, 2);
	assert_int_equal(pa_alloc_counts_take_missed(counts), 1);
	pa_alloc_counts_revived(counts, 9);
	taken = pa_alloc_counts_take(counts, 9);
	assert_int_equal(taken.made, 0);
	assert_int_equal(taken.freed, -1);
	assert_int_equal(pa_alloc_counts_take_missed(counts), 0);
}

static void abandoned_counts_are_zero_and_keys_unknown(void **unused)
{
	(void)unused;
	pa_alloc_counts_publish(counts, numbered_key(1), 5);
	pa_alloc_counts_made(counts, 5);
	pa_alloc_counts_missed(counts, 5);
	pa_alloc_counts_abandon(counts);
	assert_int_equal(pa_alloc_counts_find(counts, numbered_key(1)), 0);
	struct pa_alloc_counts_taken taken = pa_alloc_counts_take(counts, 5);
	assert_int_equal(taken.made, 0);
	assert_int_equal(taken.freed, 0);
	assert_int_equal(pa_alloc_counts_take_missed(counts), 0);
}

enum { WRITES = 300000, KEYS = 64 };

static void *find_all(void *stop)
{
	uintptr_t wrong = 0;
	while (!pa_load_acquire((PA_ATOMIC(uint32_t) *)stop))
		for (uint32_t i = 1; i <= KEYS; i++) {
			uint32_t number = pa_alloc_counts_find(counts, numbered_key(i));
			wrong += number && number != i;
		}
	return (void *)wrong;
}

/* Without the check of both words a reader would find the number of another key. */
static void keys_that_are_overwritten_meanwhile_are_never_mistaken(void **unused)
{
	(void)unused;
	PA_ATOMIC(uint32_t) stop = 0;
	pthread_t reader;
	void *wrong;
	pthread_create(&reader, NULL, find_all, &stop);
	for (uint32_t i = 0; i < WRITES; i++)
		pa_alloc_counts_publish(counts, numbered_key(1 + i % PA_ALLOC_COUNTS_NUMBERS),
			1 + i % PA_ALLOC_COUNTS_NUMBERS);
	pa_store_release(&stop, 1);
	pthread_join(reader, &wrong);
	assert_null(wrong);
}

static void *make_and_free(void *unused)
{
	(void)unused;
	for (int i = 0; i < WRITES; i++) {
		pa_alloc_counts_made(counts, 2);
		pa_alloc_counts_freed(counts, 2);
	}
	return NULL;
}

static void no_free_is_taken_before_its_allocation(void **unused)
{
	(void)unused;
	pthread_t writers[2];
	int64_t made = 0, freed = 0;
	for (int i = 0; i < 2; i++)
		pthread_create(&writers[i], NULL, make_and_free, NULL);
	while (made < WRITES) {
		struct pa_alloc_counts_taken taken = pa_alloc_counts_take(counts, 2);
		made += taken.made;
		freed += taken.freed;
		assert_true(freed <= made);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	struct pa_alloc_counts_taken rest = pa_alloc_counts_take(counts, 2);
	assert_int_equal(made + rest.made, 2 * WRITES);
	assert_int_equal(freed + rest.freed, 2 * WRITES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(keys_differ_by_all_that_they_are_made_of, set_up),
		cmocka_unit_test_setup(deepest_and_empty_stacks_have_keys, set_up),
		cmocka_unit_test_setup(a_full_table_forgets_some_keys_and_mistakes_none, set_up),
		cmocka_unit_test_setup(forgotten_keys_are_unknown_until_they_are_published_again,
			set_up),
		cmocka_unit_test_setup(counts_are_taken_once, set_up),
		cmocka_unit_test_setup(abandoned_counts_are_zero_and_keys_unknown, set_up),
		cmocka_unit_test_setup(keys_that_are_overwritten_meanwhile_are_never_mistaken,
			set_up),
		cmocka_unit_test_setup(no_free_is_taken_before_its_allocation, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
