/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/base/arena.h"
#include "agent/base/clock.h"
#include "agent/profile/goroutine.h"
#include "agent/profile/wall.h"
#include "agent/record/thread_dump.h"

static struct pa_stack stacks[PA_WALL_RECORDS + 3];
static const struct pa_stack *const overflow = &stacks[PA_WALL_RECORDS + 2];

/* What the next dump finds, and how long it takes. */
static struct {
	int64_t now_ns, takes_ns;
	bool fails;
	int32_t first_tid;
	size_t count;       /* of threads, with tids in a row */
	size_t first_stack; /* of the first thread; the others have the next ones */
	const char *name;
	const struct pa_labels *labels;
	int64_t waited_ns;
	const char *comment;
	int open; /* snapshots that were not freed */
} fake;

int64_t pa_clock_mono_ns(void)
{
	return fake.now_ns;
}

int64_t pa_clock_wall_ns(void)
{
	return 1000 * PA_NS_PER_S + fake.now_ns;
}

int64_t pa_clock_thread_cpu_ns(void)
{
	abort();
}

const struct pa_stack *pa_stack_table_overflow(void)
{
	return overflow;
}

struct pa_snapshot *pa_goroutine_take(bool detail)
{
	static const struct pa_thread_info answered = { .answered = true };
	static char *comments[1];
	assert_false(detail);
	fake.now_ns += fake.takes_ns;
	if (fake.fails)
		return NULL;
	size_t bytes = sizeof(struct pa_snapshot) + fake.count * sizeof(struct pa_sample);
	struct pa_snapshot *snapshot = pa_map(bytes);
	assert_non_null(snapshot);
	*snapshot = (struct pa_snapshot){ .samples = (struct pa_sample *)(snapshot + 1),
		.sample_count = fake.count,
		.comments = comments,
		.comment_count = fake.comment != NULL,
		.waited_ns = fake.waited_ns,
		.bytes = bytes };
	comments[0] = (char *)(uintptr_t)fake.comment;
	for (size_t i = 0; i < fake.count; i++)
		snapshot->samples[i] = (struct pa_sample){
			.stack = &stacks[(fake.first_stack + i) % (PA_WALL_RECORDS + 2)],
			.values = { 1 },
			.bytes_label = -1,
			.tid = fake.first_tid + (int32_t)i,
			.thread = fake.name,
			.labels = fake.labels,
			.info = &answered,
		};
	fake.open++;
	return snapshot;
}

struct pa_snapshot *pa_snapshot_new(size_t bytes)
{
	struct pa_snapshot *snapshot = pa_map(bytes);
	if (snapshot)
		snapshot->bytes = bytes;
	return snapshot;
}

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	if (!snapshot)
		return;
	fake.open--;
	pa_unmap(snapshot, snapshot->bytes);
}

static int fresh(void **unused)
{
	(void)unused;
	memset(&fake, 0, sizeof(fake));
	fake.now_ns = PA_NS_PER_S;
	fake.first_tid = 100;
	fake.count = 1;
	fake.name = "worker";
	return 0;
}

/* Waits, and dumps; what it said to wait. */
static int64_t dump_after(int64_t ns)
{
	fake.now_ns += ns;
	return pa_wall_dump();
}

static struct pa_snapshot *end(void)
{
	struct pa_snapshot *snapshot = pa_wall_end();
	assert_non_null(snapshot);
	fake.open++; /* it did not come from us */
	assert_int_equal(fake.open, 1);
	return snapshot;
}

static const struct pa_sample *find(const struct pa_snapshot *snapshot, const void *stack,
	int32_t tid)
{
	for (size_t i = 0; i < snapshot->sample_count; i++) {
		if (snapshot->samples[i].stack == stack && snapshot->samples[i].tid == tid)
			return &snapshot->samples[i];
	}
	fail();
	return NULL;
}

static void types_are_those_of_fgprof(void **unused)
{
	const struct pa_profile_ops *kind = &pa_wall_profile;
	(void)unused;
	assert_int_equal(kind->value_count, 2);
	assert_string_equal(kind->values[0].type, "samples");
	assert_string_equal(kind->values[0].unit, "count");
	assert_string_equal(kind->values[1].type, "time");
	assert_string_equal(kind->values[1].unit, "nanoseconds");
	assert_string_equal(kind->period_type.type, "wallclock");
	assert_string_equal(kind->period_type.unit, "nanoseconds");
	assert_null(kind->description); /* no row of the index */
	assert_false(kind->named);
}

