/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/atomic.h"
#include "agent/base/lock.h"
#include "agent/core/core.h"
#include "agent/profile/last_thread.h"

struct pa_bridge *pa_core_bridge;

static PA_ATOMIC(int32_t) agent_tid;
static PA_ATOMIC(uint32_t) go_on;

static bool is_agent(int32_t tid)
{
	return tid == pa_load_acquire(&agent_tid);
}

static struct pa_bridge bridge = { .is_agent_thread = is_agent };

static int set_up(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	return 0;
}

static void program_with_a_main_thread_is_not_gone(void **unused)
{
	(void)unused;
	int status;
	assert_false(pa_last_thread_is_gone(&status));
}

/* The agent's thread of a child whose main ends by the raw call: ends it as it would have ended, or
 * with 99 when it thinks so too early. */
static void *look(void *other)
{
	int status;
	pa_store_release(&agent_tid, (int32_t)syscall(SYS_gettid));
	pa_store_release(&go_on, 1);
	while (pa_last_thread_is_gone(&status) == false) {
		if (other && pa_load_acquire(&go_on) == 1)
			pa_store_release(&go_on, 2);
		pa_futex_sleep(PA_NS_PER_MS);
	}
	syscall(SYS_exit_group, other && pa_load_acquire(&go_on) != 3 ? 99 : status);
	return NULL;
}

static void *live(void *unused)
{
	(void)unused;
	while (pa_load_acquire(&go_on) != 2)
		pa_futex_sleep(PA_NS_PER_MS);
	pa_futex_sleep(20 * PA_NS_PER_MS); /* it looks meanwhile */
	pa_store_release(&go_on, 3);
	syscall(SYS_exit, 0);
	return NULL;
}

static int status_of_child(bool with_other)
{
	int status;
#ifdef __SANITIZE_THREAD__
	skip(); /* it has a thread of its own, which outlives all */
#endif
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		if (with_other)
			pthread_create(&thread, NULL, live, NULL);
		pthread_create(&thread, NULL, look, with_other ? &bridge : NULL);
		while (!pa_load_acquire(&go_on))
			pa_futex_sleep(PA_NS_PER_MS);
		syscall(SYS_exit, 4);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void main_that_ended_alone_gives_its_status(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(false), 4);
}

static void thread_that_outlives_main_is_waited_for(void **unused)
{
	(void)unused;
	assert_int_equal(status_of_child(true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(program_with_a_main_thread_is_not_gone, set_up),
		cmocka_unit_test_setup(main_that_ended_alone_gives_its_status, set_up),
		cmocka_unit_test_setup(thread_that_outlives_main_is_waited_for, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
