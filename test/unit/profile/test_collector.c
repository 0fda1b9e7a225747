/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/arch/arch.h"
#include "agent/base/clock.h"
#include "agent/profile/snapshot_take.h"
#include "agent/profile/tables_lock.h"
#include "test/lib/c/collector.h"

/* The raw pcs of the only stack that begins with pcs[0]. */
static void assert_stack(const uintptr_t *pcs, uint32_t depth)
{
	struct pa_snapshot *snapshot = take_heap();
	const struct pa_sample *sample = find_sample(snapshot, pcs[0]);
	assert_non_null(sample);
	assert_int_equal(sample->stack->depth, depth);
	for (uint32_t i = 0; i < depth; i++)
		assert_int_equal(pa_stack_table_loc(sample->stack->locs[i])->raw_pc, pcs[i]);
	pa_snapshot_free(snapshot);
}

static void events_reach_the_heap_in_order(void **unused)
{
	(void)unused;
	send_alloc(PC(1), 100, OBJECT(1));
	send_object(PA_EVENT_FREE, OBJECT(1));
	send_alloc(PC(1), 100, OBJECT(1));
	send_alloc(PC(1), 100, OBJECT(2));
	send_object(PA_EVENT_FREE, OBJECT(2));
	send_object(PA_EVENT_REVIVE, OBJECT(2));
	send_object(PA_EVENT_FREE, OBJECT(1));
	assert_in_use(PC(1), 3, 1);
	assert_int_equal(pa_profile_stats().frees_missed, 0);
	assert_int_equal(pa_profile_stats().frees_unknown, 0);
}

/* ---- stacks ---- */

static void send_stack(uint8_t flags, const uintptr_t *pcs, uint16_t depth, uintptr_t object)
{
	struct pa_event event = {
		.kind = PA_EVENT_ALLOC,
		.flags = flags,
		.depth = depth,
		.value = { 8 },
		.object = object,
	};
	send_event(event, pcs);
}

static void broken_and_cut_stacks_say_so_and_are_counted(void **unused)
{
	uintptr_t broken[] = { PC(10), PC(11), PA_PSEUDO_BROKEN };
	uintptr_t cut[] = { PC(12), PC(11), PA_PSEUDO_CUT };
	uint64_t broken_before = pa_load_relaxed(&counters.broken_stacks);
	uint64_t cut_before = pa_load_relaxed(&counters.cut_stacks);
	(void)unused;
	send_stack(PA_EVENT_BROKEN, broken, 2, OBJECT(10));
	send_stack(PA_EVENT_CUT, cut, 2, OBJECT(12));
	assert_stack(broken, 3);
	assert_stack(cut, 3);
	assert_int_equal(pa_load_relaxed(&counters.broken_stacks), broken_before + 1);
	assert_int_equal(pa_load_relaxed(&counters.cut_stacks), cut_before + 1);
}

/* A destructor of the program that the agent's code calls for libc. */
static void code_of_the_agent_is_not_between_that_of_the_program(void **unused)
{
	const uintptr_t between[] = { PC(25), HOOKS + 8, HOOKS + 99, PC(26), HOOKS + 4, PC(27) };
	const uintptr_t between_shown[] = { PC(25), PC(26), PC(27) };
	const uintptr_t top[] = { HOOKS + 16, HOOKS + 8, PC(28), HOOKS + 99, PC(29) };
	const uintptr_t top_shown[] = { HOOKS + 16, HOOKS + 8, PC(28), PC(29) };
	(void)unused;
	send_stack(0, between, PA_COUNT(between), OBJECT(25));
	assert_stack(between_shown, PA_COUNT(between_shown));
	send_stack(PA_EVENT_LEAF, top, PA_COUNT(top), OBJECT(28));
	assert_stack(top_shown, PA_COUNT(top_shown));
}

static void pcs_that_cannot_be_code_break_the_stack(void **unused)
{
	uintptr_t sent[] = { PC(23), 2, PC(24) };
	uintptr_t shown[] = { PC(23), PA_PSEUDO_BROKEN };
	(void)unused;
	send_stack(0, sent, 3, OBJECT(23));
	assert_stack(shown, 2);
}

