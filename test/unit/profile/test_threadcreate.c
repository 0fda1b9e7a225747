/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/core/core.h"
#include "agent/profile/threadcreate.h"

static struct pa_stack stacks[PA_THREADCREATE_RECORDS + 2];
static struct pa_counters counters;
static struct pa_bridge bridge = { .counters = &counters };

static int fresh(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	pa_threadcreate_profile.atfork_child(&pa_threadcreate_profile, true);
	return 0;
}

static void creations_are_counted_by_creator(void **unused)
{
	struct pa_sample out[2];
	(void)unused;
	pa_threadcreate_add_locked(&stacks[0]);
	pa_threadcreate_add_locked(&stacks[1]);
	pa_threadcreate_add_locked(&stacks[0]);
	assert_int_equal(pa_threadcreate_count(), 2);
	assert_int_equal(pa_threadcreate_stats().created, 3);
	pa_threadcreate_samples(out);
	assert_ptr_equal(out[0].stack, &stacks[0]);
	assert_int_equal(out[0].values[0], 2);
	assert_int_equal(out[0].bytes_label, -1);
	assert_int_equal(out[0].tid, 0);
	assert_null(out[0].thread);
	assert_ptr_equal(out[1].stack, &stacks[1]);
	assert_int_equal(out[1].values[0], 1);
}

static void full_table_counts_what_it_drops(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_THREADCREATE_RECORDS; i++)
		pa_threadcreate_add_locked(&stacks[i]);
	assert_int_equal(pa_threadcreate_stats().dropped, 0);
	pa_threadcreate_add_locked(&stacks[PA_THREADCREATE_RECORDS]);
	pa_threadcreate_add_locked(&stacks[PA_THREADCREATE_RECORDS + 1]);
	pa_threadcreate_add_locked(&stacks[0]);
	assert_int_equal(pa_threadcreate_count(), PA_THREADCREATE_RECORDS);
	assert_int_equal(pa_threadcreate_stats().dropped, 2);
	assert_int_equal(pa_threadcreate_stats().created, PA_THREADCREATE_RECORDS + 3);
}

static void a_forked_child_begins_without_its_parents_creations(void **unused)
{
	(void)unused;
	for (int kept = 0; kept < 2; kept++) {
		pa_threadcreate_add_locked(&stacks[0]);
		pa_threadcreate_profile.atfork_child(&pa_threadcreate_profile, kept);
		assert_int_equal(pa_threadcreate_count(), 0);
		assert_int_equal(pa_threadcreate_stats().created, 0);
		assert_int_equal(pa_threadcreate_stats().table_bytes, 0);
		pa_threadcreate_add_locked(&stacks[1]);
		assert_int_equal(pa_threadcreate_count(), 1);
	}
}

static void a_forked_child_has_lost_only_what_it_lost_itself(void **unused)
{
	(void)unused;
	pa_store_relaxed(&counters.lost_create_ring, 7);
	assert_int_equal(pa_threadcreate_profile.lost(&pa_threadcreate_profile).events, 7);
	pa_store_relaxed(&bridge.inherited.lost_create_ring, 5);
	assert_int_equal(pa_threadcreate_profile.lost(&pa_threadcreate_profile).events, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(creations_are_counted_by_creator, fresh),
		cmocka_unit_test_setup(full_table_counts_what_it_drops, fresh),
		cmocka_unit_test_setup(a_forked_child_begins_without_its_parents_creations, fresh),
		cmocka_unit_test_setup(a_forked_child_has_lost_only_what_it_lost_itself, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
