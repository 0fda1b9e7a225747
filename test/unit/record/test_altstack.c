/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/record/altstack.h"
#include "agent/record/disposition.h"
#include "test/lib/c/record_fixture.h"

static char memory[4][16384];
static pthread_barrier_t registered, over;
static pid_t their_tid;

static void handle(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
}

static stack_t stack_at(char *lo, size_t bytes)
{
	return (stack_t){ .ss_sp = lo, .ss_size = bytes };
}

static void *have(void *stack)
{
	pa_altstack_set(&pa_thread_self, stack);
	their_tid = gettid();
	pthread_barrier_wait(&registered);
	pthread_barrier_wait(&over);
	return NULL;
}

/* What one thread has while another one, that is alive, has theirs. */
static bool leaves_for(stack_t *mine, stack_t *theirs)
{
	pthread_t thread;
	pthread_barrier_init(&registered, NULL, 2);
	pthread_barrier_init(&over, NULL, 2);
	pthread_create(&thread, NULL, have, theirs);
	pthread_barrier_wait(&registered);
	pa_altstack_set(&pa_thread_self, mine);
	bool leaves = pa_disposition_leaves_alternate();
	pthread_barrier_wait(&over);
	pthread_join(thread, NULL);
	/* pthread_join(3) may be back before the kernel has forgotten the thread. */
	while (tgkill(getpid(), their_tid, 0) == 0)
		sched_yield();
	return leaves;
}

/* It is for the life of a process: each in its own. */
static void in_a_child(bool (*run)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		fixture_boot(1 << 20, 1);
		pa_disposition_boot(sigaction, handle);
		_exit(run() ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static bool share_all(void)
{
	stack_t a = stack_at(memory[0], 16384), b = a;
	return leaves_for(&a, &b);
}

static bool share_a_part(void)
{
	stack_t a = stack_at(memory[0], 16384), b = stack_at(memory[0] + 16000, 16384);
	return leaves_for(&a, &b);
}

static bool stand_side_by_side(void)
{
	stack_t a = stack_at(memory[0], 16384), b = stack_at(memory[1], 16384);
	return !leaves_for(&a, &b);
}

static bool give_up_first(void)
{
	stack_t none = { .ss_flags = SS_DISABLE }, a = stack_at(memory[0], 16384);
	pa_altstack_set(&pa_thread_self, &a);
	pa_altstack_set(&pa_thread_self, &none);
	stack_t other = stack_at(memory[2], 16384);
	return !leaves_for(&other, &a);
}

static bool take_over_from_the_dead(void)
{
	stack_t a = stack_at(memory[0], 16384), b = stack_at(memory[1], 16384);
	bool first = leaves_for(&b, &a);
	pa_altstack_set(&pa_thread_self, &a);
	return !first && !pa_disposition_leaves_alternate();
}

static bool lose_memory(void)
{
	stack_t a = stack_at(memory[0], 16384);
	pa_altstack_set(&pa_thread_self, &a);
	pa_altstack_unmapped((uintptr_t)memory[1], (uintptr_t)memory[2]);
	bool before = pa_disposition_leaves_alternate();
	pa_altstack_unmapped((uintptr_t)memory[0], (uintptr_t)memory[0] + 4096);
	return !before && pa_disposition_leaves_alternate();
}

static bool set_while_ours(void)
{
	struct sigaction before, after;
	stack_t a = stack_at(memory[0], 16384), b = a;
	pa_disposition_install();
	sigaction(pa_record.signal, NULL, &before);
	leaves_for(&a, &b);
	sigaction(pa_record.signal, NULL, &after);
	return before.sa_flags & SA_ONSTACK && !(after.sa_flags & SA_ONSTACK);
}

#define TEST(name, run)                 \
	static void name(void **unused) \
	{                               \
		(void)unused;           \
		in_a_child(run);        \
	}

TEST(stack_that_two_threads_have_is_left_alone, share_all)
TEST(stacks_that_overlap_are_left_alone, share_a_part)
TEST(stacks_side_by_side_are_used, stand_side_by_side)
TEST(stack_that_was_given_up_may_be_anothers, give_up_first)
TEST(stack_of_a_thread_that_is_gone_may_be_anothers, take_over_from_the_dead)
TEST(stack_whose_memory_goes_is_left_alone, lose_memory)
TEST(handler_that_is_installed_changes_at_once, set_while_ours)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stack_that_two_threads_have_is_left_alone),
		cmocka_unit_test(stacks_that_overlap_are_left_alone),
		cmocka_unit_test(stacks_side_by_side_are_used),
		cmocka_unit_test(stack_that_was_given_up_may_be_anothers),
		cmocka_unit_test(stack_of_a_thread_that_is_gone_may_be_anothers),
		cmocka_unit_test(stack_whose_memory_goes_is_left_alone),
		cmocka_unit_test(handler_that_is_installed_changes_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
