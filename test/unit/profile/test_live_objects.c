/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/profile/live_objects.h"

static int empty(void **unused)
{
	(void)unused;
	pa_live_objects_abandon();
	return 0;
}

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void a_put_object_is_taken_once(void **unused)
{
	uint32_t bucket = 0, old;
	(void)unused;
	assert_false(pa_live_objects_has(0x5000));
	assert_false(pa_live_objects_take_locked(0x5000, &bucket));
	assert_int_equal(pa_live_objects_put_locked(0x5000, 77, &old), PA_LIVE_OBJECTS_ADDED);
	assert_true(pa_live_objects_has(0x5000));
	assert_false(pa_live_objects_has(0x5010));
	assert_int_equal(pa_live_objects_stats().objects, 1);
	assert_true(pa_live_objects_take_locked(0x5000, &bucket));
	assert_int_equal(bucket, 77);
	assert_false(pa_live_objects_take_locked(0x5000, &bucket));
	assert_int_equal(pa_live_objects_stats().objects, 0);
}

static void a_second_put_gives_the_old_bucket(void **unused)
{
	uint32_t bucket = 0, old = 0;
	(void)unused;
	pa_live_objects_put_locked(0x5000, 1, &old);
	assert_int_equal(pa_live_objects_put_locked(0x5000, 2, &old), PA_LIVE_OBJECTS_REPLACED);
	assert_int_equal(old, 1);
	assert_int_equal(pa_live_objects_stats().objects, 1);
	assert_true(pa_live_objects_take_locked(0x5000, &bucket));
	assert_int_equal(bucket, 2);
}

static void addresses_that_differ_only_in_their_high_half_are_distinct(void **unused)
{
	uint32_t bucket = 0, old;
	(void)unused;
	for (uint32_t i = 0; i < 0x7fff; i++)
		assert_int_equal(pa_live_objects_put_locked((uintptr_t)i << 32 | 0xabcd0, i, &old),
			PA_LIVE_OBJECTS_ADDED);
	for (uint32_t i = 0; i < 0x7fff; i++) {
		assert_true(pa_live_objects_take_locked((uintptr_t)i << 32 | 0xabcd0, &bucket));
		assert_int_equal(bucket, i);
	}
}

/* Deleting moves other objects: all of them must still be found, with their own buckets. */
static void random_puts_and_takes_agree_with_an_array(void **unused)
{
	enum { OBJECTS = 6000, STEPS = 400000 };
	static uint32_t model[OBJECTS]; /* bucket, 0 = not live */
	_Static_assert(OBJECTS + 1 < PA_LIVE_OBJECTS_BUCKETS, "a bucket for each");
	uint64_t seed = 88172645463325252u;
	size_t live = 0;
	(void)unused;
	for (uint32_t step = 1; step <= STEPS; step++) {
		uint64_t r = random_next(&seed);
		uint32_t i = (r >> 20) % OBJECTS, got = 0;
		uintptr_t object = 0x7f0000000000 + (uintptr_t)i * 48;
		if (r % 100 < 53) {
			uint32_t bucket = 1 + step % OBJECTS;
			enum pa_live_objects_put put =
				pa_live_objects_put_locked(object, bucket, &got);
			assert_int_equal(put,
				model[i] ? PA_LIVE_OBJECTS_REPLACED : PA_LIVE_OBJECTS_ADDED);
			assert_int_equal(got, model[i]);
			live += !model[i];
			model[i] = bucket;
		} else {
			assert_int_equal(pa_live_objects_take_locked(object, &got), model[i] != 0);
			assert_int_equal(got, model[i]);
			live -= model[i] != 0;
			model[i] = 0;
		}
		assert_int_equal(pa_live_objects_stats().objects, live);
	}
	for (uint32_t i = 0; i < OBJECTS; i++)
		assert_int_equal(pa_live_objects_has(0x7f0000000000 + (uintptr_t)i * 48),
			model[i] != 0);
}

static uintptr_t address_of(uint32_t i)
{
	/* Some megabytes apart every so often, as arenas are. */
	return 0x7f1200000010 + (uintptr_t)i * 32 + (uintptr_t)(i / 4096) * 0x3000000;
}

static uint32_t bucket_of(uint32_t i)
{
	return i % PA_LIVE_OBJECTS_BUCKETS;
}

