/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/arch/arch.h"
#include "agent/base/arena.h"
#include "agent/serve/client_budget.h"
#include "agent/serve/delta_clients.h"
#include "test/lib/c/fake_kinds.h"

static struct {
	bool paused; /* a kind was not watched for a moment */
	int open;    /* snapshots that were not freed */
} fake;

static void note_pause(int left)
{
	fake.paused |= left == 0;
}

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	fake.open -= snapshot != NULL;
	free(snapshot);
}

static struct pa_snapshot *snapshot_of(size_t bytes)
{
	struct pa_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	snapshot->bytes = bytes;
	fake.open++;
	return snapshot;
}

static struct pa_snapshot *new_snapshot(void)
{
	return snapshot_of(PA_PAGE_BYTES);
}

static size_t bytes_kept(void)
{
	return pa_client_budget_stats().used[PA_CLIENT_BUDGET_DELTAS];
}

static struct pa_client client_of(const char *peer, const char *agent)
{
	struct pa_request request = { .peer = peer,
		.header_count = 2,
		.headers = { { "Host", "h" }, { "user-agent", agent } } };
	return pa_delta_clients_name(&request);
}

static struct pa_client numbered(int number)
{
	char agent[16];
	snprintf(agent, sizeof(agent), "agent/%d", number);
	return client_of("127.0.0.1", agent);
}

/* Asks at a second, and is given so large a snapshot; what it had before. */
static const struct pa_snapshot *ask_for(const struct pa_profile_ops *kind,
	const struct pa_client *client, int64_t second, size_t bytes)
{
	const struct pa_snapshot *last = pa_delta_clients_last(kind, client, second * PA_NS_PER_S);
	/* It is freed by keep: only whether there was one counts. */
	pa_delta_clients_keep(kind, client, snapshot_of(bytes));
	return last;
}

static const struct pa_snapshot *ask(const struct pa_profile_ops *kind,
	const struct pa_client *client, int64_t second)
{
	return ask_for(kind, client, second, PA_PAGE_BYTES);
}

static int fresh(void **unused)
{
	(void)unused;
	pa_delta_clients_reset();
	pa_client_budget_evict(pa_delta_clients_drop_oldest);
	memset(&fake, 0, sizeof(fake));
	fake_forget_watches();
	fake_kinds.on_end = note_pause;
	return 0;
}

static int nothing_is_left(void **unused)
{
	(void)unused;
	pa_delta_clients_reset();
	assert_int_equal(fake.open, 0);
	assert_int_equal(bytes_kept(), 0);
	return 0;
}

static void a_client_is_an_address_and_an_agent(void **unused)
{
	const struct pa_client clients[] = { client_of("10.0.0.1", "a"), client_of("10.0.0.1", "b"),
		client_of("10.0.0.2", "a"), client_of("10.0.0.1", "") };
	const struct pa_request without = { .peer = "10.0.0.1" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(clients); i++)
		assert_null(ask(&pa_heap_profile, &clients[i], 1));
	for (size_t i = 0; i < PA_COUNT(clients); i++)
		assert_non_null(ask(&pa_heap_profile, &clients[i], 2));
	const struct pa_client nameless = pa_delta_clients_name(&without);
	assert_non_null(ask(&pa_heap_profile, &nameless, 3));
	assert_int_equal(pa_delta_clients_stats().known, PA_COUNT(clients));
}

static void long_agents_are_cut(void **unused)
{
	char agent[2 * PA_DELTA_CLIENTS_NAME_BYTES];
	(void)unused;
	memset(agent, 'x', sizeof(agent) - 1);
	agent[sizeof(agent) - 1] = '\0';
	const struct pa_client first = client_of("127.0.0.1", agent);
	assert_int_equal(strlen(first.name), PA_DELTA_CLIENTS_NAME_BYTES - 1);
	agent[sizeof(agent) - 2] = 'y';
	const struct pa_client second = client_of("127.0.0.1", agent);
	assert_null(ask(&pa_heap_profile, &first, 1));
	assert_non_null(ask(&pa_heap_profile, &second, 2));
}

