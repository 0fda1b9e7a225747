/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/core/core.h"
#include "agent/profile/cpu.h"
#include "agent/profile/cpu_names.h"

#define PERIOD_NS 10000000

static struct pa_stack stacks[3];

static const struct pa_labels sets[] = { { .id = 0 }, { .id = 1 }, { .id = 2 } };
static const struct pa_labels last_set = { .id = PA_LABELS_SETS - 1 };

static const struct pa_labels *labels(uint32_t id)
{
	assert_int_not_equal(id, 0);
	assert_true(id < PA_LABELS_SETS);
	return id < PA_COUNT(sets) ? &sets[id] : id == last_set.id ? &last_set : NULL;
}

static struct pa_bridge bridge = { .labels = labels };

static int begin(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	pa_cpu_begin_locked(&pa_cpu_profile, PERIOD_NS, 0);
	return 0;
}

static void add_labelled(const struct pa_stack *stack, int32_t tid, const char *name,
	uint32_t labels_id, uint64_t ticks)
{
	struct pa_event event = {
		.kind = PA_EVENT_CPU,
		.tid = tid,
		.time_ns = pa_clock_mono_ns(),
		.labels = labels_id,
		.value = { ticks },
	};
	for (size_t i = 0; i < sizeof(event.name) && name[i]; i++)
		event.name[i] = name[i];
	pa_cpu_add_locked(&event, stack);
}

static void add(const struct pa_stack *stack, int32_t tid, const char *name, uint64_t ticks)
{
	add_labelled(stack, tid, name, 0, ticks);
}

static struct pa_sample sample_at(size_t i)
{
	struct pa_sample *samples = calloc(pa_cpu_count(&pa_cpu_profile), sizeof(*samples));
	struct pa_sample sample;
	assert_true(i < pa_cpu_count(&pa_cpu_profile));
	pa_cpu_samples(&pa_cpu_profile, samples);
	sample = samples[i];
	free(samples);
	return sample;
}

static void ticks_of_one_thread_in_one_stack_add_up(void **unused)
{
	struct pa_sample sample;
	(void)unused;
	add(&stacks[0], 7, "worker", 1);
	add(&stacks[0], 7, "worker", 4);
	assert_int_equal(pa_cpu_count(&pa_cpu_profile), 1);
	sample = sample_at(0);
	assert_ptr_equal(sample.stack, &stacks[0]);
	assert_int_equal(sample.values[0], 5);
	assert_int_equal(sample.values[1], 5 * PERIOD_NS);
	assert_int_equal(sample.tid, 7);
	assert_string_equal(sample.thread, "worker");
	assert_int_equal(sample.bytes_label, -1);
}

static void stack_tid_and_name_keep_samples_apart(void **unused)
{
	(void)unused;
	add(&stacks[0], 7, "worker", 1);
	add(&stacks[1], 7, "worker", 1);
	add(&stacks[0], 8, "worker", 1);
	add(&stacks[0], 7, "other", 1);
	assert_int_equal(pa_cpu_count(&pa_cpu_profile), 4);
	assert_int_equal(sample_at(2).tid, 8);
	assert_string_equal(sample_at(3).thread, "other");
}

static void labels_keep_samples_apart(void **unused)
{
	(void)unused;
	add(&stacks[0], 7, "worker", 1);
	add_labelled(&stacks[0], 7, "worker", 1, 2);
	add_labelled(&stacks[0], 7, "worker", 2, 3);
	add_labelled(&stacks[0], 7, "worker", 1, 4);
	assert_int_equal(pa_cpu_count(&pa_cpu_profile), 3);
	assert_null(sample_at(0).labels);
	assert_ptr_equal(sample_at(1).labels, &sets[1]);
	assert_int_equal(sample_at(1).values[0], 6);
	assert_ptr_equal(sample_at(2).labels, &sets[2]);
}

static void largest_tid_and_labels_do_not_meet(void **unused)
{
	const int32_t largest = (1 << 22) - 1;
	(void)unused;
	add_labelled(&stacks[0], largest, "worker", last_set.id, 1);
	add_labelled(&stacks[0], largest, "other", last_set.id, 1);
	assert_int_equal(sample_at(0).tid, largest);
	assert_ptr_equal(sample_at(0).labels, &last_set);
	assert_string_equal(sample_at(0).thread, "worker");
	assert_string_equal(sample_at(1).thread, "other");
}

static void labels_that_are_none_are_left_out(void **unused)
{
	(void)unused;
	add_labelled(&stacks[0], 7, "worker", PA_LABELS_SETS, 1);
	add_labelled(&stacks[0], 7, "worker", UINT32_MAX, 1);
	add_labelled(&stacks[0], 8, "worker", 77, 1); /* an unknown set of labels */
	assert_int_equal(pa_cpu_count(&pa_cpu_profile), 2);
	assert_null(sample_at(0).labels);
	assert_string_equal(sample_at(0).thread, "worker");
	assert_null(sample_at(1).labels);
}

static void equal_names_are_one_string(void **unused)
{
	(void)unused;
	add(&stacks[0], 1, "same", 1);
	add(&stacks[0], 2, "same", 1);
	assert_ptr_equal(sample_at(0).thread, sample_at(1).thread);
}

static void assert_name(const char *name, const char *expected)
{
	pa_cpu_begin_locked(&pa_cpu_profile, PERIOD_NS, 0);
	add(&stacks[0], 1, name, 1);
	assert_string_equal(sample_at(0).thread, expected);
}