static void each_dump_weighs_the_time_since_the_last_one(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	fake.takes_ns = 1000;
	dump_after(10000);
	dump_after(500000); /* a dump's own time counts in the next one */
	fake.first_stack = 1;
	dump_after(40000);
	struct pa_snapshot *snapshot = end();
	assert_ptr_equal(snapshot->kind, &pa_wall_profile);
	assert_int_equal(snapshot->sample_count, 2);
	const struct pa_sample *sample = find(snapshot, &stacks[0], 100);
	assert_int_equal(sample->values[0], 2);
	assert_int_equal(sample->values[1], 10000 + 501000);
	assert_int_equal(sample->bytes_label, -1);
	assert_string_equal(sample->thread, "worker");
	sample = find(snapshot, &stacks[1], 100);
	assert_int_equal(sample->values[0], 1);
	assert_int_equal(sample->values[1], 41000);
	assert_int_equal(snapshot->time_ns, 1001 * PA_NS_PER_S);
	assert_int_equal(snapshot->duration_ns, 552000);
	assert_int_equal(snapshot->period, 552000 / 3);
	pa_snapshot_free(snapshot);
}

static void threads_and_labels_are_apart(void **unused)
{
	static const struct pa_labels sets[] = { { .id = 1 }, { .id = PA_LABELS_SETS - 1 } };
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	fake.count = 2;
	fake.first_stack = 0;
	dump_after(10);
	fake.labels = &sets[1];
	dump_after(10);
	fake.labels = &sets[0];
	dump_after(10);
	struct pa_snapshot *snapshot = end();
	assert_int_equal(snapshot->sample_count, 6);
	assert_null(snapshot->samples[0].labels);
	assert_ptr_equal(snapshot->samples[2].labels, &sets[1]);
	assert_ptr_equal(snapshot->samples[4].labels, &sets[0]);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(snapshot->samples[i].tid, 100 + i % 2);
		assert_int_equal(snapshot->samples[i].values[1], 10);
	}
	pa_snapshot_free(snapshot);
}

static void the_last_name_of_a_thread_is_its_name(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	dump_after(10);
	fake.name = "renamed";
	dump_after(10);
	fake.name = ""; /* of one that does not answer */
	dump_after(10);
	fake.name = NULL;
	fake.first_tid = 7;
	dump_after(10);
	struct pa_snapshot *snapshot = end();
	assert_string_equal(find(snapshot, &stacks[0], 100)->thread, "renamed");
	assert_string_equal(find(snapshot, &stacks[0], 7)->thread, "");
	pa_snapshot_free(snapshot);
}

static void dumps_take_a_tenth_of_the_time(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	fake.takes_ns = 100000;
	assert_int_equal(dump_after(0), PA_WALL_PERIOD_NS - 100000);
	fake.takes_ns = PA_WALL_PERIOD_NS / 10;
	assert_int_equal(dump_after(0), PA_WALL_PERIOD_NS - fake.takes_ns);
	fake.takes_ns = 30 * PA_NS_PER_MS;
	assert_int_equal(dump_after(0), 270 * PA_NS_PER_MS);
	fake.takes_ns = PA_NS_PER_S;
	assert_int_equal(dump_after(0), 9 * PA_NS_PER_S);
	pa_snapshot_free(end());
}

static void patience_with_a_silent_thread_costs_nothing(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	fake.waited_ns = 200 * PA_NS_PER_MS;
	fake.takes_ns = fake.waited_ns + 100000;
	assert_int_equal(dump_after(0), 0);
	fake.takes_ns = fake.waited_ns + 30 * PA_NS_PER_MS;
	assert_int_equal(dump_after(0), 270 * PA_NS_PER_MS - fake.waited_ns);
	fake.waited_ns = 0;
	fake.takes_ns = 50 * PA_NS_PER_MS;
	assert_int_equal(dump_after(0), 450 * PA_NS_PER_MS);
	pa_snapshot_free(end());
}

static void a_failed_dump_leaves_its_time_to_the_next(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	fake.fails = true;
	assert_int_equal(dump_after(100), PA_NS_PER_S);
	fake.fails = false;
	dump_after(200);
	struct pa_snapshot *snapshot = end();
	assert_int_equal(snapshot->samples[0].values[0], 1);
	assert_int_equal(snapshot->samples[0].values[1], 300);
	pa_snapshot_free(snapshot);
}

