/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/record/disposition.h"
#include "test/lib/c/record_fixture.h"

static const struct sigaction none = { .sa_handler = SIG_DFL };
static PA_ATOMIC(int) calls, ours;
static sigset_t seen_mask;

static void handle(int signal)
{
	(void)signal;
	sigprocmask(SIG_BLOCK, NULL, &seen_mask);
	pa_add_relaxed(&calls, 1);
}

/* Signals with a value are ours, all others the program's. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
	if (info->si_code == SI_QUEUE)
		pa_add_relaxed(&ours, 1);
	else
		pa_disposition_forward(signal, info, context);
}

static void send_ours(void)
{
	const union sigval value = { .sival_int = 1 };
	sigqueue(getpid(), pa_record.signal, value);
}

static int boot(void **unused)
{
	(void)unused;
	fixture_boot(1 << 20, 1);
	pa_disposition_atfork_child();
	pa_disposition_boot(sigaction, on_signal);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		sigaction(i, &none, NULL);
	pa_disposition_change(&none, NULL);
	pa_store_relaxed(&calls, 0);
	pa_store_relaxed(&ours, 0);
	return 0;
}

static struct sigaction in_kernel(void)
{
	struct sigaction action;
	assert_int_equal(sigaction(pa_record.signal, NULL, &action), 0);
	return action;
}

/* Ends the child in whatever way; its wait status. */
static int status_of(void (*run)(void))
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		pa_record.pid = getpid();
		run();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void handler_of_all_signals_is_by_the_way(void **unused)
{
	(void)unused;
	const struct sigaction own = { .sa_handler = handle };
	struct sigaction now;
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		if (i != pa_record.signal)
			sigaction(i, &own, NULL);
	pa_disposition_change(&own, NULL);
	assert_false(pa_disposition_is_handled());
	assert_int_equal(pa_disposition_install(), 0);
	assert_int_equal(pa_disposition_change(NULL, &now), 0);
	assert_ptr_equal(now.sa_handler, handle);
	raise(pa_record.signal);
	assert_int_equal(pa_load_relaxed(&calls), 1);
	pa_disposition_restore(false);
	assert_ptr_equal(in_kernel().sa_handler, handle);
	raise(pa_record.signal);
	assert_int_equal(pa_load_relaxed(&calls), 2);
}

static void handler_of_our_signal_alone_is_meant(void **unused)
{
	(void)unused;
	const struct sigaction own = { .sa_handler = handle };
	sigaction(pa_disposition_neighbour(pa_record.signal, 1), &own, NULL);
	pa_disposition_change(&own, NULL);
	assert_true(pa_disposition_is_handled());
	assert_int_equal(pa_disposition_install(), -EADDRINUSE);
}

static void programs_handler_has_the_mask_that_the_kernel_gives(void **unused)
{
	(void)unused;
	struct sigaction own = { .sa_handler = handle };
	sigaddset(&own.sa_mask, SIGHUP);
	assert_int_equal(pa_disposition_install(), 0);
	pa_disposition_change(&own, NULL);
	raise(pa_record.signal);
	assert_int_equal(pa_load_relaxed(&calls), 1);
	assert_int_equal(sigismember(&seen_mask, SIGHUP), 1);
	assert_int_equal(sigismember(&seen_mask, SIGINT), 0);
	assert_int_equal(sigismember(&seen_mask, pa_record.signal), 1);
	pa_disposition_restore(false);
}

static void handler_for_once_is_called_once(void **unused)
{
	(void)unused;
	const struct sigaction own = { .sa_handler = handle, .sa_flags = (int)SA_RESETHAND };
	struct sigaction now;
	assert_int_equal(pa_disposition_install(), 0);
	pa_disposition_change(&own, NULL);
	raise(pa_record.signal);
	pa_disposition_change(NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	pa_disposition_restore(false);
	assert_ptr_equal(in_kernel().sa_handler, SIG_DFL);
}

static void raise_in_a_profile(void)
{
	pa_disposition_install();
	raise(pa_record.signal);
}

static void signal_of_others_ends_the_process_as_by_default(void **unused)
{
	(void)unused;
	int status = status_of(raise_in_a_profile);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), pa_record.signal);
}

static void raise_ignored(void)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	pa_disposition_change(&ignore, NULL);
	pa_disposition_install();
	raise(pa_record.signal);
}

static void signal_of_others_that_is_ignored_does_nothing(void **unused)
{
	(void)unused;
	assert_int_equal(status_of(raise_ignored), 0);
}

static void *set_default_over_and_over(void *over)
{
	struct sigaction now;
	/* Ends: with the test. */
	while (!pa_load_acquire((PA_ATOMIC(int) *)over)) {
		pa_disposition_change(&none, NULL);
		if (pa_disposition_change(NULL, &now) != 0 || now.sa_handler != SIG_DFL)
			return over;
	}
	return NULL;
}

