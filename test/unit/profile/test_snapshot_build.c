/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/arch/arch.h"
#include "agent/base/arena.h"
#include "agent/base/kept_pages.h"
#include "agent/base/clock.h"
#include "agent/profile/contention.h"
#include "agent/profile/delta.h"
#include "agent/profile/recording.h"
#include "agent/profile/snapshot_take.h"
#include "agent/profile/goroutine.h"
#include "test/lib/c/collector.h"

static size_t mapped_bytes(void)
{
	pa_kept_pages_trim();
	return pa_map_bytes();
}

static struct pa_snapshot *take(const struct pa_profile_ops *kind)
{
	struct pa_snapshot *snapshot = pa_snapshot_take(kind, false);
	assert_non_null(snapshot);
	assert_ptr_equal(snapshot->kind, kind);
	return snapshot;
}

static void assert_sample(const struct pa_snapshot *snapshot, uintptr_t pc, int64_t first,
	int64_t second)
{
	const struct pa_sample *sample = find_sample(snapshot, pc);
	assert_non_null(sample);
	assert_int_equal(sample->values[0], first);
	assert_int_equal(sample->values[1], second);
	assert_int_equal(sample->bytes_label, -1);
}

static void clear_counters(void)
{
#define X(name, text) pa_store_relaxed(&counters.name, 0);
	PA_COUNTERS(X)
#undef X
}

/* ---- block, mutex, threadcreate ---- */

static void the_counting_kinds_have_a_period_of_one(void **unused)
{
	static const struct pa_profile_ops *kinds[] = { &pa_block_profile, &pa_goroutine_profile,
		&pa_mutex_profile, &pa_threadcreate_profile };
	int64_t before_ns = pa_clock_wall_ns();
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		struct pa_snapshot *snapshot = take(kinds[i]);
		assert_int_equal(snapshot->period, 1);
		assert_int_equal(snapshot->duration_ns, 0);
		assert_true(snapshot->time_ns >= before_ns);
		assert_int_equal(snapshot->sample_count, 0);
		assert_int_equal(snapshot->fraction, 0);
		pa_snapshot_free(snapshot);
	}
}

static void waits_are_shown_with_their_time(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	send_contention(PA_EVENT_BLOCK, PC(1), 1.5, 300);
	send_contention(PA_EVENT_BLOCK, PC(1), 1.5, 400);
	send_contention(PA_EVENT_MUTEX, PC(2), 4, 5000);
	send_create(PC(3));
	snapshot = take(&pa_block_profile);
	assert_int_equal(snapshot->sample_count, 1);
	assert_sample(snapshot, PC(1), 3, 700);
	pa_snapshot_free(snapshot);
	snapshot = take(&pa_mutex_profile);
	assert_int_equal(snapshot->sample_count, 1);
	assert_sample(snapshot, PC(2), 4, 5000);
	pa_snapshot_free(snapshot);
	snapshot = take(&pa_threadcreate_profile);
	assert_int_equal(snapshot->sample_count, 1);
	assert_sample(snapshot, PC(3), 1, 0);
	pa_snapshot_free(snapshot);
}

static void assert_fraction(int64_t expected)
{
	struct pa_snapshot *snapshot = take(&pa_mutex_profile);
	assert_int_equal(snapshot->fraction, expected);
	pa_snapshot_free(snapshot);
}

static void mutex_tells_the_fraction_of_now(void **unused)
{
	(void)unused;
	assert_fraction(0);
	pa_profile_ops_watch(&pa_mutex_profile, false, true);
	assert_fraction(1);
	assert_int_equal(fake_contend.mutex_fraction, 1);
	pa_profile_ops_watch(&pa_mutex_profile, false, false);
	assert_fraction(0);
	assert_int_equal(fake_contend.mutex_fraction, 0);
	assert_int_equal(fake_contend.calls, 2);
	settings.mutex_fraction = 7;
	assert_fraction(7);
	settings.mutex_fraction = 0;
}

static void a_delta_of_block_has_only_what_came_between(void **unused)
{
	struct pa_snapshot *before, *after, *delta;
	(void)unused;
	clear_counters();
	send_contention(PA_EVENT_BLOCK, PC(10), 1, 1000);
	send_contention(PA_EVENT_BLOCK, PC(11), 2, 2000);
	pa_add_relaxed(&counters.lost_block_ring, 3);
	pa_add_relaxed(&counters.ns_of_lost_blocks, 30);
	before = take(&pa_block_profile);
	send_contention(PA_EVENT_BLOCK, PC(11), 0.5, 500);
	send_contention(PA_EVENT_BLOCK, PC(11), 0.5, 500);
	send_contention(PA_EVENT_BLOCK, PC(12), 4, 4000);
	pa_add_relaxed(&counters.lost_block_ring, 2);
	pa_add_relaxed(&counters.ns_of_lost_blocks, 20);
	after = take(&pa_block_profile);
	delta = pa_delta(before, after);
	assert_non_null(delta);
	assert_int_equal(delta->sample_count, 3);
	assert_sample(delta, PC(11), 1, 1000);
	assert_sample(delta, PC(12), 4, 4000);
	assert_sample(delta, PA_PSEUDO_LOST, 2, 20);
	assert_true(delta->duration_ns > 0);
	assert_int_equal(delta->period, 1);
	pa_snapshot_free(delta);
	pa_snapshot_free(before);
	pa_snapshot_free(after);
	clear_counters();
}

