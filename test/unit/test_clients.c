#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/serve/clients.h"

static struct {
	int watching[PA_KIND_COUNT];
	bool paused; /* a kind was watched by nobody for a moment */
	int open;    /* snapshots that were not freed */
} fake;

void pa_snapshot_watch(enum pa_kind_id kind)
{
	fake.watching[kind]++;
}

void pa_snapshot_unwatch(enum pa_kind_id kind)
{
	fake.paused |= --fake.watching[kind] == 0;
}

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	fake.open -= snapshot != NULL;
	free(snapshot);
}

static struct pa_snapshot *new_snapshot(void)
{
	struct pa_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	snapshot->bytes = 1000;
	fake.open++;
	return snapshot;
}

static struct pa_client client_of(const char *peer, const char *agent)
{
	struct pa_request request = { .peer = peer, .header_count = 2,
		.headers = { { "Host", "h" }, { "user-agent", agent } } };
	return pa_clients_name(&request);
}

static struct pa_client numbered(int number)
{
	char agent[16];
	snprintf(agent, sizeof(agent), "agent/%d", number);
	return client_of("127.0.0.1", agent);
}

/* Asks at a second, and is given a snapshot; what it had before. */
static const struct pa_snapshot *ask(enum pa_kind_id kind, const struct pa_client *client,
	int64_t second)
{
	const struct pa_snapshot *last = pa_clients_last(kind, client, second * PA_NS_PER_S);
	/* It is freed by keep: only whether there was one counts. */
	pa_clients_keep(kind, client, new_snapshot());
	return last;
}

static int fresh(void **unused)
{
	(void)unused;
	pa_clients_reset();
	memset(&fake, 0, sizeof(fake));
	return 0;
}

static int nothing_is_left(void **unused)
{
	(void)unused;
	pa_clients_reset();
	assert_int_equal(fake.open, 0);
	return 0;
}

static void a_client_is_an_address_and_an_agent(void **unused)
{
	const struct pa_client clients[] = { client_of("10.0.0.1", "a"), client_of("10.0.0.1", "b"),
		client_of("10.0.0.2", "a"), client_of("10.0.0.1", "") };
	const struct pa_request without = { .peer = "10.0.0.1" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(clients); i++)
		assert_null(ask(PA_KIND_HEAP, &clients[i], 1));
	for (size_t i = 0; i < PA_COUNT(clients); i++)
		assert_non_null(ask(PA_KIND_HEAP, &clients[i], 2));
	const struct pa_client nameless = pa_clients_name(&without);
	assert_non_null(ask(PA_KIND_HEAP, &nameless, 3));
	assert_int_equal(pa_clients_stats().known, PA_COUNT(clients));
}

static void long_agents_are_cut(void **unused)
{
	char agent[2 * PA_CLIENTS_NAME_BYTES];
	(void)unused;
	memset(agent, 'x', sizeof(agent) - 1);
	agent[sizeof(agent) - 1] = '\0';
	const struct pa_client first = client_of("127.0.0.1", agent);
	assert_int_equal(strlen(first.name), PA_CLIENTS_NAME_BYTES - 1);
	agent[sizeof(agent) - 2] = 'y';
	const struct pa_client second = client_of("127.0.0.1", agent);
	assert_null(ask(PA_KIND_HEAP, &first, 1));
	assert_non_null(ask(PA_KIND_HEAP, &second, 2));
}

static void kinds_are_apart(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	assert_null(ask(PA_KIND_HEAP, &client, 1));
	assert_null(ask(PA_KIND_BLOCK, &client, 2));
	assert_null(ask(PA_KIND_MUTEX, &client, 3));
	assert_int_equal(pa_clients_stats().known, 3);
	assert_int_equal(pa_clients_stats().bytes, 3000);
	assert_int_equal(fake.watching[PA_KIND_BLOCK], 1);
	assert_int_equal(fake.watching[PA_KIND_MUTEX], 1);
}

