/* SPDX-License-Identifier: Apache-2.0 */
/* What the hooks count at rate 1 (record/alloc_counts.h), seen from the collector. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "agent/arch/arch.h"
#include "agent/base/clock.h"
#include "agent/profile/tables_lock.h"
#include "agent/record/alloc_counts.h"
#include "test/lib/c/collector.h"

enum { BYTES = 8, EPOCH = 2 };

static struct pa_event event_of(uintptr_t object, uint8_t flags, uint16_t depth)
{
	return (struct pa_event){ .kind = PA_EVENT_ALLOC,
		.flags = flags,
		.depth = depth,
		.value = { BYTES, EPOCH },
		.object = object };
}

static void send_stack(const uintptr_t *pcs, uint16_t depth, uintptr_t object, uint8_t flags)
{
	send_event(event_of(object, flags, depth), pcs);
}

/* As a hook does; after all that was sent has been read. 0: the allocation would be an event. */
static uint32_t number_of(const uintptr_t *pcs, uint32_t depth, bool cut)
{
	pa_snapshot_free(take_heap());
	return pa_alloc_counts_find(bridge.alloc_counts,
		pa_alloc_counts_key(bridge.alloc_counts, pcs, depth, cut, BYTES, EPOCH));
}

static void counts_of_hooks_are_in_the_bucket_of_the_first_event(void **unused)
{
	const uintptr_t pcs[2] = { PC(1), PC(2) };
	(void)unused;
	assert_int_equal(number_of(pcs, 2, false), 0);
	send_stack(pcs, 2, OBJECT(1), 0);
	uint32_t number = number_of(pcs, 2, false);
	assert_true(number > 0);
	uint64_t events = pa_load_relaxed(&counters.alloc_events);
	for (int i = 0; i < 5; i++)
		pa_alloc_counts_made(bridge.alloc_counts, number);
	assert_in_use(PC(1), 6, 6);
	pa_alloc_counts_freed(bridge.alloc_counts, number);
	pa_alloc_counts_freed(bridge.alloc_counts, number);
	assert_in_use(PC(1), 6, 4);
	send_object(PA_EVENT_FREE, OBJECT(1));
	assert_in_use(PC(1), 6, 3);
	assert_int_equal(pa_load_relaxed(&counters.alloc_events), events + 5);
}

static void statistics_have_what_hooks_counted(void **unused)
{
	const uintptr_t pcs[1] = { PC(5) };
	(void)unused;
	send_stack(pcs, 1, OBJECT(5), 0);
	uint32_t number = number_of(pcs, 1, false);
	pa_tables_lock();
	struct pa_heap_stats before = pa_heap_stats_locked();
	for (int i = 0; i < 3; i++)
		pa_alloc_counts_made(bridge.alloc_counts, number);
	pa_alloc_counts_freed(bridge.alloc_counts, number);
	pa_alloc_counts_missed(bridge.alloc_counts, number);
	struct pa_heap_stats after = pa_heap_stats_locked();
	pa_tables_unlock();
	assert_int_equal(after.objects, before.objects + 3);
	assert_int_equal(after.bytes, before.bytes + 3 * BYTES);
	assert_int_equal(after.live_objects, before.live_objects + 1);
	assert_int_equal(after.live_bytes, before.live_bytes + BYTES);
	assert_true(after.live_estimate_bytes > before.live_estimate_bytes);
	assert_int_equal(after.frees_missed, before.frees_missed + 1);
}

/* A copy of the process may have a free without its allocation. */
static void more_frees_than_allocations_are_unknown_frees(void **unused)
{
	const uintptr_t pcs[1] = { PC(7) };
	(void)unused;
	send_stack(pcs, 1, OBJECT(7), 0);
	uint32_t number = number_of(pcs, 1, false);
	uint64_t before = pa_profile_stats().frees_unknown;
	for (int i = 0; i < 3; i++)
		pa_alloc_counts_freed(bridge.alloc_counts, number);
	assert_in_use(PC(7), 1, 0);
	assert_int_equal(pa_profile_stats().frees_unknown, before + 2);
}

static void cut_stacks_are_published_as_such(void **unused)
{
	const uintptr_t pcs[2] = { PC(10), PC(11) };
	(void)unused;
	send_stack(pcs, 2, OBJECT(10), PA_EVENT_CUT);
	assert_true(number_of(pcs, 2, true) > 0);
	assert_int_equal(number_of(pcs, 2, false), 0);
}

