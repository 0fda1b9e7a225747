/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hooks/stand_in.h"

/* What an old libc has, and what was filled in. */
static struct pa_real old, filled;

static int fill(void **unused)
{
	(void)unused;
	old = (struct pa_real){
		.pthread_mutex_timedlock = pthread_mutex_timedlock,
		.pthread_rwlock_timedrdlock = pthread_rwlock_timedrdlock,
		.pthread_rwlock_timedwrlock = pthread_rwlock_timedwrlock,
		.pthread_cond_timedwait = pthread_cond_timedwait,
		.sem_timedwait = sem_timedwait,
		.pthread_join = pthread_join,
		.pthread_timedjoin_np = pthread_timedjoin_np,
	};
	filled = old;
	pa_stand_in_fill(&filled, &old);
	return 0;
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * PA_NS_PER_S + now.tv_nsec;
}

static struct timespec in_ms(clockid_t clock, int64_t ms)
{
	int64_t at = now_ns(clock) + ms * PA_NS_PER_MS;

	return (struct timespec){ at / PA_NS_PER_S, at % PA_NS_PER_S };
}

static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME };

/* Expects result of a wait that ends by its deadline, 20 ms from now on the clock. */
#define EXPECT_TIMEOUT(clock, call, result)                    \
	do {                                                   \
		struct timespec end = in_ms(clock, 20);        \
		int64_t from = now_ns(CLOCK_MONOTONIC);        \
		assert_int_equal(call, result);                \
		int64_t took = now_ns(CLOCK_MONOTONIC) - from; \
		assert_true(took >= 19 * PA_NS_PER_MS);        \
		assert_true(took < 20 * PA_NS_PER_S);          \
	} while (0)

static void what_libc_has_is_kept(void **unused)
{
	struct pa_real has = { .tgkill = tgkill, .sem_clockwait = sem_clockwait };

	(void)unused;
	pa_stand_in_fill(&has, &old);
	assert_ptr_equal(has.tgkill, tgkill);
	assert_ptr_equal(has.sem_clockwait, sem_clockwait);
	assert_non_null(has.pthread_mutex_clocklock);
	fill(NULL);
}

static void locks_wait_until_the_moment(void **unused)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(clocks); i++) {
		struct timespec soon = in_ms(clocks[i], 10000);

		assert_int_equal(filled.pthread_mutex_clocklock(&mutex, clocks[i], &soon), 0);
		EXPECT_TIMEOUT(clocks[i], filled.pthread_mutex_clocklock(&mutex, clocks[i], &end),
			ETIMEDOUT);
		pthread_mutex_unlock(&mutex);
		assert_int_equal(filled.pthread_rwlock_clockrdlock(&lock, clocks[i], &soon), 0);
		EXPECT_TIMEOUT(clocks[i], filled.pthread_rwlock_clockwrlock(&lock, clocks[i], &end),
			ETIMEDOUT);
		pthread_rwlock_unlock(&lock);
		assert_int_equal(filled.pthread_rwlock_clockwrlock(&lock, clocks[i], &soon), 0);
		pthread_rwlock_unlock(&lock);
	}
}

static void conditions_wait_whatever_their_clock(void **unused)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	(void)unused;
	pthread_mutex_lock(&mutex);
	for (size_t own = 0; own < PA_COUNT(clocks); own++) {
		pthread_condattr_t attr;
		pthread_cond_t cond;

		pthread_condattr_init(&attr);
		pthread_condattr_setclock(&attr, clocks[own]);
		pthread_cond_init(&cond, &attr);
		for (size_t i = 0; i < PA_COUNT(clocks); i++)
			EXPECT_TIMEOUT(clocks[i],
				filled.pthread_cond_clockwait(&cond, &mutex, clocks[i], &end),
				ETIMEDOUT);
		pthread_cond_destroy(&cond);
	}
	pthread_mutex_unlock(&mutex);
}

static void *wait_for_post(void *semaphore)
{
	sem_wait(semaphore);
	return semaphore;
}

static void semaphores_and_joins_wait(void **unused)
{
	sem_t semaphore, never;
	pthread_t thread;
	void *result = NULL;

	(void)unused;
	sem_init(&semaphore, 0, 0);
	sem_init(&never, 0, 0);
	pthread_create(&thread, NULL, wait_for_post, &semaphore);
	for (size_t i = 0; i < PA_COUNT(clocks); i++) {
		EXPECT_TIMEOUT(clocks[i], filled.sem_clockwait(&never, clocks[i], &end), -1);
		assert_int_equal(errno, ETIMEDOUT);
		EXPECT_TIMEOUT(clocks[i],
			filled.pthread_clockjoin_np(thread, &result, clocks[i], &end), ETIMEDOUT);
	}
	sem_post(&semaphore);
	assert_int_equal(filled.pthread_clockjoin_np(thread, &result, CLOCK_MONOTONIC, NULL), 0);
	assert_ptr_equal(result, &semaphore);
}

static void other_clocks_and_bad_times_are_refused(void **unused)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	const struct timespec bad = { 0, -1 };
	struct timespec end = in_ms(CLOCK_REALTIME, 20);
	sem_t semaphore;

	(void)unused;
	sem_init(&semaphore, 0, 0);
	assert_int_equal(filled.pthread_mutex_clocklock(&mutex, CLOCK_PROCESS_CPUTIME_ID, &end),
		EINVAL);
	assert_int_equal(filled.sem_clockwait(&semaphore, CLOCK_BOOTTIME, &end), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(filled.pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &bad), 0);
	assert_int_equal(filled.pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &bad), EINVAL);
}

static void a_copy_of_the_process_has_its_own_id(void **unused)
{
	int status = 0;
	pid_t child = filled._Fork();

	(void)unused;
	if (child == 0)
		_exit(getppid() == getpid());
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void signals_reach_a_thread(void **unused)
{
	(void)unused;
	assert_int_equal(filled.tgkill(getpid(), gettid(), 0), 0);
	assert_int_equal(filled.tgkill(getpid(), gettid(), 1000), -1);
	assert_int_equal(errno, EINVAL);
}

static void masks_of_attributes_are_refused(void **unused)
{
	pthread_attr_t attr;
	sigset_t set;

	(void)unused;
	sigfillset(&set);
	pthread_attr_init(&attr);
	assert_int_equal(filled.pthread_attr_setsigmask_np(&attr, &set), ENOSYS);
	assert_int_equal(filled.pthread_attr_setsigmask_np(&attr, NULL), 0);
	assert_int_equal(filled.pthread_attr_getsigmask_np(&attr, &set),
		PTHREAD_ATTR_NO_SIGMASK_NP);
	assert_false(sigismember(&set, SIGHUP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_libc_has_is_kept),
		cmocka_unit_test(locks_wait_until_the_moment),
		cmocka_unit_test(conditions_wait_whatever_their_clock),
		cmocka_unit_test(semaphores_and_joins_wait),
		cmocka_unit_test(other_clocks_and_bad_times_are_refused),
		cmocka_unit_test(a_copy_of_the_process_has_its_own_id),
		cmocka_unit_test(signals_reach_a_thread),
		cmocka_unit_test(masks_of_attributes_are_refused),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
