/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/resource.h>

#include "agent/base/limits.h"

/* Nothing runs in between that needs memory. */
static bool room_for(uint64_t buffer_bytes, int which, rlim_t bytes)
{
	struct rlimit before, limit;
	assert_int_equal(getrlimit(which, &before), 0);
	limit = (struct rlimit){ bytes, before.rlim_max };
	assert_int_equal(setrlimit(which, &limit), 0);
	bool room = pa_limits_leave_room(buffer_bytes);
	assert_int_equal(setrlimit(which, &before), 0);
	return room;
}

static bool room_with(int which, rlim_t bytes)
{
	return room_for(4 << 20, which, bytes);
}

static void buffers_are_a_small_part_of_a_limit(void **unused)
{
	(void)unused;
	assert_true(room_for(64 << 20, RLIMIT_AS, (rlim_t)1 << 30));
	assert_false(room_for(65 << 20, RLIMIT_AS, (rlim_t)1 << 30));
	assert_false(room_for(65 << 20, RLIMIT_DATA, (rlim_t)1 << 30));
}

static void limit_of_addresses_needs_to_be_large(void **unused)
{
	(void)unused;
	assert_true(room_with(RLIMIT_AS, RLIM_INFINITY));
	assert_true(room_with(RLIMIT_AS, PA_LIMITS_BYTES));
	assert_false(room_with(RLIMIT_AS, PA_LIMITS_BYTES - 1));
	assert_false(room_with(RLIMIT_AS, 1 << 20));
}

static void limit_of_data_needs_to_be_large(void **unused)
{
	(void)unused;
	assert_true(room_with(RLIMIT_DATA, RLIM_INFINITY));
	assert_true(room_with(RLIMIT_DATA, PA_LIMITS_BYTES));
	assert_false(room_with(RLIMIT_DATA, PA_LIMITS_BYTES - 1));
}

static void errno_is_kept(void **unused)
{
	(void)unused;
	errno = 1234;
	(void)pa_limits_leave_room(0);
	assert_int_equal(errno, 1234);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit_of_addresses_needs_to_be_large),
		cmocka_unit_test(limit_of_data_needs_to_be_large),
		cmocka_unit_test(buffers_are_a_small_part_of_a_limit),
		cmocka_unit_test(errno_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
