/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/profile/recording.h"
#include "agent/profile/snapshot_take.h"
#include "test/lib/c/collector.h"

/* The thread sanitizer refuses threads in a forked child unless told otherwise. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

/* A child's threads and waits are its own: 0, or the number of the check that failed. */
static int check_kinds(void)
{
	static const struct pa_profile_ops *kinds[] = { &pa_block_profile, &pa_mutex_profile,
		&pa_threadcreate_profile };
	send_contention(PA_EVENT_BLOCK, PC(86), 1, 10);
	send_contention(PA_EVENT_MUTEX, PC(86), 1, 10);
	send_create(PC(86));
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		struct pa_snapshot *snapshot = pa_snapshot_take(kinds[i], false);
		if (!snapshot || snapshot->sample_count != 1 || !find_sample(snapshot, PC(86)))
			return 20;
		if (pa_snapshot_count(kinds[i]) != 1)
			return 21;
	}
	if (!pa_snapshot_take(&pa_goroutine_profile, false))
		return 22;
	int calls = fake_contend.calls;
	pa_profile_ops_watch(&pa_block_profile, false, true);
	return fake_contend.calls == calls + 1 ? 0 : 23;
}

/* The child's end of a fork test: 0, or the number of the check that failed. */
static int run_child(bool held)
{
	struct pa_snapshot *snapshot;
	const struct pa_sample *sample;
	pa_ring_atfork_child(bridge.ring, false);
	pa_counters_copy(&bridge.inherited, bridge.counters);
	bridge.atfork.child(held);
	if (pa_collector_init() != 0)
		return 1;
	start_thread(run_collector, NULL);
	send_object(PA_EVENT_FREE, OBJECT(81));
	send_alloc(PC(81), 8, OBJECT(83));
	snapshot = pa_snapshot_take(&pa_heap_profile, false);
	if (!snapshot)
		return 2;
	sample = find_sample(snapshot, PC(80));
	if (held != (sample != NULL))
		return 3;
	if (held && (sample->values[0] != 2 || sample->values[2] != 1))
		return 4;
	if (!held && pa_profile_stats().frees_unknown != 1)
		return 5;
	sample = find_sample(snapshot, PC(81));
	if (!sample || sample->values[2] != 1 ||
		!pa_stack_table_loc(sample->stack->locs[0])->module)
		return 6;
	snapshot = pa_snapshot_take(&pa_cpu_profile, false);
	if (!snapshot || snapshot->sample_count || snapshot->duration_ns)
		return 7;
	return pa_cpu_start(100) == 0 ? check_kinds() : 8;
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

static void a_forked_child_keeps_heap_data_and_live_objects(void **unused)
{
	(void)unused;
	send_alloc(PC(80), 8, OBJECT(81));
	send_alloc(PC(80), 8, OBJECT(82));
	assert_in_use(PC(80), 2, 2);
	assert_child(true);
	assert_in_use(PC(80), 2, 2);
}

static void a_child_without_the_lock_starts_afresh(void **unused)
{
	(void)unused;
	assert_int_equal(fake_maps.resets, 0);
	assert_child(false);
	assert_in_use(PC(80), 2, 2);
}

static void a_child_forgets_the_running_cpu_profile(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	assert_int_equal(pa_cpu_start(100), 0);
	send_cpu(PC(84), 1, "main", 1);
	pa_snapshot_free(pa_snapshot_take(&pa_cpu_profile, false));
	/* Its last checks are that there is no profile and that one can be started. */
	assert_child(true);
	snapshot = pa_cpu_stop(&pa_cpu_profile);
	assert_non_null(find_sample(snapshot, PC(84)));
	pa_snapshot_free(snapshot);
}

static void a_child_begins_waits_and_threads_anew(void **unused)
{
	(void)unused;
	send_contention(PA_EVENT_BLOCK, PC(85), 1, 10);
	send_contention(PA_EVENT_MUTEX, PC(85), 1, 10);
	send_create(PC(85));
	/* These two were lost by the parent. */
	pa_store_relaxed(&counters.lost_block_ring, 7);
	pa_store_relaxed(&counters.ns_of_lost_blocks, 70);
	pa_store_relaxed(&counters.lost_create_ring, 7);
	pa_profile_ops_watch(&pa_block_profile, false, true);
	pa_snapshot_free(take_heap());
	assert_child(true);
	assert_child(false);
	assert_int_equal(pa_snapshot_count(&pa_block_profile), 1);
	pa_profile_ops_watch(&pa_block_profile, false, false);
}

static int forks;

static void fork_in_the_midst(const struct pa_thread_dump *dump)
{
	fake_dump.call = NULL;
	assert_child(true);
	assert_child(false);
	forks += 2;
	answer_dump(dump, 0, PC(87));
}

/* Its parent's thread dump is nothing to a child: it can call one of its own. */
static void a_child_born_in_a_thread_dump_is_free_of_it(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	fake_dump.count = 1;
	fake_dump.call = fork_in_the_midst;
	snapshot = pa_snapshot_take(&pa_goroutine_profile, false);
	assert_int_equal(forks, 2);
	assert_non_null(find_sample(snapshot, PC(87)));
	pa_snapshot_free(snapshot);
}

static PA_ATOMIC(bool) flood_ends;
static PA_ATOMIC(uint32_t) flood_threads;

static void *flood(void *objects)
{
	uintptr_t first = (uintptr_t)objects, i = 0;
	while (!pa_load_relaxed(&flood_ends)) {
		send_alloc(PC(90), 8, OBJECT(first + i % 100));
		send_object(PA_EVENT_FREE, OBJECT(first + i++ % 100));
	}
	pa_add_acq_rel(&flood_threads, -1u);
	return NULL;
}

/* What fork waits for at most, before a child has to do without the tables. */
#define FORK_WAIT_NS (100 * PA_NS_PER_MS)

static void fork_gets_the_tables_while_the_collector_is_busy(void **unused)
{
	uint64_t missed = pa_profile_stats().frees_missed;
	uint64_t begun = pa_profile_stats().events_read + 10000;
	(void)unused;
	pa_store_relaxed(&flood_threads, 2);
	start_thread(flood, (void *)1000);
	start_thread(flood, (void *)2000);
	while (pa_profile_stats().events_read < begun)
		pa_snapshot_free(take_heap());
	for (int i = 0; i < 1000; i++) {
		assert_true(bridge.atfork.prepare(FORK_WAIT_NS));
		bridge.atfork.parent();
	}
	pa_store_relaxed(&flood_ends, true);
	while (pa_load_acquire(&flood_threads))
		pa_snapshot_free(take_heap());
	assert_int_equal(pa_profile_stats().frees_missed, missed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_forked_child_keeps_heap_data_and_live_objects),
		cmocka_unit_test(a_child_without_the_lock_starts_afresh),
		cmocka_unit_test(a_child_forgets_the_running_cpu_profile),
		cmocka_unit_test(a_child_begins_waits_and_threads_anew),
		cmocka_unit_test(a_child_born_in_a_thread_dump_is_free_of_it),
		cmocka_unit_test(fork_gets_the_tables_while_the_collector_is_busy),
	};
	start_collector(1 << 20);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
