/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/arch/arch.h"
#include "agent/serve/client_budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PAGE PA_PAGE_BYTES
#define KEPT PA_CLIENT_BUDGET_KEPT_BYTES
#define JOBS PA_CLIENT_BUDGET_JOBS_BYTES

/* Pieces of one page that can be evicted, and how often that was asked for. */
static int pieces, asked;

static bool evict_piece(void)
{
	asked++;
	if (!pieces)
		return false;
	pieces--;
	pa_client_budget_give(PA_CLIENT_BUDGET_DELTAS, PAGE);
	return true;
}

static int fresh(void **unused)
{
	(void)unused;
	for (enum pa_client_budget_use use = 0; use < PA_CLIENT_BUDGET_USES; use++)
		pa_client_budget_forget(use);
	pieces = asked = 0;
	pa_client_budget_evict(NULL);
	return 0;
}

static size_t used(enum pa_client_budget_use use)
{
	return pa_client_budget_stats().used[use];
}

static void limit_is_sixteen_mebibytes(void **unused)
{
	(void)unused;
	assert_int_equal(KEPT + JOBS, 16 << 20);
}

static void bytes_count_in_whole_pages_until_they_are_given_back(void **unused)
{
	(void)unused;
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_DELTAS, 1));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_DELTAS, PAGE + 1));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, PAGE));
	assert_int_equal(used(PA_CLIENT_BUDGET_DELTAS), 3 * PAGE);
	assert_int_equal(used(PA_CLIENT_BUDGET_WAITING), PAGE);
	pa_client_budget_give(PA_CLIENT_BUDGET_DELTAS, PAGE + 1);
	assert_int_equal(used(PA_CLIENT_BUDGET_DELTAS), PAGE);
	pa_client_budget_give(PA_CLIENT_BUDGET_DELTAS, 1);
	assert_int_equal(used(PA_CLIENT_BUDGET_DELTAS), 0);
	assert_int_equal(used(PA_CLIENT_BUDGET_WAITING), PAGE);
}

static void what_is_kept_has_one_limit_for_all_its_uses(void **unused)
{
	uint64_t before = pa_client_budget_stats().refused;

	(void)unused;
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_DELTAS, KEPT - 2 * PAGE));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, PAGE));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_FLIGHT, PAGE));
	for (enum pa_client_budget_use use = 0; use < PA_CLIENT_BUDGET_JOBS; use++)
		assert_false(pa_client_budget_take(use, 1));
	assert_int_equal(pa_client_budget_stats().refused, before + 4);
	assert_int_equal(used(PA_CLIENT_BUDGET_DELTAS), KEPT - 2 * PAGE);
	pa_client_budget_give(PA_CLIENT_BUDGET_FLIGHT, PAGE);
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, 1));
}

static void jobs_have_their_own_share(void **unused)
{
	(void)unused;
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, KEPT));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_JOBS, JOBS));
	assert_false(pa_client_budget_take(PA_CLIENT_BUDGET_JOBS, 1));
	pa_client_budget_give(PA_CLIENT_BUDGET_WAITING, KEPT);
	assert_false(pa_client_budget_take(PA_CLIENT_BUDGET_JOBS, 1));
	assert_int_equal(used(PA_CLIENT_BUDGET_JOBS), JOBS);
	assert_true(pa_client_budget_stats().peak == KEPT + JOBS);
}

static void no_more_is_evicted_than_is_needed(void **unused)
{
	(void)unused;
	pa_client_budget_evict(evict_piece);
	pieces = 5;
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_DELTAS, 5 * PAGE));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, KEPT - 6 * PAGE));
	assert_int_equal(asked, 0);
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, 3 * PAGE));
	assert_int_equal(asked, 2);
	assert_int_equal(used(PA_CLIENT_BUDGET_DELTAS), 3 * PAGE);
	assert_false(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, 4 * PAGE));
	assert_int_equal(used(PA_CLIENT_BUDGET_DELTAS), 0);
	assert_int_equal(used(PA_CLIENT_BUDGET_WAITING), KEPT - 3 * PAGE);
}

static void what_never_fits_and_jobs_evict_nothing(void **unused)
{
	(void)unused;
	pa_client_budget_evict(evict_piece);
	pieces = 5;
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_DELTAS, 5 * PAGE));
	assert_false(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, KEPT + 1));
	assert_false(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, SIZE_MAX / 2));
	assert_false(pa_client_budget_take(PA_CLIENT_BUDGET_JOBS, JOBS + 1));
	assert_int_equal(asked, 0);
}

static void forgetting_a_use_gives_back_all_of_it(void **unused)
{
	(void)unused;
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_DELTAS, KEPT / 2));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, KEPT / 2));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_JOBS, JOBS));
	pa_client_budget_forget(PA_CLIENT_BUDGET_WAITING);
	assert_int_equal(used(PA_CLIENT_BUDGET_WAITING), 0);
	assert_int_equal(used(PA_CLIENT_BUDGET_DELTAS), KEPT / 2);
	pa_client_budget_forget(PA_CLIENT_BUDGET_DELTAS);
	pa_client_budget_forget(PA_CLIENT_BUDGET_JOBS);
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_FLIGHT, KEPT));
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_JOBS, JOBS));
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(limit_is_sixteen_mebibytes),
		TEST(bytes_count_in_whole_pages_until_they_are_given_back),
		TEST(what_is_kept_has_one_limit_for_all_its_uses),
		TEST(jobs_have_their_own_share),
		TEST(no_more_is_evicted_than_is_needed),
		TEST(what_never_fits_and_jobs_evict_nothing),
		TEST(forgetting_a_use_gives_back_all_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
