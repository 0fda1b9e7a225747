/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/core.h"
#include "agent/profile/heap.h"
#include "agent/profile/live_objects.h"
#include "agent/profile/heap_scale.h"

enum { STACKS = 7 };
static struct pa_stack stacks[STACKS];

static struct pa_settings settings = { .heap_rate_bytes = 1 };
static struct pa_counters counters;
static struct pa_bridge bridge = { .settings = &settings, .counters = &counters };

static int empty(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	settings.heap_rate_bytes = 1;
	counters = (struct pa_counters){ 0 };
	pa_heap_abandon();
	return 0;
}

static void assert_lost(uint64_t objects, uint64_t bytes, uint64_t in_use, uint64_t in_use_bytes)
{
	struct pa_profile_ops_loss loss = pa_heap_profile.lost(&pa_heap_profile);
	assert_int_equal(loss.events, objects);
	assert_int_equal(loss.amount, bytes);
	assert_int_equal(loss.in_use, in_use);
	assert_int_equal(loss.in_use_bytes, in_use_bytes);
}

static uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* The values of one bucket; all 0 when it has no sample. */
static struct pa_sample sample_of(const struct pa_stack *stack, int64_t size)
{
	struct pa_sample *samples = calloc(pa_heap_count() + 1, sizeof(*samples));
	struct pa_sample found = { 0 };
	size_t count = pa_heap_samples(samples);
	for (size_t i = 0; i < count; i++) {
		if (samples[i].stack == stack && samples[i].bytes_label == size)
			found = samples[i];
	}
	free(samples);
	return found;
}

static void assert_sample(const struct pa_stack *stack, int64_t size, int64_t allocs,
	int64_t in_use)
{
	struct pa_sample sample = sample_of(stack, size);
	assert_int_equal(sample.values[0], allocs);
	assert_int_equal(sample.values[1], allocs * size);
	assert_int_equal(sample.values[2], in_use);
	assert_int_equal(sample.values[3], in_use * size);
}

static void a_free_takes_the_object_out_of_its_own_bucket(void **unused)
{
	(void)unused;
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_alloc_locked(&stacks[0], 100, 0x2000);
	pa_heap_alloc_locked(&stacks[0], 200, 0x3000);
	pa_heap_alloc_locked(&stacks[1], 100, 0x4000);
	pa_heap_free_locked(0x2000);
	assert_int_equal(pa_heap_count(), 3);
	assert_sample(&stacks[0], 100, 2, 1);
	assert_sample(&stacks[0], 200, 1, 1);
	assert_sample(&stacks[1], 100, 1, 1);
	assert_int_equal(pa_heap_stats_locked().live_bytes, 400);
	assert_int_equal(pa_live_objects_stats().objects, 3);
}

static void samples_come_in_order_of_first_appearance(void **unused)
{
	struct pa_sample samples[3];
	(void)unused;
	pa_heap_alloc_locked(&stacks[2], 1, 0x1000);
	pa_heap_alloc_locked(&stacks[0], 1, 0x2000);
	pa_heap_alloc_locked(&stacks[1], 1, 0x3000);
	pa_heap_alloc_locked(&stacks[2], 1, 0x4000);
	assert_int_equal(pa_heap_samples(samples), 3);
	assert_ptr_equal(samples[0].stack, &stacks[2]);
	assert_ptr_equal(samples[1].stack, &stacks[0]);
	assert_ptr_equal(samples[2].stack, &stacks[1]);
	assert_int_equal(samples[0].tid, 0);
	assert_null(samples[0].thread);
}

static void unknown_frees_are_counted_and_change_nothing(void **unused)
{
	(void)unused;
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_free_locked(0x9000);
	pa_heap_free_locked(0x1000);
	pa_heap_free_locked(0x1000);
	assert_int_equal(pa_heap_stats_locked().frees_unknown, 2);
	assert_sample(&stacks[0], 100, 1, 0);
}

static void an_address_allocated_again_ends_the_old_object(void **unused)
{
	(void)unused;
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_alloc_locked(&stacks[1], 300, 0x1000);
	assert_int_equal(pa_heap_stats_locked().frees_missed, 1);
	assert_sample(&stacks[0], 100, 1, 0);
	assert_sample(&stacks[1], 300, 1, 1);
	pa_heap_free_locked(0x1000);
	assert_sample(&stacks[1], 300, 1, 0);
	assert_int_equal(pa_heap_stats_locked().live_bytes, 0);
}

static void a_revived_object_is_in_use_again(void **unused)
{
	(void)unused;
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_free_locked(0x1000);
	for (uintptr_t i = 1; i < 60; i++)
		pa_heap_free_locked(0x100000 * i);
	pa_heap_revive_locked(0x1000);
	assert_sample(&stacks[0], 100, 1, 1);
	assert_int_equal(pa_heap_stats_locked().revives_unknown, 0);
	pa_heap_free_locked(0x1000);
	assert_sample(&stacks[0], 100, 1, 0);
}

