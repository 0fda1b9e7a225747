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
#include "collector.h"

static struct pa_snapshot *take(enum pa_kind_id kind)
{
	struct pa_snapshot *snapshot = pa_snapshot_take(kind);
	assert_non_null(snapshot);
	assert_ptr_equal(snapshot->kind, &pa_kinds[kind]);
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
	static const enum pa_kind_id kinds[] = { PA_KIND_ALLOCS, PA_KIND_HEAP };
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
	snapshot = take(PA_KIND_HEAP);
	count = snapshot->sample_count;
	send_object(PA_EVENT_FREE, OBJECT(100));
	send_alloc(PC(6), 8, OBJECT(101));
	pa_snapshot_free(take(PA_KIND_HEAP));
	assert_int_equal(snapshot->sample_count, count);
	assert_int_equal(sample_at(snapshot, PC(5))->values[2], 1);
	assert_null(find_sample(snapshot, PC(6)));
	pa_snapshot_free(snapshot);
}

static void snapshots_give_their_memory_back(void **unused)
{
	size_t before;
	(void)unused;
	pa_snapshot_free(take(PA_KIND_HEAP));
	before = pa_map_bytes();
	for (int i = 0; i < 50; i++)
		pa_snapshot_free(take(PA_KIND_HEAP));
	assert_int_equal(pa_map_bytes(), before);
	pa_snapshot_free(NULL);
}

static void counts_of_the_other_kinds_are_records_and_threads(void **unused)
{
	size_t block = pa_snapshot_count(PA_KIND_BLOCK), mutex = pa_snapshot_count(PA_KIND_MUTEX);
	size_t created = pa_snapshot_count(PA_KIND_THREADCREATE);
	(void)unused;
	send_contention(PA_EVENT_BLOCK, PC(9), 1, 10);
	send_contention(PA_EVENT_BLOCK, PC(9), 1, 10);
	send_contention(PA_EVENT_MUTEX, PC(9), 1, 10);
	send_contention(PA_EVENT_MUTEX, PC(10), 1, 10);
	send_create(PC(9));
	send_create(PC(9));
	send_create(PC(9));
	pa_snapshot_free(take(PA_KIND_HEAP));
	assert_int_equal(pa_snapshot_count(PA_KIND_BLOCK), block + 1);
	assert_int_equal(pa_snapshot_count(PA_KIND_MUTEX), mutex + 2);
	assert_int_equal(pa_snapshot_count(PA_KIND_THREADCREATE), created + 3);
	/* This one and the collector, and what a sanitizer may have. */
	assert_true(pa_snapshot_count(PA_KIND_GOROUTINE) >= 2);
	assert_int_equal(fake_roll.begins, 0);
}

static void counts_are_numbers_of_buckets(void **unused)
{
	size_t before = pa_snapshot_count(PA_KIND_HEAP);
	(void)unused;
	send_alloc(PC(7), 8, OBJECT(110));
	send_alloc(PC(7), 8, OBJECT(111));
	send_alloc(PC(7), 9, OBJECT(112));
	pa_snapshot_free(take(PA_KIND_HEAP));
	assert_int_equal(pa_snapshot_count(PA_KIND_HEAP), before + 2);
	assert_int_equal(pa_snapshot_count(PA_KIND_ALLOCS), before + 2);
	assert_int_equal(pa_snapshot_count(PA_KIND_CPU), 0);
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
	pa_snapshot_free(take(PA_KIND_HEAP));
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
	assert_true(after.table_bytes > after.sites.bytes);
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
	assert_int_equal(pa_snapshot_cpu_start(250), 0);
	assert_int_equal(fake_tick.starts, starts + 1);
	assert_int_equal(fake_tick.rate_hz, 250);
	send_cpu(PC(21), 1, "main", 2);
	send_cpu(PC(21), 1, "main", 1);
	send_cpu(PC(21), 2, "worker", 1);
	snapshot = pa_snapshot_cpu_stop();
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
	assert_int_equal(pa_snapshot_cpu_start(100), 0);
	send_cpu(PC(22), 1, "main", 1);
	snapshot = take(PA_KIND_CPU);
	assert_int_equal(sample_at(snapshot, PC(22))->values[0], 1);
	pa_snapshot_free(snapshot);
	send_cpu(PC(22), 1, "main", 1);
	snapshot = pa_snapshot_cpu_stop();
	assert_int_equal(sample_at(snapshot, PC(22))->values[0], 2);
	pa_snapshot_free(snapshot);
	snapshot = take(PA_KIND_CPU);
	assert_int_equal(snapshot->sample_count, 0);
	pa_snapshot_free(snapshot);
}

static void a_second_cpu_profile_is_busy(void **unused)
{
	(void)unused;
	assert_int_equal(pa_snapshot_cpu_start(100), 0);
	assert_int_equal(pa_snapshot_cpu_start(100), -EBUSY);
	pa_snapshot_free(pa_snapshot_cpu_stop());
	assert_int_equal(pa_snapshot_cpu_start(100), 0);
	pa_snapshot_free(pa_snapshot_cpu_stop());
}

