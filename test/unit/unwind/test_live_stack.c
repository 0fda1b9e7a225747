/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/base/atomic.h"
#include "agent/record/tasks.h"
#include "agent/unwind/live_stack.h"

static struct {
	int pipe[2];
	PA_ATOMIC(int32_t) tid, rounds; /* relaxed */
} sleeper;

static void *sleep_in_read(void *arg)
{
	char byte;
	pa_store_relaxed(&sleeper.tid, gettid());
	while (read(sleeper.pipe[0], &byte, 1) == 1)
		pa_add_relaxed(&sleeper.rounds, 1);
	return arg;
}

/* Waits until it is in read(); its sp and pc. */
static void find_sleeper(uintptr_t *sp, uintptr_t *pc)
{
	char text[256] = "";
	while (strncmp(text, "0 ", 2) != 0) {
		int32_t tid = pa_load_relaxed(&sleeper.tid);
		if (!tid || !pa_tasks_read(tid, "syscall", text, sizeof(text)))
			text[0] = '\0';
	}
	assert_int_equal(sscanf(text, "%*s %*s %*s %*s %*s %*s %*s %lx %lx", sp, pc), 2);
}

static void wake_sleeper(void)
{
	int32_t before = pa_load_relaxed(&sleeper.rounds);
	assert_int_equal(write(sleeper.pipe[1], "x", 1), 1);
	while (pa_load_relaxed(&sleeper.rounds) == before)
		;
}

static void stack_counts_while_its_thread_has_not_run(void **unused)
{
	(void)unused;
	pthread_t thread;
	uintptr_t sp, pc, again;
	struct pa_live_stack live;
	assert_int_equal(pipe2(sleeper.pipe, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, sleep_in_read, NULL), 0);
	find_sleeper(&sp, &pc);
	assert_true(pa_live_stack_begin(&live, pa_load_relaxed(&sleeper.tid), sp, pc));
	assert_true(pa_live_stack_is_same(&live));
	/* Elsewhere. */
	assert_false(pa_live_stack_begin(&live, pa_load_relaxed(&sleeper.tid), sp + 8, pc));
	assert_false(pa_live_stack_begin(&live, pa_load_relaxed(&sleeper.tid), sp, pc + 2));
	/* It is at the same place again, and has run. */
	assert_true(pa_live_stack_begin(&live, pa_load_relaxed(&sleeper.tid), sp, pc));
	wake_sleeper();
	find_sleeper(&again, &pc);
	assert_int_equal(again, sp);
	assert_false(pa_live_stack_is_same(&live));
	/* It has ended. */
	assert_true(pa_live_stack_begin(&live, pa_load_relaxed(&sleeper.tid), sp, pc));
	close(sleeper.pipe[1]);
	pthread_join(thread, NULL);
	assert_false(pa_live_stack_is_same(&live));
	close(sleeper.pipe[0]);
}

static void running_thread_has_none(void **unused)
{
	(void)unused;
	struct pa_live_stack live;
	assert_false(pa_live_stack_begin(&live, gettid(), (uintptr_t)&live, 0x1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack_counts_while_its_thread_has_not_run),
		cmocka_unit_test(running_thread_has_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
