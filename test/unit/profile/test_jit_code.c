/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/modules/modules.h"
#include "agent/profile/jit_code.h"
#include "agent/stacks/stack_table.h"
#include "test/lib/c/fake_maps.h"
#include "test/lib/c/perf_map_fixture.h"

/* Modules of fake_maps.h are in no file. */
#define CODE 0x1000
#define CODE_END 0x100000

static struct timespec fake_now = { .tv_sec = 1000 };

static int fake_clock(clockid_t id, struct timespec *now)
{
	(void)id;
	*now = fake_now;
	return 0;
}

/* fake_maps.h has the rest of maps.h. */
int pa_maps_open(const char *path)
{
	(void)path;
	return -ENOENT;
}

bool pa_maps_read_memory(void *to, uintptr_t from, size_t bytes)
{
	(void)to;
	(void)from;
	(void)bytes;
	return false;
}

static int begin(void **unused)
{
	int error = map_set_up(unused);

	pa_clock_use(fake_clock);
	if (!map_bridge.ring)
		map_bridge.ring = pa_ring_create(64 * 1024);
	fake_maps_clear();
	fake_map(CODE, CODE_END);
	pa_modules_abandon();
	pa_stack_table_reset();
	assert_int_equal(pa_stack_table_init(1 << 20), 0);
	pa_modules_init(&pa_stack_table_listener);
	pa_jit_code_atfork_child();
	return error;
}

static const struct pa_loc *sample_at(uintptr_t pc)
{
	const struct pa_stack *stack = pa_stack_table_intern_locked(&pc, 1, true, PA_PSEUDO_NONE);

	return pa_stack_table_loc(stack->locs[0]);
}

static void look(void)
{
	fake_now.tv_sec++;
	pa_jit_code_look();
}

static void locations_change_where_lines_are_added(void **unused)
{
	(void)unused;
	write_map(getpid(), "1000 10 a\n2000 10 b\n");
	const struct pa_loc *a = sample_at(0x1001), *b = sample_at(0x2001);
	look();
	assert_ptr_equal(sample_at(0x1001), a);
	append_map(getpid(), "3000 10 c\n1000 8 d\n");
	assert_ptr_equal(sample_at(0x1001), a);
	look();
	assert_ptr_not_equal(sample_at(0x1001), a);
	assert_int_equal(a->code_until, strlen("1000 10 a\n2000 10 b\n"));
	assert_ptr_equal(sample_at(0x2001), b);
	const struct pa_loc *d = sample_at(0x1001);
	look();
	assert_ptr_equal(sample_at(0x1001), d);
}

static void half_lines_are_followed_once_they_are_whole(void **unused)
{
	(void)unused;
	const struct pa_loc *a = sample_at(0x1001);
	write_map(getpid(), "1000 10 a\n1000 1");
	look();
	assert_ptr_equal(sample_at(0x1001), a);
	append_map(getpid(), "0 b");
	look();
	assert_ptr_equal(sample_at(0x1001), a);
	append_map(getpid(), "\n");
	look();
	assert_ptr_not_equal(sample_at(0x1001), a);
	assert_int_equal(a->code_until, strlen("1000 10 a\n"));
}

static void a_map_that_is_written_anew_changes_all(void **unused)
{
	(void)unused;
	write_map(getpid(), "1000 10 a\n");
	const struct pa_loc *b = sample_at(0x2001);
	look();
	/* As long as before. */
	write_map(getpid(), "1000 10 x\n");
	look();
	const struct pa_loc *again = sample_at(0x2001);
	assert_ptr_not_equal(again, b);
	assert_int_equal(b->code_until, 1);
	/* Longer; it begins in the same way. */
	write_map(getpid(), "1000 10 y\n5000 10 z\n");
	look();
	assert_ptr_not_equal(sample_at(0x2001), again);
	again = sample_at(0x2001);
	/* Shorter. */
	write_map(getpid(), "1000 10 y\n");
	look();
	assert_ptr_not_equal(sample_at(0x2001), again);
	again = sample_at(0x2001);
	/* Another file. */
	unlink(map_path(getpid()));
	look();
	assert_ptr_equal(sample_at(0x2001), again);
	write_map(getpid(), "1000 10 a different one\n");
	look();
	assert_ptr_not_equal(sample_at(0x2001), again);
}

static void a_long_burst_is_followed_in_pieces(void **unused)
{
	enum { LINES = 30000 };
	(void)unused;
	write_map(getpid(), "9000 10 a\n");
	const struct pa_loc *last = sample_at(CODE + LINES);
	look();
	FILE *file = fopen(map_path(getpid()), "a");
	for (unsigned i = 1; i <= LINES; i++)
		fprintf(file, "%x 1 some_function_with_a_name\n", CODE + i);
	fclose(file);
	look();
	assert_ptr_equal(sample_at(CODE + LINES), last);
	for (int i = 0; i < 5; i++)
		look();
	assert_ptr_not_equal(sample_at(CODE + LINES), last);
	assert_int_equal(map_counters.perf_maps_unfollowed, 0);
}

static void looks_are_few(void **unused)
{
	(void)unused;
	write_map(getpid(), "1000 10 a\n");
	const struct pa_loc *a = sample_at(0x1001);
	look();
	append_map(getpid(), "1000 10 b\n");
	fake_now.tv_nsec += 50 * PA_NS_PER_MS;
	pa_jit_code_look();
	assert_ptr_equal(sample_at(0x1001), a);
	fake_now.tv_nsec += 51 * PA_NS_PER_MS;
	pa_jit_code_look();
	assert_ptr_not_equal(sample_at(0x1001), a);
	fake_now.tv_nsec = 0;
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, begin, map_tear_down)
	const struct CMUnitTest tests[] = {
		IN_DIRECTORY(locations_change_where_lines_are_added),
		IN_DIRECTORY(half_lines_are_followed_once_they_are_whole),
		IN_DIRECTORY(a_map_that_is_written_anew_changes_all),
		IN_DIRECTORY(a_long_burst_is_followed_in_pieces),
		IN_DIRECTORY(looks_are_few),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