/* Where it did not, this process would end. */
static void program_may_set_it_at_any_moment(void **unused)
{
	(void)unused;
	PA_ATOMIC(int) over = 0;
	pthread_t threads[2];
	void *wrong;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, set_default_over_and_over, &over);
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(pa_disposition_install(), 0);
		send_ours();
		pa_disposition_drop_pending();
		pa_disposition_restore(false);
	}
	pa_store_release(&over, 1);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
}

static void handler_for_ever_stands_in_front_of_the_programs(void **unused)
{
	(void)unused;
	const struct sigaction own = { .sa_handler = handle };
	assert_int_equal(pa_disposition_install(), 0);
	pa_disposition_restore(true);
	send_ours();
	assert_int_equal(pa_load_relaxed(&ours), 0);
	pa_disposition_change(&own, NULL);
	send_ours();
	raise(pa_record.signal);
	assert_int_equal(pa_load_relaxed(&calls), 1);
	pa_disposition_change(&none, NULL);
	send_ours();
	assert_ptr_equal(in_kernel().sa_handler, SIG_IGN);
}

/* Shares our memory, but not our dispositions. */
static void child_of_vfork_changes_its_own(void **unused)
{
	(void)unused;
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction now;
	int status;
	assert_int_equal(pa_disposition_install(), 0);
	pid_t child = vfork(); /* the thread sanitizer makes it a fork */
	if (child == 0) {
		pa_disposition_change(&ignore, &now);
		bool good = now.sa_handler == SIG_DFL && in_kernel().sa_handler == SIG_IGN;
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pa_disposition_change(NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	assert_ptr_equal(in_kernel().sa_sigaction, on_signal);
	pa_disposition_restore(false);
}

static void leave_shared(void)
{
	ucontext_t context = { 0 };
	siginfo_t info = { .si_code = SI_USER };
	const struct sigaction own = { .sa_handler = handle, .sa_flags = SA_NODEFER };
	pa_disposition_share();
	bool good = pa_disposition_is_shared() && pa_disposition_install() == -EADDRINUSE;
	struct sigaction had = in_kernel();
	good &= had.sa_sigaction == on_signal && had.sa_flags & SA_RESTART;
	pa_disposition_restore(false);
	pa_disposition_drop_pending();
	good &= in_kernel().sa_sigaction == on_signal;
	/* What the program sets is told, and its flags are the kernel's. */
	good &= pa_disposition_change(&own, &had) == 0 && had.sa_handler == SIG_DFL;
	good &= pa_disposition_change(NULL, &had) == 0 && had.sa_handler == handle;
	good &= in_kernel().sa_sigaction == on_signal && !(in_kernel().sa_flags & SA_RESTART);
	good &= pa_disposition_forward(pa_record.signal, &info, &context) &&
		pa_load_relaxed(&calls) == 1;
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	good &= pa_disposition_change(&ignore, NULL) == 0 &&
		!pa_disposition_forward(pa_record.signal, &info, &context);
	_exit(good ? 0 : 1);
}

/* For good, so in a child. */
static void shared_disposition_stays_in_front_of_the_programs(void **unused)
{
	(void)unused;
	assert_int_equal(status_of(leave_shared), 0);
}

static void neighbours_are_those_on_both_sides(void **unused)
{
	(void)unused;
	sigset_t set;
	sigfillset(&set);
	assert_true(pa_disposition_has_neighbours(&set));
	sigdelset(&set, pa_record.signal);
	assert_true(pa_disposition_has_neighbours(&set));
	sigdelset(&set, pa_record.signal + 1);
	assert_false(pa_disposition_has_neighbours(&set));
}

#define TEST(name) cmocka_unit_test_setup(name, boot)

static void what_the_program_never_set_has_no_flags_afterwards(void **unused)
{
	static const unsigned long as_the_kernel_takes_it[4]; /* SIG_DFL */
	(void)unused;
	assert_int_equal(syscall(SYS_rt_sigaction, pa_record.signal, as_the_kernel_takes_it, NULL,
				 8),
		0);
	assert_int_equal(pa_disposition_install(), 0);
	pa_disposition_restore(false);
	assert_int_equal(in_kernel().sa_flags, 0);
	assert_ptr_equal(in_kernel().sa_handler, SIG_DFL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_program_never_set_has_no_flags_afterwards),
		TEST(handler_of_all_signals_is_by_the_way),
		TEST(handler_of_our_signal_alone_is_meant),
		TEST(programs_handler_has_the_mask_that_the_kernel_gives),
		TEST(handler_for_once_is_called_once),
		TEST(signal_of_others_ends_the_process_as_by_default),
		TEST(signal_of_others_that_is_ignored_does_nothing),
		TEST(program_may_set_it_at_any_moment),
		TEST(child_of_vfork_changes_its_own),
		TEST(handler_for_ever_stands_in_front_of_the_programs),
		TEST(shared_disposition_stays_in_front_of_the_programs),
		TEST(neighbours_are_those_on_both_sides),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
