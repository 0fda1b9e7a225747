/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/profile/contention.h"

static struct pa_stack stacks[PA_CONTENTION_RECORDS + 2];

static void atfork_child(bool kept)
{
	pa_block_profile.atfork_child(&pa_block_profile, kept);
	pa_mutex_profile.atfork_child(&pa_mutex_profile, kept);
}

static int fresh(void **unused)
{
	(void)unused;
	atfork_child(true);
	return 0;
}

static struct pa_sample sample_at(const struct pa_profile_ops *kind, size_t i)
{
	size_t count = pa_contention_count(kind);
	struct pa_sample *samples = calloc(count, sizeof(*samples));
	struct pa_sample sample;
	assert_true(i < count);
	pa_contention_samples(kind, samples);
	sample = samples[i];
	free(samples);
	return sample;
}

static void assert_sample(const struct pa_profile_ops *kind, size_t i, const struct pa_stack *stack,
	int64_t contentions, int64_t delay_ns)
{
	struct pa_sample sample = sample_at(kind, i);
	assert_ptr_equal(sample.stack, stack);
	assert_true(sample.values[0] == contentions);
	assert_true(sample.values[1] == delay_ns);
	assert_int_equal(sample.bytes_label, -1);
	assert_int_equal(sample.tid, 0);
	assert_null(sample.thread);
	assert_null(sample.info);
}

/* A wait of 400 ns at a rate of 1000 stands for two and a half. */
static void scaled_contentions_add_up(void **unused)
{
	(void)unused;
	pa_contention_add(&pa_block_profile, &stacks[0], 2.5, 1000);
	assert_sample(&pa_block_profile, 0, &stacks[0], 2, 1000);
	pa_contention_add(&pa_block_profile, &stacks[0], 2.5, 1000);
	assert_sample(&pa_block_profile, 0, &stacks[0], 5, 2000);
	for (int i = 0; i < 10; i++)
		pa_contention_add(&pa_block_profile, &stacks[0], 0.25, 1);
	assert_sample(&pa_block_profile, 0, &stacks[0], 7, 2010);
	assert_int_equal(pa_contention_count(&pa_block_profile), 1);
}

static void both_profiles_have_records_of_their_own(void **unused)
{
	(void)unused;
	pa_contention_add(&pa_block_profile, &stacks[0], 1, 10);
	pa_contention_add(&pa_mutex_profile, &stacks[1], 2, 20);
	pa_contention_add(&pa_mutex_profile, &stacks[0], 3, 30);
	assert_int_equal(pa_contention_count(&pa_block_profile), 1);
	assert_int_equal(pa_contention_count(&pa_mutex_profile), 2);
	assert_sample(&pa_block_profile, 0, &stacks[0], 1, 10);
	assert_sample(&pa_mutex_profile, 0, &stacks[1], 2, 20);
	assert_sample(&pa_mutex_profile, 1, &stacks[0], 3, 30);
}

static void sums_stop_at_the_largest_value(void **unused)
{
	(void)unused;
	for (int i = 0; i < 5; i++)
		pa_contention_add(&pa_mutex_profile, &stacks[0], 0x1p62, ((uint64_t)1 << 62) - 1);
	assert_sample(&pa_mutex_profile, 0, &stacks[0], INT64_MAX, INT64_MAX);
}

static void full_table_counts_what_it_drops(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_CONTENTION_RECORDS; i++)
		pa_contention_add(&pa_block_profile, &stacks[i], 1, 1);
	assert_int_equal(pa_contention_stats(&pa_block_profile).dropped, 0);
	pa_contention_add(&pa_block_profile, &stacks[PA_CONTENTION_RECORDS], 7.5, 100);
	pa_contention_add(&pa_block_profile, &stacks[PA_CONTENTION_RECORDS + 1], 1, 11);
	pa_contention_add(&pa_block_profile, &stacks[5], 1, 1);
	assert_int_equal(pa_contention_count(&pa_block_profile), PA_CONTENTION_RECORDS);
	assert_int_equal(pa_contention_stats(&pa_block_profile).dropped, 2);
	assert_int_equal(pa_contention_stats(&pa_block_profile).dropped_ns, 111);
	assert_int_equal(pa_contention_stats(&pa_mutex_profile).dropped, 0);
	assert_sample(&pa_block_profile, 5, &stacks[5], 2, 2);
	/* The other profile has room. */
	pa_contention_add(&pa_mutex_profile, &stacks[0], 1, 1);
	assert_int_equal(pa_contention_count(&pa_mutex_profile), 1);
}

static void a_forked_child_begins_anew(void **unused)
{
	(void)unused;
	for (int abandon = 0; abandon < 2; abandon++) {
		for (size_t i = 0; i <= PA_CONTENTION_RECORDS; i++)
			pa_contention_add(&pa_mutex_profile, &stacks[i], 1, 1);
		pa_contention_add(&pa_block_profile, &stacks[0], 1, 1);
		assert_true(pa_contention_stats(&pa_block_profile).table_bytes > 1 << 20);
		atfork_child(!abandon);
		assert_int_equal(pa_contention_count(&pa_block_profile), 0);
		assert_int_equal(pa_contention_count(&pa_mutex_profile), 0);
		assert_int_equal(pa_contention_stats(&pa_mutex_profile).dropped, 0);
		assert_int_equal(pa_contention_stats(&pa_mutex_profile).dropped_ns, 0);
		assert_int_equal(pa_contention_stats(&pa_mutex_profile).table_bytes, 0);
		pa_contention_add(&pa_mutex_profile, &stacks[9], 1, 5);
		assert_sample(&pa_mutex_profile, 0, &stacks[9], 1, 5);
		atfork_child(true);
	}
}

