/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "agent/base/arena.h"
#include "agent/base/clock.h"
#include "agent/profile/cpu.h"
#include "agent/profile/heap.h"
#include "agent/profile/snapshot_take.h"
#include "agent/profile/tables_lock.h"
#include "test/lib/c/collector.h"

static struct pa_snapshot *take(const struct pa_profile_ops *kind)
{
	struct pa_snapshot *snapshot = pa_snapshot_take(kind, false);
	assert_non_null(snapshot);
	assert_ptr_equal(snapshot->kind, kind);
	return snapshot;
}

static const struct pa_sample *sample_at(const struct pa_snapshot *snapshot, uintptr_t pc)
{
	const struct pa_sample *sample = find_sample(snapshot, pc);
	assert_non_null(sample);
	return sample;
}

/* ---- heap ---- */

static void heap_and_allocs_show_what_was_recorded_before_the_call(void **unused)
{
	static const struct pa_profile_ops *kinds[] = { &pa_allocs_profile, &pa_heap_profile };
	int64_t before_ns = pa_clock_wall_ns();
	struct pa_snapshot *snapshot;
	const struct pa_sample *sample;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		send_alloc(PC(1 + i), 100, OBJECT(10 * i + 1));
		send_alloc(PC(1 + i), 100, OBJECT(10 * i + 2));
		send_object(PA_EVENT_FREE, OBJECT(10 * i + 1));
		snapshot = take(kinds[i]);
		sample = sample_at(snapshot, PC(1 + i));
		assert_int_equal(sample->values[0], 2);
		assert_int_equal(sample->values[1], 200);
		assert_int_equal(sample->values[2], 1);
		assert_int_equal(sample->values[3], 100);
		assert_int_equal(sample->bytes_label, 100);
		assert_int_equal(snapshot->period, 524288);
		assert_int_equal(snapshot->duration_ns, 0);
		assert_true(snapshot->time_ns >= before_ns);
		assert_int_equal(snapshot->comment_count, 0);
		pa_snapshot_free(snapshot);
	}
}

static void a_snapshot_does_not_change_any_more(void **unused)
{
	struct pa_snapshot *snapshot;
	size_t count;
	(void)unused;
	send_alloc(PC(5), 8, OBJECT(100));
	snapshot = take(&pa_heap_profile);
	count = snapshot->sample_count;
	send_object(PA_EVENT_FREE, OBJECT(100));
	send_alloc(PC(6), 8, OBJECT(101));
	pa_snapshot_free(take(&pa_heap_profile));
	assert_int_equal(snapshot->sample_count, count);
	assert_int_equal(sample_at(snapshot, PC(5))->values[2], 1);
	assert_null(find_sample(snapshot, PC(6)));
	pa_snapshot_free(snapshot);
}

static void snapshots_give_their_memory_back(void **unused)
{
	size_t before;
	(void)unused;
	pa_snapshot_free(take(&pa_heap_profile));
	before = pa_map_bytes();
	for (int i = 0; i < 50; i++)
		pa_snapshot_free(take(&pa_heap_profile));
	assert_int_equal(pa_map_bytes(), before);
	pa_snapshot_free(NULL);
}

static void counts_of_the_other_kinds_are_records_and_threads(void **unused)
{
	size_t block = pa_snapshot_count(&pa_block_profile),
	       mutex = pa_snapshot_count(&pa_mutex_profile);
	size_t created = pa_snapshot_count(&pa_threadcreate_profile);
	(void)unused;
	send_contention(PA_EVENT_BLOCK, PC(9), 1, 10);
	send_contention(PA_EVENT_BLOCK, PC(9), 1, 10);
	send_contention(PA_EVENT_MUTEX, PC(9), 1, 10);
	send_contention(PA_EVENT_MUTEX, PC(10), 1, 10);
	send_create(PC(9));
	send_create(PC(9));
	send_create(PC(9));
	pa_snapshot_free(take(&pa_heap_profile));
	assert_int_equal(pa_snapshot_count(&pa_block_profile), block + 1);
	assert_int_equal(pa_snapshot_count(&pa_mutex_profile), mutex + 2);
	assert_int_equal(pa_snapshot_count(&pa_threadcreate_profile), created + 3);
	/* This one and the collector, and what a sanitizer may have. */
	assert_true(pa_snapshot_count(&pa_goroutine_profile) >= 2);
	assert_int_equal(fake_dump.begins, 0);
}

