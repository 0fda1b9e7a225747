/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/record/requeue.h"
#include "test/lib/c/record_fixture.h"

static sigset_t own; /* our signal alone */

/* The thread really blocks our signal, as our handler does. */
static int boot(void **unused)
{
	(void)unused;
	fixture_boot(1 << 20, 1);
	sigemptyset(&own);
	sigaddset(&own, pa_record.signal);
	sigprocmask(SIG_BLOCK, &own, NULL);
	memset(&pa_requeue_self, 0, sizeof(pa_requeue_self));
	return 0;
}

/* By the system call: libc's function makes SI_TKILL the same as SI_USER. */
static int take(siginfo_t *info)
{
	const struct timespec now = { 0, 0 };
	return (int)syscall(SYS_rt_sigtimedwait, &own, info, &now, sizeof(uint64_t));
}

static void send_value(int what)
{
	const union sigval value = { .sival_int = what };
	assert_int_equal(sigqueue(getpid(), pa_record.signal, value), 0);
}

/* Of a thread that was interrupted with all signals blocked but ours. */
static ucontext_t hiding(void)
{
	ucontext_t context;
	memset(&context, 0, sizeof(context));
	sigfillset(&context.uc_sigmask);
	sigdelset(&context.uc_sigmask, pa_record.signal);
	return context;
}

static void signal_goes_back_before_those_behind_it(void **unused)
{
	(void)unused;
	siginfo_t info;
	ucontext_t context = hiding();
	for (int i = 0; i < 5; i++)
		send_value(i);
	assert_int_equal(take(&info), pa_record.signal);
	assert_true(pa_requeue_signal(pa_record.signal, &info, &context, false));
	for (int i = 0; i < 5; i++) {
		assert_int_equal(take(&info), pa_record.signal);
		assert_int_equal(info.si_code, SI_QUEUE);
		assert_int_equal(info.si_value.sival_int, i);
	}
	assert_int_equal(take(&info), -1);
}

static void thread_blocks_it_and_waits_for_it_from_then_on(void **unused)
{
	(void)unused;
	siginfo_t info;
	ucontext_t context = hiding();
	send_value(1);
	take(&info);
	assert_true(pa_requeue_signal(pa_record.signal, &info, &context, false));
	assert_int_equal(sigismember(&context.uc_sigmask, pa_record.signal), 1);
	assert_int_equal(sigismember(&pa_requeue_self.waits, pa_record.signal), 1);
	assert_true(pa_requeue_self.settled);
	take(&info);
	context = hiding();
	assert_false(pa_requeue_signal(pa_record.signal, &info, &context, false));
}

static void signal_that_is_open_on_purpose_stays(void **unused)
{
	(void)unused;
	siginfo_t info;
	ucontext_t context;
	memset(&context, 0, sizeof(context));
	send_value(1);
	take(&info);
	assert_false(pa_requeue_signal(pa_record.signal, &info, &context, false));
	assert_int_equal(sigismember(&context.uc_sigmask, pa_record.signal), 0);
	assert_int_equal(take(&info), -1);
}

static void signal_that_a_mask_of_a_call_let_in_stays(void **unused)
{
	(void)unused;
	siginfo_t info;
	ucontext_t context = hiding();
	send_value(1);
	take(&info);
	assert_false(pa_requeue_signal(pa_record.signal, &info, &context, true));
	assert_int_equal(sigismember(&context.uc_sigmask, pa_record.signal), 1);
	assert_int_equal(take(&info), -1);
}

static int32_t own_tid(void)
{
	return (int32_t)syscall(SYS_gettid);
}

static void *take_twice(void *count)
{
	siginfo_t info;
	*(int *)count = (take(&info) > 0) + (take(&info) > 0);
	return NULL;
}

static void signal_of_a_thread_goes_back_to_it(void **unused)
{
	(void)unused;
	siginfo_t info;
	pthread_t other;
	int others = 0;
	const union sigval value = { .sival_int = 3 };
	ucontext_t context = hiding();
	pa_requeue_note_thread(own_tid());
	pthread_sigqueue(pthread_self(), pa_record.signal, value);
	take(&info);
	assert_true(pa_requeue_signal(pa_record.signal, &info, &context, false));
	memset(&pa_requeue_self, 0, sizeof(pa_requeue_self));
	context = hiding();
	pthread_kill(pthread_self(), pa_record.signal);
	assert_int_equal(take(&info), pa_record.signal);
	assert_int_equal(info.si_value.sival_int, 3);
	assert_int_equal(take(&info), pa_record.signal);
	assert_int_equal(info.si_code, SI_TKILL);
	assert_true(pa_requeue_signal(pa_record.signal, &info, &context, false));
	pthread_create(&other, NULL, take_twice, &others);
	pthread_join(other, NULL);
	assert_int_equal(others, 0);
	assert_int_equal(take(&info), pa_record.signal);
	pa_requeue_note_thread(0);
}

static void hidden_is_noted_for_good(void **unused)
{
	(void)unused;
	assert_false(pa_requeue_is_hidden());
	pa_requeue_note_hidden();
	pa_requeue_atfork_child();
	assert_true(pa_requeue_is_hidden());
}

#define TEST(name) cmocka_unit_test_setup(name, boot)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signal_goes_back_before_those_behind_it),
		TEST(thread_blocks_it_and_waits_for_it_from_then_on),
		TEST(signal_that_is_open_on_purpose_stays),
		TEST(signal_that_a_mask_of_a_call_let_in_stays),
		TEST(signal_of_a_thread_goes_back_to_it),
		TEST(hidden_is_noted_for_good),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
