/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for futexes, as hook_futex.c tells of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <time.h>

#include "agent/record/lock_waits.h"
#include "test/lib/c/lock_waits_fixture.h"

static int count_events(void)
{
	static struct fixture_event event;
	int count = 0;
	while (fixture_next(&event))
		count++;
	return count;
}

static bool begin_futex(struct pa_thread *thread, enum pa_wait_kind kind, const void *word)
{
	return pa_lock_waits_begin_futex(thread, kind, word, caller_frame(), caller_cursor());
}

/* The next event, of that kind and for that word. */
static const struct pa_event *next_event(enum pa_event_kind kind, const void *word)
{
	static struct fixture_event event;
	assert_true(fixture_next(&event));
	assert_int_equal(event.head.kind, kind);
	assert_ptr_equal((void *)event.head.object, word);
	return &event.head;
}

static void wait_for_a_futex_says_who_waits_before_it_can_be_seen(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	static uint32_t word;
	errno = 77;
	assert_true(begin_futex(&waiter, PA_WAIT_FUTEX, &word));
	assert_int_equal(next_event(PA_EVENT_WAITER, &word)->tid, 7);
	assert_true(pa_lock_waits_is_waited(pa_lock_waits_futex(&word)));
	pass_ns(2 * PA_NS_PER_MS);
	uint64_t taken_ns = pa_lock_waits_take(pa_lock_waits_futex(&word));
	assert_true(taken_ns >= 2 * PA_NS_PER_MS);
	pa_lock_waits_charge_futex(&pa_thread_self, &word, taken_ns, caller_cursor());
	assert_int_equal(errno, 77);
	assert_int_equal(next_event(PA_EVENT_WAKE, &word)->value[0], taken_ns);
	end_wait(&waiter, PA_WAIT_GOT);
	assert_true(next_event(PA_EVENT_BLOCK, &word)->value[0] >= 2 * PA_NS_PER_MS);
	assert_false(pa_lock_waits_is_waited(pa_lock_waits_futex(&word)));
}

static void wait_for_a_lock_of_the_kernels_needs_no_names(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	static uint32_t word;
	assert_true(begin_futex(&waiter, PA_WAIT_FUTEX_PI, &word));
	assert_int_equal(count_events(), 0);
	assert_true(pa_lock_waits_take(pa_lock_waits_futex(&word)) > 0);
	end_wait(&waiter, PA_WAIT_GOT);
}

static void futexes_are_not_counted_for_a_block_profile_alone(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	static uint32_t word;
	pa_lock_waits_rates(1, 0);
	assert_true(begin_futex(&waiter, PA_WAIT_FUTEX, &word));
	assert_false(pa_lock_waits_is_waited(pa_lock_waits_futex(&word)));
	end_wait(&waiter, PA_WAIT_GOT);
	next_event(PA_EVENT_BLOCK, &word);
}

/* The next wait on it may be for another lock. */
static void who_gave_up_a_futex_is_charged_to_nobody(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	static uint32_t word;
	begin_futex(&waiter, PA_WAIT_FUTEX, &word);
	pass_ns(PA_NS_PER_MS);
	end_wait(&waiter, PA_WAIT_GAVE_UP);
	next_event(PA_EVENT_WAITER, &word);
	next_event(PA_EVENT_BLOCK, &word);
	assert_int_equal(pa_lock_waits_take(pa_lock_waits_futex(&word)), 0);
}

/* A libc that makes its calls by syscall(): inside its own hook the same word is waited for. */
static void lock_and_its_futex_word_are_counted_apart(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	static uint32_t word;
	assert_true(pa_lock_waits_begin(&waiter, PA_WAIT_MUTEX, &word, caller_frame()));
	assert_false(pa_lock_waits_begin_futex(&waiter, PA_WAIT_FUTEX, &word, caller_frame() - 512,
		caller_cursor()));
	assert_int_equal(pa_lock_waits_take(pa_lock_waits_futex(&word)), 0);
	assert_true(pa_lock_waits_take(&word) > 0);
	end_wait(&waiter, PA_WAIT_GOT);
	assert_int_equal(count_events(), 1);
}

static void time_that_is_given_back_is_charged_later(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	static uint32_t word;
	const void *lock = pa_lock_waits_futex(&word);
	begin_futex(&waiter, PA_WAIT_FUTEX, &word);
	pass_ns(PA_NS_PER_MS);
	uint64_t first_ns = pa_lock_waits_take(lock);
	pa_lock_waits_give_back(lock, first_ns);
	uint64_t second_ns = pa_lock_waits_take(lock);
	assert_true(second_ns > first_ns);
	assert_true(pa_lock_waits_take(lock) < second_ns - first_ns + PA_NS_PER_MS);
	end_wait(&waiter, PA_WAIT_GOT);
	/* No waiter is left to get it. */
	pa_lock_waits_give_back(lock, second_ns);
	assert_int_equal(pa_lock_waits_take(lock), 0);
	assert_false(pa_lock_waits_is_waited(lock));
}

static void full_ring_counts_waiters_and_wakes(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 7 };
	fixture_boot(64 << 10, 1);
	pa_lock_waits_rates(1, 1);
	uint64_t wakes = 0;
	for (; !fixture_count(&pa_record.counters.lost_wake_ring); wakes++)
		pa_lock_waits_charge_futex(&pa_thread_self, &unused, 7, caller_cursor());
	assert_int_equal(fixture_count(&pa_record.counters.wake_events), wakes - 1);
	/* Most wakes are of conditions. */
	assert_int_equal(fixture_count(&pa_record.counters.ns_of_lost_mutexes), 0);
	assert_true(begin_futex(&waiter, PA_WAIT_FUTEX, &unused));
	assert_int_equal(fixture_count(&pa_record.counters.lost_waiters), 1);
	assert_false(pa_lock_waits_is_waited(pa_lock_waits_futex(&unused)));
	end_wait(&waiter, PA_WAIT_GOT);
}

#define TEST(name) cmocka_unit_test_setup(name, boot_lock_waits)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wait_for_a_futex_says_who_waits_before_it_can_be_seen),
		TEST(wait_for_a_lock_of_the_kernels_needs_no_names),
		TEST(futexes_are_not_counted_for_a_block_profile_alone),
		TEST(who_gave_up_a_futex_is_charged_to_nobody),
		TEST(lock_and_its_futex_word_are_counted_apart),
		TEST(time_that_is_given_back_is_charged_later),
		TEST(full_ring_counts_waiters_and_wakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
