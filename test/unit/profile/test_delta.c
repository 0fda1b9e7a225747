/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/profile/delta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/arena.h"
#include "test/lib/c/fake_kinds.h"

static struct pa_stack stacks[3] = { { .id = 0, .hash = 1 }, { .id = 1, .hash = 1 },
	{ .id = 2, .hash = 99 } };
static struct pa_stack overflow = { .id = 7, .hash = 5 };

const struct pa_stack *pa_stack_table_overflow(void)
{
	return &overflow;
}

static struct pa_sample sample(const struct pa_stack *stack, int64_t label, int64_t objects,
	int64_t in_use)
{
	return (struct pa_sample){
		.stack = stack,
		.bytes_label = label,
		.values = { objects, objects * label, in_use, in_use * label },
	};
}

static struct pa_snapshot snapshot(struct pa_sample *samples, size_t count, int64_t time_ns)
{
	return (struct pa_snapshot){
		.kind = &pa_heap_profile,
		.time_ns = time_ns,
		.period = 512,
		.samples = samples,
		.sample_count = count,
	};
}

static const struct pa_sample *find(const struct pa_snapshot *delta, const struct pa_stack *stack,
	int64_t label)
{
	const struct pa_sample *found = NULL;
	for (size_t i = 0; i < delta->sample_count; i++) {
		if (delta->samples[i].stack == stack && delta->samples[i].bytes_label == label) {
			assert_null(found);
			found = &delta->samples[i];
		}
	}
	return found;
}

static void values_are_subtracted_by_stack_and_label(void **unused)
{
	struct pa_sample old[] = { sample(&stacks[0], 8, 10, 5), sample(&stacks[0], 16, 1, 1) };
	struct pa_sample new[] = { sample(&stacks[0], 16, 4, 1), sample(&stacks[0], 8, 11, 3),
		sample(&stacks[1], 8, 2, 2) };
	struct pa_snapshot before = snapshot(old, 2, 1000), after = snapshot(new, 3, 4000);
	(void)unused;
	struct pa_snapshot *delta = pa_delta(&before, &after);
	assert_non_null(delta);
	assert_int_equal(delta->sample_count, 3);
	const struct pa_sample *eight = find(delta, &stacks[0], 8);
	assert_int_equal(eight->values[0], 1);
	assert_int_equal(eight->values[1], 8);
	assert_int_equal(eight->values[2], -2);
	assert_int_equal(eight->values[3], -16);
	assert_int_equal(find(delta, &stacks[0], 16)->values[0], 3);
	assert_int_equal(find(delta, &stacks[0], 16)->values[2], 0);
	assert_int_equal(find(delta, &stacks[1], 8)->values[0], 2);
	pa_snapshot_free(delta);
}

static void what_did_not_change_is_left_out(void **unused)
{
	struct pa_sample old[] = { sample(&stacks[0], 8, 10, 5), sample(&stacks[2], 8, 1, 1) };
	struct pa_sample new[] = { sample(&stacks[2], 8, 1, 1), sample(&stacks[0], 8, 10, 5) };
	struct pa_snapshot before = snapshot(old, 2, 1000), after = snapshot(new, 2, 2000);
	(void)unused;
	struct pa_snapshot *delta = pa_delta(&before, &after);
	assert_int_equal(delta->sample_count, 0);
	assert_ptr_equal(delta->kind, after.kind);
	pa_snapshot_free(delta);
}

static void what_vanished_is_negative(void **unused)
{
	struct pa_sample old[] = { sample(&stacks[0], 8, 10, 5) };
	struct pa_snapshot before = snapshot(old, 1, 1000), after = snapshot(NULL, 0, 2000);
	(void)unused;
	struct pa_snapshot *delta = pa_delta(&before, &after);
	assert_int_equal(delta->sample_count, 1);
	assert_int_equal(delta->samples[0].values[2], -5);
	pa_snapshot_free(delta);
}

static void times_and_comments_are_the_second_ones(void **unused)
{
	char *texts[] = { "dropped 3: x", "dropped 1: y" };
	struct pa_snapshot before = snapshot(NULL, 0, 1000), after = snapshot(NULL, 0, 3500);
	(void)unused;
	before.fraction = 2;
	after.fraction = 5;
	after.comments = texts;
	after.comment_count = 2;
	struct pa_snapshot *delta = pa_delta(&before, &after);
	assert_int_equal(delta->time_ns, 3500);
	assert_int_equal(delta->duration_ns, 2500);
	assert_int_equal(delta->period, 512);
	assert_int_equal(delta->fraction, 5);
	assert_int_equal(delta->comment_count, 2);
	assert_ptr_not_equal(delta->comments[1], texts[1]);
	assert_string_equal(delta->comments[0], "dropped 3: x");
	assert_string_equal(delta->comments[1], "dropped 1: y");
	pa_snapshot_free(delta);
}

