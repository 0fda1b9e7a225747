/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/lock.h"

#define THREADS 4
#define ROUNDS 20000
#define LONG_NS (20 * PA_NS_PER_S)

static struct {
	struct pa_lock lock;
	PA_ATOMIC(uint32_t) word;
	PA_ATOMIC(uint32_t) ready;
	unsigned long plain; /* guarded by lock */
	int64_t timeout_ns;
} shared;

static PA_ATOMIC(int) calls_of_libc;

/* libc's function, as the hook of that name in the agent: waits of the agent are none of the
 * program's. */
long syscall(long number, ...)
{
	(void)number;
	pa_add_relaxed(&calls_of_libc, 1);
	return -1;
}

static int reset(void **unused)
{
	(void)unused;
	shared.lock = (struct pa_lock)PA_LOCK_INIT(PA_LOCK_TABLES);
	pa_store_relaxed(&shared.word, 0);
	pa_store_relaxed(&shared.ready, 0);
	shared.plain = 0;
	return 0;
}

static pthread_t start(void *(*run)(void *))
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	return thread;
}

static bool join(pthread_t thread)
{
	void *result;

	assert_int_equal(pthread_join(thread, &result), 0);
	return result != NULL;
}

static void await_lock_word(uint32_t value)
{
	while (pa_load_acquire(&shared.lock.word) != value)
		sched_yield();
}

static void *count_under_lock(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 2)
			pa_lock(&shared.lock);
		else if (!pa_lock_timed(&shared.lock, LONG_NS))
			return NULL;
		shared.plain++;
		pa_unlock(&shared.lock);
	}
	return &shared;
}

static void one_thread_at_a_time(void **unused)
{
	pthread_t threads[THREADS];

	(void)unused;
	for (int i = 0; i < THREADS; i++)
		threads[i] = start(count_under_lock);
	for (int i = 0; i < THREADS; i++)
		assert_true(join(threads[i]));
	assert_int_equal(shared.plain, THREADS * ROUNDS);
	assert_int_equal(pa_load_relaxed(&shared.lock.word), 0);
}

static void *take_timed(void *unused)
{
	bool taken = pa_lock_timed(&shared.lock, shared.timeout_ns);

	(void)unused;
	if (taken)
		pa_unlock(&shared.lock);
	return taken ? &shared : NULL;
}

static void timed_lock_gives_up_when_the_time_is_over(void **unused)
{
	int64_t begin;

	(void)unused;
	pa_lock(&shared.lock);
	shared.timeout_ns = 30 * PA_NS_PER_MS;
	begin = pa_clock_mono_ns();
	assert_false(join(start(take_timed)));
	assert_true(pa_clock_mono_ns() - begin >= shared.timeout_ns);
	pa_unlock(&shared.lock);
	assert_true(join(start(take_timed)));
}

static void timed_lock_without_time_only_tries(void **unused)
{
	(void)unused;
	pa_lock(&shared.lock);
	shared.timeout_ns = 0;
	assert_false(join(start(take_timed)));
	shared.timeout_ns = -1;
	assert_false(join(start(take_timed)));
	assert_int_equal(pa_load_relaxed(&shared.lock.word), 1);
	pa_unlock(&shared.lock);
	assert_true(join(start(take_timed)));
}

static void unlock_wakes_a_timed_waiter(void **unused)
{
	pthread_t waiter;
	int64_t begin = pa_clock_mono_ns();

	(void)unused;
	pa_lock(&shared.lock);
	shared.timeout_ns = INT64_MAX;
	waiter = start(take_timed);
	await_lock_word(2);
	pa_unlock(&shared.lock);
	assert_true(join(waiter));
	assert_true(pa_clock_mono_ns() - begin < LONG_NS);
}

static void *take_and_release(void *unused)
{
	(void)unused;
	pa_lock(&shared.lock);
	pa_unlock(&shared.lock);
	return &shared;
}

static void each_waiter_gets_its_turn(void **unused)
{
	pthread_t waiters[THREADS];

	(void)unused;
	pa_lock(&shared.lock);
	for (int i = 0; i < THREADS; i++)
		waiters[i] = start(take_and_release);
	await_lock_word(2);
	pa_unlock(&shared.lock);
	for (int i = 0; i < THREADS; i++)
		assert_true(join(waiters[i]));
}

static void *hold_for_ever(void *unused)
{
	(void)unused;
	pa_lock(&shared.lock);
	pa_store_release(&shared.ready, 1);
	pa_futex_wake(&shared.ready, 1);
	while (pa_load_acquire(&shared.word) == 0)
		pa_futex_wait(&shared.word, 0, -1);
	pa_unlock(&shared.lock);
	return &shared;
}

