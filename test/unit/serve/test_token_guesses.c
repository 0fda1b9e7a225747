/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/serve/token_guesses.h"

#define S PA_NS_PER_S

static const struct pa_token_guesser alice = { .address = IN6ADDR_LOOPBACK_INIT, .uid = 1000 };
static const struct pa_token_guesser bob = { .address = IN6ADDR_LOOPBACK_INIT, .uid = 1001 };

static int set_up(void **unused)
{
	(void)unused;
	pa_token_guesses_reset();
	return 0;
}

/* How many wrong tokens are compared at that moment. */
static int wrong_at(const struct pa_token_guesser *guesser, int64_t now_ns)
{
	int count = 0;
	while (count < 1000 && pa_token_guesses_may_try(guesser, now_ns)) {
		pa_token_guesses_was_wrong(guesser, now_ns);
		count++;
	}
	return count;
}

static void first_guess_is_free(void **unused)
{
	(void)unused;
	assert_true(pa_token_guesses_are_none(S));
	assert_true(pa_token_guesses_may_try(&alice, S));
}

static void burst_is_followed_by_the_steady_rate(void **unused)
{
	(void)unused;
	assert_int_equal(wrong_at(&alice, S), PA_TOKEN_GUESSES_BURST + 1);
	assert_false(pa_token_guesses_are_none(S));
	int later = 0;
	for (int64_t now_ns = 2 * S; now_ns <= 61 * S; now_ns += S)
		later += wrong_at(&alice, now_ns);
	assert_int_equal(later, 60 * S / PA_TOKEN_GUESSES_PERIOD_NS);
}

static void brake_ends_with_time(void **unused)
{
	(void)unused;
	wrong_at(&alice, S);
	assert_false(pa_token_guesses_may_try(&alice, S));
	assert_true(pa_token_guesses_may_try(&alice, 2 * S));
	assert_true(pa_token_guesses_are_none(S +
		(PA_TOKEN_GUESSES_BURST + 1) * PA_TOKEN_GUESSES_PERIOD_NS));
}

static void users_of_one_address_are_told_apart(void **unused)
{
	(void)unused;
	wrong_at(&alice, S);
	assert_true(pa_token_guesses_may_try(&bob, S));
}

static void full_table_forgets_the_oldest_guesser(void **unused)
{
	(void)unused;
	wrong_at(&alice, S);
	for (uint32_t i = 0; i < PA_TOKEN_GUESSES_CLIENTS + 3; i++) {
		struct pa_token_guesser other = { .uid = -1 };
		other.address.s6_addr[0] = (uint8_t)(100 + i);
		pa_token_guesses_was_wrong(&other, S);
	}
	assert_false(pa_token_guesses_may_try(&alice, S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(first_guess_is_free, set_up),
		cmocka_unit_test_setup(burst_is_followed_by_the_steady_rate, set_up),
		cmocka_unit_test_setup(brake_ends_with_time, set_up),
		cmocka_unit_test_setup(users_of_one_address_are_told_apart, set_up),
		cmocka_unit_test_setup(full_table_forgets_the_oldest_guesser, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
