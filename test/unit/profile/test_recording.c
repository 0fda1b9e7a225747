/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/core.h"
#include "agent/profile/recording.h"

static struct {
	uint64_t block, mutex;
	int calls;
} rates;

static void contend_rates(uint64_t block_rate_ns, uint64_t mutex_fraction)
{
	rates.block = block_rate_ns;
	rates.mutex = mutex_fraction;
	rates.calls++;
}

static struct pa_settings settings;
static struct pa_bridge bridge = {
	.settings = &settings,
	.contend_rates = contend_rates,
};

static int fresh(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	pa_recording_atfork_child();
	memset(&settings, 0, sizeof(settings));
	memset(&rates, 0, sizeof(rates));
	return 0;
}

static void assert_rates(int calls, uint64_t block, uint64_t mutex)
{
	assert_int_equal(rates.calls, calls);
	assert_int_equal(rates.block, block);
	assert_int_equal(rates.mutex, mutex);
}

static void the_first_watch_and_the_last_unwatch_switch(void **unused)
{
	(void)unused;
	pa_recording_watch(PA_RECORDING_BLOCK, false, true);
	assert_rates(1, 1, 0);
	pa_recording_watch(PA_RECORDING_BLOCK, false, true);
	assert_rates(1, 1, 0);
	pa_recording_watch(PA_RECORDING_BLOCK, false, false);
	assert_rates(1, 1, 0);
	pa_recording_watch(PA_RECORDING_BLOCK, false, false);
	assert_rates(2, 0, 0);
	pa_recording_watch(PA_RECORDING_BLOCK, false, true);
	assert_rates(3, 1, 0);
}

static void kinds_are_switched_apart(void **unused)
{
	(void)unused;
	pa_recording_watch(PA_RECORDING_MUTEX, false, true);
	assert_rates(1, 0, 1);
	assert_int_equal(pa_recording_mutex_fraction(), 1);
	pa_recording_watch(PA_RECORDING_BLOCK, false, true);
	assert_rates(2, 1, 1);
	pa_recording_watch(PA_RECORDING_MUTEX, false, false);
	assert_rates(3, 1, 0);
	assert_int_equal(pa_recording_mutex_fraction(), 0);
	pa_recording_watch(PA_RECORDING_BLOCK, false, false);
	assert_rates(4, 0, 0);
}

static void what_the_settings_switch_on_stays_at_their_rate(void **unused)
{
	(void)unused;
	settings.block_rate_ns = 5000;
	settings.mutex_fraction = 20;
	pa_recording_watch(PA_RECORDING_BLOCK, false, true);
	pa_recording_watch(PA_RECORDING_MUTEX, false, true);
	pa_recording_watch(PA_RECORDING_MUTEX, false, false);
	assert_rates(0, 0, 0);
	assert_int_equal(pa_recording_mutex_fraction(), 20);
	settings.mutex_fraction = 0;
	pa_recording_watch(PA_RECORDING_MUTEX, false, true);
	assert_rates(1, 5000, 1);
}

static void odd_unwatches_switch_nothing(void **unused)
{
	(void)unused;
	for (int sampled = 0; sampled < 2; sampled++) {
		pa_recording_watch(PA_RECORDING_BLOCK, sampled, false);
		pa_recording_watch(PA_RECORDING_MUTEX, sampled, false);
	}
	assert_rates(0, 0, 0);
	pa_recording_watch(PA_RECORDING_BLOCK, false, true);
	assert_rates(1, 1, 0);
}

/* For delta clients, which stay for minutes. */
static void a_sampled_watch_switches_to_moderate_rates(void **unused)
{
	(void)unused;
	pa_recording_watch(PA_RECORDING_BLOCK, true, true);
	assert_rates(1, PA_RECORDING_SAMPLED_BLOCK_NS, 0);
	assert_int_equal(pa_recording_block_rate_ns(), PA_RECORDING_SAMPLED_BLOCK_NS);
	pa_recording_watch(PA_RECORDING_MUTEX, true, true);
	assert_rates(2, PA_RECORDING_SAMPLED_BLOCK_NS, PA_RECORDING_SAMPLED_FRACTION);
	assert_int_equal(pa_recording_mutex_fraction(), PA_RECORDING_SAMPLED_FRACTION);
	pa_recording_watch(PA_RECORDING_BLOCK, true, false);
	assert_rates(3, 0, PA_RECORDING_SAMPLED_FRACTION);
	pa_recording_watch(PA_RECORDING_MUTEX, true, false);
	assert_rates(4, 0, 0);
}

static void of_two_watches_the_exact_one_decides(void **unused)
{
	(void)unused;
	pa_recording_watch(PA_RECORDING_MUTEX, true, true);
	assert_rates(1, 0, PA_RECORDING_SAMPLED_FRACTION);
	pa_recording_watch(PA_RECORDING_MUTEX, false, true);
	assert_rates(2, 0, 1);
	pa_recording_watch(PA_RECORDING_MUTEX, false, false);
	assert_rates(3, 0, PA_RECORDING_SAMPLED_FRACTION);
	pa_recording_watch(PA_RECORDING_MUTEX, false, true);
	pa_recording_watch(PA_RECORDING_MUTEX, true, false);
	assert_rates(4, 0, 1);
	pa_recording_watch(PA_RECORDING_MUTEX, true, false); /* one too many */
	pa_recording_watch(PA_RECORDING_MUTEX, false, false);
	assert_rates(5, 0, 0);
}

static void settings_are_before_sampled_watches(void **unused)
{
	(void)unused;
	settings.block_rate_ns = 1;
	settings.mutex_fraction = 1000;
	pa_recording_watch(PA_RECORDING_BLOCK, true, true);
	pa_recording_watch(PA_RECORDING_MUTEX, true, true);
	assert_rates(0, 0, 0);
	assert_int_equal(pa_recording_block_rate_ns(), 1);
	assert_int_equal(pa_recording_mutex_fraction(), 1000);
}

static void in_a_forked_child_no_kind_is_watched(void **unused)
{
	(void)unused;
	pa_recording_watch(PA_RECORDING_BLOCK, false, true);
	pa_recording_watch(PA_RECORDING_MUTEX, false, true);
	pa_recording_watch(PA_RECORDING_BLOCK, true, true);
	pa_recording_watch(PA_RECORDING_MUTEX, true, true);
	pa_recording_atfork_child();
	assert_rates(2, 1, 1);
	assert_int_equal(pa_recording_mutex_fraction(), 0);
	assert_int_equal(pa_recording_block_rate_ns(), 0);
	pa_recording_watch(PA_RECORDING_BLOCK, false, true);
	assert_rates(3, 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_first_watch_and_the_last_unwatch_switch, fresh),
		cmocka_unit_test_setup(kinds_are_switched_apart, fresh),
		cmocka_unit_test_setup(what_the_settings_switch_on_stays_at_their_rate, fresh),
		cmocka_unit_test_setup(odd_unwatches_switch_nothing, fresh),
		cmocka_unit_test_setup(a_sampled_watch_switches_to_moderate_rates, fresh),
		cmocka_unit_test_setup(of_two_watches_the_exact_one_decides, fresh),
		cmocka_unit_test_setup(settings_are_before_sampled_watches, fresh),
		cmocka_unit_test_setup(in_a_forked_child_no_kind_is_watched, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