/* ---- deferred stacks ---- */

struct deferred_record {
	struct pa_event event;
	uintptr_t pcs[1];
	struct pa_deferred deferred;
	uint64_t stack[4];
};

static struct deferred_record deferred_record(uintptr_t pc, uintptr_t object)
{
	struct deferred_record record = {
		.event = { .kind = PA_EVENT_ALLOC,
			.flags = PA_EVENT_DEFERRED,
			.depth = 1,
			.value = { 8 },
			.object = object,
			.time_ns = pa_clock_mono_ns() },
		.pcs = { pc },
		.deferred = { .stack_at = 0x7fff00000000, .stack_bytes = sizeof(record.stack) },
	};
	return record;
}

static void finish_with(bool complete, bool cut)
{
	fake_unwind.result = (struct pa_unwind_result){ .complete = complete, .cut = cut };
	fake_unwind.more[0] = PC(31);
	fake_unwind.more[1] = PC(32);
	fake_unwind.more_count = 2;
}

static void deferred_stacks_are_finished_by_the_unwinder(void **unused)
{
	struct deferred_record record = deferred_record(PC(30), OBJECT(30));
	uintptr_t shown[] = { PC(30), PC(31), PC(32) };
	uint64_t before = pa_load_relaxed(&counters.deferred_stacks);
	(void)unused;
	finish_with(true, false);
	send_bytes(&record, sizeof(record));
	assert_stack(shown, 3);
	assert_int_equal(fake_unwind.max, settings.stack_depth);
	assert_int_equal(fake_unwind.deferred.stack_at, record.deferred.stack_at);
	assert_int_equal(pa_load_relaxed(&counters.deferred_stacks), before + 1);
}

static void deferred_stacks_may_stay_broken_or_be_cut(void **unused)
{
	struct deferred_record record = deferred_record(PC(33), OBJECT(33));
	uintptr_t broken[] = { PC(33), PC(31), PC(32), PA_PSEUDO_BROKEN };
	uintptr_t cut[] = { PC(34), PC(31), PC(32), PA_PSEUDO_CUT };
	uintptr_t copied[] = { PC(35), PC(31), PC(32), PA_PSEUDO_SHORT };
	(void)unused;
	finish_with(false, false);
	send_bytes(&record, sizeof(record));
	assert_stack(broken, 4);
	record = deferred_record(PC(34), OBJECT(34));
	finish_with(false, true);
	send_bytes(&record, sizeof(record));
	assert_stack(cut, 4);
	record = deferred_record(PC(35), OBJECT(35));
	finish_with(false, false);
	fake_unwind.result.is_short = true;
	send_bytes(&record, sizeof(record));
	assert_stack(copied, 4);
}

static void stacks_in_code_mapped_since_are_finished_again(void **unused)
{
	static const uintptr_t unmapped[] = { 0x40000800, 0x48000800 };
	(void)unused;
	fake_map(0x40000000, 0x40001000);
	for (unsigned i = 0; i < 2; i++) {
		struct deferred_record record = deferred_record(PC(35), OBJECT(35 + i));
		int before = fake_unwind.calls;
		finish_with(true, false);
		fake_unwind.result.unmapped = unmapped[i];
		send_bytes(&record, sizeof(record));
		pa_snapshot_free(take_heap());
		assert_int_equal(fake_unwind.calls - before, i == 0 ? 2 : 1);
	}
}

static void a_deferred_leaf_without_pcs_keeps_its_address(void **unused)
{
	struct {
		struct pa_event event;
		struct pa_deferred deferred;
	} record = {
		.event = {
			.kind = PA_EVENT_ALLOC, .flags = PA_EVENT_DEFERRED, .value = { 8 },
			.object = OBJECT(35),
		},
		.deferred = { .leaf = 1, .stack_at = 0x7fff00000000 },
	};
	struct pa_snapshot *snapshot;
	(void)unused;
	finish_with(true, false);
	fake_unwind.more[0] = PC(35);
	send_bytes(&record, sizeof(record));
	snapshot = take_heap();
	assert_non_null(find_sample(snapshot, PC(35)));
	assert_int_equal(pa_stack_table_loc(find_sample(snapshot, PC(35))->stack->locs[0])->pc,
		PC(35));
	pa_snapshot_free(snapshot);
}

