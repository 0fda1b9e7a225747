/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/record/blocked_threads.h"
#include "agent/record/shared_call.h"
#include "test/lib/c/blocked_call.h"
#include "test/lib/c/record_fixture.h"

/*
 * A stand-in for libc: seven arguments, the last one is the number of the call, on the stack. Its
 * frame is like that of no libc. With test_inlined the instruction is in the function itself, else
 * in one that test_other calls as well, from another frame.
 */
long test_stand_in(long a, long b, long c, long d, long e, long f, long number);
long test_other(long a, long b, long c, long d, long e, long f, long number);
char test_inlined;
__asm__(".text\n"
	"test_common:\n\t"
	"mov %rcx, %r10\n\t"
	"syscall\n\t"
	"ret\n"
	"test_stand_in:\n\t"
	"sub $72, %rsp\n\t"
	"movq $0, 32(%rsp)\n\t"
	"mov 80(%rsp), %rax\n\t"
	"cmpb $0, test_inlined(%rip)\n\t"
	"jne 1f\n\t"
	"call test_common\n\t"
	"jmp 2f\n"
	"1:\tmov %rcx, %r10\n\t"
	"syscall\n"
	"2:\tadd $72, %rsp\n\t"
	"ret\n"
	"test_other:\n\t"
	"mov 8(%rsp), %rax\n\t"
	"sub $88, %rsp\n\t"
	"movq $7, 80(%rsp)\n\t" /* SYS_poll, where the number is in the frame above */
	"call test_common\n\t"
	"add $88, %rsp\n\t"
	"ret\n");

static void stand_in_ppoll(const struct timespec *timeout, const sigset_t *mask)
{
	int before;
	struct timespec left = *timeout; /* the kernel writes what is left */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	pthread_setcancelstate(before, NULL);
	test_inlined = before == PTHREAD_CANCEL_DISABLE;
	test_stand_in(0, 0, (long)&left, (long)mask, 8, 0, SYS_ppoll);
}

/* As libc in a process of one thread. */
static void alone_ppoll(const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec left = *timeout;
	test_inlined = 1;
	test_stand_in(0, 0, (long)&left, (long)mask, 8, 0, SYS_ppoll);
}

static void stand_in_pselect(const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec left = *timeout;
	uintptr_t pair[2] = { (uintptr_t)mask, 8 };
	test_stand_in(0, 0, 0, 0, (long)&left, (long)pair, SYS_pselect6);
}

static const struct pa_shared_call_probe stand_in[] = {
	{ SYS_ppoll, stand_in_ppoll },
	{ SYS_pselect6, stand_in_pselect },
};

static const struct pa_shared_call_probe alone[] = {
	{ SYS_ppoll, alone_ppoll },
	{ SYS_pselect6, stand_in_pselect },
};

/* Arguments as of libc's functions, and no wait. */
static void call_nothing(const struct timespec *timeout, const sigset_t *mask)
{
	(void)timeout;
	(void)mask;
}

static const struct pa_shared_call_probe without_effect[] = {
	{ SYS_ppoll, call_nothing },
	{ SYS_pselect6, call_nothing },
};

/* What was learned stays: each test is a process. A number says where it failed. */
#define CHECK(condition)                              \
	do {                                          \
		if (!(condition))                     \
			_exit(1 + (__LINE__ & 0x7f)); \
	} while (0)

static void assert_in_child(void (*body)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		alarm(60);
		fixture_boot(1 << 20, 1);
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static PA_ATOMIC(int) probes_answered, others;

static void answer(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	if (pa_shared_call_answer(info, context))
		pa_add_relaxed(&probes_answered, 1);
	else
		pa_add_relaxed(&others, 1);
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART };
	CHECK(sigaction(signal, &action, NULL) == 0);
}

static bool learn(const struct pa_shared_call_probe *probes)
{
	handle(pa_record.signal, answer);
	return pa_shared_call_learn(probes);
}

static long number_seen;

static void note_number(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	number_seen = pa_shared_call_number(context);
}