static void without_a_dump_there_is_no_profile(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	assert_null(pa_wall_end());
	assert_int_equal(pa_wall_begin(), 0);
	fake.fails = true;
	dump_after(10);
	assert_null(pa_wall_end());
}

static void one_at_a_time(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	assert_int_equal(pa_wall_begin(), -EBUSY);
	dump_after(10);
	pa_snapshot_free(end());
	assert_int_equal(pa_wall_begin(), 0);
	assert_null(pa_wall_end());
}

static void each_profile_begins_anew_and_gives_its_memory_back(void **unused)
{
	(void)unused;
	size_t before = pa_map_bytes();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pa_wall_begin(), 0);
		fake.name = i ? NULL : "first";
		dump_after(10);
		struct pa_snapshot *snapshot = end();
		assert_int_equal(snapshot->sample_count, 1);
		assert_int_equal(snapshot->samples[0].values[1], 10);
		assert_string_equal(snapshot->samples[0].thread, i ? "" : "first");
		pa_snapshot_free(snapshot);
		assert_int_equal(pa_map_bytes(), before);
	}
}

static void full_table_counts_what_it_drops(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	fake.comment = "dropped 3: by another";
	fake.count = PA_WALL_RECORDS + 2;
	dump_after(10);
	dump_after(10);
	struct pa_snapshot *snapshot = end();
	assert_int_equal(snapshot->sample_count, PA_WALL_RECORDS + 1);
	const struct pa_sample *lost = find(snapshot, overflow, 0);
	assert_int_equal(lost->values[0], 4);
	assert_int_equal(lost->values[1], 40);
	assert_int_equal(snapshot->comment_count, 3);
	assert_string_equal(snapshot->comments[0], "dropped 3: by another");
	assert_string_equal(snapshot->comments[1],
		"dropped 4: samples of threads dropped: sample table full");
	assert_non_null(strstr(snapshot->comments[2], ": samples without a name of their thread"));
	assert_string_equal(snapshot->samples[PA_WALL_THREADS - 1].thread, "worker");
	assert_null(snapshot->samples[PA_WALL_THREADS].thread);
	pa_snapshot_free(snapshot);
}

static void a_forked_child_can_take_one(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	dump_after(10);
	pa_wall_profile.atfork_child(&pa_wall_profile, true);
	fake.open = 0; /* the parent's are lost */
	assert_int_equal(pa_wall_begin(), 0);
	dump_after(20);
	struct pa_snapshot *snapshot = end();
	assert_int_equal(snapshot->samples[0].values[1], 20);
	pa_snapshot_free(snapshot);
}

static void one_can_be_taken_after_the_threads_were_suspended(void **unused)
{
	(void)unused;
	assert_int_equal(pa_wall_begin(), 0);
	dump_after(10);
	pa_wall_profile.suspended(&pa_wall_profile);
	fake.open = 0;
	assert_false(pa_wall_is_taken());
	assert_int_equal(pa_wall_begin(), 0);
	dump_after(20);
	struct pa_snapshot *snapshot = end();
	assert_int_equal(snapshot->samples[0].values[1], 20);
	pa_snapshot_free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(types_are_those_of_fgprof, fresh),
		cmocka_unit_test_setup(each_dump_weighs_the_time_since_the_last_one, fresh),
		cmocka_unit_test_setup(threads_and_labels_are_apart, fresh),
		cmocka_unit_test_setup(the_last_name_of_a_thread_is_its_name, fresh),
		cmocka_unit_test_setup(dumps_take_a_tenth_of_the_time, fresh),
		cmocka_unit_test_setup(patience_with_a_silent_thread_costs_nothing, fresh),
		cmocka_unit_test_setup(a_failed_dump_leaves_its_time_to_the_next, fresh),
		cmocka_unit_test_setup(without_a_dump_there_is_no_profile, fresh),
		cmocka_unit_test_setup(one_at_a_time, fresh),
		cmocka_unit_test_setup(each_profile_begins_anew_and_gives_its_memory_back, fresh),
		cmocka_unit_test_setup(full_table_counts_what_it_drops, fresh),
		cmocka_unit_test_setup(a_forked_child_can_take_one, fresh),
		cmocka_unit_test_setup(one_can_be_taken_after_the_threads_were_suspended, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
