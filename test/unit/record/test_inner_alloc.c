/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdint.h>

#include "agent/record/alloc.h"
#include "agent/record/inner_alloc.h"
#include "test/lib/c/record_fixture.h"

enum { MALLOC, POSIX_MEMALIGN, ALIGNED_ALLOC, CALLOC, MEMALIGN, VALLOC, MALLOCX, REALLOC, RALLOCX };

static char objects[8][16] __attribute__((aligned(16)));
static void *extra;
static struct fixture_event event;

static int boot_session(void **unused)
{
	(void)unused;
	fixture_boot(1 << 20, 1);
	extra = pa_inner_alloc.begin(false);
	return 0;
}

static int end_session(void **unused)
{
	(void)unused;
	pa_inner_alloc.end();
	return 0;
}

static void alloc(int type, int object, uintptr_t a, uintptr_t b, uintptr_t c)
{
	const uintptr_t args[] = { a, b, c, 0 };
	pa_inner_alloc.alloc(extra, type, objects[object], (uintptr_t)objects[object], args);
}

static void dalloc(int object)
{
	const uintptr_t args[4] = { (uintptr_t)objects[object] };
	pa_inner_alloc.dalloc(extra, 0, objects[object], args);
}

/* The next event is an allocation of bytes, with the mark on its address. */
static void expect_alloc(int object, size_t bytes)
{
	assert_true(fixture_next(&event));
	assert_int_equal(event.head.kind, PA_EVENT_ALLOC);
	assert_int_equal(event.head.value[0], bytes);
	assert_int_equal(event.head.object, (uintptr_t)objects[object] | PA_INNER_ALLOC_MARK);
}

static void expect_free(int object)
{
	assert_true(fixture_next(&event));
	assert_int_equal(event.head.kind, PA_EVENT_FREE);
	assert_int_equal(event.head.object, (uintptr_t)objects[object] | PA_INNER_ALLOC_MARK);
}

static void bytes_are_those_that_the_program_asked_for(void **unused)
{
	(void)unused;
	alloc(MALLOC, 0, 11, 0, 0);
	alloc(POSIX_MEMALIGN, 1, 7, 16, 12);
	alloc(ALIGNED_ALLOC, 2, 16, 13, 0);
	alloc(CALLOC, 3, 2, 7, 0);
	alloc(MEMALIGN, 4, 16, 15, 0);
	alloc(VALLOC, 5, 16, 0, 0);
	alloc(MALLOCX, 6, 17, 99, 0);
	alloc(REALLOC, 7, 99, 18, 0);
	for (int i = 0; i < 8; i++)
		expect_alloc(i, 11 + (size_t)i);
	alloc(RALLOCX, 0, 99, 19, 98);
	expect_alloc(0, 19);
}

static void types_move_up_where_there_is_one_for_pvalloc(void **unused)
{
	(void)unused;
	extra = pa_inner_alloc.begin(true);
	alloc(VALLOC + 1, 0, 5, 99, 99);
	alloc(MALLOCX + 1, 1, 6, 99, 99);
	alloc(REALLOC + 1, 2, 99, 7, 99);
	alloc(RALLOCX + 1, 3, 99, 8, 99);
	alloc(CALLOC, 4, 3, 3, 0);
	for (int i = 0; i < 5; i++)
		expect_alloc(i, 5 + (size_t)i);
}

static void frees_of_recorded_objects_are_recorded_once(void **unused)
{
	(void)unused;
	alloc(MALLOC, 0, 10, 0, 0);
	expect_alloc(0, 10);
	dalloc(1);
	dalloc(0);
	dalloc(0);
	expect_free(0);
	assert_false(fixture_next(&event));
}

static void realloc_in_place_is_a_free_and_an_allocation(void **unused)
{
	const uintptr_t args[] = { (uintptr_t)objects[0], 30, 0, 0 };
	(void)unused;
	alloc(MALLOC, 0, 10, 0, 0);
	expect_alloc(0, 10);
	pa_inner_alloc.expand(extra, 0, objects[0], 16, 32, (uintptr_t)objects[0], args);
	expect_free(0);
	expect_alloc(0, 30);
}