/* The number that a handler finds when it interrupts that call. */
static long number_of(long (*call)(long, long, long, long, long, long, long), long number)
{
	struct timespec minute = { .tv_sec = 60 };
	sigset_t mask, before;
	uintptr_t pair[2] = { (uintptr_t)&mask, 8 };
	handle(SIGUSR1, note_number);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, &before);
	raise(SIGUSR1);
	sigemptyset(&mask);
	number_seen = -2;
	long result = number == SYS_ppoll ? call(0, 0, (long)&minute, (long)&mask, 8, 0, number) :
					    call(0, 0, 0, 0, (long)&minute, (long)pair, number);
	sigprocmask(SIG_SETMASK, &before, NULL);
	CHECK(result == -EINTR);
	return number_seen;
}

static void learn_and_find(void)
{
	CHECK(learn(stand_in));
	CHECK(probes_answered == 4 && others == 0);
	for (test_inlined = 0; test_inlined < 2; test_inlined++) {
		CHECK(number_of(test_stand_in, SYS_ppoll) == SYS_ppoll);
		CHECK(number_of(test_stand_in, SYS_pselect6) == SYS_pselect6);
	}
	CHECK(learn(stand_in)); /* again: the same */
	test_inlined = 0;
	CHECK(number_of(test_stand_in, SYS_ppoll) == SYS_ppoll);
}

static void number_is_found_where_it_was_learned(void **unused)
{
	(void)unused;
	assert_in_child(learn_and_find);
}

static void find_nothing(void)
{
	for (test_inlined = 0; test_inlined < 2; test_inlined++)
		CHECK(number_of(test_stand_in, SYS_ppoll) == -1);
}

static void learn_one_after_the_other(void)
{
	CHECK(!learn(alone));
	CHECK(number_of(test_stand_in, SYS_ppoll) == SYS_ppoll);
	test_inlined = 0;
	CHECK(number_of(test_stand_in, SYS_ppoll) == -1);
	CHECK(learn(stand_in));
	CHECK(number_of(test_stand_in, SYS_ppoll) == SYS_ppoll);
	test_inlined = 0;
	CHECK(number_of(test_stand_in, SYS_ppoll) == SYS_ppoll);
}

static void second_instruction_is_learned_later(void **unused)
{
	(void)unused;
	assert_in_child(learn_one_after_the_other);
}

static void nothing_is_found_before(void **unused)
{
	(void)unused;
	assert_in_child(find_nothing);
}

static void call_from_another_frame(void)
{
	CHECK(learn(stand_in));
	CHECK(number_of(test_other, SYS_ppoll) == -1);
	CHECK(number_of(test_other, SYS_pselect6) == -1);
}

static void frame_of_another_caller_is_not_read(void **unused)
{
	(void)unused;
	assert_in_child(call_from_another_frame);
}

static void keep_state(void)
{
	int before;
	sigset_t mask;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	CHECK(learn(stand_in));
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
	CHECK(before == PTHREAD_CANCEL_DISABLE);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	CHECK(!sigismember(&mask, pa_record.signal));
	/* The signal is not that of a probe any more. */
	raise(pa_record.signal);
	CHECK(others == 1);
}

static void thread_is_as_it_was(void **unused)
{
	(void)unused;
	assert_in_child(keep_state);
}

static void end_without_signal(void)
{
	sigset_t ours, pending;
	CHECK(!learn(without_effect));
	sigpending(&pending);
	CHECK(!sigismember(&pending, pa_record.signal));
	CHECK(probes_answered == 0 && others == 1);
	/* A thread of the agent has it blocked. */
	sigemptyset(&ours);
	sigaddset(&ours, pa_record.signal);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	CHECK(!learn(without_effect));
	sigpending(&pending);
	CHECK(!sigismember(&pending, pa_record.signal));
	CHECK(learn(stand_in));
}

static void probe_that_is_not_interrupted_leaves_nothing(void **unused)
{
	(void)unused;
	assert_in_child(end_without_signal);
}

static int values[4];
static PA_ATOMIC(int) count;

static void note_value(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	if (!pa_shared_call_answer(info, context) && info->si_code == SI_QUEUE)
		values[pa_add_relaxed(&count, 1) & 3] = info->si_value.sival_int;
}

