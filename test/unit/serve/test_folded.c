/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/folded.h"

#include <stdint.h>

#include "test/lib/c/text_fixture.h"

static struct pa_sample samples[8];
static struct pa_snapshot snapshot = { .samples = samples };

static struct pa_sample sample_of(struct pa_stack *stack, uint32_t id, int64_t ns)
{
	stack->id = id;
	return (struct pa_sample){ .stack = stack, .values = { 7, ns } };
}

/* fold(count) of the samples gives this text. */
static void gives(size_t count, const char *text)
{
	snapshot.sample_count = count;
	reset(NULL);
	assert_int_equal(pa_folded_write(&snapshot, &sink), 0);
	assert_string_equal(out.text, text);
	assert_int_equal(kernel.open, 0);
}

static void stacks_are_root_first_with_inlined_frames(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_USED, LOC_INLINED, LOC_MAIN), 1, 5000);
	gives(1, "main;main;ns::in<int>(int);used 5\n");
}

static void threads_of_one_stack_are_together(void **unused)
{
	struct pa_stack *stack = STACK(LOC_MAIN), *other = STACK(LOC_USED);
	(void)unused;
	samples[0] = sample_of(stack, 4, 1500);
	samples[1] = sample_of(other, 3, 9000);
	samples[2] = sample_of(stack, 4, 1500);
	samples[3] = sample_of(stack, 4, 2000);
	gives(4, "used 9\nmain 5\n");
}

static void less_than_a_microsecond_is_left_out(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_MAIN), 1, 999);
	samples[1] = sample_of(STACK(LOC_USED), 2, 1000);
	gives(2, "used 1\n");
	gives(1, "");
	gives(0, "");
}

static void what_has_no_name_is_its_address(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_NOWHERE, LOC_MAIN), 1, 1000);
	samples[1] = sample_of(STACK(LOC_NO_ANSWER), 2, 1000);
	gives(2, "main;0xa000 1\n[no answer] 1\n");
}

static void names_cannot_break_the_line(void **unused)
{
	struct pa_function bad = fn_used;
	(void)unused;
	samples[0] = sample_of(STACK(LOC_USED, LOC_TWO), 1, 1000);
	fn_used.name = "<[u8; 4]>\n;x;";
	gives(1, "tw\xEF\xBF\xBDo;<[u8: 4]>\xEF\xBF\xBD:x: 1\n");
	fn_used = bad;
}

static void errors_are_told(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_MAIN), 1, 1000);
	snapshot.sample_count = 1;
	reset(NULL);
	out.stop_at = 1;
	assert_int_equal(pa_folded_write(&snapshot, &sink), -ECANCELED);
	size_t failures = 0;
	for (int result = -ENOMEM; result; failures++) {
		reset(NULL);
		kernel.fail_at = failures + 1;
		result = pa_folded_write(&snapshot, &sink);
		assert_true(result == 0 || result == -ENOMEM);
		assert_int_equal(kernel.open, 0);
	}
	assert_true(failures > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(stacks_are_root_first_with_inlined_frames, reset),
		cmocka_unit_test_setup(threads_of_one_stack_are_together, reset),
		cmocka_unit_test_setup(less_than_a_microsecond_is_left_out, reset),
		cmocka_unit_test_setup(what_has_no_name_is_its_address, reset),
		cmocka_unit_test_setup(names_cannot_break_the_line, reset),
		cmocka_unit_test_setup(errors_are_told, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
