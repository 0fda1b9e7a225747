/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/profile/snapshot_take.h"
#include "test/lib/c/collector.h"

static struct pa_snapshot *take(const struct pa_profile_ops *kind)
{
	struct pa_snapshot *snapshot = pa_snapshot_take(kind, false);
	assert_non_null(snapshot);
	return snapshot;
}

static void assert_values(const struct pa_profile_ops *kind, uintptr_t pc, int64_t first,
	int64_t second)
{
	struct pa_snapshot *snapshot = take(kind);
	const struct pa_sample *sample = find_sample(snapshot, pc);
	assert_non_null(sample);
	assert_int_equal(sample->values[0], first);
	assert_int_equal(sample->values[1], second);
	pa_snapshot_free(snapshot);
}

static void assert_none(const struct pa_profile_ops *kind, uintptr_t pc)
{
	struct pa_snapshot *snapshot = take(kind);
	assert_null(find_sample(snapshot, pc));
	pa_snapshot_free(snapshot);
}

static void events_reach_the_profile_of_their_kind(void **unused)
{
	(void)unused;
	send_contention(PA_EVENT_BLOCK, PC(1), 2.5, 700);
	send_contention(PA_EVENT_BLOCK, PC(1), 2.5, 300);
	send_contention(PA_EVENT_MUTEX, PC(1), 20, 5000);
	send_create(PC(1));
	send_create(PC(1));
	assert_values(&pa_block_profile, PC(1), 5, 1000);
	assert_values(&pa_mutex_profile, PC(1), 20, 5000);
	assert_values(&pa_threadcreate_profile, PC(1), 2, 0);
}

/* PC(n) and those of its callers. */
static void send_waiter(uintptr_t word, int n, uint16_t depth)
{
	uintptr_t pcs[2 * PA_WAITER_DEPTH];
	for (uint16_t i = 0; i < depth; i++)
		pcs[i] = PC(n + i);
	send_event((struct pa_event){ .kind = PA_EVENT_WAITER,
			   .depth = depth,
			   .tid = 1,
			   .object = word },
		pcs);
}

static void send_wake(uintptr_t word, uintptr_t pc, uint64_t ns)
{
	struct pa_event event = { .kind = PA_EVENT_WAKE,
		.depth = 1,
		.tid = 1,
		.value = { ns },
		.object = word,
		.contentions = { 1, 1 } };
	send_event(event, &pc);
}

static void wakes_have_the_stack_of_the_last_waiter_for_their_word(void **unused)
{
	(void)unused;
	send_waiter(OBJECT(40), 40, 1);
	send_waiter(OBJECT(41), 41, PA_WAITER_DEPTH + 5);
	send_wake(OBJECT(40), PC(42), 10);
	send_wake(OBJECT(41), PC(43), 20);
	struct pa_snapshot *snapshot = take(&pa_mutex_profile);
	const struct pa_sample *first = find_sample(snapshot, PC(42));
	const struct pa_sample *second = find_sample(snapshot, PC(43));
	assert_int_equal(first->values[1], 10);
	assert_int_equal(pa_stack_table_loc(first->waiter->locs[0])->raw_pc, PC(40));
	/* What is outside of it says nothing of the wait. */
	assert_int_equal(second->waiter->depth, PA_WAITER_DEPTH);
	assert_int_equal(pa_stack_table_loc(second->waiter->locs[0])->raw_pc, PC(41));
	pa_snapshot_free(snapshot);
	/* Another one waits there now. */
	send_waiter(OBJECT(40), 60, 1);
	send_wake(OBJECT(40), PC(61), 10);
	snapshot = take(&pa_mutex_profile);
	first = find_sample(snapshot, PC(61));
	assert_int_equal(pa_stack_table_loc(first->waiter->locs[0])->raw_pc, PC(60));
	pa_snapshot_free(snapshot);
}

static void wakes_of_unknown_waiters_are_counted(void **unused)
{
	uint64_t before = pa_profile_stats().contentions_dropped;
	(void)unused;
	send_wake(OBJECT(44), PC(44), 10);
	assert_none(&pa_mutex_profile, PC(44));
	assert_int_equal(pa_profile_stats().contentions_dropped, before + 1);
}

