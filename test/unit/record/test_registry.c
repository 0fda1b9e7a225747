/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/record/registry.h"

#include "agent/arch/arch.h"
#include "test/lib/c/record_fixture.h"

static void main_thread_is_added_with_its_bounds(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pa_registry_add(&pa_thread_self);
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	assert_int_equal(pa_thread_self.tid, getpid());
	assert_in_range(sp, pa_thread_self.stack_lo, pa_thread_self.stack_hi - 1);
}

static void *started(void *size)
{
	struct pa_thread *self = &pa_thread_self;
	pa_registry_started(self, &(struct pa_registry_stack_size){ (size_t)size, 4096, false });
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	pthread_attr_t attr;
	void *base;
	size_t bytes;
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &base, &bytes);
	pthread_attr_destroy(&attr);
	/* Inside what is really the stack, and wide enough to hold us. */
	assert_in_range(self->stack_lo, (uintptr_t)base, sp);
	assert_in_range(self->stack_hi, sp, (uintptr_t)base + bytes);
	assert_int_equal(self->tid, syscall(SYS_gettid));
	return NULL;
}

static void bounds_of_a_new_thread_lie_inside_its_stack(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
#ifdef __SANITIZE_THREAD__
	skip(); /* it makes stacks larger than it was asked to, for TLS of its own */
#endif
	const size_t sizes[] = { 16 << 10, 64 << 10, 1 << 20, 8 << 20 };
	for (size_t i = 0; i < PA_COUNT(sizes); i++) {
		pthread_t thread;
		pthread_attr_t attr;
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, sizes[i]);
		assert_int_equal(pthread_create(&thread, &attr, started, (void *)sizes[i]), 0);
		pthread_join(thread, NULL);
		pthread_attr_destroy(&attr);
	}
}

static void *add_only(void *unused)
{
	(void)unused;
	pa_registry_add(&pa_thread_self);
	assert_int_equal(pa_thread_self.stack_hi, 0);
	assert_int_not_equal(pa_thread_self.tid, getpid());
	return NULL;
}

static void thread_that_did_not_come_through_us_has_unknown_bounds(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, add_only, NULL), 0);
	pthread_join(thread, NULL);
}

static void *be_agent(void *unused)
{
	(void)unused;
	pa_registry_add_agent();
	assert_true(pa_registry_is_agent((int32_t)syscall(SYS_gettid)));
	assert_true(pa_thread_self.heap_left == 0);
	return NULL;
}

static void agent_threads_are_known_and_others_are_not(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, be_agent, NULL), 0);
	pthread_join(thread, NULL);
	assert_false(pa_registry_is_agent(getpid()));
}

static void child_knows_its_own_tid(void **unused)
{
	(void)unused;
	fixture_boot(64 << 10, 1);
	pa_registry_add(&pa_thread_self);
	pid_t child = fork();
	if (child == 0) {
		pa_registry_atfork_child();
		_exit(pa_thread_self.tid == getpid() && pa_record.pid == getpid() ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void thread_pointer_of_emulated_code_is_not_its_own(void **unused)
{
	(void)unused;
	uintptr_t own = pa_arch_thread_pointer(pa_arch_tls_is_fast());
	uintptr_t emulated[4] = { 0 };
	emulated[0] = emulated[2] = (uintptr_t)emulated;
	pa_registry_boot(own);
	pa_registry_add(&pa_thread_self);
	assert_true(pa_registry_is_own(own));
	assert_false(pa_registry_is_own((uintptr_t)emulated));
	assert_false(pa_registry_is_own(4096));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thread_pointer_of_emulated_code_is_not_its_own),
		cmocka_unit_test(main_thread_is_added_with_its_bounds),
		cmocka_unit_test(bounds_of_a_new_thread_lie_inside_its_stack),
		cmocka_unit_test(thread_that_did_not_come_through_us_has_unknown_bounds),
		cmocka_unit_test(agent_threads_are_known_and_others_are_not),
		cmocka_unit_test(child_knows_its_own_tid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
