/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/record/signal.h"
#include "agent/record/signal_handlers.h"
#include "test/lib/c/record_fixture.h"

static const struct sigaction none = { .sa_handler = SIG_DFL };
static PA_ATOMIC(int) calls;

static void own_handler(int signal)
{
	(void)signal;
	pa_add_relaxed(&calls, 1);
}

static int boot(void **unused)
{
	(void)unused;
	fixture_boot(1 << 20, 1);
	pa_signal_boot(sigaction, &pa_signal_handlers);
	sigaction(pa_record.signal, &none, NULL);
	pa_store_relaxed(&calls, 0);
	return 0;
}

static struct sigaction disposition(void)
{
	struct sigaction action;
	assert_int_equal(sigaction(pa_record.signal, NULL, &action), 0);
	return action;
}

static void takers_share_the_handler_and_the_last_gives_it_back(void **unused)
{
	(void)unused;
	assert_int_equal(pa_signal_take(), 0);
	struct sigaction ours = disposition();
	assert_true(ours.sa_flags & SA_SIGINFO);
	assert_true(ours.sa_flags & SA_RESTART);
	assert_int_equal(pa_signal_take(), 0);
	pa_signal_release(true);
	assert_ptr_equal(disposition().sa_sigaction, ours.sa_sigaction);
	pa_signal_release(true);
	assert_ptr_equal(disposition().sa_handler, SIG_DFL);
}

static void ignored_signal_is_ignored_again_after_release(void **unused)
{
	(void)unused;
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigaction(pa_record.signal, &ignore, NULL);
	assert_int_equal(pa_signal_take(), 0);
	pa_signal_release(true);
	assert_ptr_equal(disposition().sa_handler, SIG_IGN);
}

static void signal_that_the_program_handles_is_left_alone(void **unused)
{
	(void)unused;
	struct sigaction own = { .sa_handler = own_handler };
	sigaction(pa_record.signal, &own, NULL);
	assert_int_equal(pa_signal_take(), -EADDRINUSE);
	assert_ptr_equal(disposition().sa_handler, own_handler);
}

static void wish_of_the_program_comes_true_after_release(void **unused)
{
	(void)unused;
	struct sigaction own = { .sa_handler = own_handler }, old;
	assert_int_equal(pa_signal_take(), 0);
	assert_int_equal(pa_disposition_change(&own, &old), 0);
	assert_ptr_equal(old.sa_handler, SIG_DFL);
	assert_int_equal(pa_disposition_change(NULL, &old), 0);
	assert_ptr_equal(old.sa_handler, own_handler);
	pa_signal_release(true);
	assert_ptr_equal(disposition().sa_handler, own_handler);
}

static void signals_of_others_go_to_the_programs_handler(void **unused)
{
	(void)unused;
	struct sigaction own = { .sa_handler = own_handler };
	assert_int_equal(pa_signal_take(), 0);
	assert_int_equal(pa_disposition_change(&own, NULL), 0);
	raise(pa_record.signal);
	assert_int_equal(pa_load_relaxed(&calls), 1);
	pa_signal_release(true);
}

/* With the default action it would end us. */
static void release_drops_what_is_pending(void **unused)
{
	(void)unused;
	sigset_t ours, pending;
	sigemptyset(&ours);
	sigaddset(&ours, pa_record.signal);
	assert_int_equal(pa_signal_take(), 0);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	raise(pa_record.signal);
	pa_signal_release(true);
	sigpending(&pending);
	assert_int_equal(sigismember(&pending, pa_record.signal), 0);
	sigprocmask(SIG_UNBLOCK, &ours, NULL);
}

