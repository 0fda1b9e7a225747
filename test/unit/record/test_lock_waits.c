/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/record/lock_waits.h"
#include "test/lib/c/lock_waits_fixture.h"

/* All events of a kind: how many, their contentions, their delays. */
struct sum {
	int events;
	double contentions;
	uint64_t delay_ns;
	uintptr_t object;
};

static void add_events(struct sum *sum)
{
	static struct fixture_event event;
	while (fixture_next(&event)) {
		sum->events++;
		sum->contentions +=
			(double)event.head.contentions.count / (double)event.head.contentions.of;
		sum->delay_ns += event.head.value[0];
		sum->object = event.head.object;
	}
}

static struct sum sum_events(void)
{
	struct sum sum = { 0 };
	add_events(&sum);
	return sum;
}

/* A waiter with a life of its own, without a thread: what the table sees of one. */
static bool begin(struct pa_thread *thread, const void *lock)
{
	return pa_lock_waits_begin(thread, PA_WAIT_MUTEX, lock, caller_frame());
}

static void wait_is_recorded_with_its_time_and_object(void **unused)
{
	(void)unused;
	static int object;
	struct pa_thread *self = &pa_thread_self;
	assert_true(pa_lock_waits_begin(self, PA_WAIT_SEM, &object, caller_frame()));
	int64_t before_ns = pa_clock_mono_ns();
	pass_ns(2 * PA_NS_PER_MS);
	int64_t passed_ns = pa_clock_mono_ns() - before_ns;
	end_wait(self, PA_WAIT_GOT);
	struct sum sum = sum_events();
	assert_int_equal(sum.events, 1);
	assert_true(sum.contentions == 1);
	assert_true(sum.delay_ns >= (uint64_t)passed_ns);
	assert_ptr_equal(sum.object, &object);
	assert_int_equal(self->wait.kind, PA_WAIT_NONE);
}

static void wait_in_vain_is_recorded_and_a_refusal_is_not(void **unused)
{
	(void)unused;
	struct pa_thread *self = &pa_thread_self;
	assert_true(begin(self, self));
	end_wait(self, PA_WAIT_GAVE_UP);
	assert_int_equal(sum_events().events, 1);
	assert_true(begin(self, self));
	end_wait(self, PA_WAIT_REFUSED);
	assert_int_equal(sum_events().events, 0);
}

static void errno_is_kept(void **unused)
{
	(void)unused;
	struct pa_thread *self = &pa_thread_self;
	errno = 77;
	begin(self, self);
	end_wait(self, PA_WAIT_GOT);
	pa_lock_waits_charge(self, self, 5, caller_cursor());
	assert_int_equal(errno, 77);
}

/* As hooks find it: off, our own thread, our own work. */
static void waits_that_are_not_to_be_recorded_are_not_begun(void **unused)
{
	(void)unused;
	struct pa_thread thread = { .registered = 1, .tid = 1, .role = PA_ROLE_AGENT };
	assert_false(begin(&thread, &thread));
	thread.role = PA_ROLE_PROGRAM;
	thread.depth = 1;
	assert_false(begin(&thread, &thread));
	thread.depth = 0;
	pa_lock_waits_rates(0, 0);
	assert_false(begin(&thread, &thread));
}

static void wait_on_top_of_a_wait_is_left_out(void **unused)
{
	(void)unused;
	struct pa_thread thread = { .registered = 1, .tid = 1 };
	assert_true(pa_lock_waits_begin(&thread, PA_WAIT_MUTEX, &thread, caller_frame()));
	assert_false(pa_lock_waits_begin(&thread, PA_WAIT_MUTEX, &unused, caller_frame() - 512));
	end_wait(&thread, PA_WAIT_GOT);
	assert_int_equal(sum_events().events, 1);
}