static void counts_are_numbers_of_buckets(void **unused)
{
	size_t before = pa_snapshot_count(&pa_heap_profile);
	(void)unused;
	send_alloc(PC(7), 8, OBJECT(110));
	send_alloc(PC(7), 8, OBJECT(111));
	send_alloc(PC(7), 9, OBJECT(112));
	pa_snapshot_free(take(&pa_heap_profile));
	assert_int_equal(pa_snapshot_count(&pa_heap_profile), before + 2);
	assert_int_equal(pa_snapshot_count(&pa_allocs_profile), before + 2);
	assert_int_equal(pa_snapshot_count(&pa_cpu_profile), 0);
}

static void stats_tell_what_is_in_the_tables(void **unused)
{
	struct pa_profile_stats before = pa_profile_stats(), after;
	(void)unused;
	send_alloc(PC(8), 1000, OBJECT(120));
	send_alloc(PC(8), 1000, OBJECT(121));
	send_object(PA_EVENT_FREE, OBJECT(120));
	send_object(PA_EVENT_FREE, OBJECT(129));
	send_contention(PA_EVENT_BLOCK, PC(11), 1, 10);
	send_contention(PA_EVENT_MUTEX, PC(11), 1, 10);
	send_contention(PA_EVENT_MUTEX, PC(12), 1, 10);
	send_create(PC(11));
	pa_snapshot_free(take(&pa_heap_profile));
	after = pa_profile_stats();
	assert_int_equal(after.events_read, before.events_read + 8);
	assert_int_equal(after.block_records, before.block_records + 1);
	assert_int_equal(after.mutex_records, before.mutex_records + 2);
	assert_int_equal(after.create_records, before.create_records + 1);
	assert_int_equal(after.contentions_dropped, 0);
	assert_int_equal(after.creations_dropped, 0);
	assert_int_equal(after.frees_unknown, before.frees_unknown + 1);
	assert_int_equal(after.live_objects, before.live_objects + 1);
	assert_int_equal(after.live_bytes, before.live_bytes + 1000);
	assert_int_equal(after.heap_buckets, before.heap_buckets + 1);
	assert_true(after.table_bytes > after.stack_table.bytes);
	assert_true(after.table_bytes < 1 << 20);
}

/* ---- CPU ---- */

static void a_cpu_profile_has_its_own_ticks_times_and_period(void **unused)
{
	int64_t before_wall_ns = pa_clock_wall_ns(), before_ns = pa_clock_mono_ns();
	struct pa_snapshot *snapshot;
	int starts = fake_tick.starts, stops = fake_tick.stops;
	(void)unused;
	send_cpu(PC(20), 1, "before", 9);
	assert_int_equal(pa_cpu_start(250), 0);
	assert_int_equal(fake_tick.starts, starts + 1);
	assert_int_equal(fake_tick.rate_hz, 250);
	send_cpu(PC(21), 1, "main", 2);
	send_cpu(PC(21), 1, "main", 1);
	send_cpu(PC(21), 2, "worker", 1);
	snapshot = pa_cpu_stop(&pa_cpu_profile);
	assert_non_null(snapshot);
	assert_int_equal(fake_tick.stops, stops + 1);
	assert_int_equal(snapshot->period, 4000000);
	assert_true(snapshot->time_ns >= before_wall_ns);
	assert_true(snapshot->duration_ns > 0);
	assert_true(snapshot->duration_ns <= pa_clock_mono_ns() - before_ns);
	assert_int_equal(snapshot->sample_count, 2);
	assert_int_equal(snapshot->samples[0].values[0], 3);
	assert_int_equal(snapshot->samples[0].values[1], 3 * 4000000);
	assert_string_equal(snapshot->samples[1].thread, "worker");
	assert_int_equal(snapshot->samples[1].tid, 2);
	pa_snapshot_free(snapshot);
}

static void a_cpu_profile_can_be_read_while_it_runs(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	assert_int_equal(pa_cpu_start(100), 0);
	send_cpu(PC(22), 1, "main", 1);
	snapshot = take(&pa_cpu_profile);
	assert_int_equal(sample_at(snapshot, PC(22))->values[0], 1);
	pa_snapshot_free(snapshot);
	send_cpu(PC(22), 1, "main", 1);
	snapshot = pa_cpu_stop(&pa_cpu_profile);
	assert_int_equal(sample_at(snapshot, PC(22))->values[0], 2);
	pa_snapshot_free(snapshot);
	snapshot = take(&pa_cpu_profile);
	assert_int_equal(snapshot->sample_count, 0);
	pa_snapshot_free(snapshot);
}

