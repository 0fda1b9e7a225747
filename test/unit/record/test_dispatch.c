/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/record/dispatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include "agent/record/switches.h"
#include "agent/record/registry.h"
#include "agent/record/sandbox.h"
#include "agent/record/seccomp.h"

static void dispatch_keeps_the_signal_away_and_is_not_inherited(void **unused)
{
	(void)unused;
	struct pa_thread *self = &pa_thread_self;
	pa_sandbox_inherit(self, PA_CALLS_TIMER);
	pa_dispatch_begin(self);
	assert_true(pa_registry_look(self->tid).refuses_signal);
	assert_true(pa_sandbox_may(self, PA_CALLS_VITAL));
	assert_int_equal(pa_dispatch_inherited(self), PA_CALLS_TIMER);
	pa_dispatch_end(self);
	assert_int_equal(pa_load_relaxed(&self->denied), PA_CALLS_TIMER);
	pa_sandbox_inherit(self, 0);
}

static void filter_stays_when_dispatch_ends(void **unused)
{
	(void)unused;
	struct pa_thread *self = &pa_thread_self;
	struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL) };
	const struct sock_fprog program = { 1, code };
	struct pa_seccomp_step step = { .filter = &program };
	pa_dispatch_begin(self);
	pa_seccomp_inspect(&step, self);
	pa_seccomp_enter(&step, self);
	pa_dispatch_end(self);
	assert_false(pa_sandbox_may(self, PA_CALLS_TIMER));
	pa_sandbox_inherit(self, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dispatch_keeps_the_signal_away_and_is_not_inherited),
		cmocka_unit_test(filter_stays_when_dispatch_ends),
	};
	pa_record.pid = getpid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