static void clock_set_back_gives_no_negative_duration(void **unused)
{
	struct pa_snapshot before = snapshot(NULL, 0, 5000), after = snapshot(NULL, 0, 1000);
	(void)unused;
	struct pa_snapshot *delta = pa_delta(&before, &after);
	assert_true(delta->duration_ns > 0);
	pa_snapshot_free(delta);
}

static void lost_events_are_one_sample(void **unused)
{
	struct pa_sample old[] = { sample(&overflow, 100, 3, 0) };
	struct pa_sample new[] = { sample(&overflow, 120, 5, 0) };
	struct pa_snapshot before = snapshot(old, 1, 1000), after = snapshot(new, 1, 2000);
	(void)unused;
	struct pa_snapshot *delta = pa_delta(&before, &after);
	assert_int_equal(delta->sample_count, 1);
	assert_int_equal(delta->samples[0].values[0], 2);
	assert_int_equal(delta->samples[0].values[1], 300);
	assert_int_equal(delta->samples[0].bytes_label, -1);
	pa_snapshot_free(delta);
}

static void threads_are_kept_apart(void **unused)
{
	struct pa_sample old[] = {
		{ .stack = &stacks[0], .tid = 1, .bytes_label = -1, .values = { 1, 10 } }
	};
	struct pa_sample new[] = {
		{ .stack = &stacks[0], .tid = 1, .bytes_label = -1, .values = { 1, 10 } },
		{ .stack = &stacks[0], .tid = 2, .bytes_label = -1, .values = { 4, 40 } }
	};
	struct pa_snapshot before = snapshot(old, 1, 1000), after = snapshot(new, 2, 2000);
	(void)unused;
	before.kind = after.kind = &pa_cpu_profile;
	struct pa_snapshot *delta = pa_delta(&before, &after);
	assert_int_equal(delta->sample_count, 1);
	assert_int_equal(delta->samples[0].tid, 2);
	assert_int_equal(delta->samples[0].values[1], 40);
	pa_snapshot_free(delta);
}

static void labels_are_kept_apart(void **unused)
{
	const struct pa_labels a = { .id = 1, .hash = 99 }, b = { .id = 2, .hash = 99 };
	struct pa_sample old[] = {
		{ .stack = &stacks[0], .tid = 1, .bytes_label = -1, .labels = &a, .values = { 1 } }
	};
	struct pa_sample new[] = { old[0], old[0], old[0] };
	(void)unused;
	new[1].labels = &b;
	new[2].labels = NULL;
	struct pa_snapshot before = snapshot(old, 1, 1000), after = snapshot(new, 3, 2000);
	before.kind = after.kind = &pa_goroutine_profile;
	struct pa_snapshot *delta = pa_delta(&before, &after);
	assert_int_equal(delta->sample_count, 2);
	assert_ptr_equal(delta->samples[0].labels, &b);
	assert_null(delta->samples[1].labels);
	pa_snapshot_free(delta);
}

static void many_samples_keep_their_sums(void **unused)
{
	static struct pa_sample old[5000], new[5000];
	(void)unused;
	for (int i = 0; i < 5000; i++) {
		old[i] = sample(&stacks[i % 3], i + 1, i % 7, 0);
		new[4999 - i] = sample(&stacks[i % 3], i + 1, i % 7 + i % 2, 1);
	}
	struct pa_snapshot before = snapshot(old, 5000, 1000), after = snapshot(new, 5000, 2000);
	struct pa_snapshot *delta = pa_delta(&before, &after);
	assert_int_equal(delta->sample_count, 5000);
	int64_t objects = 0;
	for (size_t i = 0; i < delta->sample_count; i++)
		objects += delta->samples[i].values[0];
	assert_int_equal(objects, 2500);
	pa_snapshot_free(delta);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_subtracted_by_stack_and_label),
		cmocka_unit_test(what_did_not_change_is_left_out),
		cmocka_unit_test(what_vanished_is_negative),
		cmocka_unit_test(times_and_comments_are_the_second_ones),
		cmocka_unit_test(clock_set_back_gives_no_negative_duration),
		cmocka_unit_test(lost_events_are_one_sample),
		cmocka_unit_test(threads_are_kept_apart),
		cmocka_unit_test(labels_are_kept_apart),
		cmocka_unit_test(many_samples_keep_their_sums),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