static void two_million_objects_fit_into_the_cap(void **unused)
{
	enum { MANY = 2200000 };
	uint32_t bucket = 0, old;
	(void)unused;
	for (uint32_t i = 0; i < MANY; i++) {
		if (pa_live_objects_put_locked(address_of(i), bucket_of(i), &old) !=
			PA_LIVE_OBJECTS_ADDED)
			fail_msg("object %u was refused", i);
	}
	assert_int_equal(pa_live_objects_stats().objects, MANY);
	assert_true(pa_live_objects_stats().bytes <= PA_LIVE_OBJECTS_BYTES);
	for (uint32_t i = 0; i < MANY; i++) {
		if (!pa_live_objects_take_locked(address_of(i), &bucket) || bucket != bucket_of(i))
			fail_msg("object %u was lost", i);
	}
	assert_int_equal(pa_live_objects_stats().objects, 0);
}

static void a_full_table_refuses_and_keeps_what_it_has(void **unused)
{
	uint32_t count = 0, bucket = 0, old = 0;
	(void)unused;
	while (pa_live_objects_put_locked(address_of(count), bucket_of(count), &old) !=
		PA_LIVE_OBJECTS_FULL)
		count++;
	assert_in_range(count, 2200000, 2700000);
	assert_true(pa_live_objects_stats().bytes <= PA_LIVE_OBJECTS_BYTES);
	assert_false(pa_live_objects_has(address_of(count)));
	assert_int_equal(pa_live_objects_put_locked(address_of(5), 9, &old),
		PA_LIVE_OBJECTS_REPLACED);
	assert_int_equal(old, 5);
	for (uint32_t i = 6; i < count; i++) {
		if (!pa_live_objects_take_locked(address_of(i), &bucket) || bucket != bucket_of(i))
			fail_msg("object %u was lost", i);
	}
	assert_int_equal(pa_live_objects_put_locked(address_of(count), 3, &old),
		PA_LIVE_OBJECTS_ADDED);
}

static void few_objects_need_few_pages(void **unused)
{
	uint32_t old;
	(void)unused;
	assert_int_equal(pa_live_objects_stats().bytes, 0);
	for (uint32_t i = 0; i < 1000; i++)
		pa_live_objects_put_locked(address_of(i), i, &old);
	assert_true(pa_live_objects_stats().bytes <= 128 * 1024);
}

static size_t dropped, dropped_buckets;

static void count_dropped(uint32_t bucket)
{
	dropped++;
	dropped_buckets += bucket;
}

/* In tables that are nearly full, where a removal moves many others. */
static void marked_objects_are_dropped_and_all_others_stay(void **unused)
{
	uint64_t seed = 88172645463325252;
	uintptr_t objects[20000];
	size_t marked = 0, buckets = 0;
	uint32_t old, bucket;
	(void)unused;
	for (size_t i = 0; i < 20000; i++) {
		objects[i] = (random_next(&seed) & 0xffffffffff0) | (i % 3 == 0);
		assert_int_equal(pa_live_objects_put_locked(objects[i], (uint32_t)i, &old),
			PA_LIVE_OBJECTS_ADDED);
		marked += i % 3 == 0;
		buckets += i % 3 == 0 ? i : 0;
	}
	dropped = dropped_buckets = 0;
	pa_live_objects_drop_marked_locked(count_dropped);
	assert_int_equal(dropped, marked);
	assert_int_equal(dropped_buckets, buckets);
	assert_int_equal(pa_live_objects_stats().objects, 20000 - marked);
	for (size_t i = 0; i < 20000; i++)
		assert_int_equal(pa_live_objects_take_locked(objects[i], &bucket), i % 3 != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_put_object_is_taken_once, empty),
		cmocka_unit_test_setup(a_second_put_gives_the_old_bucket, empty),
		cmocka_unit_test_setup(addresses_that_differ_only_in_their_high_half_are_distinct,
			empty),
		cmocka_unit_test_setup(random_puts_and_takes_agree_with_an_array, empty),
		cmocka_unit_test_setup(two_million_objects_fit_into_the_cap, empty),
		cmocka_unit_test_setup(a_full_table_refuses_and_keeps_what_it_has, empty),
		cmocka_unit_test_setup(few_objects_need_few_pages, empty),
		cmocka_unit_test_setup(marked_objects_are_dropped_and_all_others_stay, empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
