/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/record/switches.h"
#include "agent/record/sandbox.h"
#include "agent/record/seccomp.h"

#define LOAD BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define RETURN(verdict) BPF_STMT(BPF_RET | BPF_K, (verdict))

static uint32_t denied_when(int number, uint32_t verdict, uint32_t otherwise)
{
	struct sock_filter code[] = {
		LOAD,
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		RETURN(verdict),
		RETURN(otherwise),
	};
	const struct sock_fprog program = { PA_COUNT(code), code };
	return pa_seccomp_denied(&program);
}

static void filter_that_allows_all_denies_nothing(void **unused)
{
	(void)unused;
	assert_int_equal(denied_when(-1, SECCOMP_RET_KILL, SECCOMP_RET_ALLOW), 0);
	assert_int_equal(denied_when(-1, SECCOMP_RET_KILL, SECCOMP_RET_LOG), 0);
}

static void call_that_ends_the_thread_is_denied_for_what_needs_it(void **unused)
{
	(void)unused;
	uint32_t denied = denied_when(SYS_timer_create, SECCOMP_RET_KILL, SECCOMP_RET_ALLOW);
	assert_int_equal(denied, PA_CALLS_TIMER);
	denied = denied_when(SYS_rt_tgsigqueueinfo, SECCOMP_RET_TRAP, SECCOMP_RET_ALLOW);
	assert_int_equal(denied, PA_CALLS_DUMP);
	denied = denied_when(SYS_rt_sigreturn, SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW);
	assert_int_equal(denied, PA_CALLS_RETURN);
}

static void refused_call_is_denied_only_where_it_is_needed(void **unused)
{
	(void)unused;
	assert_int_equal(denied_when(SYS_process_vm_readv, SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW),
		0);
	assert_true(denied_when(SYS_futex, SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW) & PA_CALLS_WAKE);
}

static void filter_that_cannot_be_read_denies_everything(void **unused)
{
	(void)unused;
	const struct sock_fprog nowhere = { 3, (struct sock_filter *)8 };
	assert_true(pa_seccomp_denied(&nowhere) & PA_CALLS_LIFE);
	assert_true(pa_seccomp_denied((const struct sock_fprog *)8) & PA_CALLS_WAKE);
}

static void step_is_taken_back_when_the_kernel_refuses(void **unused)
{
	(void)unused;
	struct pa_thread *self = &pa_thread_self;
	struct pa_seccomp_step strict = { .filter = NULL };
	pa_seccomp_inspect(&strict, self);
	pa_seccomp_enter(&strict, self);
	assert_false(pa_sandbox_may(self, PA_CALLS_CLOCK));
	assert_false(pa_sandbox_may_wake());
	pa_seccomp_cancel(&strict, self);
	assert_true(pa_sandbox_may(self, PA_CALLS_ALL));
}

static void step_of_all_threads_confines_each(void **unused)
{
	(void)unused;
	struct sock_filter code[] = { RETURN(SECCOMP_RET_KILL) };
	const struct sock_fprog program = { 1, code };
	struct pa_seccomp_step step = { .filter = &program, .all_threads = true };
	struct pa_thread other = { 0 };
	pa_seccomp_inspect(&step, &pa_thread_self);
	pa_seccomp_enter(&step, &pa_thread_self);
	assert_false(pa_sandbox_may(&other, PA_CALLS_MAP));
	assert_true(pa_sandbox_may(&other, PA_CALLS_CLOCK));
	pa_seccomp_cancel(&step, &pa_thread_self);
	assert_true(pa_sandbox_may(&other, PA_CALLS_ALL));
}

static void filter_goes_on_without_a_call_that_does_not_end(void **unused)
{
	(void)unused;
	struct sock_filter code[] = { RETURN(SECCOMP_RET_KILL) };
	const struct sock_fprog program = { 1, code };
	struct pa_seccomp_step step = { .filter = &program, .all_threads = true };
	assert_true(pa_sandbox_begin(&pa_thread_self, PA_CALLS_MAP));
	uint64_t before = pa_load_relaxed(&pa_record.counters.filters_late);
	pa_seccomp_inspect(&step, &pa_thread_self);
	pa_seccomp_enter(&step, &pa_thread_self);
	assert_int_equal(pa_load_relaxed(&pa_record.counters.filters_late), before + 1);
	pa_seccomp_cancel(&step, &pa_thread_self);
	pa_sandbox_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filter_that_allows_all_denies_nothing),
		cmocka_unit_test(call_that_ends_the_thread_is_denied_for_what_needs_it),
		cmocka_unit_test(refused_call_is_denied_only_where_it_is_needed),
		cmocka_unit_test(filter_that_cannot_be_read_denies_everything),
		cmocka_unit_test(step_is_taken_back_when_the_kernel_refuses),
		cmocka_unit_test(step_of_all_threads_confines_each),
		cmocka_unit_test(filter_goes_on_without_a_call_that_does_not_end),
	};
	pa_record.pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
