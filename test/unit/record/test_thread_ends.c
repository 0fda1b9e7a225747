/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "agent/record/thread_ends.h"
#include "agent/record/registry.h"
#include "test/lib/c/record_fixture.h"

/* Far longer than any of what is waited for here takes. */
#define LONG_NS (60 * PA_NS_PER_S)

static int set_up(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pa_thread_ends_boot(&pa_thread_self);
	return 0;
}

static void *become_agent_soon(void *tid)
{
	sched_yield();
	pa_registry_add_agent();
	pa_store_release((PA_ATOMIC(int32_t) *)tid, pa_thread_self.tid);
	pa_thread_ends_agent_came();
	return NULL;
}

static void awaited_agents_are_known(void **unused)
{
	(void)unused;
	pthread_t thread;
	PA_ATOMIC(int32_t) tid = 0;
	pa_thread_ends_expect_agent();
	assert_int_equal(pa_thread_ends_expected_agents(), 1);
	pthread_create(&thread, NULL, become_agent_soon, (void *)&tid);
	pa_thread_ends_await_agents(LONG_NS);
	assert_int_equal(pa_thread_ends_expected_agents(), 0);
	assert_true(pa_registry_is_agent(pa_load_acquire(&tid)));
	pthread_join(thread, NULL);
}

static void missing_agent_thread_delays_no_end_for_ever(void **unused)
{
	(void)unused;
	pa_thread_ends_expect_agent();
	pa_thread_ends_await_agents(PA_NS_PER_MS);
	assert_int_equal(pa_thread_ends_expected_agents(), 1);
	pa_thread_ends_agent_came();
	pa_thread_ends_await_agents(LONG_NS);
}

/* True when it had to wait for the end of the process, which does not come here. */
static bool waits_before_an_agent(void)
{
	int64_t begin_ns = pa_clock_mono_ns();
	pa_thread_ends_expect_agent();
	assert_int_equal(pa_thread_ends_expected_agents(), 1);
	pa_thread_ends_agent_came();
	return pa_clock_mono_ns() - begin_ns >= PA_NS_PER_S;
}

static void agent_waits_for_the_end_when_all_threads_end(void **unused)
{
	(void)unused;
	pa_thread_ends_thread_end(&pa_thread_self);
	assert_true(waits_before_an_agent());
}

static void *begin_soon(void *unused)
{
	(void)unused;
	assert_int_equal(pa_thread_ends_expected_agents(), 0);
	pa_thread_ends_thread_begin(&pa_thread_self);
	return NULL;
}

static void agent_comes_when_a_thread_lives_on(void **unused)
{
	(void)unused;
	pthread_t thread;
	/* A destructor of the last thread may create another one. */
	pa_thread_ends_thread_end(&pa_thread_self);
	pthread_create(&thread, NULL, begin_soon, NULL);
	pa_thread_ends_expect_agent();
	pthread_join(thread, NULL);
	pa_thread_ends_agent_came();
	assert_int_equal(pa_thread_ends_expected_agents(), 0);
}

static void thread_ends_once(void **unused)
{
	(void)unused;
	struct pa_thread other = { 0 };
	pa_thread_ends_thread_begin(&other);
	pa_thread_ends_thread_end(&other);
	pa_thread_ends_thread_end(&other);
	pa_thread_ends_expect_agent(); /* main is there */
	pa_thread_ends_thread_begin(&other);
	pa_thread_ends_agent_came();
	pa_thread_ends_thread_end(&pa_thread_self);
	pa_thread_ends_expect_agent(); /* the other one is */
	pa_thread_ends_agent_came();
}

static PA_ATOMIC(uint32_t) gone;

static void *come_and_go(void *unused)
{
	(void)unused;
	pa_thread_ends_thread_begin(&pa_thread_self);
	errno = EILSEQ;
	pa_thread_ends_thread_end(&pa_thread_self);
	assert_int_equal(errno, EILSEQ);
	pa_store_release(&gone, 1);
	return NULL;
}

static void end_waits_for_the_agent_that_is_being_created(void **unused)
{
	(void)unused;
	pthread_t thread;
	pa_store_release(&gone, 0);
	pa_thread_ends_expect_agent();
	pthread_create(&thread, NULL, come_and_go, NULL);
	usleep(20000); /* an end that does not wait is over by then */
	assert_int_equal(pa_load_acquire(&gone), 0);
	pa_thread_ends_agent_came();
	pthread_join(thread, NULL);
	assert_int_equal(pa_load_acquire(&gone), 1);
}

/*
 * As in libc, the thread that brings the count to 0 ends the process; here the next process begins.
 * An end is lost when an agent thread was in the count.
 */
static PA_ATOMIC(uint32_t) libc_count;
static PA_ATOMIC(uint32_t) ends;
static struct pa_thread programs[2];

static void begin_process(struct pa_thread *program)
{
	pa_store_release(&libc_count, 1);
	pa_thread_ends_thread_begin(program);
}

static void *end_as_in_libc(void *round)
{
	pa_thread_ends_thread_end(&programs[(uintptr_t)round % 2]);
	if (pa_add_acq_rel(&libc_count, -1) != 1)
		return NULL;
	pa_add_acq_rel(&ends, 1);
	begin_process(&programs[((uintptr_t)round + 1) % 2]);
	return NULL;
}

static void last_end_is_never_lost(void **unused)
{
	(void)unused;
	pa_thread_ends_thread_end(&pa_thread_self);
	begin_process(&programs[0]);
	for (uintptr_t round = 0; round < 300; round++) {
		pthread_t thread;
		pthread_create(&thread, NULL, end_as_in_libc, (void *)round);
		for (volatile uintptr_t spin = 0; spin < round % 64 * 500; spin++)
			;
		pa_thread_ends_expect_agent();
		pa_add_acq_rel(&libc_count, 1);
		for (volatile int spin = 0; spin < 3000; spin++)
			;
		pa_add_acq_rel(&libc_count, -1);
		pa_thread_ends_agent_came();
		pthread_join(thread, NULL);
		assert_int_equal(pa_load_acquire(&ends), round + 1);
	}
}

static void child_has_one_thread_and_no_agents(void **unused)
{
	(void)unused;
	struct pa_thread other = { 0 };
	pa_thread_ends_thread_begin(&other);
	pa_thread_ends_expect_agent();
	pa_thread_ends_atfork_child(&pa_thread_self);
	assert_int_equal(pa_thread_ends_expected_agents(), 0);
	pa_thread_ends_thread_end(&pa_thread_self);
	assert_true(waits_before_an_agent());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(awaited_agents_are_known, set_up),
		cmocka_unit_test_setup(missing_agent_thread_delays_no_end_for_ever, set_up),
		cmocka_unit_test_setup(agent_waits_for_the_end_when_all_threads_end, set_up),
		cmocka_unit_test_setup(agent_comes_when_a_thread_lives_on, set_up),
		cmocka_unit_test_setup(thread_ends_once, set_up),
		cmocka_unit_test_setup(end_waits_for_the_agent_that_is_being_created, set_up),
		cmocka_unit_test_setup(last_end_is_never_lost, set_up),
		cmocka_unit_test_setup(child_has_one_thread_and_no_agents, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