static void kinds_are_apart(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	assert_null(ask(&pa_heap_profile, &client, 1));
	assert_null(ask(&pa_block_profile, &client, 2));
	assert_null(ask(&pa_mutex_profile, &client, 3));
	assert_int_equal(pa_delta_clients_stats().known, 3);
	assert_int_equal(bytes_kept(), 3 * PA_PAGE_BYTES);
	assert_int_equal(fake_sampled(&pa_block_profile), 1);
	assert_int_equal(fake_sampled(&pa_mutex_profile), 1);
}

static void the_last_snapshot_is_kept_and_no_other(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	for (int i = 1; i <= 5; i++)
		ask(&pa_heap_profile, &client, i);
	struct pa_snapshot *given = new_snapshot();
	pa_delta_clients_last(&pa_heap_profile, &client, 8 * PA_NS_PER_S);
	pa_delta_clients_keep(&pa_heap_profile, &client, given);
	assert_ptr_equal(pa_delta_clients_last(&pa_heap_profile, &client, 9 * PA_NS_PER_S), given);
	pa_delta_clients_keep(&pa_heap_profile, &client, NULL);
	assert_ptr_equal(pa_delta_clients_last(&pa_heap_profile, &client, 10 * PA_NS_PER_S), given);
	assert_int_equal(fake.open, 1);
	assert_int_equal(bytes_kept(), PA_PAGE_BYTES);
	assert_int_equal(fake_sampled(&pa_heap_profile), 1);
}

static void the_ninth_replaces_the_client_that_was_silent_for_longest(void **unused)
{
	(void)unused;
	for (int i = 0; i < PA_DELTA_CLIENTS_MAX; i++) {
		const struct pa_client client = numbered(i);
		assert_null(ask(&pa_block_profile, &client, 1 + i));
	}
	const struct pa_client first = numbered(0), second = numbered(1), ninth = numbered(8);
	assert_non_null(ask(&pa_block_profile, &first, 100));
	assert_null(ask(&pa_block_profile, &ninth, 101));
	assert_int_equal(pa_delta_clients_stats().known, PA_DELTA_CLIENTS_MAX);
	assert_int_equal(fake.open, PA_DELTA_CLIENTS_MAX);
	assert_int_equal(fake_sampled(&pa_block_profile), PA_DELTA_CLIENTS_MAX);
	assert_non_null(ask(&pa_block_profile, &first, 102));
	assert_non_null(ask(&pa_block_profile, &ninth, 103));
	assert_null(ask(&pa_block_profile, &second, 104));
	assert_false(fake.paused);
}

#define MIN_S (PA_DELTA_CLIENTS_PERIOD_MIN_NS / PA_NS_PER_S)
#define FIRST_S (PA_DELTA_CLIENTS_PERIOD_FIRST_NS / PA_NS_PER_S)
#define MAX_S (PA_DELTA_CLIENTS_PERIOD_MAX_NS / PA_NS_PER_S)

/* Exactly at that second the client is forgotten, and its kind is watched no more. */
static void is_known_until(const struct pa_profile_ops *kind, int64_t second)
{
	assert_int_equal(pa_delta_clients_expire(second * PA_NS_PER_S - 1), 1);
	assert_int_equal(fake_sampled(kind), 1);
	assert_int_equal(fake.open, 1);
	assert_int_equal(pa_delta_clients_expire(second * PA_NS_PER_S), -1);
	assert_int_equal(fake_sampled(kind), 0);
	assert_int_equal(fake.open, 0);
	assert_int_equal(pa_delta_clients_stats().known, 0);
	assert_int_equal(bytes_kept(), 0);
}

static void a_client_that_asks_once_is_known_for_three_first_periods(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	assert_int_equal(pa_delta_clients_expire(0), -1);
	ask(&pa_mutex_profile, &client, 10);
	is_known_until(&pa_mutex_profile, 10 + 3 * FIRST_S);
}

static void a_client_is_known_for_three_of_its_periods(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	ask(&pa_block_profile, &client, 10);
	assert_non_null(ask(&pa_block_profile, &client, 30));
	is_known_until(&pa_block_profile, 30 + 3 * 20);
}

static void the_last_two_requests_make_the_period(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	ask(&pa_block_profile, &client, 10);
	ask(&pa_block_profile, &client, 100);
	ask(&pa_block_profile, &client, 140);
	is_known_until(&pa_block_profile, 140 + 3 * 40);
}