/* ---- losses ---- */

static void lost_events_are_a_sample_of_their_kind(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	pa_store_relaxed(&counters.lost_block_ring, 3);
	pa_store_relaxed(&counters.ns_of_lost_blocks, 333);
	pa_store_relaxed(&counters.lost_mutex_ring, 4);
	pa_store_relaxed(&counters.ns_of_lost_mutexes, UINT64_MAX);
	pa_store_relaxed(&counters.lost_create_ring, 5);
	snapshot = take(&pa_block_profile);
	assert_sample(snapshot, PA_PSEUDO_LOST, 3, 333);
	assert_ptr_equal(find_sample(snapshot, PA_PSEUDO_LOST)->stack, pa_stack_table_overflow());
	assert_non_null(find_comment(snapshot, "dropped 3: waits dropped: ring full"));
	assert_null(find_comment(snapshot, "333"));
	pa_snapshot_free(snapshot);
	snapshot = take(&pa_mutex_profile);
	assert_sample(snapshot, PA_PSEUDO_LOST, 4, INT64_MAX);
	pa_snapshot_free(snapshot);
	snapshot = take(&pa_threadcreate_profile);
	assert_sample(snapshot, PA_PSEUDO_LOST, 5, 0);
	pa_snapshot_free(snapshot);
	snapshot = take(&pa_goroutine_profile);
	assert_int_equal(snapshot->sample_count, 0);
	pa_snapshot_free(snapshot);
	clear_counters();
	snapshot = take(&pa_block_profile);
	assert_null(find_sample(snapshot, PA_PSEUDO_LOST));
	assert_int_equal(snapshot->comment_count, 0);
	pa_snapshot_free(snapshot);
}

/* ---- goroutine ---- */

static void answer_all(const struct pa_thread_dump *dump)
{
	for (uint32_t i = 0; i < dump->count; i++) {
		struct pa_thread_dump_entry *entry = &dump->entries[i];
		memcpy(entry->name, "thread-", sizeof("thread-"));
		entry->name[sizeof("thread-") - 1] = (char)('0' + i);
		entry->thread.wait = PA_WAIT_SEM;
		entry->thread.object = OBJECT(i);
		entry->thread.since_ns = pa_clock_mono_ns() - 1000;
		entry->thread.creator_tid = 9;
		entry->thread.creator_pc = PC(40);
		answer_dump(dump, i, PC(30 + i));
	}
}

static void ask(uint32_t count, void (*call)(const struct pa_thread_dump *))
{
	memset(fake_dump.entries, 0, sizeof(fake_dump.entries));
	for (uint32_t i = 0; i < count; i++)
		fake_dump.entries[i].tid = (int32_t)(1000 + i);
	fake_dump.count = count;
	fake_dump.call = call;
}

static void every_thread_is_a_sample_with_what_is_known_of_it(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	ask(3, answer_all);
	snapshot = take(&pa_goroutine_profile);
	assert_int_equal(snapshot->sample_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		const struct pa_sample *sample = &snapshot->samples[i];
		assert_int_equal(sample->tid, 1000 + i);
		assert_int_equal(sample->values[0], 1);
		assert_ptr_equal(find_sample(snapshot, PC(30 + i)), sample);
		assert_ptr_equal(sample->thread, sample->info->name);
		assert_true(sample->info->answered);
		assert_int_equal(sample->info->wait, PA_WAIT_SEM);
		assert_int_equal(sample->info->object, OBJECT(i));
		assert_true(sample->info->waited_ns >= 1000);
		assert_int_equal(sample->info->creator_tid, 9);
		assert_int_equal(sample->info->creator->depth, 1);
		assert_int_equal(pa_stack_table_loc(sample->info->creator->locs[0])->pc,
			PC(40) - 1);
	}
	assert_string_equal(snapshot->samples[2].thread, "thread-2");
	pa_snapshot_free(snapshot);
}

static void a_snapshot_outlives_its_thread_dump(void **unused)
{
	struct pa_snapshot *first, *second;
	size_t before = mapped_bytes();
	(void)unused;
	ask(8, answer_all);
	first = take(&pa_goroutine_profile);
	ask(1, NULL);
	second = take(&pa_goroutine_profile);
	assert_int_equal(first->sample_count, 8);
	assert_string_equal(first->samples[7].thread, "thread-7");
	assert_int_equal(first->samples[7].info->object, OBJECT(7));
	/* All that is left lies in the snapshots. */
	assert_true(mapped_bytes() <= before + first->bytes + second->bytes + 2 * PA_PAGE_BYTES);
	pa_snapshot_free(first);
	pa_snapshot_free(second);
	assert_int_equal(mapped_bytes(), before);
}