/* Its thread jumped out of it, and now waits from a frame further up. */
static void wait_that_was_left_by_a_jump_is_cleared_by_the_next(void **unused)
{
	(void)unused;
	struct pa_thread thread = { .registered = 1, .tid = 1 };
	static int lock, other;
	assert_true(pa_lock_waits_begin(&thread, PA_WAIT_MUTEX, &lock, caller_frame() - 512));
	assert_true(pa_lock_waits_is_waited(&lock));
	assert_true(pa_lock_waits_begin(&thread, PA_WAIT_MUTEX, &other, caller_frame()));
	pa_lock_waits_take(&lock);
	assert_int_equal(pa_lock_waits_take(&lock), 0);
	assert_true(pa_lock_waits_take(&other) > 0);
	end_wait(&thread, PA_WAIT_GOT);
	assert_false(pa_lock_waits_is_waited(&other));
}

static void thread_that_ends_in_a_wait_waits_no_more(void **unused)
{
	(void)unused;
	struct pa_thread thread = { .registered = 1, .tid = 1 };
	static int lock;
	assert_true(begin(&thread, &lock));
	pa_lock_waits_thread_end(&thread);
	pa_lock_waits_take(&lock);
	assert_int_equal(pa_lock_waits_take(&lock), 0);
	assert_false(pa_lock_waits_is_waited(&lock));
}

static void holder_is_charged_the_time_of_all_waiters(void **unused)
{
	(void)unused;
	enum { WAITERS = 5 };
	static struct pa_thread waiters[WAITERS];
	static int lock;
	int64_t begun_ns[WAITERS];
	for (int i = 0; i < WAITERS; i++) {
		waiters[i] = (struct pa_thread){ .registered = 1, .tid = i + 1 };
		assert_true(begin(&waiters[i], &lock));
		begun_ns[i] = waiters[i].wait.start_ns;
		pass_ns(PA_NS_PER_MS);
	}
	uint64_t least_ns = 0, most_ns = 0;
	for (int i = 0; i < WAITERS; i++)
		least_ns += (uint64_t)(pa_clock_mono_ns() - begun_ns[i]);
	uint64_t taken_ns = pa_lock_waits_take(&lock);
	for (int i = 0; i < WAITERS; i++)
		most_ns += (uint64_t)(pa_clock_mono_ns() - begun_ns[i]);
	assert_in_range(taken_ns, least_ns, most_ns);
	/* Their clocks start again. */
	assert_true(pa_lock_waits_take(&lock) <= WAITERS * (most_ns - least_ns) + most_ns);
	for (int i = 0; i < WAITERS; i++)
		end_wait(&waiters[i], PA_WAIT_GOT);
	assert_false(pa_lock_waits_is_waited(&lock));
	assert_int_equal(pa_lock_waits_take(&lock), 0);
}

/* The waiter that got the lock leaves the others' time as it is. */
static void charge_after_one_left_is_that_of_the_rest(void **unused)
{
	(void)unused;
	struct pa_thread first = { .registered = 1, .tid = 1 },
			 second = { .registered = 1, .tid = 2 };
	static int lock;
	begin(&first, &lock);
	pass_ns(3 * PA_NS_PER_MS);
	begin(&second, &lock);
	int64_t before_ns = pa_clock_mono_ns();
	pa_lock_waits_take(&lock);
	end_wait(&first, PA_WAIT_GOT);
	pass_ns(2 * PA_NS_PER_MS);
	uint64_t taken_ns = pa_lock_waits_take(&lock);
	assert_true(taken_ns >= 2 * PA_NS_PER_MS);
	/* No more than one clock, from the restart: that of the first went with it. */
	assert_true(taken_ns <= (uint64_t)(pa_clock_mono_ns() - before_ns));
	end_wait(&second, PA_WAIT_GOT);
}

static void who_gave_up_is_charged_to_the_next_unlock(void **unused)
{
	(void)unused;
	struct pa_thread waiter = { .registered = 1, .tid = 1 };
	static int lock;
	begin(&waiter, &lock);
	pass_ns(2 * PA_NS_PER_MS);
	end_wait(&waiter, PA_WAIT_GAVE_UP);
	uint64_t waited_ns = sum_events().delay_ns;
	assert_true(pa_lock_waits_is_waited(&lock));
	pass_ns(5 * PA_NS_PER_MS);
	uint64_t taken_ns = pa_lock_waits_take(&lock);
	/* The 5 ms after it are charged to no unlock. */
	assert_int_equal(taken_ns, waited_ns);
	assert_false(pa_lock_waits_is_waited(&lock));
}

