/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/record/handler_frame.h"
#include "agent/record/thread.h"
#include "test/lib/c/record_fixture.h"

/* libc's code that calls back: one small function. */
static void *(*volatile search)(const void *, const void *, size_t, size_t,
	int (*)(const void *, const void *)) = bsearch;

static struct {
	struct pa_code code;
	PA_ATOMIC(bool) asked, answer; /* by a handler: the compiler does not see it called */
	bool nested;
} state;

static void *nothing(void *arg)
{
	return arg;
}

static int boot(void **unused)
{
	pthread_t thread;
	(void)unused;
	fixture_boot(1 << 20, 1);
	state.code = (struct pa_code){ (uintptr_t)search, (uintptr_t)search + 0x60 };
	/* libc has its own handlers, from which the return address is known, with the first one. */
	if (pthread_create(&thread, NULL, nothing, NULL) != 0)
		return -1;
	return pthread_join(thread, NULL);
}

/* As a system call that libc's function makes, without a frame of its own. */
static void interrupt(int number)
{
	syscall(SYS_tgkill, getpid(), gettid(), number);
}

static void on_signal(int number)
{
	if (state.nested && number == SIGUSR1) {
		interrupt(SIGUSR2);
		return;
	}
	pa_store_relaxed(&state.answer, pa_handler_frame_cut_into(state.code));
	pa_store_relaxed(&state.asked, true);
}

static int raise_it(const void *key, const void *element)
{
	(void)element;
	interrupt(*(const int *)key);
	return 0;
}

static int ask_directly(const void *key, const void *element)
{
	(void)key;
	(void)element;
	pa_store_relaxed(&state.answer, pa_handler_frame_cut_into(state.code));
	pa_store_relaxed(&state.asked, true);
	return 0;
}

/* What the handler of SIGUSR1 found when it came in the middle of search. */
static bool answer_within(int flags)
{
	const int number = SIGUSR1, element = 0;
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
	sigaction(number, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	pa_store_relaxed(&state.asked, false);
	search(&number, &element, 1, sizeof(element), raise_it);
	assert_true(pa_load_relaxed(&state.asked));
	return pa_load_relaxed(&state.answer);
}

static void handler_within_the_code_is_seen(void **unused)
{
	(void)unused;
	state.nested = false;
	assert_true(answer_within(0));
}

static void handler_on_a_stack_of_its_own_is_seen(void **unused)
{
	(void)unused;
	stack_t stack = { .ss_size = 65536 }, none = { .ss_flags = SS_DISABLE };
	stack.ss_sp = malloc(stack.ss_size);
	assert_int_equal(sigaltstack(&stack, NULL), 0);
	state.nested = false;
	assert_true(answer_within(SA_ONSTACK));
	state.nested = true;
	assert_true(answer_within(SA_ONSTACK));
	sigaltstack(&none, NULL);
	free(stack.ss_sp);
}

/* As a coroutine's: nothing is known of it. */
static void handler_on_an_unknown_stack_is_seen(void **unused)
{
	(void)unused;
	struct pa_thread known = pa_thread_self;
	pa_thread_self.stack_lo = pa_thread_self.stack_hi = pa_thread_self.stack_least = 0;
	state.nested = false;
	assert_true(answer_within(0));
	pa_thread_self = known;
}

static void handler_within_a_handler_is_seen(void **unused)
{
	(void)unused;
	state.nested = true;
	assert_true(answer_within(0));
}

static int raise_deep(const void *key, const void *element)
{
	volatile char deep[1024];
	memset((char *)deep, 0, sizeof(deep));
	interrupt(*(const int *)key);
	(void)element;
	return deep[0];
}

static bool answer_deep(int number)
{
	const int element = 0;
	struct sigaction action = { .sa_handler = on_signal };
	sigaction(number, &action, NULL);
	search(&number, &element, 1, sizeof(element), raise_deep);
	return pa_load_relaxed(&state.answer);
}

static void only_abort_may_be_far_from_the_code(void **unused)
{
	(void)unused;
	state.nested = false;
	assert_true(answer_deep(SIGABRT));
	assert_false(answer_deep(SIGUSR1));
}

static void handler_elsewhere_is_not(void **unused)
{
	(void)unused;
	const int number = SIGUSR1;
	struct sigaction action = { .sa_handler = on_signal };
	state.nested = false;
	sigaction(SIGUSR1, &action, NULL);
	pa_store_relaxed(&state.asked, false);
	raise_deep(&number, NULL);
	assert_true(pa_load_relaxed(&state.asked));
	assert_false(pa_load_relaxed(&state.answer));
}

static void code_without_a_handler_is_not(void **unused)
{
	(void)unused;
	const int element = 0;
	pa_store_relaxed(&state.asked, false);
	search(&element, &element, 1, sizeof(element), ask_directly);
	assert_true(pa_load_relaxed(&state.asked));
	assert_false(pa_load_relaxed(&state.answer));
}

static void unknown_code_is_never_seen(void **unused)
{
	(void)unused;
	struct pa_code known = state.code;
	state.nested = false;
	state.code = (struct pa_code){ 0 };
	assert_false(answer_within(0));
	state.code = known;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_THREAD__ /* it calls handlers itself, later */
		cmocka_unit_test(handler_within_the_code_is_seen),
		cmocka_unit_test(handler_on_a_stack_of_its_own_is_seen),
		cmocka_unit_test(handler_on_an_unknown_stack_is_seen),
		cmocka_unit_test(handler_within_a_handler_is_seen),
		cmocka_unit_test(only_abort_may_be_far_from_the_code),
		cmocka_unit_test(handler_elsewhere_is_not),
#endif
		cmocka_unit_test(code_without_a_handler_is_not),
		cmocka_unit_test(unknown_code_is_never_seen),
	};
	return cmocka_run_group_tests(tests, boot, NULL);
}