static void a_revival_takes_the_most_recent_free(void **unused)
{
	(void)unused;
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_free_locked(0x1000);
	pa_heap_alloc_locked(&stacks[1], 200, 0x1000);
	pa_heap_free_locked(0x1000);
	pa_heap_revive_locked(0x1000);
	assert_sample(&stacks[0], 100, 1, 0);
	assert_sample(&stacks[1], 200, 1, 1);
}

static void a_revival_after_an_unknown_free_brings_nothing_back(void **unused)
{
	(void)unused;
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_free_locked(0x1000);
	pa_heap_free_locked(0x1000); /* of an object whose allocation was dropped */
	pa_heap_revive_locked(0x1000);
	assert_sample(&stacks[0], 100, 1, 0);
	assert_int_equal(pa_heap_stats_locked().revives_unknown, 1);
}

static void a_revival_whose_free_was_lost_changes_nothing(void **unused)
{
	(void)unused;
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_free_locked(0x1000);
	pa_heap_alloc_locked(&stacks[1], 200, 0x1000);
	pa_heap_revive_locked(0x1000);
	assert_sample(&stacks[0], 100, 1, 0);
	assert_sample(&stacks[1], 200, 1, 1);
	assert_int_equal(pa_heap_stats_locked().live_bytes, 200);
}

static void a_revival_is_forgotten_after_64_frees(void **unused)
{
	(void)unused;
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_free_locked(0x1000);
	for (uintptr_t i = 1; i <= 64; i++)
		pa_heap_free_locked(0x100000 * i);
	pa_heap_revive_locked(0x1000);
	assert_int_equal(pa_heap_stats_locked().revives_unknown, 1);
	assert_sample(&stacks[0], 100, 1, 0);
}

/* ---- random operations against a model ---- */

enum { ADDRESSES = 3000, SIZES = 11, STEPS = 300000 };

static struct {
	int owner[ADDRESSES]; /* bucket + 1, 0 = not live */
	int64_t allocs[STACKS * SIZES], in_use[STACKS * SIZES];
	uint64_t missed, unknown;
} model;

static uintptr_t model_address(uint32_t i)
{
	return 0x55550000 + (uintptr_t)i * 4096;
}

static void model_alloc(uint32_t address, uint32_t bucket)
{
	if (model.owner[address]) {
		model.in_use[model.owner[address] - 1]--;
		model.missed++;
	}
	model.owner[address] = (int)bucket + 1;
	model.allocs[bucket]++;
	model.in_use[bucket]++;
	pa_heap_alloc_locked(&stacks[bucket / SIZES], bucket % SIZES * 1000 + 16,
		model_address(address));
}

static void model_free(uint32_t address)
{
	if (model.owner[address])
		model.in_use[model.owner[address] - 1]--;
	else
		model.unknown++;
	model.owner[address] = 0;
	pa_heap_free_locked(model_address(address));
}

/* As the hooks record a realloc that fails. */
static void model_failed_realloc(uint32_t address)
{
	int owner = model.owner[address];
	if (!owner)
		return;
	model_free(address);
	model.owner[address] = owner;
	model.in_use[owner - 1]++;
	pa_heap_revive_locked(model_address(address));
}

static void assert_model(void)
{
	int64_t bytes = 0, objects = 0;
	for (uint32_t i = 0; i < STACKS * SIZES; i++) {
		int64_t size = i % SIZES * 1000 + 16;
		assert_sample(&stacks[i / SIZES], size, model.allocs[i], model.in_use[i]);
		objects += model.in_use[i];
		bytes += model.in_use[i] * size;
	}
	assert_int_equal(pa_live_objects_stats().objects, objects);
	assert_int_equal(pa_heap_stats_locked().live_bytes, bytes);
	assert_int_equal(pa_heap_stats_locked().frees_missed, model.missed);
	assert_int_equal(pa_heap_stats_locked().frees_unknown, model.unknown);
}

static void random_alloc_free_realloc_conserves_every_object(void **unused)
{
	uint64_t seed = 0x2545f4914f6cdd1d;
	(void)unused;
	memset(&model, 0, sizeof(model));
	for (uint32_t step = 0; step < STEPS; step++) {
		uint64_t r = random_next(&seed);
		uint32_t address = (r >> 16) % ADDRESSES, bucket = (r >> 40) % (STACKS * SIZES);
		switch (r % 10) {
		case 0 ... 3: model_alloc(address, bucket); break;
		case 4 ... 6: model_free(address); break;
		case 7: model_failed_realloc(address); break;
		default: /* realloc that moves */
			model_free(address);
			model_alloc((address * 31 + 7) % ADDRESSES, bucket);
		}
		if (step % 20000 == 0)
			assert_model();
	}
	assert_model();
}