/* ---- goroutine: a real thread that does not answer ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static PA_ATOMIC(int32_t) silent_tid;

static void *lock_mutex(void *unused)
{
	pthread_setname_np(pthread_self(), "silent");
	pa_store_release(&silent_tid, gettid());
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return unused;
}

static struct pa_snapshot *take_silent(bool detail)
{
	ask(2, NULL);
	fake_dump.entries[0].tid = pa_load_acquire(&silent_tid);
	fake_dump.entries[1].tid = INT32_MAX; /* of no thread */
	struct pa_snapshot *snapshot = pa_goroutine_take(detail);
	assert_non_null(snapshot);
	assert_int_equal(snapshot->sample_count, 1);
	return snapshot;
}

static void assert_silent(const struct pa_sample *sample)
{
	assert_int_equal(sample->tid, pa_load_acquire(&silent_tid));
	assert_string_equal(sample->thread, "silent");
	assert_int_equal(sample->stack->depth, 1);
	assert_int_equal(pa_stack_table_loc(sample->stack->locs[0])->pc, PA_PSEUDO_NO_ANSWER);
	assert_false(sample->info->answered);
	assert_int_equal(sample->info->syscall, SYS_futex);
	assert_int_equal(sample->info->argument, (uintptr_t)&mutex);
	assert_int_equal(sample->info->words[2], gettid());
}

static void a_silent_thread_is_listed_with_what_the_kernel_says(void **unused)
{
	int64_t end_ns = pa_clock_mono_ns() + 30 * PA_NS_PER_S;
	struct pa_snapshot *snapshot;
	pthread_t thread;
	(void)unused;
	pthread_mutex_lock(&mutex);
	assert_int_equal(pthread_create(&thread, NULL, lock_mutex, NULL), 0);
	while (!pa_load_acquire(&silent_tid))
		sched_yield();
	/* Until it blocks. */
	for (;;) {
		snapshot = take_silent(false);
		if (snapshot->samples[0].info->syscall == SYS_futex)
			break;
		pa_snapshot_free(snapshot);
		assert_true(pa_clock_mono_ns() < end_ns);
	}
	assert_silent(&snapshot->samples[0]);
	pa_snapshot_free(snapshot);
	snapshot = take_silent(true);
	assert_silent(&snapshot->samples[0]);
	pa_snapshot_free(snapshot);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
}

/* ---- full tables; last, since they stay full ---- */

static void what_has_no_record_stays_in_the_totals(void **unused)
{
	enum { SENT = PA_CONTENTION_RECORDS + 100 };
	int64_t contentions = 0, delay_ns = 0;
	struct pa_snapshot *before = take(&pa_mutex_profile), *after, *delta;
	(void)unused;
	for (uintptr_t i = 1; i <= SENT; i++) {
		send_contention(PA_EVENT_MUTEX, TEXT + i, 1, 10);
		send_create(TEXT + i);
	}
	after = take(&pa_mutex_profile);
	delta = pa_delta(before, after);
	for (size_t i = 0; i < delta->sample_count; i++) {
		contentions += delta->samples[i].values[0];
		delay_ns += delta->samples[i].values[1];
	}
	assert_int_equal(contentions, SENT);
	assert_int_equal(delay_ns, SENT * 10);
	assert_true(find_sample(delta, PA_PSEUDO_LOST)->values[0] >= 100);
	assert_non_null(find_comment(after, "critical sections dropped: sample table full"));
	assert_null(find_comment(after, "waits dropped: sample table full"));
	assert_true(pa_profile_stats().contentions_dropped >= 100);
	pa_snapshot_free(delta);
	pa_snapshot_free(before);
	pa_snapshot_free(after);

	after = take(&pa_threadcreate_profile);
	assert_true(find_sample(after, PA_PSEUDO_LOST)->values[0] >=
		SENT - PA_THREADCREATE_RECORDS);
	assert_non_null(find_comment(after, "creations of threads dropped: sample table full"));
	assert_true(pa_profile_stats().creations_dropped >= SENT - PA_THREADCREATE_RECORDS);
	assert_int_equal(pa_profile_stats().create_records, PA_THREADCREATE_RECORDS);
	pa_snapshot_free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_counting_kinds_have_a_period_of_one),
		cmocka_unit_test(waits_are_shown_with_their_time),
		cmocka_unit_test(mutex_tells_the_fraction_of_now),
		cmocka_unit_test(a_delta_of_block_has_only_what_came_between),
		cmocka_unit_test(lost_events_are_a_sample_of_their_kind),
		cmocka_unit_test(every_thread_is_a_sample_with_what_is_known_of_it),
		cmocka_unit_test(a_snapshot_outlives_its_thread_dump),
		cmocka_unit_test(a_silent_thread_is_listed_with_what_the_kernel_says),
		cmocka_unit_test(what_has_no_record_stays_in_the_totals),
	};
	start_collector(1 << 20);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
