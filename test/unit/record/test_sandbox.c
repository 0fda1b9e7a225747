/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/record/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <unistd.h>

#include "agent/record/switches.h"
#include "agent/record/registry.h"

static void begun_call_is_seen_until_its_end(void **unused)
{
	(void)unused;
	assert_true(pa_sandbox_begin(&pa_thread_self, PA_CALLS_MAP));
	assert_int_equal(pa_load_acquire(&pa_sandbox_calls), 1);
	pa_sandbox_end();
	pa_sandbox_inherit(&pa_thread_self, PA_CALLS_MAP);
	assert_false(pa_sandbox_begin(&pa_thread_self, PA_CALLS_MAP));
	pa_sandbox_inherit(&pa_thread_self, 0);
	assert_int_equal(pa_load_acquire(&pa_sandbox_calls), 0);
}

static void thread_in_a_sandbox_knows_its_id_without_a_call(void **unused)
{
	(void)unused;
	struct pa_thread self = { 0 };
	pa_sandbox_inherit(&pa_thread_self, PA_CALLS_IDENTITY);
	pa_registry_add(&self);
	pa_sandbox_inherit(&pa_thread_self, 0);
	assert_int_equal(self.tid, gettid());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begun_call_is_seen_until_its_end),
		cmocka_unit_test(thread_in_a_sandbox_knows_its_id_without_a_call),
	};
	pa_record.pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