/* ---- limits ---- */

static void a_full_bucket_table_counts_objects_and_bytes(void **unused)
{
	enum { MORE = 100 };
	static struct pa_stack many[PA_HEAP_BUCKETS];
	uint64_t bytes = 0;
	(void)unused;
	pa_heap_alloc_locked(&stacks[1], 5, 0x1000);
	for (uint64_t i = 1; i < PA_HEAP_BUCKETS; i++)
		pa_heap_alloc_locked(&many[i], 100, 0x10000 + i * 16);
	assert_int_equal(pa_heap_count(), PA_HEAP_BUCKETS);
	assert_int_equal(pa_heap_stats_locked().dropped_objects, 0);
	for (uint64_t i = 0; i < MORE; i++) {
		pa_heap_alloc_locked(&stacks[0], PA_HEAP_BUCKETS + i, 0x70000000 + i * 16);
		bytes += PA_HEAP_BUCKETS + i;
	}
	assert_int_equal(pa_heap_count(), PA_HEAP_BUCKETS);
	assert_int_equal(pa_heap_stats_locked().dropped_objects, MORE);
	assert_int_equal(pa_heap_stats_locked().dropped_bytes, bytes);
	assert_int_equal(pa_heap_stats_locked().objects, PA_HEAP_BUCKETS + MORE);
	assert_lost(MORE, bytes, MORE, bytes);
	for (uint64_t i = 0; i < MORE; i++)
		pa_heap_free_locked(0x70000000 + i * 16);
	assert_lost(MORE, bytes, 0, 0);
	assert_int_equal(pa_heap_stats_locked().frees_unknown, 0);
	/* An address that was in use is not any more, though its new object has no bucket. */
	pa_heap_alloc_locked(&stacks[1], PA_HEAP_BUCKETS + 1, 0x1000);
	assert_sample(&stacks[1], 5, 1, 0);
	assert_int_equal(pa_heap_stats_locked().frees_missed, 1);
	assert_true(pa_heap_stats_locked().table_bytes <= (size_t)28 << 20);
}

/* New sizes are counted in classes: exactly, but for the bytes in use, which are a mean. */
static void more_sizes_than_buckets_are_not_dropped(void **unused)
{
	enum { OBJECTS = 2 * PA_HEAP_BUCKETS };
	int64_t sums[4] = { 0 }, bytes = 0, in_use_bytes = 0;
	(void)unused;
	for (int64_t i = 0; i < OBJECTS; i++)
		pa_heap_alloc_locked(&stacks[i % 2], (uint64_t)i, 0x10000 + (uintptr_t)i * 16);
	for (int64_t i = 0; i < OBJECTS; i++) {
		bytes += i;
		if (i % 3)
			pa_heap_free_locked(0x10000 + (uintptr_t)i * 16);
		else
			in_use_bytes += i;
	}
	assert_int_equal(pa_heap_stats_locked().dropped_objects, 0);
	assert_true(pa_heap_count() < PA_HEAP_BUCKETS);
	struct pa_sample *samples = calloc(pa_heap_count(), sizeof(*samples));
	size_t count = pa_heap_samples(samples);
	for (size_t i = 0; i < count; i++)
		for (int v = 0; v < 4; v++)
			sums[v] += samples[i].values[v];
	free(samples);
	assert_int_equal(sums[0], OBJECTS);
	assert_int_equal(sums[1], bytes);
	assert_int_equal(sums[2], (OBJECTS + 2) / 3);
	assert_in_range(sums[3], in_use_bytes / 1000 * 999, in_use_bytes / 1000 * 1001);
	for (int64_t i = 0; i < OBJECTS; i += 3)
		pa_heap_free_locked(0x10000 + (uintptr_t)i * 16);
	assert_int_equal(pa_heap_stats_locked().live_bytes, 0);
	assert_int_equal(pa_live_objects_stats().objects, 0);
}

static void a_full_live_table_still_counts_allocations(void **unused)
{
	int64_t count = 0;
	(void)unused;
	while (!pa_heap_stats_locked().live_dropped) {
		pa_heap_alloc_locked(&stacks[0], 64, 0x100000 + (uintptr_t)count * 64);
		count++;
	}
	assert_true(count > 2000000);
	assert_sample(&stacks[0], 64, count, count - 1);
	assert_int_equal(pa_live_objects_stats().objects, count - 1);
	assert_true(pa_heap_stats_locked().table_bytes <= (size_t)28 << 20);
	assert_lost(0, 0, 1, 64);
	/* The free of the one that was not kept is its own, and no other object pays for it; the
	 * next one is unknown. */
	uintptr_t unkept = 0x100000 + (uintptr_t)(count - 1) * 64;
	pa_heap_free_locked(unkept);
	assert_lost(0, 0, 0, 0);
	assert_int_equal(pa_heap_stats_locked().frees_unknown, 0);
	pa_heap_revive_locked(unkept);
	assert_lost(0, 0, 1, 64);
	pa_heap_free_locked(unkept);
	pa_heap_free_locked(unkept);
	assert_lost(0, 0, 0, 0);
	assert_int_equal(pa_heap_stats_locked().frees_unknown, 1);
	assert_sample(&stacks[0], 64, count, count - 1);
}

