/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/record/creation.h"
#include "test/lib/c/record_fixture.h"

static struct pa_cursor here(void)
{
	return (struct pa_cursor){
		.pc = 0x401000,
		.sp = (uintptr_t)__builtin_frame_address(0),
		.bp = (uintptr_t)__builtin_frame_address(0),
	};
}

static void creation_is_an_event_of_the_creating_thread(void **unused)
{
	(void)unused;
	struct fixture_event event;
	fixture_boot(256 << 10, 1);
	errno = 7;
	pa_creation_record(&pa_thread_self, here());
	assert_int_equal(errno, 7);
	assert_true(fixture_next(&event));
	assert_int_equal(event.head.kind, PA_EVENT_CREATE);
	assert_int_equal(event.head.tid, getpid());
	assert_int_equal(pa_load_relaxed(&pa_record.counters.create_events), 1);
}

static void nothing_is_recorded_inside_the_agents_own_work(void **unused)
{
	(void)unused;
	struct fixture_event event;
	fixture_boot(256 << 10, 1);
	pa_thread_self.depth = 1;
	pa_creation_record(&pa_thread_self, here());
	pa_thread_self.depth = 0;
	assert_false(fixture_next(&event));
}

static void creation_that_the_ring_has_no_room_for_is_counted(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	const uint64_t lots = 4096;
	for (uint64_t i = 0; i < lots; i++)
		pa_creation_record(&pa_thread_self, here());
	uint64_t kept = pa_load_relaxed(&pa_record.counters.create_events);
	uint64_t lost = pa_load_relaxed(&pa_record.counters.lost_create_ring);
	assert_true(lost > 0);
	assert_int_equal(kept + lost, lots);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creation_is_an_event_of_the_creating_thread),
		cmocka_unit_test(nothing_is_recorded_inside_the_agents_own_work),
		cmocka_unit_test(creation_that_the_ring_has_no_room_for_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
