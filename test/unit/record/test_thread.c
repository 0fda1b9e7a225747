/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "test/lib/c/record_fixture.h"

static void random_bits_differ_between_calls_and_are_balanced(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	int ones = 0;
	uint64_t last = pa_thread_random(&pa_thread_self);
	for (int i = 0; i < 10000; i++) {
		uint64_t next = pa_thread_random(&pa_thread_self);
		assert_true(next != last);
		ones += __builtin_popcountll(next);
		last = next;
	}
	assert_in_range(ones, 315000, 325000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_bits_differ_between_calls_and_are_balanced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
