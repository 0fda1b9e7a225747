/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/profile/futex_waiters.h"

static struct pa_stack stacks[2];

static int fresh(void **unused)
{
	(void)unused;
	pa_futex_waiters_atfork_child();
	return 0;
}

static void last_waiter_for_a_word_is_known(void **unused)
{
	(void)unused;
	assert_null(pa_futex_waiters_find(0x1000));
	pa_futex_waiters_put(0x1000, &stacks[0]);
	pa_futex_waiters_put(0x1004, &stacks[1]);
	assert_ptr_equal(pa_futex_waiters_find(0x1000), &stacks[0]);
	assert_ptr_equal(pa_futex_waiters_find(0x1004), &stacks[1]);
	pa_futex_waiters_put(0x1000, &stacks[1]);
	assert_ptr_equal(pa_futex_waiters_find(0x1000), &stacks[1]);
}

static size_t count_known(uintptr_t words)
{
	size_t known = 0;
	for (uintptr_t word = 1; word <= words; word++)
		known += pa_futex_waiters_find(word * 4) == &stacks[0];
	return known;
}

static void more_words_than_places_push_old_ones_out(void **unused)
{
	(void)unused;
	for (uintptr_t word = 1; word <= PA_FUTEX_WAITERS_WORDS / 4; word++)
		pa_futex_waiters_put(word * 4, &stacks[0]);
	assert_true(count_known(PA_FUTEX_WAITERS_WORDS / 4) > PA_FUTEX_WAITERS_WORDS / 4 * 9 / 10);
	for (uintptr_t word = 1; word <= 8 * PA_FUTEX_WAITERS_WORDS; word++) {
		pa_futex_waiters_put(word * 4, &stacks[0]);
		assert_ptr_equal(pa_futex_waiters_find(word * 4), &stacks[0]);
	}
	assert_int_equal(count_known(8 * PA_FUTEX_WAITERS_WORDS), PA_FUTEX_WAITERS_WORDS);
}

static void a_forked_child_knows_none(void **unused)
{
	(void)unused;
	pa_futex_waiters_put(0x1000, &stacks[0]);
	pa_futex_waiters_atfork_child();
	assert_null(pa_futex_waiters_find(0x1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(last_waiter_for_a_word_is_known, fresh),
		cmocka_unit_test_setup(more_words_than_places_push_old_ones_out, fresh),
		cmocka_unit_test_setup(a_forked_child_knows_none, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