static void what_is_not_kept_is_in_use_until_frees_come_for_it(void **unused)
{
	(void)unused;
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_alloc_locked(&stacks[0], 30, 0); /* no room in the hooks' set */
	pa_heap_alloc_locked(&stacks[0], 50, 0);
	assert_sample(&stacks[0], 30, 1, 0);
	assert_lost(0, 0, 2, 80);
	counters.lost_alloc_ring = 2;
	counters.bytes_of_lost_allocs = 40;
	assert_lost(2, 40, 4, 120);
	counters.frees_of_lost = 1;
	assert_lost(2, 40, 3, 90);
	counters.frees_of_lost = 4;
	assert_lost(2, 40, 0, 0);
	counters.frees_of_lost = 5; /* of an object that was made before the agent was there */
	assert_lost(2, 40, 0, 0);
	pa_heap_free_locked(0x1000);
	assert_sample(&stacks[0], 100, 1, 0);

	/* With a rate the hooks do not know such frees. */
	counters = (struct pa_counters){ 0 };
	settings.heap_rate_bytes = 1000;
	pa_heap_alloc_locked(&stacks[0], 50, 0);
	assert_sample(&stacks[0], 50, 2, 0);
	assert_lost(0, 0, 2, 80);
}

static void huge_sums_stay_at_the_largest_value(void **unused)
{
	uint64_t huge = (uint64_t)1 << 46;
	struct pa_sample sample;
	(void)unused;
	for (uintptr_t i = 0; i < 200000; i++)
		pa_heap_alloc_locked(&stacks[0], huge, 0x1000);
	sample = sample_of(&stacks[0], (int64_t)huge);
	assert_int_equal(sample.values[0], 200000);
	assert_true(sample.values[1] == INT64_MAX);
	assert_true(sample.values[3] == (int64_t)huge);
}

/* As the samples of a profile are scaled, by the size of each object. */
static void estimate_of_live_bytes_is_scaled_and_goes_with_its_objects(void **unused)
{
	int64_t count, small, large;
	(void)unused;
	settings.heap_rate_bytes = 524288;
	pa_heap_scale_estimate(1, 100, 524288, 0, &count, &small);
	pa_heap_scale_estimate(1, 1 << 20, 524288, 0, &count, &large);
	assert_true(small > 500000 && large > 1 << 20);
	pa_heap_alloc_locked(&stacks[0], 100, 0x1000);
	pa_heap_alloc_locked(&stacks[1], 1 << 20, 0x2000);
	assert_int_equal(pa_heap_stats_locked().live_estimate_bytes, small + large);
	pa_heap_free_locked(0x1000);
	assert_int_equal(pa_heap_stats_locked().live_estimate_bytes, large);
	pa_heap_free_locked(0x2000);
	assert_int_equal(pa_heap_stats_locked().live_estimate_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_free_takes_the_object_out_of_its_own_bucket, empty),
		cmocka_unit_test_setup(samples_come_in_order_of_first_appearance, empty),
		cmocka_unit_test_setup(unknown_frees_are_counted_and_change_nothing, empty),
		cmocka_unit_test_setup(an_address_allocated_again_ends_the_old_object, empty),
		cmocka_unit_test_setup(a_revived_object_is_in_use_again, empty),
		cmocka_unit_test_setup(a_revival_takes_the_most_recent_free, empty),
		cmocka_unit_test_setup(a_revival_after_an_unknown_free_brings_nothing_back, empty),
		cmocka_unit_test_setup(a_revival_whose_free_was_lost_changes_nothing, empty),
		cmocka_unit_test_setup(a_revival_is_forgotten_after_64_frees, empty),
		cmocka_unit_test_setup(random_alloc_free_realloc_conserves_every_object, empty),
		cmocka_unit_test_setup(a_full_bucket_table_counts_objects_and_bytes, empty),
		cmocka_unit_test_setup(more_sizes_than_buckets_are_not_dropped, empty),
		cmocka_unit_test_setup(a_full_live_table_still_counts_allocations, empty),
		cmocka_unit_test_setup(what_is_not_kept_is_in_use_until_frees_come_for_it, empty),
		cmocka_unit_test_setup(estimate_of_live_bytes_is_scaled_and_goes_with_its_objects,
			empty),
		cmocka_unit_test_setup(huge_sums_stay_at_the_largest_value, empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