static void a_repeated_request_does_not_make_the_period_short(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	ask(&pa_block_profile, &client, 10);
	ask(&pa_block_profile, &client, 10);
	is_known_until(&pa_block_profile, 10 + 3 * MIN_S);
}

/* Not known any more when it comes back, but its period is, from then on. */
static void a_client_with_a_long_period_is_known_from_its_second_request_on(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	ask(&pa_block_profile, &client, 10);
	is_known_until(&pa_block_profile, 10 + 3 * FIRST_S);
	assert_null(ask(&pa_block_profile, &client, 10 + 4 * FIRST_S));
	assert_non_null(ask(&pa_block_profile, &client, 10 + 8 * FIRST_S));
	is_known_until(&pa_block_profile, 10 + 8 * FIRST_S + 3 * 4 * FIRST_S);
	assert_null(ask(&pa_block_profile, &client, 100000));
	is_known_until(&pa_block_profile, 100000 + 3 * MAX_S);
}

static void the_next_to_be_forgotten_is_told(void **unused)
{
	const struct pa_client early = numbered(1), late = numbered(2);
	(void)unused;
	ask(&pa_mutex_profile, &early, 10);
	ask(&pa_mutex_profile, &late, 20);
	assert_int_equal(pa_delta_clients_expire(30 * PA_NS_PER_S),
		(3 * FIRST_S - 20) * PA_NS_PER_S);
	assert_int_equal(pa_delta_clients_expire((10 + 3 * FIRST_S) * PA_NS_PER_S),
		10 * PA_NS_PER_S);
	assert_int_equal(fake_sampled(&pa_mutex_profile), 1);
}

/* ---- the budget ---- */

#define HALF_BYTES (PA_CLIENT_BUDGET_KEPT_BYTES / 2)

static void beyond_the_budget_the_oldest_snapshot_goes(void **unused)
{
	const struct pa_client clients[] = { numbered(0), numbered(1), numbered(2) };
	(void)unused;
	assert_null(ask_for(&pa_heap_profile, &clients[0], 1, HALF_BYTES));
	assert_null(ask_for(&pa_block_profile, &clients[1], 2, HALF_BYTES));
	assert_int_equal(bytes_kept(), 2 * HALF_BYTES);
	assert_null(ask(&pa_heap_profile, &clients[2], 3));
	assert_int_equal(bytes_kept(), HALF_BYTES + PA_PAGE_BYTES);
	assert_int_equal(pa_delta_clients_stats().dropped, 1);
	assert_int_equal(pa_delta_clients_stats().known, 3);
	assert_int_equal(fake.open, 2);
	assert_non_null(ask_for(&pa_block_profile, &clients[1], 4, HALF_BYTES));
	assert_null(ask_for(&pa_heap_profile, &clients[0], 5,
		HALF_BYTES)); /* all since the start */
	assert_int_equal(pa_delta_clients_stats().dropped, 2);
	assert_null(ask(&pa_heap_profile, &clients[2], 6));
	assert_int_equal(fake_sampled(&pa_block_profile), 1);
}

static void a_new_client_may_start_from_the_latest_snapshot_of_any(void **unused)
{
	const struct pa_client clients[] = { numbered(0), numbered(1), numbered(2) };
	(void)unused;
	assert_null(pa_delta_clients_latest(&pa_heap_profile));
	ask_for(&pa_heap_profile, &clients[0], 1, HALF_BYTES);
	ask(&pa_heap_profile, &clients[1], 2);
	assert_null(pa_delta_clients_latest(&pa_block_profile));
	assert_null(pa_delta_clients_last(&pa_heap_profile, &clients[2], 3 * PA_NS_PER_S));
	assert_int_equal(pa_delta_clients_latest(&pa_heap_profile)->bytes, PA_PAGE_BYTES);
	/* What is in use is not dropped, also when it is the last one. */
	assert_true(pa_delta_clients_drop_oldest());
	assert_false(pa_delta_clients_drop_oldest());
	pa_delta_clients_keep(&pa_heap_profile, &clients[2], new_snapshot());
	assert_true(pa_delta_clients_drop_oldest());
}

