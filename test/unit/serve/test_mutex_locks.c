/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/serve/mutex_locks.h"
#include "proto/futex_kind.h"

static const struct pa_profile_ops mutex_kind = { .name = "mutex", .value_count = 2 };

/* The program's: two that wake, and waiters of each kind. */
static struct pa_stack wakers[2] = { { .id = 1, .hash = 1 }, { .id = 2, .hash = 2 } };
static struct pa_stack waiters[PA_FUTEX_PARK + 1] = { [PA_FUTEX_UNKNOWN] = { .hash = 11 },
	[PA_FUTEX_LOCK] = { .hash = 12 },
	[PA_FUTEX_CONDITION] = { .hash = 13 },
	[PA_FUTEX_PARK] = { .hash = 14 } };
static struct pa_stack other_lock = { .hash = 15 }, overflow;

enum pa_futex_kind pa_futex_kind_of_stack(const struct pa_stack *stack)
{
	return stack == &other_lock ? PA_FUTEX_LOCK : (enum pa_futex_kind)(stack - waiters);
}

const struct pa_stack *pa_stack_table_overflow(void)
{
	return &overflow;
}

static struct pa_sample sample(const struct pa_stack *stack, const struct pa_stack *waiter,
	int64_t count, int64_t ns)
{
	return (struct pa_sample){
		.stack = stack, .waiter = waiter, .values = { count, ns }, .bytes_label = -1
	};
}

static struct pa_snapshot snapshot_of(struct pa_sample *samples, size_t count)
{
	return (struct pa_snapshot){ .kind = &mutex_kind,
		.time_ns = 1000,
		.period = 1,
		.fraction = 7,
		.samples = samples,
		.sample_count = count };
}

static void assert_sample(const struct pa_sample *sample, const struct pa_stack *stack,
	int64_t count, int64_t ns)
{
	assert_ptr_equal(sample->stack, stack);
	assert_null(sample->waiter);
	assert_int_equal(sample->values[0], count);
	assert_int_equal(sample->values[1], ns);
}

static void only_those_that_woke_waiters_for_locks_are_left(void **unused)
{
	struct pa_sample samples[] = {
		sample(&wakers[0], NULL, 1, 10),
		sample(&wakers[0], &waiters[PA_FUTEX_CONDITION], 2, 20),
		sample(&wakers[0], &waiters[PA_FUTEX_UNKNOWN], 3, 30),
		sample(&wakers[1], &waiters[PA_FUTEX_PARK], 4, 40),
		sample(&wakers[1], &waiters[PA_FUTEX_LOCK], 5, 50),
	};
	struct pa_snapshot snapshot = snapshot_of(samples, 5);
	struct pa_snapshot *locks = pa_mutex_locks_only(&snapshot);

	(void)unused;
	assert_true(pa_mutex_locks_is_mixed(&snapshot));
	assert_int_equal(locks->sample_count, 2);
	assert_sample(&locks->samples[0], &wakers[0], 1, 10);
	assert_sample(&locks->samples[1], &wakers[1], 5, 50);
	assert_false(pa_mutex_locks_is_mixed(locks));
	pa_snapshot_free(locks);
}

static void samples_of_one_stack_become_one(void **unused)
{
	struct pa_sample samples[] = {
		sample(&wakers[0], NULL, 1, 10),
		sample(&wakers[0], &waiters[PA_FUTEX_LOCK], 2, 20),
		sample(&wakers[0], &other_lock, 3, 30),
	};
	struct pa_snapshot snapshot = snapshot_of(samples, 3);
	struct pa_snapshot *locks = pa_mutex_locks_only(&snapshot);

	(void)unused;
	assert_int_equal(locks->sample_count, 1);
	assert_sample(&locks->samples[0], &wakers[0], 6, 60);
	/* As it was: it may be what the next delta is taken from. */
	assert_ptr_equal(samples[1].waiter, &waiters[PA_FUTEX_LOCK]);
	assert_int_equal(samples[0].values[0], 1);
	pa_snapshot_free(locks);
}

static void all_else_is_as_it_was(void **unused)
{
	char *comment = "dropped 1: nothing";
	struct pa_sample samples[] = { sample(&wakers[0], &waiters[PA_FUTEX_PARK], 1, 10) };
	struct pa_snapshot snapshot = snapshot_of(samples, 1);

	(void)unused;
	snapshot.comments = &comment;
	snapshot.comment_count = 1;
	snapshot.duration_ns = 500;
	struct pa_snapshot *locks = pa_mutex_locks_only(&snapshot);
	assert_int_equal(locks->sample_count, 0);
	assert_int_equal(locks->time_ns, 1000);
	assert_int_equal(locks->duration_ns, 500);
	assert_int_equal(locks->fraction, 7);
	assert_int_equal(locks->comment_count, 1);
	assert_string_equal(locks->comments[0], comment);
	pa_snapshot_free(locks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_those_that_woke_waiters_for_locks_are_left),
		cmocka_unit_test(samples_of_one_stack_become_one),
		cmocka_unit_test(all_else_is_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