/* ---- bad records ---- */

static void send_bad(struct pa_event event)
{
	char record[PA_RING_CELL_BYTES] = { 0 };
	memcpy(record, &event, sizeof(event));
	send_bytes(record, sizeof(record));
}

static void bad_headers_are_skipped_and_counted(void **unused)
{
	struct pa_event good = { .kind = PA_EVENT_ALLOC, .value = { 8 }, .object = OBJECT(40) };
	struct pa_event bad[] = { good, good, good, good, good, good, good };
	uint64_t before = pa_profile_stats().events_bad;
	(void)unused;
	bad[0].kind = PA_EVENT_NONE;
	bad[1].kind = PA_EVENT_KINDS;
	bad[2].kind = 255;
	bad[3].depth = 3; /* one more than a cell has room for */
	bad[4].depth = UINT16_MAX;
	bad[5].object = PA_ADDRESS_LIMIT;
	bad[6].value[0] = UINT64_MAX;
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		send_bad(bad[i]);
	send_bad((struct pa_event){ .kind = PA_EVENT_CPU });
	send_bad((struct pa_event){ .kind = PA_EVENT_CPU, .value = { UINT64_MAX } });
	send_bad((struct pa_event){ .kind = PA_EVENT_FREE });
	send_alloc(PC(40), 8, OBJECT(41));
	assert_in_use(PC(40), 1, 1);
	assert_int_equal(pa_profile_stats().events_bad, before + PA_COUNT(bad) + 3);
}

static void bad_deferred_parts_are_skipped_and_counted(void **unused)
{
	struct deferred_record good = deferred_record(PC(42), OBJECT(42));
	struct deferred_record bad[] = { good, good, good, good, good };
	uint64_t before = pa_profile_stats().events_bad;
	int calls = fake_unwind.calls;
	(void)unused;
	bad[0].deferred.stack_bytes = 4096;
	bad[1].deferred.stack_bytes = UINT32_MAX - 7;
	bad[2].deferred.stack_bytes = 12;
	bad[3].deferred.stack_at = 0x7fff00000001;
	bad[4].deferred.stack_at = UINTPTR_MAX - 7;
	for (size_t i = 0; i < PA_COUNT(bad); i++)
		send_bytes(&bad[i], sizeof(bad[i]));
	/* The flag, and no room for what it promises. */
	send_bad((struct pa_event){
		.kind = PA_EVENT_ALLOC, .flags = PA_EVENT_DEFERRED, .value = { 8 }, .object = 64 });
	pa_snapshot_free(take_heap());
	assert_int_equal(pa_profile_stats().events_bad, before + PA_COUNT(bad) + 1);
	assert_int_equal(fake_unwind.calls, calls);
}

static void oversized_records_are_skipped_and_counted(void **unused)
{
	size_t size = 2 * (size_t)PA_COPY_SIZE_MAX_BYTES;
	struct pa_event *record = calloc(1, size);
	uint64_t before = pa_profile_stats().events_bad;
	(void)unused;
	*record = (struct pa_event){ .kind = PA_EVENT_ALLOC, .value = { 8 }, .object = OBJECT(43) };
	send_bytes(record, size);
	free(record);
	pa_snapshot_free(take_heap());
	assert_int_equal(pa_profile_stats().events_bad, before + 1);
}

static void random_bytes_do_no_harm(void **unused)
{
	uint64_t bytes[64], seed = 88172645463325252u;
	(void)unused;
	finish_with(true, false);
	for (int i = 0; i < 20000; i++) {
		for (size_t w = 0; w < PA_COUNT(bytes); w++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			bytes[w] = seed;
		}
		/* Half of them with a kind and a depth that pass the first look. */
		if (i & 1)
			bytes[0] = bytes[0] % PA_EVENT_KINDS | (bytes[0] & 0x1f00) |
				bytes[0] % 70 << 16;
		send_bytes(bytes, 64 * (1 + bytes[1] % 8));
	}
	send_alloc(PC(44), 8, OBJECT(44));
	assert_in_use(PC(44), 1, 1);
}

