/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles of the program's own, from the event to the snapshot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "agent/profile/snapshot_take.h"
#include "test/lib/c/collector.h"

/* The thread sanitizer refuses threads in a forked child unless told otherwise. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

static void send_add(uint32_t id, uintptr_t value, const uintptr_t *pcs, uint16_t depth,
	uint32_t skip)
{
	struct pa_event event = {
		.kind = PA_EVENT_ADD,
		.depth = depth,
		.tid = 1,
		.value = { id },
		.object = value,
		.skip = skip,
	};
	send_event(event, pcs);
}

static void send_remove(uint32_t id, uintptr_t value)
{
	send_event((struct pa_event){ .kind = PA_EVENT_REMOVE, .value = { id }, .object = value },
		NULL);
}

static struct pa_snapshot *take(uint32_t id)
{
	struct pa_snapshot *snapshot = pa_snapshot_take(pa_custom_profile.member(id), false);
	assert_non_null(snapshot);
	assert_ptr_equal(snapshot->kind, pa_custom_profile.member(id));
	assert_int_equal(snapshot->period, 1);
	assert_int_equal(snapshot->duration_ns, 0);
	assert_true(snapshot->time_ns > 0);
	return snapshot;
}

static void assert_values(uint32_t id, uintptr_t pc, int64_t values)
{
	struct pa_snapshot *snapshot = take(id);
	const struct pa_sample *sample = find_sample(snapshot, pc);
	assert_int_equal(sample ? sample->values[0] : 0, values);
	pa_snapshot_free(snapshot);
}

static int clean(void **unused)
{
	(void)unused;
	for (uint32_t id = 0; id < 2; id++)
		for (uintptr_t value = 0; value < 16; value++)
			send_remove(id, value);
	return 0;
}

static void values_reach_their_profile_and_leave_it(void **unused)
{
	const uintptr_t one = PC(1), two = PC(2);
	(void)unused;
	assert_values(0, one, 0);
	send_add(0, 1, &one, 1, 0);
	send_add(0, 2, &one, 1, 0);
	send_add(0, 0, &two, 1, 0);
	send_add(1, 1, &one, 1, 0);
	assert_values(0, one, 2);
	assert_values(0, two, 1);
	assert_values(1, one, 1);
	send_remove(0, 1);
	send_remove(0, 0);
	send_remove(0, 9);
	assert_values(0, one, 1);
	assert_values(0, two, 0);
	assert_values(1, one, 1);
}

static void profile_without_values_has_no_samples(void **unused)
{
	struct pa_snapshot *snapshot = take(1);
	(void)unused;
	assert_int_equal(snapshot->sample_count, 0);
	assert_string_equal(snapshot->kind->name, "two");
	pa_snapshot_free(snapshot);
	assert_null(pa_custom_profile.member(2)); /* there is none */
}

static void assert_stack(uint32_t skip, const uintptr_t *expected, uint32_t depth)
{
	const uintptr_t pcs[] = { PC(10), PC(11), PC(12) };
	send_add(0, 3, pcs, 3, skip);
	struct pa_snapshot *snapshot = take(0);
	assert_int_equal(snapshot->sample_count, 1);
	const struct pa_stack *stack = snapshot->samples[0].stack;
	assert_int_equal(stack->depth, depth);
	for (uint32_t i = 0; i < depth; i++) {
		const struct pa_loc *loc = pa_stack_table_loc(stack->locs[i]);
		assert_int_equal(loc->raw_pc, expected[i]);
		assert_int_equal(loc->pc, expected[i] - 1); /* none is a leaf */
	}
	pa_snapshot_free(snapshot);
	send_remove(0, 3);
}

static void skipped_frames_are_left_out(void **unused)
{
	const uintptr_t pcs[] = { PC(10), PC(11), PC(12) };
	(void)unused;
	assert_stack(0, pcs, 3);
	assert_stack(1, pcs + 1, 2);
	assert_stack(2, pcs + 2, 1);
}

static void assert_lost(uint32_t skip, uint8_t flags)
{
	const uintptr_t pcs[] = { PC(13), PC(14) };
	struct pa_event event = {
		.kind = PA_EVENT_ADD, .flags = flags, .depth = 2, .object = 3, .skip = skip
	};
	send_event(event, pcs);
	struct pa_snapshot *snapshot = take(0);
	assert_int_equal(snapshot->sample_count, 1);
	const struct pa_stack *stack = snapshot->samples[0].stack;
	assert_int_equal(stack->depth, 1);
	assert_int_equal(pa_stack_table_loc(stack->locs[0])->pc, PA_PSEUDO_LOST);
	assert_int_equal(snapshot->samples[0].values[0], 1);
	pa_snapshot_free(snapshot);
	send_remove(0, 3);
}

static void skip_of_all_frames_leaves_one_that_says_so(void **unused)
{
	(void)unused;
	assert_lost(2, 0);
	assert_lost(3, 0);
	assert_lost(UINT32_MAX, 0);
	assert_lost(2, PA_EVENT_CUT);
	assert_lost(2, PA_EVENT_BROKEN);
}

