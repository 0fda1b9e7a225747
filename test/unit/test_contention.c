#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/profile/contention.h"

static struct pa_stack stacks[PA_CONTENTION_RECORDS + 2];

static int fresh(void **unused)
{
	(void)unused;
	pa_contention_atfork_child(false);
	return 0;
}

static struct pa_sample sample_at(enum pa_kind_id kind, size_t i)
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

static void assert_sample(enum pa_kind_id kind, size_t i, const struct pa_stack *stack,
	int64_t contentions, int64_t delay_ns)
{
	struct pa_sample sample = sample_at(kind, i);
	assert_ptr_equal(sample.stack, stack);
	assert_true(sample.values[0] == contentions);
	assert_true(sample.values[1] == delay_ns);
	assert_int_equal(sample.bytes_label, -1);
	assert_int_equal(sample.tid, 0);
	assert_null(sample.thread);
	assert_null(sample.about);
}

/* A wait of 400 ns at a rate of 1000 stands for two and a half. */
static void scaled_contentions_add_up(void **unused)
{
	(void)unused;
	pa_contention_add(PA_KIND_BLOCK, &stacks[0], 2.5, 1000);
	assert_sample(PA_KIND_BLOCK, 0, &stacks[0], 2, 1000);
	pa_contention_add(PA_KIND_BLOCK, &stacks[0], 2.5, 1000);
	assert_sample(PA_KIND_BLOCK, 0, &stacks[0], 5, 2000);
	for (int i = 0; i < 10; i++)
		pa_contention_add(PA_KIND_BLOCK, &stacks[0], 0.25, 1);
	assert_sample(PA_KIND_BLOCK, 0, &stacks[0], 7, 2010);
	assert_int_equal(pa_contention_count(PA_KIND_BLOCK), 1);
}

static void both_profiles_have_records_of_their_own(void **unused)
{
	(void)unused;
	pa_contention_add(PA_KIND_BLOCK, &stacks[0], 1, 10);
	pa_contention_add(PA_KIND_MUTEX, &stacks[1], 2, 20);
	pa_contention_add(PA_KIND_MUTEX, &stacks[0], 3, 30);
	assert_int_equal(pa_contention_count(PA_KIND_BLOCK), 1);
	assert_int_equal(pa_contention_count(PA_KIND_MUTEX), 2);
	assert_sample(PA_KIND_BLOCK, 0, &stacks[0], 1, 10);
	assert_sample(PA_KIND_MUTEX, 0, &stacks[1], 2, 20);
	assert_sample(PA_KIND_MUTEX, 1, &stacks[0], 3, 30);
}

static void sums_stop_at_the_largest_value(void **unused)
{
	(void)unused;
	for (int i = 0; i < 5; i++)
		pa_contention_add(PA_KIND_MUTEX, &stacks[0], 0x1p62, ((uint64_t)1 << 62) - 1);
	assert_sample(PA_KIND_MUTEX, 0, &stacks[0], INT64_MAX, INT64_MAX);
}

static void full_table_counts_what_it_drops(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < PA_CONTENTION_RECORDS; i++)
		pa_contention_add(PA_KIND_BLOCK, &stacks[i], 1, 1);
	assert_int_equal(pa_contention_stats(PA_KIND_BLOCK).dropped, 0);
	pa_contention_add(PA_KIND_BLOCK, &stacks[PA_CONTENTION_RECORDS], 7.5, 100);
	pa_contention_add(PA_KIND_BLOCK, &stacks[PA_CONTENTION_RECORDS + 1], 1, 11);
	pa_contention_add(PA_KIND_BLOCK, &stacks[5], 1, 1);
	assert_int_equal(pa_contention_count(PA_KIND_BLOCK), PA_CONTENTION_RECORDS);
	assert_int_equal(pa_contention_stats(PA_KIND_BLOCK).dropped, 2);
	assert_int_equal(pa_contention_stats(PA_KIND_BLOCK).dropped_ns, 111);
	assert_int_equal(pa_contention_stats(PA_KIND_MUTEX).dropped, 0);
	assert_sample(PA_KIND_BLOCK, 5, &stacks[5], 2, 2);
	/* The other profile has room. */
	pa_contention_add(PA_KIND_MUTEX, &stacks[0], 1, 1);
	assert_int_equal(pa_contention_count(PA_KIND_MUTEX), 1);
}

static void a_forked_child_begins_anew(void **unused)
{
	(void)unused;
	for (int abandon = 0; abandon < 2; abandon++) {
		for (size_t i = 0; i <= PA_CONTENTION_RECORDS; i++)
			pa_contention_add(PA_KIND_MUTEX, &stacks[i], 1, 1);
		pa_contention_add(PA_KIND_BLOCK, &stacks[0], 1, 1);
		assert_true(pa_contention_stats(PA_KIND_BLOCK).table_bytes > 1 << 20);
		pa_contention_atfork_child(abandon);
		assert_int_equal(pa_contention_count(PA_KIND_BLOCK), 0);
		assert_int_equal(pa_contention_count(PA_KIND_MUTEX), 0);
		assert_int_equal(pa_contention_stats(PA_KIND_MUTEX).dropped, 0);
		assert_int_equal(pa_contention_stats(PA_KIND_MUTEX).dropped_ns, 0);
		assert_int_equal(pa_contention_stats(PA_KIND_MUTEX).table_bytes, 0);
		pa_contention_add(PA_KIND_MUTEX, &stacks[9], 1, 5);
		assert_sample(PA_KIND_MUTEX, 0, &stacks[9], 1, 5);
		pa_contention_atfork_child(false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(scaled_contentions_add_up, fresh),
		cmocka_unit_test_setup(both_profiles_have_records_of_their_own, fresh),
		cmocka_unit_test_setup(sums_stop_at_the_largest_value, fresh),
		cmocka_unit_test_setup(full_table_counts_what_it_drops, fresh),
		cmocka_unit_test_setup(a_forked_child_begins_anew, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
