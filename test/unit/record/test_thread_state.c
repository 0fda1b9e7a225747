/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/record/lock_waits.h"
#include "agent/record/thread_state.h"

static void wait_is_told_while_its_frame_is_on_the_stack(void **unused)
{
	(void)unused;
	const struct pa_thread thread = {
		.creator_pc = 0x1234,
		.creator_tid = 5,
		.wait = { .kind = PA_WAIT_COND, .object = 0x8000, .start_ns = 77, .frame = 0x7000 },
	};
	struct pa_thread_state state = pa_thread_state_of(&thread, 0x6ff0);
	assert_int_equal(state.wait, PA_WAIT_COND);
	assert_int_equal(state.object, 0x8000);
	assert_int_equal(state.since_ns, 77);
	assert_int_equal(state.creator_pc, 0x1234);
	assert_int_equal(state.creator_tid, 5);
}

/* Its thread was cancelled there, or left by longjmp. */
static void wait_whose_frame_is_gone_is_none(void **unused)
{
	(void)unused;
	const struct pa_thread thread = {
		.creator_tid = 5,
		.wait = { .kind = PA_WAIT_COND, .object = 0x8000, .start_ns = 77, .frame = 0x7000 },
	};
	struct pa_thread_state state = pa_thread_state_of(&thread, 0x7000);
	assert_int_equal(state.wait, PA_WAIT_NONE);
	assert_int_equal(state.object, 0);
	assert_int_equal(state.since_ns, 0);
	assert_int_equal(state.creator_tid, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wait_is_told_while_its_frame_is_on_the_stack),
		cmocka_unit_test(wait_whose_frame_is_gone_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