static void a_snapshot_that_never_fits_costs_no_client_its_own(void **unused)
{
	const struct pa_client small = numbered(0), huge = numbered(1);
	(void)unused;
	ask(&pa_heap_profile, &small, 1);
	assert_null(ask_for(&pa_heap_profile, &huge, 2, PA_CLIENT_BUDGET_KEPT_BYTES + 1));
	assert_null(ask_for(&pa_heap_profile, &huge, 3, PA_CLIENT_BUDGET_KEPT_BYTES + 1));
	assert_int_equal(pa_delta_clients_stats().dropped, 2);
	assert_int_equal(bytes_kept(), PA_PAGE_BYTES);
	assert_non_null(ask(&pa_heap_profile, &small, 4));
}

static void a_client_that_is_being_answered_is_not_dropped(void **unused)
{
	const struct pa_client client = numbered(0);
	struct pa_snapshot *given = new_snapshot();
	(void)unused;
	assert_false(pa_delta_clients_drop_oldest());
	pa_delta_clients_last(&pa_heap_profile, &client, PA_NS_PER_S);
	pa_delta_clients_keep(&pa_heap_profile, &client, given);
	assert_ptr_equal(pa_delta_clients_last(&pa_heap_profile, &client, 2 * PA_NS_PER_S), given);
	assert_false(pa_delta_clients_drop_oldest());
	pa_delta_clients_keep(&pa_heap_profile, &client, NULL);
	assert_true(pa_delta_clients_drop_oldest());
	assert_int_equal(fake.open, 0);
}

static void other_uses_of_the_budget_drop_clients_too(void **unused)
{
	const struct pa_client client = numbered(0);
	(void)unused;
	ask(&pa_heap_profile, &client, 1);
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_WAITING, PA_CLIENT_BUDGET_KEPT_BYTES));
	assert_int_equal(bytes_kept(), 0);
	assert_null(ask(&pa_heap_profile, &client, 2));
	assert_null(ask(&pa_heap_profile, &client, 3));
	pa_client_budget_give(PA_CLIENT_BUDGET_WAITING, PA_CLIENT_BUDGET_KEPT_BYTES);
	ask(&pa_heap_profile, &client, 4);
	assert_non_null(ask(&pa_heap_profile, &client, 5));
}

static void a_snapshot_of_an_unknown_client_is_freed(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	pa_delta_clients_keep(&pa_heap_profile, &client, new_snapshot());
	assert_int_equal(fake.open, 0);
	assert_int_equal(pa_delta_clients_stats().known, 0);
}

static void a_forked_child_knows_no_client(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	ask(&pa_block_profile, &client, 1);
	pa_delta_clients_reset();
	assert_int_equal(fake.open, 0);
	assert_int_equal(fake_sampled(&pa_block_profile), 1); /* watches are reset elsewhere */
	assert_int_equal(pa_delta_clients_expire(0), -1);
	assert_null(ask(&pa_block_profile, &client, 2));
	assert_int_equal(pa_delta_clients_stats().known, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, nothing_is_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_is_an_address_and_an_agent),
		TEST(long_agents_are_cut),
		TEST(kinds_are_apart),
		TEST(the_last_snapshot_is_kept_and_no_other),
		TEST(the_ninth_replaces_the_client_that_was_silent_for_longest),
		TEST(a_client_that_asks_once_is_known_for_three_first_periods),
		TEST(a_client_is_known_for_three_of_its_periods),
		TEST(the_last_two_requests_make_the_period),
		TEST(a_repeated_request_does_not_make_the_period_short),
		TEST(a_client_with_a_long_period_is_known_from_its_second_request_on),
		TEST(the_next_to_be_forgotten_is_told),
		TEST(beyond_the_budget_the_oldest_snapshot_goes),
		TEST(a_new_client_may_start_from_the_latest_snapshot_of_any),
		TEST(a_snapshot_that_never_fits_costs_no_client_its_own),
		TEST(a_client_that_is_being_answered_is_not_dropped),
		TEST(other_uses_of_the_budget_drop_clients_too),
		TEST(a_snapshot_of_an_unknown_client_is_freed),
		TEST(a_forked_child_knows_no_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
