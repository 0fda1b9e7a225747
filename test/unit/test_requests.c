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
#include "agent/profile/copy.h"
#include "agent/profile/core.h"
#include "agent/profile/cpu.h"
#include "agent/profile/drain.h"
#include "agent/profile/requests.h"
#include "agent/profile/threads.h"

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
static int cpu_begins, cpu_ends, locks;
static int64_t copied_end_ns, begun_period_ns;
static uint64_t begun_lost;
static const struct pa_roll *begun_roll;
static const struct pa_about *begun_details;
static int roll_begins, roll_ends;
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

void pa_drain_lock(void)
{
	locks++;
}

void pa_drain_unlock(void)
{
	locks--;
}

struct pa_snapshot *pa_copy_new(const struct pa_kind *kind)
{
	struct pa_snapshot *snapshot = no_memory ? NULL : calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return NULL;
	pa_add_acq_rel(&snapshots, 1);
	snapshot->kind = kind;
	return snapshot;
}

void pa_copy_fill(struct pa_snapshot *snapshot, int64_t end_ns)
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

void pa_cpu_begin(int64_t period_ns, uint64_t lost_ticks)
{
	assert_int_equal(locks, 1);
	begun_period_ns = period_ns;
	begun_lost = lost_ticks;
	cpu_begins++;
}

void pa_cpu_end(void)
{
	assert_int_equal(locks, 1);
	cpu_ends++;
}

int pa_threads_roll_begin(const struct pa_roll *roll, const struct pa_about *details)
{
	assert_int_equal(locks, 1);
	begun_roll = roll;
	begun_details = details;
	roll_begins++;
	return no_memory ? -ENOMEM : 0;
}

void pa_threads_roll_end(void)
{
	assert_int_equal(locks, 1);
	roll_ends++;
}

static int fresh(void **unused)
{
	(void)unused;
	if (!bridge.ring)
		bridge.ring = pa_ring_create(64 * 1024);
	bridge.counters = &counters;
	pa_core_bridge = &bridge;
	pa_requests_atfork_child();
	now_ns = PA_NS_PER_S;
	while_waiting = while_copying = NULL;
	no_memory = false;
	cpu_begins = cpu_ends = roll_begins = roll_ends = locks = 0;
	return 0;
}

static int nothing_is_left(void **unused)
{
	(void)unused;
	return pa_load_acquire(&snapshots) || locks;
}

static void answer(void)
{
	assert_false(pa_requests_answer());
}

static void let_time_pass(void)
{
	now_ns += PA_REQUESTS_TIMEOUT_NS;
}

static struct pa_snapshot *ask(enum pa_kind_id kind, int expected)
{
	struct pa_snapshot *snapshot = NULL;
	assert_int_equal(pa_requests_ask(PA_REQUEST_COPY, kind, 0, &snapshot), expected);
	return snapshot;
}

static void an_answered_request_gives_its_snapshot(void **unused)
{
	struct pa_snapshot *snapshot;
	(void)unused;
	while_waiting = answer;
	snapshot = ask(PA_KIND_HEAP, 0);
	assert_non_null(snapshot);
	assert_ptr_equal(snapshot->kind, &pa_kinds[PA_KIND_HEAP]);
	pa_snapshot_free(snapshot);
}

static void cpu_profiles_begin_and_end_under_the_lock(void **unused)
{
	struct pa_snapshot *snapshot = NULL;
	(void)unused;
	while_waiting = answer;
	pa_store_relaxed(&counters.lost_cpu_ring, 3);
	pa_store_relaxed(&counters.lost_cpu_thread, 4);
	assert_int_equal(pa_requests_ask(PA_REQUEST_CPU_BEGIN, PA_KIND_CPU, 5000, NULL), 0);
	assert_int_equal(cpu_begins, 1);
	assert_int_equal(begun_period_ns, 5000);
	assert_int_equal(begun_lost, 7);
	assert_int_equal(pa_requests_ask(PA_REQUEST_CPU_END, PA_KIND_CPU, 777, &snapshot), 0);
	assert_int_equal(copied_end_ns, 777);
	assert_int_equal(cpu_ends, 1);
	pa_snapshot_free(snapshot);
}