static void locks_of_one_bucket_are_kept_apart(void **unused)
{
	(void)unused;
	static char locks[1 << 20];
	struct pa_thread waiters[PA_LOCK_WAITS_SLOTS + 1];
	const void *same[PA_LOCK_WAITS_SLOTS + 1];
	int found = 0;
	for (size_t i = 0; found <= PA_LOCK_WAITS_SLOTS; i += 8) {
		assert_true(i < sizeof(locks));
		if (pa_lock_waits_bucket_of(&locks[i]) == pa_lock_waits_bucket_of(&locks[0]))
			same[found++] = &locks[i];
	}
	for (int i = 0; i <= PA_LOCK_WAITS_SLOTS; i++) {
		waiters[i] = (struct pa_thread){ .registered = 1, .tid = i + 1 };
		assert_true(begin(&waiters[i], same[i]));
	}
	assert_int_equal(fixture_count(&pa_record.counters.lost_waiters), 1);
	for (int i = 0; i < PA_LOCK_WAITS_SLOTS; i++)
		assert_true(pa_lock_waits_take(same[i]) > 0);
	assert_int_equal(pa_lock_waits_take(same[PA_LOCK_WAITS_SLOTS]), 0);
	for (int i = 0; i <= PA_LOCK_WAITS_SLOTS; i++)
		end_wait(&waiters[i], PA_WAIT_GOT);
	assert_false(pa_lock_waits_is_waited(same[0]));
}

static void long_waits_are_kept_and_short_ones_scaled(void **unused)
{
	(void)unused;
	enum { WAITS = 20000 };
	struct pa_thread *self = &pa_thread_self;
	/* Waits are stamped by hand: 300 ns of 1,000 a sample. */
	pa_lock_waits_rates(1000, 0);
	uint64_t true_ns = 0;
	struct sum sum = { 0 };
	for (int i = 0; i < WAITS; i++) {
		assert_true(pa_lock_waits_begin(self, PA_WAIT_COND, self, caller_frame()));
		self->wait.start_ns = pa_clock_mono_ns() - 300;
		int64_t start_ns = self->wait.start_ns;
		end_wait(self, PA_WAIT_GOT);
		true_ns += (uint64_t)(pa_clock_mono_ns() - start_ns);
		add_events(&sum);
	}
	assert_true(sum.events < WAITS);
	assert_true(fabs(sum.contentions / WAITS - 1) < 0.1);
	/* The true sum has the time of the record itself in it. */
	assert_true((double)sum.delay_ns < 1.05 * (double)true_ns);
	assert_true((double)sum.delay_ns > 0.95 * 300 * WAITS);
}

static void one_in_fraction_is_charged_and_counts_for_all(void **unused)
{
	(void)unused;
	enum { UNLOCKS = 20000 };
	struct sum sum = { 0 };
	pa_lock_waits_rates(0, 10);
	for (int i = 0; i < UNLOCKS; i++) {
		pa_lock_waits_charge(&pa_thread_self, &unused, 1000, caller_cursor());
		add_events(&sum);
	}
	/* 2,000 are expected, 42 is one standard deviation. */
	assert_in_range(sum.events, 2000 - 250, 2000 + 250);
	assert_true(sum.contentions == 10.0 * sum.events);
	assert_int_equal(sum.delay_ns, 10000u * (unsigned)sum.events);
}