static void impossible_contentions_are_skipped_and_counted(void **unused)
{
	static const uint64_t bad[][2] = {
		{ 0, 0 },
		{ 0, 1 },
		{ 1, 0 },
		{ UINT64_MAX, 0 },
		{ UINT64_MAX, 1 },
		{ 1000000000000000, 1 },
	};
	const enum pa_event_kind kinds[] = { PA_EVENT_BLOCK, PA_EVENT_MUTEX, PA_EVENT_WAKE };
	uint64_t before = pa_profile_stats().events_bad;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		for (size_t b = 0; b < PA_COUNT(bad); b++)
			send_quotient(kinds[i], PC(2), bad[b][0], bad[b][1], 1);
		send_contention(kinds[i], PC(2), 1, (uint64_t)1 << 62);
		send_contention(kinds[i], PC(2), 1, UINT64_MAX);
	}
	assert_none(&pa_block_profile, PC(2));
	assert_none(&pa_mutex_profile, PC(2));
	assert_int_equal(pa_profile_stats().events_bad, before + 3 * (PA_COUNT(bad) + 2));
	send_contention(PA_EVENT_BLOCK, PC(2), 1e14, ((uint64_t)1 << 62) - 1);
	assert_values(&pa_block_profile, PC(2), 100000000000000, ((int64_t)1 << 62) - 1);
}

static void stacks_that_do_not_fit_are_skipped_and_counted(void **unused)
{
	const enum pa_event_kind kinds[] = { PA_EVENT_BLOCK, PA_EVENT_MUTEX, PA_EVENT_WAKE,
		PA_EVENT_WAITER, PA_EVENT_CREATE, PA_EVENT_DUMP };
	uint64_t before = pa_profile_stats().events_bad;
	size_t created = pa_snapshot_count(&pa_threadcreate_profile);
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		char record[PA_RING_CELL_BYTES] = { 0 };
		struct pa_event event = { .kind = kinds[i], .depth = 100 };
		if (kinds[i] == PA_EVENT_BLOCK || kinds[i] == PA_EVENT_MUTEX ||
			kinds[i] == PA_EVENT_WAKE)
			event.contentions.count = event.contentions.of = 1;
		memcpy(record, &event, sizeof(event));
		send_bytes(record, sizeof(record));
	}
	pa_snapshot_free(take_heap());
	assert_int_equal(pa_profile_stats().events_bad, before + PA_COUNT(kinds));
	assert_int_equal(pa_snapshot_count(&pa_threadcreate_profile), created);
}

static void events_of_our_own_threads_are_dropped(void **unused)
{
	struct pa_event event = { .depth = 1, .tid = AGENT_TID, .value = { 10 } };
	uint64_t before = pa_profile_stats().events_bad;
	uintptr_t pc = PC(3);
	(void)unused;
	event.kind = PA_EVENT_CREATE;
	send_event(event, &pc);
	event.contentions.count = event.contentions.of = 1;
	event.kind = PA_EVENT_BLOCK;
	send_event(event, &pc);
	event.kind = PA_EVENT_MUTEX;
	send_event(event, &pc);
	event.kind = PA_EVENT_WAKE;
	send_event(event, &pc);
	assert_none(&pa_block_profile, pc);
	assert_none(&pa_mutex_profile, pc);
	assert_none(&pa_threadcreate_profile, pc);
	assert_int_equal(pa_profile_stats().events_bad, before);
}

/* They were in the ring when the process was forked. */
static void events_of_the_parent_are_dropped(void **unused)
{
	struct pa_event event = { .kind = PA_EVENT_CREATE, .depth = 1, .tid = 1, .time_ns = 99 };
	const uintptr_t before = PC(90), after = PC(91);
	(void)unused;
	bridge.start_mono_ns = 100;
	bridge.forked = true;
	send_event(event, &before);
	event.time_ns = 100;
	send_event(event, &after);
	assert_none(&pa_threadcreate_profile, before);
	assert_values(&pa_threadcreate_profile, after, 1, 0);
	bridge.forked = false;
}

/* ---- thread dumps ---- */

static uintptr_t sent[8];
static uint16_t sent_depth;

static void answer(const struct pa_thread_dump *dump)
{
	send_dump(dump->generation, 0, sent, sent_depth);
	pa_store_release(&dump->entries[0].state, PA_THREAD_DUMP_ANSWERED);
}

/* The one thread that there is stands at these pcs. */
static struct pa_snapshot *ask_thread(const uintptr_t *pcs, uint16_t depth)
{
	memcpy(sent, pcs, depth * sizeof(*pcs));
	sent_depth = depth;
	fake_dump.count = 1;
	fake_dump.entries[0].tid = 77;
	fake_dump.call = answer;
	struct pa_snapshot *snapshot = take(&pa_goroutine_profile);
	assert_int_equal(snapshot->sample_count, 1);
	return snapshot;
}