static void rollcalls_begin_and_end_under_the_lock(void **unused)
{
	struct pa_about details[1];
	struct pa_requests_roll told = { .roll = { .generation = 5 }, .details = details };
	int64_t argument = (int64_t)(uintptr_t)&told;
	(void)unused;
	while_waiting = answer;
	assert_int_equal(
		pa_requests_ask(PA_REQUEST_ROLL_BEGIN, PA_KIND_GOROUTINE, argument, NULL), 0);
	assert_int_equal(roll_begins, 1);
	assert_ptr_equal(begun_roll, &told.roll);
	assert_ptr_equal(begun_details, details);
	assert_int_equal(pa_requests_ask(PA_REQUEST_ROLL_END, PA_KIND_GOROUTINE, 0, NULL), 0);
	assert_int_equal(roll_ends, 1);
	assert_int_equal(roll_begins, 1);
	no_memory = true;
	assert_int_equal(pa_requests_ask(PA_REQUEST_ROLL_BEGIN, PA_KIND_GOROUTINE, argument, NULL),
		-ENOMEM);
}

static void a_request_without_an_answer_ends_in_time(void **unused)
{
	(void)unused;
	while_waiting = let_time_pass;
	assert_null(ask(PA_KIND_HEAP, -ETIMEDOUT));
	/* The collector does not do it any more when it comes back. */
	assert_false(pa_requests_answer());
	assert_int_equal(pa_load_acquire(&snapshots), 0);
}

static void wait_for_reading(void)
{
	size_t bytes;
	assert_true(pa_requests_answer());
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
	pa_snapshot_free(ask(PA_KIND_HEAP, 0));
}

static sem_t copying, abandoned;

static void stop_in_the_midst(void)
{
	sem_post(&copying);
	sem_wait(&abandoned);
}

static void *run_answer(void *unused)
{
	pa_requests_answer();
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
	assert_null(ask(PA_KIND_HEAP, -ETIMEDOUT));
	assert_int_equal(pa_load_acquire(&snapshots), 1);
	sem_post(&abandoned);
	while (pa_load_acquire(&snapshots))
		sched_yield();
}

static int asked;

static void ask_again(void)
{
	if (++asked < 16)
		ask(PA_KIND_HEAP, -ETIMEDOUT);
	else
		ask(PA_KIND_HEAP, -EBUSY);
	let_time_pass();
}

static void too_many_requests_are_refused(void **unused)
{
	(void)unused;
	asked = 0;
	while_waiting = ask_again;
	ask(PA_KIND_HEAP, -ETIMEDOUT);
	assert_int_equal(asked, 16);
	/* They are given up, and their slots are free again once the collector has looked. */
	while_waiting = answer;
	ask(PA_KIND_HEAP, -EBUSY);
	answer();
	pa_snapshot_free(ask(PA_KIND_HEAP, 0));
}

static void answer_and_fork(void)
{
	answer();
	assert_int_equal(pa_load_acquire(&snapshots), 1);
	pa_requests_atfork_child();
}

static void a_forked_child_frees_what_nobody_will_fetch(void **unused)
{
	(void)unused;
	while_waiting = answer_and_fork;
	assert_null(ask(PA_KIND_HEAP, 0));
	assert_int_equal(pa_load_acquire(&snapshots), 0);
}

static void out_of_memory_is_told(void **unused)
{
	(void)unused;
	while_waiting = answer;
	no_memory = true;
	assert_null(ask(PA_KIND_HEAP, -ENOMEM));
	no_memory = false;
	pa_snapshot_free(ask(PA_KIND_HEAP, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, nothing_is_left)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answered_request_gives_its_snapshot),
		TEST(cpu_profiles_begin_and_end_under_the_lock),
		TEST(rollcalls_begin_and_end_under_the_lock),
		TEST(a_request_without_an_answer_ends_in_time),
		TEST(what_was_recorded_before_is_read_first),
		TEST(a_request_given_up_while_it_is_answered_leaves_nothing),
		TEST(too_many_requests_are_refused),
		TEST(a_forked_child_frees_what_nobody_will_fetch),
		TEST(out_of_memory_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
