/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/flight_lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void one_has_it_at_a_time(void **unused)
{
	(void)unused;
	assert_true(pa_flight_lease_acquire(0));
	assert_false(pa_flight_lease_acquire(0));
	pa_flight_lease_release();
	assert_true(pa_flight_lease_acquire(0));
	pa_flight_lease_reset();
	assert_true(pa_flight_lease_acquire(0));
	pa_flight_lease_release();
}

static void it_is_wanted_once_another_asked(void **unused)
{
	(void)unused;
	assert_false(pa_flight_lease_is_contended());
	assert_true(pa_flight_lease_acquire(0));
	assert_false(pa_flight_lease_is_contended());
	assert_false(pa_flight_lease_acquire(0));
	assert_true(pa_flight_lease_is_contended());
	pa_flight_lease_release();
	assert_false(pa_flight_lease_is_contended());
	assert_true(pa_flight_lease_acquire(0));
	assert_false(pa_flight_lease_is_contended());
	pa_flight_lease_release();
}

static void it_is_over_when_it_is_wanted_and_was_had_for_long(void **unused)
{
	(void)unused;
	assert_true(pa_flight_lease_acquire(5));
	assert_false(pa_flight_lease_is_expired(5 + 10 * PA_FLIGHT_LEASE_MAX_NS));
	assert_false(pa_flight_lease_acquire(6));
	assert_false(pa_flight_lease_is_expired(5 + PA_FLIGHT_LEASE_MAX_NS - 1));
	assert_true(pa_flight_lease_is_expired(5 + PA_FLIGHT_LEASE_MAX_NS));
	pa_flight_lease_release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_has_it_at_a_time),
		cmocka_unit_test(it_is_wanted_once_another_asked),
		cmocka_unit_test(it_is_over_when_it_is_wanted_and_was_had_for_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