static void assert_shown(const uintptr_t *pcs, uint16_t depth, const uintptr_t *expected,
	uint32_t expected_depth)
{
	struct pa_snapshot *snapshot = ask_thread(pcs, depth);
	const struct pa_stack *stack = snapshot->samples[0].stack;
	assert_true(snapshot->samples[0].info->answered);
	assert_int_equal(stack->depth, expected_depth);
	for (uint32_t i = 0; i < expected_depth; i++)
		assert_int_equal(pa_stack_table_loc(stack->locs[i])->raw_pc, expected[i]);
	pa_snapshot_free(snapshot);
}

static void stacks_of_a_thread_dump_begin_with_an_instruction(void **unused)
{
	const uintptr_t pcs[] = { PC(10), PC(11) };
	(void)unused;
	struct pa_snapshot *snapshot = ask_thread(pcs, 2);
	const struct pa_stack *stack = snapshot->samples[0].stack;
	assert_int_equal(pa_stack_table_loc(stack->locs[0])->pc, PC(10));
	assert_int_equal(pa_stack_table_loc(stack->locs[1])->pc, PC(11) - 1);
	pa_snapshot_free(snapshot);
}

static void our_hooks_are_cut_from_the_stacks_of_a_thread_dump(void **unused)
{
	const uintptr_t inside[] = { PC(12), HOOKS + 8, PC(13), HOOKS + 99, PC(14) };
	const uintptr_t inside_shown[] = { PC(12), PC(13), PC(14) };
	/* What returns to the first byte behind was called by the last one in there. */
	const uintptr_t edges[] = { HOOKS_END, HOOKS, HOOKS + 1, HOOKS_END + 1, HOOKS_END };
	const uintptr_t edges_shown[] = { HOOKS_END, HOOKS, HOOKS_END + 1 };
	const uintptr_t all[] = { HOOKS, HOOKS + 1 };
	(void)unused;
	assert_shown(inside, 5, inside_shown, 3);
	assert_shown(edges, 5, edges_shown, 3);
	assert_shown(all, 2, NULL, 0);
}

/* Interrupted in a hook: the hook's caller comes first, and that is a return address. */
static void the_caller_of_a_hook_is_no_leaf(void **unused)
{
	const uintptr_t pcs[] = { HOOKS, HOOKS + 40, PC(15), PC(16) };
	(void)unused;
	struct pa_snapshot *snapshot = ask_thread(pcs, 4);
	const struct pa_stack *stack = snapshot->samples[0].stack;
	assert_int_equal(stack->depth, 2);
	assert_int_equal(pa_stack_table_loc(stack->locs[0])->pc, PC(15) - 1);
	assert_int_equal(pa_stack_table_loc(stack->locs[1])->pc, PC(16) - 1);
	pa_snapshot_free(snapshot);
}

static void answer_too_late(const struct pa_thread_dump *dump)
{
	uintptr_t pc = PC(20);
	send_dump(dump->generation - 1, 0, &pc, 1);
	send_dump(dump->generation, 1, &pc, 1);
	answer_dump(dump, 0, PC(21));
	send_dump(dump->generation + 1, 0, &pc, 1);
}

static void answers_of_another_thread_dump_are_ignored(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	fake_dump.count = 1;
	fake_dump.call = answer_too_late;
	snapshot = take(&pa_goroutine_profile);
	assert_int_equal(snapshot->sample_count, 1);
	assert_non_null(find_sample(snapshot, PC(21)));
	pa_snapshot_free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_reach_the_profile_of_their_kind),
		cmocka_unit_test(wakes_have_the_stack_of_the_last_waiter_for_their_word),
		cmocka_unit_test(wakes_of_unknown_waiters_are_counted),
		cmocka_unit_test(impossible_contentions_are_skipped_and_counted),
		cmocka_unit_test(stacks_that_do_not_fit_are_skipped_and_counted),
		cmocka_unit_test(events_of_our_own_threads_are_dropped),
		cmocka_unit_test(events_of_the_parent_are_dropped),
		cmocka_unit_test(stacks_of_a_thread_dump_begin_with_an_instruction),
		cmocka_unit_test(our_hooks_are_cut_from_the_stacks_of_a_thread_dump),
		cmocka_unit_test(the_caller_of_a_hook_is_no_leaf),
		cmocka_unit_test(answers_of_another_thread_dump_are_ignored),
	};
	start_collector(1 << 20);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