static void the_last_snapshot_is_kept_and_no_other(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	for (int i = 0; i < 5; i++)
		ask(PA_KIND_HEAP, &client, i);
	struct pa_snapshot *given = new_snapshot();
	pa_clients_keep(PA_KIND_HEAP, &client, given);
	assert_ptr_equal(pa_clients_last(PA_KIND_HEAP, &client, 9), given);
	assert_int_equal(fake.open, 1);
	assert_int_equal(pa_clients_stats().bytes, 1000);
	assert_int_equal(fake.watching[PA_KIND_HEAP], 1);
}

static void the_ninth_takes_the_place_of_who_was_silent_for_longest(void **unused)
{
	(void)unused;
	for (int i = 0; i < PA_CLIENTS_MAX; i++) {
		const struct pa_client client = numbered(i);
		assert_null(ask(PA_KIND_BLOCK, &client, i));
	}
	const struct pa_client first = numbered(0), second = numbered(1), ninth = numbered(8);
	assert_non_null(ask(PA_KIND_BLOCK, &first, 100));
	assert_null(ask(PA_KIND_BLOCK, &ninth, 101));
	assert_int_equal(pa_clients_stats().known, PA_CLIENTS_MAX);
	assert_int_equal(fake.open, PA_CLIENTS_MAX);
	assert_int_equal(fake.watching[PA_KIND_BLOCK], PA_CLIENTS_MAX);
	assert_non_null(ask(PA_KIND_BLOCK, &first, 102));
	assert_non_null(ask(PA_KIND_BLOCK, &ninth, 103));
	assert_null(ask(PA_KIND_BLOCK, &second, 104));
	assert_false(fake.paused);
}

static void who_is_silent_for_long_is_forgotten(void **unused)
{
	const struct pa_client early = numbered(1), late = numbered(2);
	(void)unused;
	assert_int_equal(pa_clients_expire(0), -1);
	ask(PA_KIND_MUTEX, &early, 10);
	ask(PA_KIND_MUTEX, &late, 20);
	assert_int_equal(pa_clients_expire(30 * PA_NS_PER_S),
		PA_CLIENTS_SILENCE_NS - 20 * PA_NS_PER_S);
	int64_t end_ns = PA_CLIENTS_SILENCE_NS + 10 * PA_NS_PER_S;
	assert_int_equal(pa_clients_expire(end_ns - 1), 1);
	assert_int_equal(fake.watching[PA_KIND_MUTEX], 2);
	assert_int_equal(pa_clients_expire(end_ns), 10 * PA_NS_PER_S);
	assert_int_equal(fake.watching[PA_KIND_MUTEX], 1);
	assert_int_equal(fake.open, 1);
	assert_int_equal(pa_clients_expire(end_ns + 10 * PA_NS_PER_S), -1);
	assert_int_equal(fake.watching[PA_KIND_MUTEX], 0);
	assert_int_equal(fake.open, 0);
	assert_int_equal(pa_clients_stats().known, 0);
	assert_int_equal(pa_clients_stats().bytes, 0);
	assert_null(ask(PA_KIND_MUTEX, &early, 2000));
}

static void a_snapshot_for_nobody_is_freed(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	pa_clients_keep(PA_KIND_HEAP, &client, new_snapshot());
	assert_int_equal(fake.open, 0);
	assert_int_equal(pa_clients_stats().known, 0);
}

static void a_forked_child_knows_nobody(void **unused)
{
	const struct pa_client client = numbered(1);
	(void)unused;
	ask(PA_KIND_BLOCK, &client, 1);
	pa_clients_reset();
	assert_int_equal(fake.open, 0);
	assert_int_equal(fake.watching[PA_KIND_BLOCK], 1); /* who watched is reset elsewhere */
	assert_int_equal(pa_clients_expire(0), -1);
	assert_null(ask(PA_KIND_BLOCK, &client, 2));
	assert_int_equal(pa_clients_stats().known, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, nothing_is_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_is_an_address_and_an_agent),
		TEST(long_agents_are_cut),
		TEST(kinds_are_apart),
		TEST(the_last_snapshot_is_kept_and_no_other),
		TEST(the_ninth_takes_the_place_of_who_was_silent_for_longest),
		TEST(who_is_silent_for_long_is_forgotten),
		TEST(a_snapshot_for_nobody_is_freed),
		TEST(a_forked_child_knows_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