static void names_become_valid_utf8(void **unused)
{
	(void)unused;
	assert_name("", "");
	assert_name("plain", "plain");
	assert_name("sixteen letters!", "sixteen letters!");
	assert_name("gr\xc3\xbc\xc3\x9f"
		    "e",
		"gr\xc3\xbc\xc3\x9f"
		"e");
	assert_name("\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_name("a\xff"
		    "b",
		"a\xef\xbf\xbd"
		"b");
	assert_name("cut\xe2\x82", "cut\xef\xbf\xbd\xef\xbf\xbd");
	assert_name("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"); /* overlong / */
	assert_name("\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	assert_name("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* surrogate */
	assert_name("\xf4\x90\x80\x80!", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!");
	assert_name("\xf5\x80", "\xef\xbf\xbd\xef\xbf\xbd");
	assert_name("fifteen bytes..\xc3", "fifteen bytes..\xef\xbf\xbd");
}

static void a_name_of_bad_bytes_alone_fits(void **unused)
{
	(void)unused;
	add(&stacks[0], 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1);
	assert_int_equal(strlen(sample_at(0).thread), 48);
}

static void ticks_outside_a_profile_are_ignored(void **unused)
{
	(void)unused;
	pa_cpu_end_locked(&pa_cpu_profile);
	assert_int_equal(pa_cpu_stats(&pa_cpu_profile).period_ns, 0);
	add(&stacks[0], 1, "late", 1);
	assert_int_equal(pa_cpu_count(&pa_cpu_profile), 0);
	assert_int_equal(pa_cpu_stats(&pa_cpu_profile).ticks_dropped, 0);
}

static void a_new_profile_begins_empty(void **unused)
{
	(void)unused;
	add(&stacks[0], 1, "x", 3);
	pa_cpu_begin_locked(&pa_cpu_profile, PERIOD_NS * 2, 17);
	assert_int_equal(pa_cpu_stats(&pa_cpu_profile).period_ns, 2 * PERIOD_NS);
	assert_int_equal(pa_cpu_count(&pa_cpu_profile), 0);
	assert_int_equal(pa_cpu_stats(&pa_cpu_profile).lost_before, 17);
	add(&stacks[0], 1, "x", 3);
	assert_int_equal(sample_at(0).values[1], 3 * 2 * PERIOD_NS);
}

static void a_full_table_counts_the_ticks(void **unused)
{
	uint64_t before = pa_cpu_totals().ticks_dropped;
	(void)unused;
	for (int32_t tid = 1; tid <= PA_CPU_RECORDS; tid++)
		add(&stacks[0], tid, "x", 1);
	assert_int_equal(pa_cpu_count(&pa_cpu_profile), PA_CPU_RECORDS);
	assert_int_equal(pa_cpu_stats(&pa_cpu_profile).ticks_dropped, 0);
	add(&stacks[1], 1, "x", 5);
	add(&stacks[0], 1, "x", 5);
	assert_int_equal(pa_cpu_count(&pa_cpu_profile), PA_CPU_RECORDS);
	assert_int_equal(pa_cpu_stats(&pa_cpu_profile).ticks_dropped, 5);
	assert_int_equal(sample_at(0).values[0], 6);
	pa_cpu_begin_locked(&pa_cpu_profile, PERIOD_NS, 0);
	assert_int_equal(pa_cpu_stats(&pa_cpu_profile).ticks_dropped, 0);
	assert_int_equal(pa_cpu_totals().ticks_dropped, before + 5);
}

static void ending_a_profile_gives_its_memory_back(void **unused)
{
	size_t names_only;
	(void)unused;
	add(&stacks[0], 1, "x", 1);
	pa_cpu_end_locked(&pa_cpu_profile);
	names_only = pa_cpu_totals().table_bytes;
	pa_cpu_begin_locked(&pa_cpu_profile, PERIOD_NS, 0);
	for (int32_t tid = 1; tid <= 10000; tid++)
		add(&stacks[0], tid, "x", 1);
	assert_true(pa_cpu_totals().table_bytes >= names_only + 10000 * 32);
	pa_cpu_end_locked(&pa_cpu_profile);
	assert_int_equal(pa_cpu_totals().table_bytes, names_only);
}

/* Last: it leaves no room for further names. */
static void too_many_names_share_one(void **unused)
{
	char name[32];
	struct pa_sample sample;
	(void)unused;
	for (int i = 0; i <= PA_CPU_NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "request-%d", i);
		add(&stacks[0], 1, name, 1);
	}
	assert_true(pa_cpu_totals().names_dropped > 0);
	assert_true(pa_cpu_count(&pa_cpu_profile) < PA_CPU_NAMES_MAX + 1);
	sample = sample_at(pa_cpu_count(&pa_cpu_profile) - 1);
	assert_string_equal(sample.thread, PA_CPU_NAMES_OTHER);
	assert_int_equal(sample.values[0], pa_cpu_totals().names_dropped);
	assert_string_equal(sample_at(0).thread, "request-0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ticks_of_one_thread_in_one_stack_add_up, begin),
		cmocka_unit_test_setup(stack_tid_and_name_keep_samples_apart, begin),
		cmocka_unit_test_setup(labels_keep_samples_apart, begin),
		cmocka_unit_test_setup(largest_tid_and_labels_do_not_meet, begin),
		cmocka_unit_test_setup(labels_that_are_none_are_left_out, begin),
		cmocka_unit_test_setup(equal_names_are_one_string, begin),
		cmocka_unit_test_setup(names_become_valid_utf8, begin),
		cmocka_unit_test_setup(a_name_of_bad_bytes_alone_fits, begin),
		cmocka_unit_test_setup(ticks_outside_a_profile_are_ignored, begin),
		cmocka_unit_test_setup(a_new_profile_begins_empty, begin),
		cmocka_unit_test_setup(a_full_table_counts_the_ticks, begin),
		cmocka_unit_test_setup(ending_a_profile_gives_its_memory_back, begin),
		cmocka_unit_test_setup(too_many_names_share_one, begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