static void failed_allocations_are_none(void **unused)
{
	const uintptr_t args[4] = { 10 };
	(void)unused;
	pa_inner_alloc.alloc(extra, MALLOC, NULL, 0, args);
	pa_inner_alloc.new_hook(NULL, 10);
	assert_false(fixture_next(&event));
}

static void hooks_of_gperftools_record_the_same(void **unused)
{
	(void)unused;
	pa_inner_alloc.new_hook(objects[3], 10);
	pa_inner_alloc.delete_hook(objects[3]);
	pa_inner_alloc.delete_hook(NULL);
	expect_alloc(3, 10);
	expect_free(3);
	assert_false(fixture_next(&event));
}

/* In a child, the hooks of its parent. */
static void hooks_of_another_session_are_ignored(void **unused)
{
	void *old = extra;
	(void)unused;
	extra = pa_inner_alloc.begin(false);
	assert_ptr_not_equal(old, extra);
	alloc(MALLOC, 0, 10, 0, 0);
	expect_alloc(0, 10);
	extra = old;
	alloc(MALLOC, 1, 10, 0, 0);
	dalloc(0);
	assert_false(fixture_next(&event));
}

static void after_the_end_nothing_is_recorded_and_all_is_forgotten(void **unused)
{
	(void)unused;
	alloc(MALLOC, 0, 10, 0, 0);
	expect_alloc(0, 10);
	pa_inner_alloc.end();
	assert_false(pa_alloc_maybe_sampled(objects[0]));
	alloc(MALLOC, 1, 10, 0, 0);
	pa_inner_alloc.new_hook(objects[2], 10);
	dalloc(0);
	pa_inner_alloc.delete_hook(objects[0]);
	assert_false(fixture_next(&event));
}

static void an_object_of_malloc_at_the_same_address_is_another(void **unused)
{
	const struct pa_cursor nowhere = { .pc = 0x1234, .sp = 0x1000 };
	(void)unused;
	alloc(MALLOC, 0, 10, 0, 0);
	expect_alloc(0, 10);
	pa_alloc_record(&pa_thread_self, objects[0], 20, nowhere);
	assert_true(fixture_next(&event));
	pa_inner_alloc.end();
	assert_true(pa_alloc_forget(&pa_thread_self, objects[0]).was_sampled);
	assert_true(fixture_next(&event));
	assert_int_equal(event.head.object, (uintptr_t)objects[0]);
}

static void agent_threads_are_not_recorded(void **unused)
{
	(void)unused;
	pa_thread_self.role = PA_ROLE_AGENT;
	alloc(MALLOC, 0, 10, 0, 0);
	pa_inner_alloc.new_hook(objects[0], 10);
	pa_thread_self.role = PA_ROLE_PROGRAM;
	assert_false(fixture_next(&event));
}

static void errno_is_kept(void **unused)
{
	(void)unused;
	errno = 77;
	alloc(MALLOC, 0, 10, 0, 0);
	dalloc(0);
	assert_int_equal(errno, 77);
	expect_alloc(0, 10);
	expect_free(0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, boot_session, end_session)
	const struct CMUnitTest tests[] = {
		TEST(bytes_are_those_that_the_program_asked_for),
		TEST(types_move_up_where_there_is_one_for_pvalloc),
		TEST(frees_of_recorded_objects_are_recorded_once),
		TEST(realloc_in_place_is_a_free_and_an_allocation),
		TEST(failed_allocations_are_none),
		TEST(hooks_of_gperftools_record_the_same),
		TEST(hooks_of_another_session_are_ignored),
		TEST(after_the_end_nothing_is_recorded_and_all_is_forgotten),
		TEST(an_object_of_malloc_at_the_same_address_is_another),
		TEST(agent_threads_are_not_recorded),
		TEST(errno_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
