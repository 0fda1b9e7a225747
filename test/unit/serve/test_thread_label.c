/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/thread_label.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/profile/thread_names.h"

static const struct pa_profile_ops kind = { .name = "profile", .value_count = 2 };

static struct pa_stack stacks[2] = { { .id = 1, .hash = 1 }, { .id = 2, .hash = 2 } }, overflow;
static const struct pa_labels labels = { .count = 1, .hash = 7 };

const struct pa_stack *pa_stack_table_overflow(void)
{
	return &overflow;
}

static struct pa_sample samples[8];
static struct pa_snapshot snapshot = {
	.kind = &kind, .time_ns = 5, .duration_ns = 6, .period = 7, .samples = samples
};

static struct pa_sample sample_of(const struct pa_stack *stack, const char *thread, int32_t tid,
	int64_t count)
{
	return (struct pa_sample){
		.stack = stack,
		.values = { count, 10 * count },
		.bytes_label = -1,
		.tid = tid,
		.thread = thread,
	};
}

static void assert_sample(const struct pa_sample *sample, const struct pa_stack *stack,
	const char *thread, int64_t count)
{
	assert_ptr_equal(sample->stack, stack);
	assert_string_equal(sample->thread, thread);
	assert_int_equal(sample->tid, 0);
	assert_int_equal(sample->values[0], count);
	assert_int_equal(sample->values[1], 10 * count);
}

static void a_pool_has_one_star_per_number(void **unused)
{
	static const char *const names[][2] = { { "conn12", "conn*" },
		{ "pool-1-thread-23", "pool-*-thread-*" }, { "0", "*" }, { "plain", "plain" },
		{ "", "" },
		{ "\xc3\xa9"
		  "7",
			"\xc3\xa9*" } };
	char out[PA_THREAD_NAMES_BYTES];

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		assert_int_equal(pa_thread_label_pool(out, sizeof(out), names[i][0]),
			strlen(names[i][1]));
		assert_string_equal(out, names[i][1]);
	}
	assert_int_equal(pa_thread_label_pool(out, 3, "a1b2"), 2);
	assert_string_equal(out, "a*");
}

static void threads_of_a_pool_are_joined(void **unused)
{
	struct pa_thread_label_view view;

	(void)unused;
	samples[0] = sample_of(&stacks[0], "conn1", 11, 1);
	samples[1] = sample_of(&stacks[0], "conn22", 12, 2);
	samples[2] = sample_of(&stacks[1], "conn1", 11, 4);
	samples[3] = sample_of(&stacks[0], "main", 10, 8);
	samples[4] = sample_of(&stacks[0], "conn3", 13, 16);
	samples[4].labels = &labels;
	samples[5] = sample_of(&overflow, NULL, 0, 32);
	snapshot.sample_count = 6;
	assert_true(pa_thread_label_differs(&snapshot, PA_ENV_THREAD_LABEL_POOL));
	assert_int_equal(pa_thread_label_open(&view, &snapshot, PA_ENV_THREAD_LABEL_POOL), 0);
	assert_int_equal(view.snapshot->sample_count, 5);
	assert_sample(&view.snapshot->samples[0], &stacks[0], "conn*", 3);
	assert_sample(&view.snapshot->samples[1], &stacks[1], "conn*", 4);
	assert_sample(&view.snapshot->samples[2], &stacks[0], "main", 8);
	assert_sample(&view.snapshot->samples[3], &stacks[0], "conn*", 16);
	assert_ptr_equal(view.snapshot->samples[3].labels, &labels);
	assert_sample(&view.snapshot->samples[4], &overflow, "", 32);
	assert_int_equal(view.snapshot->time_ns, 5);
	assert_int_equal(view.snapshot->duration_ns, 6);
	assert_int_equal(view.snapshot->period, 7);
	assert_int_equal(samples[0].tid, 11); /* the original is as it was */
	pa_thread_label_close(&view);
}

static void all_threads_are_joined_without_the_label(void **unused)
{
	struct pa_thread_label_view view;

	(void)unused;
	samples[0] = sample_of(&stacks[0], "conn1", 11, 1);
	samples[1] = sample_of(&stacks[0], "main", 10, 2);
	snapshot.sample_count = 2;
	assert_int_equal(pa_thread_label_open(&view, &snapshot, PA_ENV_THREAD_LABEL_OFF), 0);
	assert_int_equal(view.snapshot->sample_count, 1);
	assert_sample(&view.snapshot->samples[0], &stacks[0], "", 3);
	pa_thread_label_close(&view);
}

static void profiles_without_threads_stay(void **unused)
{
	(void)unused;
	samples[0] = sample_of(&stacks[0], NULL, 0, 1);
	samples[1] = sample_of(&stacks[1], "a", 1, 1);
	snapshot.sample_count = 1;
	assert_false(pa_thread_label_differs(&snapshot, PA_ENV_THREAD_LABEL_OFF));
	snapshot.sample_count = 2;
	assert_true(pa_thread_label_differs(&snapshot, PA_ENV_THREAD_LABEL_OFF));
	assert_false(pa_thread_label_differs(&snapshot, PA_ENV_THREAD_LABEL_NAME));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pool_has_one_star_per_number),
		cmocka_unit_test(threads_of_a_pool_are_joined),
		cmocka_unit_test(all_threads_are_joined_without_the_label),
		cmocka_unit_test(profiles_without_threads_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