static void child_of_fork_has_the_programs_disposition(void **unused)
{
	(void)unused;
	assert_int_equal(pa_signal_take(), 0);
	pid_t child = fork();
	if (child == 0) {
		pa_signal_atfork_child();
		if (disposition().sa_handler != SIG_DFL)
			_exit(1);
		_exit(pa_signal_take() == 0 ? 0 : 2);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	pa_signal_release(true);
}

static void signal_that_cannot_be_silenced_stays_ignored(void **unused)
{
	(void)unused;
	pid_t child = fork(); /* for good, so in a process of its own */
	if (child == 0) {
		bool taken = pa_signal_take() == 0;
		pa_signal_keep();
		pa_signal_release(true);
		raise(pa_record.signal);
		_exit(taken ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static PA_ATOMIC(int) over;

static void *work(void *tid)
{
	pa_store_release((PA_ATOMIC(int) *)tid, (int)syscall(SYS_gettid));
	while (!pa_load_acquire(&over))
		;
	return NULL;
}

/* A signal is sent to a thread, which stops with it in its tracer's hands, and is given back. */
static void release_in_a_tracee(int sent)
{
	pthread_t thread;
	PA_ATOMIC(int) tid = 0;
	char word;
	if (pa_signal_take() != 0 || pthread_create(&thread, NULL, work, &tid) != 0)
		_exit(1);
	while (!pa_load_acquire(&tid))
		;
	siginfo_t info = { .si_signo = pa_record.signal, .si_code = SI_TIMER };
	info.si_pid = getpid();
	info.si_uid = PA_SIGNAL_QUEUED_UID;
	info.si_value.sival_ptr = (void *)((uintptr_t)1 << 32); /* of an earlier dump */
	syscall(SYS_rt_tgsigqueueinfo, getpid(), pa_load_acquire(&tid), pa_record.signal, &info);
	if (read(sent, &word, 1) != 1)
		_exit(2);
	pa_signal_release(false);
	pa_store_release(&over, 1);
	pthread_join(thread, NULL);
	_exit(disposition().sa_handler == SIG_DFL ? 0 : 3);
}

/* The kernel looks at the disposition when the tracer lets the thread go on. */
static void signal_held_by_a_tracer_ends_no_process(void **unused)
{
	(void)unused;
	int go[2], status = 0;
	assert_int_equal(pipe(go), 0);
	pid_t child = fork(), stopped;
	if (child == 0) {
		pa_record.pid = getpid();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		raise(SIGSTOP);
		release_in_a_tracee(go[0]);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, PTRACE_O_TRACECLONE), 0);
	kill(child, SIGCONT);
	while ((stopped = waitpid(-1, &status, __WALL)) > 0 && WIFSTOPPED(status)) {
		bool event = status >> 16, ours = WSTOPSIG(status) == pa_record.signal;
		if (ours) {
			assert_int_equal(write(go[1], "", 1), 1);
			usleep(50000); /* it could be given back meanwhile */
		}
		ptrace(PTRACE_CONT, stopped, NULL, (long)(event ? 0 : WSTOPSIG(status)));
	}
	while (stopped != child && stopped > 0)
		stopped = waitpid(-1, &status, __WALL);
	assert_int_equal(status, 0);
	close(go[0]);
	close(go[1]);
}

static PA_ATOMIC(int) learned;

static bool learn(void)
{
	pa_add_acq_rel(&learned, 1);
	return true;
}

static void *read_ring(void *unused)
{
	for (;;) {
		pa_ring_wait_data(pa_record.ring, -1);
		pa_signal_learn_if_asked();
	}
	return unused;
}

/* 0, or the line of what is wrong. */
static int ask_to_learn(void)
{
	static struct pa_signal_callbacks handlers;
	pthread_t reader;
	handlers = pa_signal_handlers;
	handlers.learn = learn;
	pa_signal_boot(sigaction, &handlers);
	pthread_create(&reader, NULL, read_ring, NULL);
	pa_signal_ask_to_learn(); /* not shared: the handler is not installed */
	if (pa_load_acquire(&learned))
		return __LINE__ & 0x7f;
	pa_disposition_share();
	pa_signal_ask_to_learn();
	return pa_load_acquire(&learned) == 1 ? 0 : __LINE__ & 0x7f;
}

static void reader_learns_for_a_program_that_shares_the_signal(void **unused)
{
	int status;
	(void)unused;
	pid_t child = fork(); /* for good, so in a process of its own */
	if (child == 0)
		_exit(ask_to_learn());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void signal_is_of_the_program_while_it_handles_it(void **unused)
{
	(void)unused;
	const struct sigaction own = { .sa_handler = own_handler };
	assert_false(pa_signal_is_of_program());
	assert_int_equal(pa_disposition_change(&own, NULL), 0);
	assert_true(pa_signal_is_of_program());
	assert_int_equal(pa_disposition_change(&none, NULL), 0);
	assert_false(pa_signal_is_of_program());
}

/* For good, so it comes last. */
static void signal_that_the_program_names_is_left_alone(void **unused)
{
	(void)unused;
	pa_signal_is_taken();
	assert_true(pa_signal_is_of_program());
	assert_int_equal(pa_signal_take(), -EADDRINUSE);
	assert_ptr_equal(disposition().sa_handler, SIG_DFL);
}

#define TEST(name) cmocka_unit_test_setup(name, boot)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* Before the first one that takes the signal, which learns. */
		TEST(reader_learns_for_a_program_that_shares_the_signal),
		TEST(takers_share_the_handler_and_the_last_gives_it_back),
		TEST(ignored_signal_is_ignored_again_after_release),
		TEST(signal_that_the_program_handles_is_left_alone),
		TEST(wish_of_the_program_comes_true_after_release),
		TEST(signals_of_others_go_to_the_programs_handler),
		TEST(release_drops_what_is_pending),
		TEST(signal_that_cannot_be_silenced_stays_ignored),
		TEST(signal_held_by_a_tracer_ends_no_process),
		TEST(child_of_fork_has_the_programs_disposition),
		TEST(signal_is_of_the_program_while_it_handles_it),
		TEST(signal_that_the_program_names_is_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
