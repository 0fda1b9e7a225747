/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/base/lock.h"
#include "agent/profile/snapshot_build.h"
#include "agent/core/core.h"
#include "agent/profile/mailbox.h"
#include "agent/profile/requests.h"
#include "agent/profile/tables_lock.h"

/*
 * One thread plays both parts: when the asker begins to wait, while_waiting runs as the collector.
 * The clock is the test's.
 */
static int64_t now_ns;
static void (*while_waiting)(void);
static void (*while_copying)(void);
static struct pa_bridge bridge;
static struct pa_counters counters;
static PA_ATOMIC(int) snapshots; /* that are not freed */
static int begins, ends, locks;
static int64_t copied_end_ns, begun_period_ns;
static bool no_memory;

int64_t pa_clock_mono_ns(void)
{
	return now_ns;
}

void pa_futex_wait(PA_ATOMIC(uint32_t) *word, uint32_t expected, int64_t timeout_ns)
{
	(void)timeout_ns;
	if (pa_load_relaxed(word) == expected && while_waiting)
		while_waiting();
}

void pa_futex_wake(PA_ATOMIC(uint32_t) *word, int how_many)
{
	(void)word;
	(void)how_many;
}

void pa_tables_lock(void)
{
	locks++;
}

void pa_tables_unlock(void)
{
	locks--;
}

struct pa_snapshot *pa_snapshot_build_new(const struct pa_profile_ops *kind)
{
	struct pa_snapshot *snapshot = no_memory ? NULL : calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return NULL;
	pa_add_acq_rel(&snapshots, 1);
	snapshot->kind = kind;
	return snapshot;
}

void pa_snapshot_build_fill(struct pa_snapshot *snapshot, int64_t end_ns)
{
	(void)snapshot;
	copied_end_ns = end_ns;
	if (while_copying)
		while_copying();
}

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	if (snapshot)
		pa_add_acq_rel(&snapshots, -1);
	free(snapshot);
}

static int begin(const struct pa_profile_ops *kind, union pa_profile_ops_argument argument)
{
	assert_int_equal(locks, 1);
	assert_string_equal(kind->name, "between");
	begun_period_ns = argument.period_ns;
	begins++;
	return no_memory ? -ENOMEM : 0;
}

static void end(const struct pa_profile_ops *kind)
{
	assert_int_equal(locks, 1);
	assert_string_equal(kind->name, "between");
	ends++;
}

static const struct pa_profile_ops always = { .name = "always" };
static const struct pa_profile_ops between = { .name = "between", .begin = begin, .end = end };

static int fresh(void **unused)
{
	(void)unused;
	if (!bridge.ring)
		bridge.ring = pa_ring_create(64 * 1024);
	bridge.counters = &counters;
	pa_core_bridge = &bridge;
	pa_mailbox_atfork_child();
	now_ns = PA_NS_PER_S;
	while_waiting = while_copying = NULL;
	no_memory = false;
	begins = ends = locks = 0;
	return 0;
}

static int nothing_is_left(void **unused)
{
	(void)unused;
	return pa_load_acquire(&snapshots) || locks;
}

static void answer(void)
{
	assert_false(pa_mailbox_answer(pa_requests_perform));
}

static void let_time_pass(void)
{
	now_ns += PA_MAILBOX_TIMEOUT_NS;
}

static struct pa_snapshot *ask(const struct pa_profile_ops *kind, int expected)
{
	const struct pa_mailbox_request request = { PA_MAILBOX_COPY, kind, { 0 } };
	struct pa_snapshot *snapshot = NULL;
	assert_int_equal(pa_mailbox_ask(&request, &snapshot), expected);
	return snapshot;
}

static void an_answered_request_gives_its_snapshot(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	while_waiting = answer;
	snapshot = ask(&always, 0);
	assert_non_null(snapshot);
	assert_ptr_equal(snapshot->kind, &always);
	pa_snapshot_free(snapshot);
}

static void kinds_begin_and_end_under_the_lock(void **unused)
{
	const struct pa_mailbox_request first = { PA_MAILBOX_BEGIN, &between,
		{ .period_ns = 5000 } };
	const struct pa_mailbox_request last = { PA_MAILBOX_END, &between, { 0 } };
	(void)unused;
	while_waiting = answer;
	assert_int_equal(pa_mailbox_ask(&first, NULL), 0);
	assert_int_equal(begins, 1);
	assert_int_equal(begun_period_ns, 5000);
	assert_int_equal(pa_mailbox_ask(&last, NULL), 0);
	assert_int_equal(ends, 1);
	assert_int_equal(begins, 1);
	no_memory = true;
	assert_int_equal(pa_mailbox_ask(&first, NULL), -ENOMEM);
}