static void a_second_cpu_profile_is_busy(void **unused)
{
	(void)unused;
	assert_int_equal(pa_cpu_start(100), 0);
	assert_int_equal(pa_cpu_start(100), -EBUSY);
	pa_snapshot_free(pa_cpu_stop(&pa_cpu_profile));
	assert_int_equal(pa_cpu_start(100), 0);
	pa_snapshot_free(pa_cpu_stop(&pa_cpu_profile));
}

static void claimed_cpu_profile_is_in_use_before_it_starts(void **unused)
{
	(void)unused;
	assert_true(pa_cpu_claim());
	assert_int_equal(pa_cpu_start(100), -EBUSY);
	assert_int_equal(pa_cpu_start_claimed(&pa_cpu_profile, 100), 0);
	pa_snapshot_free(pa_cpu_stop(&pa_cpu_profile));
	assert_true(pa_cpu_claim());
	pa_cpu_disclaim();
	assert_true(pa_cpu_claim());
	pa_cpu_disclaim();
}

static void shared_cpu_profiles_each_have_the_ticks_of_their_own_time(void **unused)
{
	const struct pa_profile_ops *first, *second;
	int starts = fake_tick.starts, stops = fake_tick.stops;
	(void)unused;
	assert_int_equal(pa_cpu_start_shared(250, &first), 0);
	send_cpu(PC(24), 1, "main", 1);
	assert_int_equal(pa_cpu_start(100), 0);
	assert_int_equal(pa_cpu_start(100), -EBUSY);
	send_cpu(PC(24), 1, "main", 2);
	assert_int_equal(pa_cpu_start_shared(100, &second), 0);
	assert_ptr_not_equal(first, second);
	send_cpu(PC(24), 1, "main", 4);
	struct pa_snapshot *snapshot = pa_cpu_stop(first);
	assert_int_equal(sample_at(snapshot, PC(24))->values[0], 7);
	assert_string_equal(snapshot->kind->name, "profile");
	pa_snapshot_free(snapshot);
	send_cpu(PC(24), 1, "main", 8);
	snapshot = pa_cpu_stop(&pa_cpu_profile);
	/* At the rate of the first, which the timers have. */
	assert_int_equal(snapshot->period, 4000000);
	assert_int_equal(sample_at(snapshot, PC(24))->values[0], 14);
	pa_snapshot_free(snapshot);
	assert_int_equal(fake_tick.starts, starts + 1);
	assert_int_equal(fake_tick.stops, stops);
	snapshot = pa_cpu_stop(second);
	assert_int_equal(sample_at(snapshot, PC(24))->values[0], 12);
	pa_snapshot_free(snapshot);
	assert_int_equal(fake_tick.stops, stops + 1);
}

static void shared_cpu_profiles_are_limited(void **unused)
{
	const struct pa_profile_ops *kinds[PA_CPU_SHARED], *more;
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(kinds); i++)
		assert_int_equal(pa_cpu_start_shared(100, &kinds[i]), 0);
	assert_int_equal(pa_cpu_start_shared(100, &more), -EAGAIN);
	assert_int_equal(pa_cpu_start(100), 0);
	pa_snapshot_free(pa_cpu_stop(&pa_cpu_profile));
	for (size_t i = 0; i < PA_COUNT(kinds); i++)
		pa_snapshot_free(pa_cpu_stop(kinds[i]));
	assert_int_equal(pa_cpu_start_shared(100, &more), 0);
	pa_snapshot_free(pa_cpu_stop(more));
}

static void a_failing_timer_is_reported_and_leaves_nothing_running(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	fake_tick.result = -EADDRINUSE;
	assert_int_equal(pa_cpu_start(100), -EADDRINUSE);
	fake_tick.result = 0;
	send_cpu(PC(23), 1, "main", 1);
	snapshot = take(&pa_cpu_profile);
	assert_int_equal(snapshot->sample_count, 0);
	assert_int_equal(snapshot->duration_ns, 0);
	pa_snapshot_free(snapshot);
	assert_int_equal(pa_cpu_start(100), 0);
	pa_snapshot_free(pa_cpu_stop(&pa_cpu_profile));
	assert_int_equal(pa_cpu_start(0), -EINVAL);
	const struct pa_profile_ops *shared;
	fake_tick.result = -EPERM;
	assert_int_equal(pa_cpu_start_shared(100, &shared), -EPERM);
	fake_tick.result = 0;
	assert_int_equal(pa_cpu_start_shared(100, &shared), 0);
	pa_snapshot_free(pa_cpu_stop(shared));
}

/* ---- losses ---- */