static void stacks_that_may_be_others_later_are_not_published(void **unused)
{
	const uintptr_t broken[1] = { PC(20) }, nowhere[2] = { PC(21), 0x77777000 };
	const uintptr_t loose[2] = { PC(22), 0x20000800 }, astray[2] = { PC(23), 16 };
	const uintptr_t marked[1] = { PC(24) };
	(void)unused;
	fake_map(0x20000000, 0x20001000);
	send_stack(broken, 1, OBJECT(20), PA_EVENT_BROKEN);
	send_stack(nowhere, 2, OBJECT(21), 0);
	send_stack(loose, 2, OBJECT(22), 0);
	send_stack(astray, 2, OBJECT(23), 0);
	send_stack(marked, 1, OBJECT(24) | PA_INNER_ALLOC_MARK, 0);
	assert_int_equal(number_of(broken, 1, false), 0);
	assert_int_equal(number_of(nowhere, 2, false), 0);
	assert_int_equal(number_of(loose, 2, false), 0);
	assert_int_equal(number_of(astray, 2, false), 0);
	assert_int_equal(number_of(marked, 1, false), 0);
}

/* Without a dlclose the epoch is the same. */
static void stacks_of_an_unmapped_module_are_unknown(void **unused)
{
	const uintptr_t pcs[1] = { 0x30000800 };
	struct pa_event changed = { .kind = PA_EVENT_MODULES, .flags = PA_EVENT_UNLOADED };
	struct pa_module *module = fake_map(0x30000000, 0x30001000);
	(void)unused;
	module->inode = 1;
	send_stack(pcs, 1, OBJECT(30), 0);
	assert_true(number_of(pcs, 1, false) > 0);
	fake_unmap(module);
	fake_map(0x30000000, 0x30001000)->inode = 1;
	send_event(changed, NULL);
	assert_int_equal(number_of(pcs, 1, false), 0);
	send_stack(pcs, 1, OBJECT(31), 0);
	assert_true(number_of(pcs, 1, false) > 0);
}

/* 0, or the number of the check that failed. */
static int run_child(uint32_t number)
{
	pa_ring_atfork_child(bridge.ring, false);
	bridge.atfork.child(true);
	if (pa_collector_init() != 0)
		return 1;
	start_thread(run_collector, NULL);
	pa_alloc_counts_freed(bridge.alloc_counts, number);
	struct pa_snapshot *snapshot = pa_snapshot_take(&pa_heap_profile, false);
	const struct pa_sample *sample = find_sample(snapshot, PC(40));
	return sample && sample->values[0] == 3 && sample->values[2] == 1 ? 0 : 2;
}

static void a_forked_child_has_the_objects_counted_before(void **unused)
{
	const uintptr_t pcs[1] = { PC(40) };
	int status = -1;
	(void)unused;
	send_stack(pcs, 1, OBJECT(40), 0);
	uint32_t number = number_of(pcs, 1, false);
	pa_alloc_counts_made(bridge.alloc_counts, number);
	pa_alloc_counts_made(bridge.alloc_counts, number);
	pa_alloc_counts_freed(bridge.alloc_counts, number);
	assert_true(bridge.atfork.prepare(10 * PA_NS_PER_S));
	pid_t pid = fork();
	if (pid == 0)
		_exit(run_child(number));
	bridge.atfork.parent();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_in_use(PC(40), 3, 2);
}

/* The thread sanitizer refuses threads in a forked child unless told otherwise. */
const char *__tsan_default_options(void);
__attribute__((visibility("default"))) const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_of_hooks_are_in_the_bucket_of_the_first_event),
		cmocka_unit_test(statistics_have_what_hooks_counted),
		cmocka_unit_test(more_frees_than_allocations_are_unknown_frees),
		cmocka_unit_test(cut_stacks_are_published_as_such),
		cmocka_unit_test(stacks_that_may_be_others_later_are_not_published),
		cmocka_unit_test(stacks_of_an_unmapped_module_are_unknown),
		cmocka_unit_test(a_forked_child_has_the_objects_counted_before),
	};
	start_collector(1 << 20);
	fake_maps.modules[0].inode = 1; /* of the file of the program */
	bridge.alloc_counts = pa_alloc_counts_create();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
