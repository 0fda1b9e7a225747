/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that must end ends at its next wait, and not while it holds a lock. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/lock.h"
#include "agent/base/thread_slot.h"

static struct pa_thread_slot_table table;
static __thread struct pa_thread_slot *own;
static struct pa_lock lock = PA_LOCK_INIT(PA_LOCK_COLLECT);
static PA_ATOMIC(uint32_t) word, steps;

static struct pa_thread_slot *find(void)
{
	return own;
}

static int set_up(void **unused)
{
	(void)unused;
	memset(&table, 0, sizeof(table));
	pa_store_relaxed(&table.wake_fd, -1);
	pa_thread_slot_boot(&table, find);
	pa_store_relaxed(&steps, 0);
	return 0;
}

__attribute__((noinline)) static void sit_and(void (*work)(void))
{
	own = pa_thread_slot_take(&table, pa_load_acquire(&table.generation),
		pa_load_acquire(&table.order), (int32_t)gettid());
	if (own && __builtin_setjmp(own->way_out) == 0)
		work();
	pa_store_release(&own->left, 1);
	own = NULL;
}

static void sleep_for_ever(void)
{
	for (;;)
		pa_futex_wait(&word, 0, -1);
}

static void *run_sleeper(void *unused)
{
	sit_and(sleep_for_ever);
	return unused;
}

/* Until it sleeps, and then until it was woken and left. */
static void end_threads(pthread_t thread)
{
	while (!pa_load_acquire(&table.slots[0].word))
		sched_yield();
	pa_add_acq_rel(&table.generation, 1);
	while (!pa_load_acquire(&table.slots[0].left)) {
		pa_futex_wake(&word, INT32_MAX);
		pa_futex_sleep(100000);
	}
	pthread_join(thread, NULL);
}

static void sleeper_that_is_asked_leaves(void **unused)
{
	(void)unused;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run_sleeper, NULL), 0);
	end_threads(thread);
	assert_true(pa_load_acquire(&table.slots[0].word) == 0);
}

static void hold_and_mind(void)
{
	pa_lock(&lock);
	pa_add_acq_rel(&table.generation, 1);
	assert_true(pa_thread_slot_must_end());
	pa_thread_slot_checkpoint();
	pa_futex_sleep(1);
	pa_add_acq_rel(&steps, 1);
	pa_unlock(&lock);
	pa_thread_slot_checkpoint();
	pa_add_acq_rel(&steps, 1);
}

static void holder_of_a_lock_stays_until_it_gave_it_back(void **unused)
{
	(void)unused;
	sit_and(hold_and_mind);
	assert_int_equal(pa_load_acquire(&steps), 1);
	assert_true(pa_lock_timed(&lock, 0));
	pa_unlock(&lock);
}

static void hold_and_heed(void)
{
	pa_lock(&lock);
	pa_thread_slot_pin();
	pa_add_acq_rel(&table.generation, 1);
	pa_thread_slot_follow_orders();
	pa_add_acq_rel(&steps, 1);
	pa_thread_slot_unpin();
	pa_store_release(&table.hard, 1);
	pa_thread_slot_follow_orders();
	pa_add_acq_rel(&steps, 1);
}

static void who_leaves_for_good_leaves_all_but_what_libc_needs(void **unused)
{
	(void)unused;
	sit_and(hold_and_heed);
	assert_int_equal(pa_load_acquire(&steps), 1);
	assert_true(pa_load_acquire(&table.torn));
	pa_lock_reset(&lock);
}

static void mind_only(void)
{
	pa_thread_slot_checkpoint();
	pa_add_acq_rel(&steps, 1);
}

static void thread_of_this_turn_stays(void **unused)
{
	(void)unused;
	pa_add_acq_rel(&table.generation, 1);
	sit_and(mind_only);
	assert_int_equal(pa_load_acquire(&steps), 1);
}

static void thread_without_a_slot_passes_through(void **unused)
{
	(void)unused;
	pa_add_acq_rel(&table.generation, 1);
	assert_false(pa_thread_slot_must_end());
	pa_thread_slot_checkpoint();
	pa_futex_sleep(1);
	assert_int_equal(pa_thread_slot_wake_fd(), -1);
}

static void leave_now(void)
{
	pa_add_acq_rel(&table.generation, 1);
	pa_thread_slot_checkpoint();
}

static void leaving_rings_the_bell_of_pollers(void **unused)
{
	(void)unused;
	uint64_t rung = 0;
	int wake_fd = eventfd(0, EFD_NONBLOCK);
	pa_store_release(&table.wake_fd, wake_fd);
	sit_and(leave_now);
	assert_int_equal(read(wake_fd, &rung, sizeof(rung)), sizeof(rung));
	assert_int_equal(rung, 1);
	close(wake_fd);
}

static void slot_of_one_that_left_is_taken_again(void **unused)
{
	(void)unused;
	for (int i = 0; i < 2 * PA_THREAD_SLOT_COUNT; i++)
		sit_and(mind_only);
	assert_int_equal(pa_load_acquire(&steps), 2 * PA_THREAD_SLOT_COUNT);
	for (int i = 0; i < PA_THREAD_SLOT_COUNT; i++)
		assert_non_null(pa_thread_slot_take(&table, 0, 0, i + 1));
	assert_null(pa_thread_slot_take(&table, 0, 0, 1));
}

static PA_ATOMIC(uint32_t) carried_out;

static void carry_out(uint32_t order)
{
	assert_int_equal(order, pa_load_relaxed(&carried_out));
	pa_add_acq_rel(&carried_out, 1);
}

static void sleep_twice_and_end(void)
{
	while (pa_load_acquire(&carried_out) < 2)
		pa_futex_wait(&word, 0, -1);
}

static void *run_follower(void *unused)
{
	sit_and(sleep_twice_and_end);
	return unused;
}

static void orders_are_carried_out_once_and_in_turn(void **unused)
{
	(void)unused;
	pthread_t thread;
	table.follow = carry_out;
	assert_int_equal(pthread_create(&thread, NULL, run_follower, NULL), 0);
	while (!pa_load_acquire(&table.slots[0].word))
		sched_yield();
	pa_add_acq_rel(&table.order, 1);
	assert_false(pa_thread_slot_have_followed());
	while (!pa_thread_slot_have_followed()) {
		pa_futex_wake(&word, INT32_MAX);
		pa_futex_sleep(100000);
	}
	assert_int_equal(pa_load_acquire(&carried_out), 1);
	pa_add_acq_rel(&table.order, 1);
	while (!pa_load_acquire(&table.slots[0].left)) {
		pa_futex_wake(&word, INT32_MAX);
		pa_futex_sleep(100000);
	}
	pthread_join(thread, NULL);
	assert_int_equal(pa_load_acquire(&carried_out), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sleeper_that_is_asked_leaves, set_up),
		cmocka_unit_test_setup(holder_of_a_lock_stays_until_it_gave_it_back, set_up),
		cmocka_unit_test_setup(who_leaves_for_good_leaves_all_but_what_libc_needs, set_up),
		cmocka_unit_test_setup(thread_of_this_turn_stays, set_up),
		cmocka_unit_test_setup(thread_without_a_slot_passes_through, set_up),
		cmocka_unit_test_setup(leaving_rings_the_bell_of_pollers, set_up),
		cmocka_unit_test_setup(orders_are_carried_out_once_and_in_turn, set_up),
		cmocka_unit_test_setup(slot_of_one_that_left_is_taken_again, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