/* ---- modules ---- */

/* The same pc before and after a dlclose and dlopen that the reader sees late, both in one go. */
static void stacks_before_and_after_a_dlclose_have_different_modules(void **unused)
{
	struct pa_module *old = fake_map(0x10000000, 0x10001000), *new;
	struct pa_event unloaded = { .kind = PA_EVENT_MODULES, .flags = PA_EVENT_UNLOADED };
	struct pa_module *seen[2] = { NULL };
	struct pa_snapshot *snapshot;
	size_t count = 0;
	(void)unused;
	unloaded.time_ns = pa_clock_mono_ns();
	send_event(unloaded, NULL);
	send_alloc(0x10000800, 8, OBJECT(50));
	pa_snapshot_free(take_heap());

	/* From here on nothing is read until all is written. */
	pa_tables_lock();
	send_alloc(0x10000800, 16, OBJECT(51));
	fake_unmap(old);
	new = fake_map(0x10000000, 0x10001000);
	unloaded.time_ns = pa_clock_mono_ns();
	send_event(unloaded, NULL);
	send_alloc(0x10000800, 32, OBJECT(52));
	pa_tables_unlock();

	snapshot = take_heap();
	for (size_t i = 0; i < snapshot->sample_count; i++) {
		const struct pa_sample *sample = &snapshot->samples[i];
		const struct pa_loc *loc = pa_stack_table_loc(sample->stack->locs[0]);
		if (loc->raw_pc != 0x10000800)
			continue;
		count++;
		if (sample->bytes_label >= 16)
			seen[sample->bytes_label == 32] = loc->module;
	}
	assert_int_equal(count, 3);
	assert_ptr_equal(seen[0], old);
	assert_ptr_equal(seen[1], new);
	pa_snapshot_free(snapshot);
}

static struct pa_module *module_of(uintptr_t raw_pc)
{
	struct pa_snapshot *snapshot = take_heap();
	const struct pa_sample *sample = find_sample(snapshot, raw_pc);
	assert_non_null(sample);
	struct pa_module *module = pa_stack_table_loc(sample->stack->locs[0])->module;
	pa_snapshot_free(snapshot);
	return module;
}

/* By the first sample. */
static void assert_found(struct pa_module *mapped)
{
	uintptr_t pc = mapped->start + 1;
	send_alloc(pc, 8, OBJECT(pc));
	assert_ptr_equal(module_of(pc), mapped);
}

static void code_mapped_without_dlopen_is_found(void **unused)
{
	(void)unused;
	assert_found(fake_map(0x20000000, 0x20001000));
	assert_found(fake_map(0x30000000, 0x30001000));
}

/* ---- CPU ---- */

static void ticks_of_our_own_threads_are_dropped(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	assert_int_equal(pa_cpu_start(100), 0);
	send_cpu(PC(70), 1, "main", 1);
	send_cpu(PC(71), AGENT_TID, "agent", 1);
	snapshot = pa_cpu_stop(&pa_cpu_profile);
	assert_non_null(snapshot);
	assert_int_equal(snapshot->sample_count, 1);
	assert_non_null(find_sample(snapshot, PC(70)));
	pa_snapshot_free(snapshot);
}

static void send_rest(int32_t tid, uint64_t ticks)
{
	const uintptr_t routine = PC(80);
	struct pa_event event = {
		.kind = PA_EVENT_CPU,
		.flags = PA_EVENT_REST,
		.depth = 1,
		.tid = tid,
		.value = { ticks },
		.name = "worker",
	};
	send_event(event, &routine);
}

static uint64_t ticks_at(const struct pa_snapshot *snapshot, uintptr_t raw_pc)
{
	const struct pa_sample *sample = find_sample(snapshot, raw_pc);
	return sample ? (uint64_t)sample->values[0] : 0;
}

