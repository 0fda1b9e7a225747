/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/atomic.h"
#include "agent/profile/tables_lock.h"

static int fresh(void **unused)
{
	(void)unused;
	pa_tables_lock_init();
	pa_tables_lock_atfork_child();
	return 0;
}

static void *have_it_in_time(void *had)
{
	*(bool *)had = pa_tables_lock_timed(PA_NS_PER_MS);
	if (*(bool *)had)
		pa_tables_unlock();
	return NULL;
}

static bool another_thread_has_it_in_time(void)
{
	bool had;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, have_it_in_time, &had), 0);
	pthread_join(thread, NULL);
	return had;
}

static void held_lock_is_not_had_in_time(void **unused)
{
	(void)unused;
	pa_tables_lock();
	assert_false(another_thread_has_it_in_time());
	pa_tables_unlock();
	assert_true(another_thread_has_it_in_time());
}

static PA_ATOMIC(uint32_t) turns;

/* A reader, which has to come in between the collector's batches. */
static void *read_tables(void *unused)
{
	(void)unused;
	pa_tables_lock();
	pa_add_acq_rel(&turns, 1);
	pa_tables_unlock();
	return NULL;
}

static void collector_makes_way_for_readers(void **unused)
{
	(void)unused;
	pthread_t reader;
	pa_tables_lock_yielding();
	pa_store_relaxed(&turns, 0);
	assert_int_equal(pthread_create(&reader, NULL, read_tables, NULL), 0);
	/* Ends: the reader's wish is seen sooner or later, and then it has its turn. */
	while (!pa_load_acquire(&turns)) {
		pa_tables_unlock();
		pa_tables_lock_yielding();
	}
	pa_tables_unlock();
	pthread_join(reader, NULL);
}

static void *fork_soon(void *had)
{
	*(bool *)had = pa_tables_lock_timed(60 * PA_NS_PER_S);
	pa_tables_unlock();
	return NULL;
}

/* Ends: as soon as the other thread waits. */
static void collector_sees_that_a_fork_waits(void **unused)
{
	(void)unused;
	pthread_t forking;
	bool had;
	pa_tables_lock_yielding();
	assert_false(pa_tables_lock_is_urgent());
	assert_int_equal(pthread_create(&forking, NULL, fork_soon, &had), 0);
	while (!pa_tables_lock_is_urgent())
		sched_yield();
	pa_tables_unlock();
	pthread_join(forking, NULL);
	assert_true(had);
	assert_false(pa_tables_lock_is_urgent());
}

/* Its holder is not there. */
static void lock_is_free_in_a_forked_child(void **unused)
{
	(void)unused;
	pid_t child;
	int status;
	pa_tables_lock();
	child = fork();
	if (child == 0) {
		pa_tables_lock_atfork_child();
		_exit(pa_tables_lock_timed(0) ? 0 : 1);
	}
	pa_tables_unlock();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(held_lock_is_not_had_in_time, fresh),
		cmocka_unit_test_setup(collector_makes_way_for_readers, fresh),
		cmocka_unit_test_setup(collector_sees_that_a_fork_waits, fresh),
		cmocka_unit_test_setup(lock_is_free_in_a_forked_child, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
