/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/profile/heap_scale.h"
#include "proto/sample_values.h"

static const struct pa_profile_ops heap_kind = { .value_count = 4,
	.scaled = true,
	.values = { { "alloc_objects", "count" }, { "alloc_space", "bytes" },
		{ "inuse_objects", "count" }, { "inuse_space", "bytes" } } };
static const struct pa_profile_ops allocs_kind = { .value_count = 2,
	.default_sample_type = "alloc_objects",
	.values = { { "alloc_objects", "count" }, { "alloc_space", "bytes" } } };

PA_AGENT void pa_heap_scale_estimate(int64_t count, int64_t bytes, int64_t rate, double round_up,
	int64_t *scaled_count, int64_t *scaled_bytes)
{
	(void)round_up;
	*scaled_count = count + rate;
	*scaled_bytes = bytes * 10;
}

PA_AGENT double pa_heap_scale_rounding(const struct pa_stack *stack, int64_t size_bytes)
{
	(void)stack;
	(void)size_bytes;
	return 0;
}

static void only_sampled_values_are_scaled(void **unused)
{
	const struct pa_sample sample = { .values = { 1, 2, 3, 4 } };
	struct pa_snapshot snapshot = { .kind = &heap_kind, .period = 100 };
	int64_t values[PA_PROFILE_OPS_VALUES];

	(void)unused;
	pa_sample_values_of(&snapshot, &sample, values);
	assert_memory_equal(values, ((int64_t[]){ 101, 20, 103, 40 }), sizeof(values));
	snapshot.kind = &allocs_kind;
	pa_sample_values_of(&snapshot, &sample, values);
	assert_memory_equal(values, sample.values, sizeof(values));
}

static void a_type_is_chosen_as_by_pprof(void **unused)
{
	(void)unused;
	assert_int_equal(pa_sample_values_index(&heap_kind, "inuse_objects"), 2);
	assert_int_equal(pa_sample_values_index(&heap_kind, NULL), 3);
	assert_int_equal(pa_sample_values_index(&heap_kind, "space"), -1);
	assert_int_equal(pa_sample_values_index(&allocs_kind, NULL), 0);
	assert_int_equal(pa_sample_values_index(&allocs_kind, "inuse_space"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_sampled_values_are_scaled),
		cmocka_unit_test(a_type_is_chosen_as_by_pprof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