static void a_kind_ends_with_its_last_snapshot(void **unused)
{
	const struct pa_mailbox_request last = { PA_MAILBOX_COPY_AND_END, &between,
		{ .end_ns = 777 } };
	struct pa_snapshot *snapshot = NULL;
	(void)unused;
	while_waiting = answer;
	assert_int_equal(pa_mailbox_ask(&last, &snapshot), 0);
	assert_int_equal(copied_end_ns, 777);
	assert_int_equal(ends, 1);
	assert_ptr_equal(snapshot->kind, &between);
	pa_snapshot_free(snapshot);
	no_memory = true;
	assert_int_equal(pa_mailbox_ask(&last, &snapshot), -ENOMEM);
	assert_int_equal(ends, 2);
}

static void a_request_without_an_answer_ends_in_time(void **unused)
{
	(void)unused;
	while_waiting = let_time_pass;
	assert_null(ask(&always, -ETIMEDOUT));
	/* The collector does not do it any more when it comes back. */
	assert_false(pa_mailbox_answer(pa_requests_perform));
	assert_int_equal(pa_load_acquire(&snapshots), 0);
}

static void wait_for_reading(void)
{
	size_t bytes;
	assert_true(pa_mailbox_answer(pa_requests_perform));
	assert_int_equal(pa_load_acquire(&snapshots), 0);
	assert_non_null(pa_ring_read(bridge.ring, &bytes));
	pa_ring_release(bridge.ring);
	answer();
}

static void what_was_recorded_before_is_read_first(void **unused)
{
	void *record = pa_ring_reserve(bridge.ring, 64);
	(void)unused;
	pa_ring_publish(bridge.ring, record, 64, 64);
	while_waiting = wait_for_reading;
	pa_snapshot_free(ask(&always, 0));
}

static sem_t copying, abandoned;

static void stop_in_the_midst(void)
{
	sem_post(&copying);
	sem_wait(&abandoned);
}

static void *run_answer(void *unused)
{
	pa_mailbox_answer(pa_requests_perform);
	return unused;
}

static void give_up_in_the_midst(void)
{
	static pthread_t thread;
	pthread_create(&thread, NULL, run_answer, NULL);
	pthread_detach(thread);
	sem_wait(&copying);
	let_time_pass();
}

static void a_request_given_up_while_it_is_answered_leaves_nothing(void **unused)
{
	(void)unused;
	sem_init(&copying, 0, 0);
	sem_init(&abandoned, 0, 0);
	while_copying = stop_in_the_midst;
	while_waiting = give_up_in_the_midst;
	assert_null(ask(&always, -ETIMEDOUT));
	assert_int_equal(pa_load_acquire(&snapshots), 1);
	sem_post(&abandoned);
	while (pa_load_acquire(&snapshots))
		sched_yield();
}

static int asked;

static void ask_again(void)
{
	if (++asked < 16)
		ask(&always, -ETIMEDOUT);
	else
		ask(&always, -EBUSY);
	let_time_pass();
}

static void too_many_requests_are_refused(void **unused)
{
	(void)unused;
	asked = 0;
	while_waiting = ask_again;
	ask(&always, -ETIMEDOUT);
	assert_int_equal(asked, 16);
	/* They are given up, and their slots are free again once the collector has looked. */
	while_waiting = answer;
	ask(&always, -EBUSY);
	answer();
	pa_snapshot_free(ask(&always, 0));
}

static void answer_and_fork(void)
{
	answer();
	assert_int_equal(pa_load_acquire(&snapshots), 1);
	pa_mailbox_atfork_child();
}

static void a_forked_child_frees_results_without_a_client(void **unused)
{
	(void)unused;
	while_waiting = answer_and_fork;
	assert_null(ask(&always, 0));
	assert_int_equal(pa_load_acquire(&snapshots), 0);
}

static void out_of_memory_is_told(void **unused)
{
	(void)unused;
	while_waiting = answer;
	no_memory = true;
	assert_null(ask(&always, -ENOMEM));
	no_memory = false;
	pa_snapshot_free(ask(&always, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, nothing_is_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answered_request_gives_its_snapshot),
		TEST(kinds_begin_and_end_under_the_lock),
		TEST(a_kind_ends_with_its_last_snapshot),
		TEST(a_request_without_an_answer_ends_in_time),
		TEST(what_was_recorded_before_is_read_first),
		TEST(a_request_given_up_while_it_is_answered_leaves_nothing),
		TEST(too_many_requests_are_refused),
		TEST(a_forked_child_frees_results_without_a_client),
		TEST(out_of_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