static void lost_ticks_of_this_profile_are_a_sample(void **unused)
{
	struct pa_snapshot *snapshot;
	const struct pa_sample *sample;
	(void)unused;
	pa_add_relaxed(&counters.lost_cpu_ring, 1000);
	assert_int_equal(pa_cpu_start(100), 0);
	pa_add_relaxed(&counters.lost_cpu_ring, 5);
	pa_add_relaxed(&counters.lost_cpu_thread, 2);
	send_cpu(PC(30), 1, "main", 1);
	snapshot = pa_cpu_stop(&pa_cpu_profile);
	assert_int_equal(snapshot->sample_count, 2);
	sample = sample_at(snapshot, PA_PSEUDO_LOST);
	assert_ptr_equal(sample->stack, pa_stack_table_overflow());
	assert_int_equal(sample->values[0], 7);
	assert_int_equal(sample->values[1], 7 * 10000000);
	assert_int_equal(sample->tid, 0);
	assert_null(sample->thread);
	assert_string_equal(find_comment(snapshot, "ring full"),
		"dropped 1005: CPU ticks dropped: ring full");
	pa_snapshot_free(snapshot);
	assert_int_equal(pa_cpu_start(100), 0);
	snapshot = pa_cpu_stop(&pa_cpu_profile);
	assert_int_equal(snapshot->sample_count, 0);
	pa_snapshot_free(snapshot);
}

static void lost_allocations_are_a_sample_of_mean_size(void **unused)
{
	struct pa_snapshot *snapshot = take(&pa_heap_profile);
	const struct pa_sample *sample;
	(void)unused;
	assert_null(find_sample(snapshot, PA_PSEUDO_LOST));
	pa_snapshot_free(snapshot);
	pa_add_relaxed(&counters.lost_alloc_ring, 3);
	pa_add_relaxed(&counters.bytes_of_lost_allocs, 250);
	pa_add_relaxed(&counters.frees_of_lost, 1);
	pa_add_relaxed(&counters.lost_alloc_live, 4);
	snapshot = take(&pa_allocs_profile);
	sample = sample_at(snapshot, PA_PSEUDO_LOST);
	assert_int_equal(sample->values[0], 3);
	assert_int_equal(sample->values[1], 250);
	assert_int_equal(sample->values[2], 2);
	assert_int_equal(sample->values[3], 166);
	assert_int_equal(sample->bytes_label, 83);
	assert_non_null(find_comment(snapshot, "dropped 3: allocations dropped: ring full"));
	assert_non_null(find_comment(snapshot,
		"dropped 4: allocations not seen in use: live-object set full"));
	pa_snapshot_free(snapshot);

	/* More frees than losses: counted meanwhile by another thread. */
	pa_add_relaxed(&counters.frees_of_lost, 9);
	snapshot = take(&pa_heap_profile);
	assert_int_equal(sample_at(snapshot, PA_PSEUDO_LOST)->values[2], 0);
	assert_int_equal(sample_at(snapshot, PA_PSEUDO_LOST)->values[3], 0);
	pa_snapshot_free(snapshot);
}