/* 3 to 1: each place gets some of 400. */
static void rest_is_where_the_thread_used_the_other_time(void **unused)
{
	(void)unused;
	assert_int_equal(pa_cpu_start(100), 0);
	send_cpu(PC(70), 1, "worker", 300);
	send_cpu(PC(71), 1, "worker", 100);
	send_cpu(PC(72), 2, "other", 1);
	for (int i = 0; i < 400; i++)
		send_rest(1, 1);
	struct pa_snapshot *snapshot = pa_cpu_stop(&pa_cpu_profile);
	assert_int_equal(snapshot->sample_count, 3);
	assert_int_equal(ticks_at(snapshot, PC(72)), 1);
	assert_int_equal(ticks_at(snapshot, PC(70)) + ticks_at(snapshot, PC(71)), 800);
	assert_in_range(ticks_at(snapshot, PC(70)), 500, 690);
	pa_snapshot_free(snapshot);
}

static void rest_of_a_thread_without_a_tick_is_said_to_be_one(void **unused)
{
	(void)unused;
	assert_int_equal(pa_cpu_start(100), 0);
	send_cpu(PC(70), 1, "worker", 5);
	send_rest(2, 1);
	struct pa_snapshot *snapshot = pa_cpu_stop(&pa_cpu_profile);
	assert_int_equal(snapshot->sample_count, 2);
	assert_int_equal(ticks_at(snapshot, PC(70)), 5);
	assert_int_equal(ticks_at(snapshot, PA_PSEUDO_REST), 1);
	assert_string_equal(find_sample(snapshot, PA_PSEUDO_REST)->thread, "worker");
	pa_snapshot_free(snapshot);
}

/* The second one got ticks that had been due before it began. */
static void rest_belongs_to_the_profile_that_began_the_ticks(void **unused)
{
	const struct pa_profile_ops *first, *second;
	(void)unused;
	assert_int_equal(pa_cpu_start_shared(100, &first), 0);
	assert_int_equal(pa_cpu_start_shared(100, &second), 0);
	send_cpu(PC(70), 1, "worker", 1);
	send_rest(1, 1);
	int charges = fake_tick.charges;
	struct pa_snapshot *snapshot = pa_cpu_stop(first);
	assert_int_equal(fake_tick.charges, charges + 1);
	assert_int_equal(ticks_at(snapshot, PC(70)), 2);
	pa_snapshot_free(snapshot);
	snapshot = pa_cpu_stop(second);
	assert_int_equal(fake_tick.charges, charges + 1);
	assert_int_equal(ticks_at(snapshot, PC(70)), 1);
	pa_snapshot_free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_reach_the_heap_in_order),
		cmocka_unit_test(broken_and_cut_stacks_say_so_and_are_counted),
		cmocka_unit_test(pcs_that_cannot_be_code_break_the_stack),
		cmocka_unit_test(code_of_the_agent_is_not_between_that_of_the_program),
		cmocka_unit_test(deferred_stacks_are_finished_by_the_unwinder),
		cmocka_unit_test(deferred_stacks_may_stay_broken_or_be_cut),
		cmocka_unit_test(stacks_in_code_mapped_since_are_finished_again),
		cmocka_unit_test(a_deferred_leaf_without_pcs_keeps_its_address),
		cmocka_unit_test(bad_headers_are_skipped_and_counted),
		cmocka_unit_test(bad_deferred_parts_are_skipped_and_counted),
		cmocka_unit_test(oversized_records_are_skipped_and_counted),
		cmocka_unit_test(stacks_before_and_after_a_dlclose_have_different_modules),
		cmocka_unit_test(code_mapped_without_dlopen_is_found),
		cmocka_unit_test(ticks_of_our_own_threads_are_dropped),
		cmocka_unit_test(rest_is_where_the_thread_used_the_other_time),
		cmocka_unit_test(rest_of_a_thread_without_a_tick_is_said_to_be_one),
		cmocka_unit_test(rest_belongs_to_the_profile_that_began_the_ticks),
		cmocka_unit_test(random_bytes_do_no_harm),
	};
	start_collector(1 << 20);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