/* The frames that the recording side did not know are counted too. */
static void frames_are_skipped_when_the_stack_is_complete(void **unused)
{
	struct {
		struct pa_event event;
		uintptr_t pc;
		struct pa_deferred deferred;
	} record = {
		.event = { .kind = PA_EVENT_ADD,
			.flags = PA_EVENT_DEFERRED,
			.depth = 1,
			.object = 4,
			.skip = 2 },
		.pc = PC(20),
	};
	(void)unused;
	fake_unwind.more[0] = PC(21);
	fake_unwind.more[1] = PC(22);
	fake_unwind.more_count = 2;
	fake_unwind.result.complete = true;
	send_bytes(&record, sizeof(record));
	struct pa_snapshot *snapshot = take(0);
	const struct pa_sample *sample = find_sample(snapshot, PC(22));
	assert_non_null(sample);
	assert_int_equal(sample->stack->depth, 1);
	pa_snapshot_free(snapshot);
}

static void impossible_events_are_skipped_and_counted(void **unused)
{
	char bytes[PA_RING_CELL_BYTES] = { 0 };
	struct pa_event event = { .kind = PA_EVENT_ADD, .depth = 100 };
	const uintptr_t pc = PC(30);
	uint64_t before = pa_profile_stats().events_bad;
	(void)unused;
	memcpy(bytes, &event, sizeof(event));
	send_bytes(bytes, sizeof(bytes));
	send_add(PA_CUSTOM_SET_MAX, 1, &pc, 1, 0);
	send_remove(PA_CUSTOM_SET_MAX, 1);
	send_remove(UINT32_MAX, 1);
	assert_values(0, pc, 0);
	assert_int_equal(pa_profile_stats().events_bad, before + 4);
	send_add(PA_CUSTOM_SET_MAX - 1, 1, &pc, 1, 0); /* one that is not known yet */
	send_remove(PA_CUSTOM_SET_MAX - 1, 1);
	assert_values(0, pc, 0);
	assert_int_equal(pa_profile_stats().events_bad, before + 4);
}

static void count_is_that_of_the_recording_side(void **unused)
{
	(void)unused;
	pa_store_relaxed(&fake_customs.profiles[1].count, 17);
	assert_int_equal(pa_snapshot_count(pa_custom_profile.member(1)), 17);
	assert_int_equal(pa_snapshot_count(&pa_block_profile), 0);
}

static void values_whose_events_were_lost_are_told(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	pa_store_relaxed(&counters.lost_custom_ring, 3);
	snapshot = take(0);
	assert_non_null(find_comment(snapshot, "dropped 3: values of user-defined profiles"));
	pa_snapshot_free(snapshot);
	pa_store_relaxed(&counters.lost_custom_ring, 0);
}

/* ---- fork ---- */

/* 0, or the number of the check that failed. */
static int run_child(bool held)
{
	const uintptr_t pc = PC(41);
	pa_ring_atfork_child(bridge.ring, false);
	bridge.forked = true;
	bridge.start_mono_ns = INT64_MAX; /* its parent's events count here as well */
	bridge.atfork.child(held);
	if (pa_collector_init() != 0)
		return 1;
	start_thread(run_collector, NULL);
	send_add(0, 2, &pc, 1, 0);
	send_remove(0, 8);
	struct pa_snapshot *snapshot = pa_snapshot_take(pa_custom_profile.member(0), false);
	if (!snapshot || snapshot->sample_count != (held ? 2 : 1))
		return 2;
	const struct pa_sample *sample = find_sample(snapshot, PC(40));
	if (held != (sample && sample->values[0] == 1))
		return 3;
	sample = find_sample(snapshot, pc);
	return sample && sample->values[0] == 1 ? 0 : 4;
}

static void assert_child(bool held)
{
	int status = -1;
	assert_true(bridge.atfork.prepare(10 * PA_NS_PER_S));
	pid_t pid = fork();
	if (pid == 0)
		_exit(run_child(held));
	bridge.atfork.parent();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_forked_child_keeps_values(void **unused)
{
	const uintptr_t pc = PC(40);
	(void)unused;
	send_add(0, 7, &pc, 1, 0);
	send_add(0, 8, &pc, 1, 0);
	assert_values(0, pc, 2);
	assert_child(true);
	assert_values(0, pc, 2);
}

static void a_child_without_the_lock_starts_afresh(void **unused)
{
	const uintptr_t pc = PC(40);
	(void)unused;
	send_add(0, 7, &pc, 1, 0);
	assert_values(0, pc, 1);
	assert_child(false);
	assert_values(0, pc, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(values_reach_their_profile_and_leave_it, clean),
		cmocka_unit_test_setup(profile_without_values_has_no_samples, clean),
		cmocka_unit_test_setup(skipped_frames_are_left_out, clean),
		cmocka_unit_test_setup(skip_of_all_frames_leaves_one_that_says_so, clean),
		cmocka_unit_test_setup(frames_are_skipped_when_the_stack_is_complete, clean),
		cmocka_unit_test_setup(impossible_events_are_skipped_and_counted, clean),
		cmocka_unit_test_setup(count_is_that_of_the_recording_side, clean),
		cmocka_unit_test_setup(values_whose_events_were_lost_are_told, clean),
		cmocka_unit_test_setup(a_forked_child_keeps_values, clean),
		cmocka_unit_test_setup(a_child_without_the_lock_starts_afresh, clean),
	};
	start_collector(1 << 20);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