static struct pa_stack numbered[3] = { { .id = 0 }, { .id = 1 }, { .id = 9 } };

struct pa_stack_table_stats pa_stack_table_stats(void)
{
	return (struct pa_stack_table_stats){ .stacks = 10 };
}

static void wakes_are_kept_by_waiter(void **unused)
{
	(void)unused;
	pa_contention_add(&pa_mutex_profile, &numbered[0], 1, 10);
	pa_contention_add_wake(&numbered[0], &stacks[1], 1, 20);
	pa_contention_add_wake(&numbered[0], &stacks[2], 1, 30);
	pa_contention_add_wake(&numbered[0], &stacks[1], 1, 5);
	assert_int_equal(pa_contention_count(&pa_mutex_profile), 3);
	assert_int_equal(pa_contention_count(&pa_block_profile), 0);
	assert_sample(&pa_mutex_profile, 0, &numbered[0], 1, 10);
	assert_null(sample_at(&pa_mutex_profile, 0).waiter);
	assert_sample(&pa_mutex_profile, 1, &numbered[0], 2, 25);
	assert_ptr_equal(sample_at(&pa_mutex_profile, 1).waiter, &stacks[1]);
	assert_sample(&pa_mutex_profile, 2, &numbered[0], 1, 30);
	assert_ptr_equal(sample_at(&pa_mutex_profile, 2).waiter, &stacks[2]);
	atfork_child(true);
	assert_int_equal(pa_contention_count(&pa_mutex_profile), 0);
}

static void wakes_of_unknown_waiters_are_counted(void **unused)
{
	(void)unused;
	pa_contention_add_wake(&numbered[0], NULL, 1, 20);
	assert_int_equal(pa_contention_count(&pa_mutex_profile), 0);
	assert_int_equal(pa_contention_stats(&pa_mutex_profile).wakes_unknown, 1);
	atfork_child(true);
	assert_int_equal(pa_contention_stats(&pa_mutex_profile).wakes_unknown, 0);
}

/* Locks of libc have a table of their own. */
static void wakes_that_find_no_record_take_no_room_of_locks(void **unused)
{
	(void)unused;
	for (size_t i = 0; i <= PA_CONTENTION_RECORDS; i++)
		pa_contention_add_wake(&numbered[0], &stacks[i], 1, 1);
	assert_int_equal(pa_contention_stats(&pa_mutex_profile).wakes_dropped, 1);
	assert_int_equal(pa_contention_stats(&pa_mutex_profile).dropped, 0);
	pa_contention_add(&pa_mutex_profile, &numbered[0], 1, 10);
	assert_int_equal(pa_contention_count(&pa_mutex_profile), PA_CONTENTION_RECORDS + 1);
	atfork_child(true);
}

static void stacks_that_woke_locks_are_shown_once(void **unused)
{
	(void)unused;
	assert_int_equal(pa_contention_shown(&pa_mutex_profile), 0);
	pa_contention_add(&pa_mutex_profile, &numbered[0], 1, 10);
	assert_int_equal(pa_contention_shown(&pa_mutex_profile), 1);
	pa_stack_set_futex_kind(&stacks[1], PA_FUTEX_LOCK);
	pa_stack_set_futex_kind(&stacks[2], PA_FUTEX_LOCK);
	pa_stack_set_futex_kind(&stacks[3], PA_FUTEX_CONDITION);
	pa_contention_add_wake(&numbered[1], &stacks[1], 1, 1);
	pa_contention_add_wake(&numbered[1], &stacks[2], 1, 1);
	pa_contention_add_wake(&numbered[1], &stacks[3], 1, 1);
	pa_contention_add_wake(&numbered[2], &stacks[3], 1, 1);
	assert_int_equal(pa_contention_shown(&pa_mutex_profile), 2);
	/* What is not decided yet may be one. */
	pa_contention_add_wake(&numbered[2], &stacks[4], 1, 1);
	assert_int_equal(pa_contention_shown(&pa_mutex_profile), 3);
	assert_int_equal(pa_contention_shown(&pa_block_profile), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(scaled_contentions_add_up, fresh),
		cmocka_unit_test_setup(both_profiles_have_records_of_their_own, fresh),
		cmocka_unit_test_setup(sums_stop_at_the_largest_value, fresh),
		cmocka_unit_test_setup(full_table_counts_what_it_drops, fresh),
		cmocka_unit_test_setup(a_forked_child_begins_anew, fresh),
		cmocka_unit_test_setup(wakes_are_kept_by_waiter, fresh),
		cmocka_unit_test_setup(wakes_of_unknown_waiters_are_counted, fresh),
		cmocka_unit_test_setup(wakes_that_find_no_record_take_no_room_of_locks, fresh),
		cmocka_unit_test_setup(stacks_that_woke_locks_are_shown_once, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