/* A thread of the agent has the signal blocked, but in a probe. */
static void meet_others(void)
{
	sigset_t ours;
	handle(pa_record.signal, note_value);
	sigemptyset(&ours);
	sigaddset(&ours, pa_record.signal);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	sigqueue(getpid(), pa_record.signal, (union sigval){ .sival_int = 7 });
	pa_shared_call_learn(stand_in);
	sigprocmask(SIG_UNBLOCK, &ours, NULL);
	CHECK(pa_load_relaxed(&count) == 1 && values[0] == 7);
	CHECK(pa_shared_call_learn(stand_in));
}

static void signal_of_the_program_is_not_lost(void **unused)
{
	(void)unused;
	assert_in_child(meet_others);
}

/* ---- libc ---- */

static struct sleeper {
	PA_ATOMIC(int32_t) tid;
	int pipe[2], cancel_state;
	bool result;
	PA_ATOMIC(int) handled;
} sleeper;

static void hide(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	pa_blocked_threads_hide_interruption(context);
	pa_add_acq_rel(&sleeper.handled, 1);
}

static void begin_sleep(void)
{
	pthread_setcancelstate(sleeper.cancel_state, NULL);
	pa_store_release(&sleeper.tid, (int32_t)syscall(SYS_gettid));
}

static void end_sleep(bool as_expected)
{
	char byte;
	sleeper.result = read(sleeper.pipe[0], &byte, 1) == 1 && as_expected;
}

static void *sleep_in_poll(void *unused)
{
	struct pollfd wanted = { .fd = sleeper.pipe[0], .events = POLLIN };
	begin_sleep();
	end_sleep(poll(&wanted, 1, 60000) == 1);
	return unused;
}

/* A function that sets no errno. */
static void *sleep_in_nanosleep(void *unused)
{
	const struct timespec tenth = { .tv_nsec = 100000000 };
	begin_sleep();
	end_sleep(clock_nanosleep(CLOCK_MONOTONIC, 0, &tenth, NULL) == 0);
	return unused;
}

/* The thread's call returns as if there had been no signal. */
static void interrupt_sleeper(void *(*sleep)(void *), long number)
{
	pthread_t thread;
	pa_store_release(&sleeper.tid, 0);
	pa_store_release(&sleeper.handled, 0);
	CHECK(pthread_create(&thread, NULL, sleep, NULL) == 0);
	blocked_call_await(&sleeper.tid, number);
	pthread_kill(thread, SIGUSR1);
	while (!pa_load_acquire(&sleeper.handled))
		sched_yield();
	CHECK(write(sleeper.pipe[1], "x", 1) == 1);
	pthread_join(thread, NULL);
	CHECK(sleeper.result);
}

static void interrupt_both(int cancel_state)
{
	sleeper.cancel_state = cancel_state;
	interrupt_sleeper(sleep_in_poll, SYS_poll);
	interrupt_sleeper(sleep_in_nanosleep, SYS_clock_nanosleep);
}

static void *stay(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Whatever libc this is: its number is in the code before the instruction, or was learned. Without
 * a second thread libc makes calls as with cancellation disabled. */
static void interrupt_libc(void)
{
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, stay, NULL) == 0);
	CHECK(learn(pa_shared_call_of_libc));
	CHECK(probes_answered == 4);
	handle(SIGUSR1, hide);
	CHECK(pipe(sleeper.pipe) == 0);
	interrupt_both(PTHREAD_CANCEL_ENABLE);
	interrupt_both(PTHREAD_CANCEL_DISABLE);
}

static void interruption_of_libc_is_hidden(void **unused)
{
	(void)unused;
	assert_in_child(interrupt_libc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_THREAD__ /* it calls handlers itself, later */
		cmocka_unit_test(number_is_found_where_it_was_learned),
		cmocka_unit_test(second_instruction_is_learned_later),
		cmocka_unit_test(frame_of_another_caller_is_not_read),
		cmocka_unit_test(interruption_of_libc_is_hidden),
#endif
		cmocka_unit_test(nothing_is_found_before),
		cmocka_unit_test(thread_is_as_it_was),
		cmocka_unit_test(probe_that_is_not_interrupted_leaves_nothing),
		cmocka_unit_test(signal_of_the_program_is_not_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