static void full_ring_is_counted_with_its_time(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pa_lock_waits_rates(1, 1);
	uint64_t charges = 0;
	for (; !fixture_count(&pa_record.counters.lost_mutex_ring); charges++)
		pa_lock_waits_charge(&pa_thread_self, &unused, 7, caller_cursor());
	assert_int_equal(fixture_count(&pa_record.counters.ns_of_lost_mutexes), 7);
	assert_int_equal(fixture_count(&pa_record.counters.mutex_events), charges - 1);
	assert_true(begin(&pa_thread_self, &unused));
	end_wait(&pa_thread_self, PA_WAIT_GOT);
	assert_int_equal(fixture_count(&pa_record.counters.lost_block_ring), 1);
	assert_true(fixture_count(&pa_record.counters.ns_of_lost_blocks) > 0);
}

/* ---- many at once: nothing may get lost from the table or stay in it ---- */

enum { LOCKS = 3, CROWD = 8, ROUNDS = 4000 };
static int crowd_locks[LOCKS];
static PA_ATOMIC(uint64_t) crowd_taken_ns;

static void *come_and_go(void *number)
{
	struct pa_thread *self = &pa_thread_self;
	self->registered = 1;
	self->tid = (int32_t)(uintptr_t)number + 1;
	self->random = (uintptr_t)number + 1;
	for (int i = 0; i < ROUNDS; i++) {
		const void *lock = &crowd_locks[pa_thread_random(self) % LOCKS];
		if (!pa_lock_waits_begin(self, PA_WAIT_MUTEX, lock, caller_frame()))
			abort();
		uint64_t dice = pa_thread_random(self) % 4;
		if (dice == 0)
			pa_add_relaxed(&crowd_taken_ns, pa_lock_waits_take(lock));
		pa_lock_waits_end(self, caller_frame(), dice == 1 ? PA_WAIT_GAVE_UP : PA_WAIT_GOT,
			caller_cursor());
	}
	return NULL;
}

static void table_is_empty_after_a_crowd_was_there(void **unused)
{
	pthread_t threads[CROWD];
	(void)unused;
	int64_t before_ns = pa_clock_mono_ns();
	pa_lock_waits_rates(1ull << 40, 1); /* hardly any events */
	for (uintptr_t i = 0; i < CROWD; i++)
		pthread_create(&threads[i], NULL, come_and_go, (void *)i);
	for (int i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < LOCKS; i++) {
		pa_add_relaxed(&crowd_taken_ns, pa_lock_waits_take(&crowd_locks[i]));
		assert_false(pa_lock_waits_is_waited(&crowd_locks[i]));
	}
	/* Never more than all of them all the time. */
	assert_true(pa_load_relaxed(&crowd_taken_ns) <=
		CROWD * (uint64_t)(pa_clock_mono_ns() - before_ns));
	assert_int_equal(fixture_count(&pa_record.counters.lost_waiters), 0);
}

static void no_wait_goes_on_in_a_child(void **unused)
{
	(void)unused;
	static int lock;
	assert_true(begin(&pa_thread_self, &lock));
	pid_t child = fork();
	if (child == 0)
		_exit(pa_lock_waits_is_on() || pa_lock_waits_is_waited(&lock));
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	end_wait(&pa_thread_self, PA_WAIT_GOT);
}

#define TEST(name) cmocka_unit_test_setup(name, boot_lock_waits)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(wait_is_recorded_with_its_time_and_object),
		TEST(wait_in_vain_is_recorded_and_a_refusal_is_not),
		TEST(errno_is_kept),
		TEST(waits_that_are_not_to_be_recorded_are_not_begun),
		TEST(wait_on_top_of_a_wait_is_left_out),
		TEST(wait_that_was_left_by_a_jump_is_cleared_by_the_next),
		TEST(thread_that_ends_in_a_wait_waits_no_more),
		TEST(holder_is_charged_the_time_of_all_waiters),
		TEST(charge_after_one_left_is_that_of_the_rest),
		TEST(who_gave_up_is_charged_to_the_next_unlock),
		TEST(locks_of_one_bucket_are_kept_apart),
		TEST(long_waits_are_kept_and_short_ones_scaled),
		TEST(one_in_fraction_is_charged_and_counts_for_all),
		TEST(full_ring_is_counted_with_its_time),
		TEST(table_is_empty_after_a_crowd_was_there),
		TEST(no_wait_goes_on_in_a_child),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