static void every_loss_has_its_comment_and_nothing_else_has(void **unused)
{
	struct pa_snapshot *snapshot;
	char expected[128];
	size_t losses = 0;
	(void)unused;
#define X(name, text) pa_store_relaxed(&counters.name, 77);
	PA_COUNTERS(X)
#undef X
	snapshot = take(&pa_heap_profile);
#define X(name, text)                                                                \
	snprintf(expected, sizeof(expected), "dropped 77: %s", text);                \
	if (strncmp(#name, "lost", 4) == 0 || strcmp(#name, "timers_failed") == 0) { \
		assert_non_null(find_comment(snapshot, expected));                   \
		losses++;                                                            \
	} else {                                                                     \
		assert_null(find_comment(snapshot, expected));                       \
	}
	PA_COUNTERS(X)
#undef X
	assert_int_equal(snapshot->comment_count, losses);
	pa_snapshot_free(snapshot);

	send_object(PA_EVENT_REVIVE, OBJECT(140));
	send_alloc(PC(31), 8, OBJECT(141));
	send_alloc(PC(31), 8, OBJECT(141));
	send_alloc(PC(31), 8, PA_ADDRESS_LIMIT);
	snapshot = take(&pa_heap_profile);
	assert_int_equal(snapshot->comment_count, losses + 3);
	assert_non_null(find_comment(snapshot, "dropped 1: objects taken for freed"));
	assert_non_null(find_comment(snapshot, "dropped 1: frees dropped"));
	assert_non_null(find_comment(snapshot, "dropped 1: events dropped: damaged"));
	pa_snapshot_free(snapshot);
}

/* ---- many threads at once ---- */

static PA_ATOMIC(int) takers;

static void *take_often(void *unused)
{
	static const struct pa_profile_ops *const kinds[] = { &pa_allocs_profile, &pa_block_profile,
		&pa_goroutine_profile, &pa_heap_profile, &pa_mutex_profile, &pa_cpu_profile,
		&pa_threadcreate_profile };
	(void)unused;
	for (int i = 0; i < 30; i++) {
		struct pa_snapshot *snapshot =
			pa_snapshot_take(kinds[i % (int)PA_COUNT(kinds)], false);
		if (!snapshot)
			abort();
		pa_snapshot_free(snapshot);
		pa_profile_stats();
	}
	pa_add_acq_rel(&takers, -1);
	return NULL;
}

static void threads_take_snapshots_while_events_come(void **unused)
{
	struct pa_snapshot *snapshot;
	int64_t sent = 0;
	(void)unused;
	pa_store_relaxed(&takers, 4);
	for (int i = 0; i < 4; i++)
		start_thread(take_often, NULL);
	do {
		send_alloc(PC(40), 64, OBJECT(200 + sent));
		send_object(PA_EVENT_FREE, OBJECT(200 + sent++));
	} while (pa_load_acquire(&takers));
	snapshot = take(&pa_heap_profile);
	assert_int_equal(sample_at(snapshot, PC(40))->values[0], sent);
	assert_int_equal(sample_at(snapshot, PC(40))->values[2], 0);
	pa_snapshot_free(snapshot);
}

/* ---- full tables; last, since they stay full ---- */

static void allocations_without_a_bucket_stay_in_the_totals(void **unused)
{
	enum { SENT = PA_HEAP_BUCKETS + 500 };
	struct pa_snapshot *snapshot;
	int64_t objects = 0, bytes = 0, before_objects, before_bytes, sent_bytes = 0;
	struct pa_heap_stats before;
	(void)unused;
#define X(name, text) pa_store_relaxed(&counters.name, 0);
	PA_COUNTERS(X)
#undef X
	pa_snapshot_free(take(&pa_heap_profile));
	pa_tables_lock();
	before = pa_heap_stats_locked();
	pa_tables_unlock();
	before_objects = (int64_t)before.objects;
	before_bytes = (int64_t)before.bytes;
	for (int64_t i = 1; i <= SENT; i++) {
		send_alloc(PC(50 + i), 10000 + (uint64_t)i, OBJECT(100000 + i));
		sent_bytes += 10000 + i;
	}
	snapshot = take(&pa_heap_profile);
	for (size_t i = 0; i < snapshot->sample_count; i++) {
		objects += snapshot->samples[i].values[0];
		bytes += snapshot->samples[i].values[1];
	}
	assert_int_equal(objects, before_objects + SENT);
	assert_int_equal(bytes, before_bytes + sent_bytes);
	assert_true(sample_at(snapshot, PA_PSEUDO_LOST)->values[0] >= 500);
	assert_non_null(find_comment(snapshot, "allocations dropped: bucket table full"));
	assert_non_null(find_comment(snapshot, "new sizes are counted in classes"));
	pa_snapshot_free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heap_and_allocs_show_what_was_recorded_before_the_call),
		cmocka_unit_test(a_snapshot_does_not_change_any_more),
		cmocka_unit_test(snapshots_give_their_memory_back),
		cmocka_unit_test(counts_are_numbers_of_buckets),
		cmocka_unit_test(counts_of_the_other_kinds_are_records_and_threads),
		cmocka_unit_test(stats_tell_what_is_in_the_tables),
		cmocka_unit_test(a_cpu_profile_has_its_own_ticks_times_and_period),
		cmocka_unit_test(a_cpu_profile_can_be_read_while_it_runs),
		cmocka_unit_test(a_second_cpu_profile_is_busy),
		cmocka_unit_test(claimed_cpu_profile_is_in_use_before_it_starts),
		cmocka_unit_test(shared_cpu_profiles_each_have_the_ticks_of_their_own_time),
		cmocka_unit_test(shared_cpu_profiles_are_limited),
		cmocka_unit_test(a_failing_timer_is_reported_and_leaves_nothing_running),
		cmocka_unit_test(lost_ticks_of_this_profile_are_a_sample),
		cmocka_unit_test(lost_allocations_are_a_sample_of_mean_size),
		cmocka_unit_test(every_loss_has_its_comment_and_nothing_else_has),
		cmocka_unit_test(threads_take_snapshots_while_events_come),
		cmocka_unit_test(allocations_without_a_bucket_stay_in_the_totals),
	};
	start_collector(1 << 20);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