static void a_forked_child_declares_the_lock_free(void **unused)
{
	pthread_t holder = start(hold_for_ever);
	pid_t child;
	int status;

	(void)unused;
	while (pa_load_acquire(&shared.ready) == 0)
		pa_futex_wait(&shared.ready, 0, -1);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		alarm(20);
		if (pa_lock_timed(&shared.lock, 0))
			_exit(1);
		pa_lock_reset(&shared.lock);
		pa_lock(&shared.lock);
		pa_unlock(&shared.lock);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pa_store_release(&shared.word, 1);
	pa_futex_wake(&shared.word, 1);
	assert_true(join(holder));
}

static void a_child_of_the_holder_may_take_it_after_reset(void **unused)
{
	pid_t child;
	int status;

	(void)unused;
	pa_lock(&shared.lock);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		alarm(20);
		pa_lock_reset(&shared.lock);
		pa_lock(&shared.lock);
		pa_unlock(&shared.lock);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pa_unlock(&shared.lock);
}

static void futex_wait_returns_at_once_when_the_word_changed(void **unused)
{
	(void)unused;
	errno = 4711;
	pa_store_relaxed(&shared.word, 5);
	pa_futex_wait(&shared.word, 4, -1);
	assert_int_equal(errno, 4711);
}

static void futex_wait_sleeps_until_the_time_is_over(void **unused)
{
	const int64_t deadline = pa_clock_mono_ns() + 30 * PA_NS_PER_MS;
	int waits = 0;

	(void)unused;
	errno = 4711;
	for (int64_t left; (left = deadline - pa_clock_mono_ns()) > 0; waits++)
		pa_futex_wait(&shared.word, 0, left);
	assert_in_range(waits, 1, 20); /* it may end early, but not spin */
	pa_futex_wait(&shared.word, 0, 0);
	assert_int_equal(errno, 4711);
}

static void futex_wake_keeps_errno(void **unused)
{
	PA_ATOMIC(uint32_t) *crooked = (void *)((char *)&shared.word + 1);

	(void)unused;
	errno = 4711;
	pa_futex_wake(&shared.word, 1);
	assert_int_equal(errno, 4711);
	pa_futex_wake(crooked, 1); /* the kernel refuses it with EINVAL */
	assert_int_equal(errno, 4711);
}

static void waits_are_not_those_of_the_program(void **unused)
{
	(void)unused;
	pa_futex_sleep(PA_NS_PER_MS);
	pa_futex_wake(&shared.word, 1);
	pa_futex_wait(&shared.word, 1, -1);
	assert_int_equal(pa_load_relaxed(&calls_of_libc), 0);
}

#ifdef PA_DEBUG

static struct pa_lock first = PA_LOCK_INIT(PA_LOCK_COLLECT);
static struct pa_lock second = PA_LOCK_INIT(PA_LOCK_TABLES);

static void against_the_order(void)
{
	pa_lock(&second);
	pa_lock(&first);
}

static void against_the_order_timed(void)
{
	pa_lock(&second);
	pa_lock_timed(&first, 0);
}

static void twice(void)
{
	pa_lock(&first);
	pa_lock_timed(&first, 0);
}

static void unlock_unheld(void)
{
	pa_unlock(&first);
}

static void in_order(void)
{
	pa_lock(&first);
	pa_lock(&second);
	pa_unlock(&first);
	pa_unlock(&second);
	pa_lock(&first);
	pa_unlock(&first);
}

static int signal_of(void (*run)(void))
{
	static const struct rlimit no_core;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		close(STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void debug_builds_assert_the_order(void **unused)
{
	(void)unused;
	assert_int_equal(signal_of(against_the_order), SIGABRT);
	assert_int_equal(signal_of(against_the_order_timed), SIGABRT);
	assert_int_equal(signal_of(twice), SIGABRT);
	assert_int_equal(signal_of(unlock_unheld), SIGABRT);
	assert_int_equal(signal_of(in_order), 0);
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_thread_at_a_time, reset),
		cmocka_unit_test_setup(timed_lock_gives_up_when_the_time_is_over, reset),
		cmocka_unit_test_setup(timed_lock_without_time_only_tries, reset),
		cmocka_unit_test_setup(unlock_wakes_a_timed_waiter, reset),
		cmocka_unit_test_setup(each_waiter_gets_its_turn, reset),
		cmocka_unit_test_setup(a_forked_child_declares_the_lock_free, reset),
		cmocka_unit_test_setup(a_child_of_the_holder_may_take_it_after_reset, reset),
		cmocka_unit_test_setup(futex_wait_returns_at_once_when_the_word_changed, reset),
		cmocka_unit_test_setup(futex_wait_sleeps_until_the_time_is_over, reset),
		cmocka_unit_test_setup(futex_wake_keeps_errno, reset),
		cmocka_unit_test_setup(waits_are_not_those_of_the_program, reset),
#ifdef PA_DEBUG
		cmocka_unit_test(debug_builds_assert_the_order),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