static void a_failing_timer_is_reported_and_leaves_nothing_running(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	fake_tick.result = -EADDRINUSE;
	assert_int_equal(pa_snapshot_cpu_start(100), -EADDRINUSE);
	fake_tick.result = 0;
	send_cpu(PC(23), 1, "main", 1);
	snapshot = take(PA_KIND_CPU);
	assert_int_equal(snapshot->sample_count, 0);
	assert_int_equal(snapshot->duration_ns, 0);
	pa_snapshot_free(snapshot);
	assert_int_equal(pa_snapshot_cpu_start(100), 0);
	pa_snapshot_free(pa_snapshot_cpu_stop());
	assert_int_equal(pa_snapshot_cpu_start(0), -EINVAL);
}

/* ---- losses ---- */

static void lost_ticks_of_this_profile_are_a_sample(void **unused)
{
	struct pa_snapshot *snapshot;
	const struct pa_sample *sample;
	(void)unused;
	pa_add_relaxed(&counters.lost_cpu_ring, 1000);
	assert_int_equal(pa_snapshot_cpu_start(100), 0);
	pa_add_relaxed(&counters.lost_cpu_ring, 5);
	pa_add_relaxed(&counters.lost_cpu_thread, 2);
	send_cpu(PC(30), 1, "main", 1);
	snapshot = pa_snapshot_cpu_stop();
	assert_int_equal(snapshot->sample_count, 2);
	sample = sample_at(snapshot, PA_PSEUDO_LOST);
	assert_ptr_equal(sample->stack, pa_sites_overflow());
	assert_int_equal(sample->values[0], 7);
	assert_int_equal(sample->values[1], 7 * 10000000);
	assert_int_equal(sample->tid, 0);
	assert_null(sample->thread);
	assert_string_equal(find_comment(snapshot, "ring full"),
		"dropped 1005: CPU ticks dropped: ring full");
	pa_snapshot_free(snapshot);
	assert_int_equal(pa_snapshot_cpu_start(100), 0);
	snapshot = pa_snapshot_cpu_stop();
	assert_int_equal(snapshot->sample_count, 0);
	pa_snapshot_free(snapshot);
}

static void lost_allocations_are_a_sample_of_mean_size(void **unused)
{
	struct pa_snapshot *snapshot = take(PA_KIND_HEAP);
	struct pa_heap_stats heap = pa_heap_stats();
	int64_t mean = (int64_t)(heap.bytes / heap.objects);
	const struct pa_sample *sample;
	(void)unused;
	assert_null(find_sample(snapshot, PA_PSEUDO_LOST));
	pa_snapshot_free(snapshot);
	pa_add_relaxed(&counters.lost_alloc_ring, 3);
	pa_add_relaxed(&counters.lost_alloc_live, 4);
	snapshot = take(PA_KIND_ALLOCS);
	sample = sample_at(snapshot, PA_PSEUDO_LOST);
	assert_int_equal(sample->values[0], 7);
	assert_int_equal(sample->values[1], 7 * mean);
	assert_int_equal(sample->values[2], 0);
	assert_int_equal(sample->values[3], 0);
	assert_int_equal(sample->bytes_label, mean);
	assert_non_null(find_comment(snapshot, "dropped 3: allocations dropped: ring full"));
	assert_non_null(
		find_comment(snapshot, "dropped 4: allocations dropped: live-object set full"));
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
	snapshot = take(PA_KIND_HEAP);
#define X(name, text)                                                                             \
	snprintf(expected, sizeof(expected), "dropped 77: %s", text);                             \
	if (strncmp(#name, "lost", 4) == 0 || strcmp(#name, "timers_failed") == 0) {              \
		assert_non_null(find_comment(snapshot, expected));                                \
		losses++;                                                                         \
	} else {                                                                                  \
		assert_null(find_comment(snapshot, expected));                                    \
	}
	PA_COUNTERS(X)
#undef X
	assert_int_equal(snapshot->comment_count, losses);
	pa_snapshot_free(snapshot);

	send_object(PA_EVENT_REVIVE, OBJECT(140));
	send_alloc(PC(31), 8, OBJECT(141));
	send_alloc(PC(31), 8, OBJECT(141));
	send_alloc(PC(31), 8, 0);
	snapshot = take(PA_KIND_HEAP);
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
	(void)unused;
	for (int i = 0; i < 30; i++) {
		enum pa_kind_id kind = (enum pa_kind_id)(i % PA_KIND_COUNT);
		struct pa_snapshot *snapshot = pa_snapshot_take(kind);
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
	snapshot = take(PA_KIND_HEAP);
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
	pa_snapshot_free(take(PA_KIND_HEAP));
	before = pa_heap_stats();
	before_objects = (int64_t)before.objects;
	before_bytes = (int64_t)before.bytes;
	for (int64_t i = 1; i <= SENT; i++) {
		send_alloc(PC(50), 10000 + (uint64_t)i, OBJECT(100000 + i));
		sent_bytes += 10000 + i;
	}
	snapshot = take(PA_KIND_HEAP);
	for (size_t i = 0; i < snapshot->sample_count; i++) {
		objects += snapshot->samples[i].values[0];
		bytes += snapshot->samples[i].values[1];
	}
	assert_int_equal(objects, before_objects + SENT);
	assert_int_equal(bytes, before_bytes + sent_bytes);
	assert_true(sample_at(snapshot, PA_PSEUDO_LOST)->values[0] >= 500);
	assert_non_null(find_comment(snapshot, "allocations dropped: bucket table full"));
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
