/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/kept_pages.h"
#include "proto/folded.h"
#include "proto/scratch.h"

#include <stdint.h>

#include "test/lib/c/text_fixture.h"

static const struct pa_profile_ops cpu_kind = { .value_count = 2,
	.values = { { "samples", "count" }, { "cpu", "nanoseconds" } } };
static const struct pa_profile_ops heap_kind = { .value_count = 4, .scaled = true };

static struct pa_sample samples[8];
static struct pa_snapshot snapshot = { .kind = &cpu_kind, .samples = samples };

static struct pa_sample sample_of(struct pa_stack *stack, uint32_t id, int64_t ns)
{
	stack->id = id;
	return (struct pa_sample){ .stack = stack, .values = { 7, ns } };
}

static void value_gives(uint32_t value, size_t count, const char *text)
{
	snapshot.sample_count = count;
	reset(NULL);
	assert_int_equal(pa_folded_write(&snapshot, value, &sink), 0);
	assert_string_equal(out.text, text);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
}

/* The second value of so many samples gives this text. */
static void gives(size_t count, const char *text)
{
	value_gives(1, count, text);
}

static void stacks_are_root_first_with_inlined_frames(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_USED, LOC_INLINED, LOC_MAIN), 1, 5000);
	gives(1, "main;main;ns::in<int>(int);used 5000\n");
	value_gives(0, 1, "main;main;ns::in<int>(int);used 7\n");
}

static void threads_of_one_name_are_together(void **unused)
{
	struct pa_stack *stack = STACK(LOC_MAIN), *other = STACK(LOC_USED);
	(void)unused;
	samples[0] = sample_of(stack, 4, 1500);
	samples[1] = sample_of(other, 3, 9000);
	samples[2] = sample_of(stack, 4, 1500);
	samples[3] = sample_of(stack, 4, 2000);
	samples[2].thread = "b;1\n";
	samples[3].thread = "a";
	samples[4] = samples[2];
	samples[4].tid = 5;
	gives(5, "used 9000\nmain 1500\na;main 2000\nb:1\xEF\xBF\xBD;main 3000\n");
}

static void the_programs_label_replaces_the_thread(void **unused)
{
	static const struct pa_labels labels = { .count = 1, .labels = { { "thread", "mine" } } };
	(void)unused;
	samples[0] = sample_of(STACK(LOC_MAIN), 1, 1);
	samples[0].thread = "name";
	samples[0].labels = &labels;
	gives(1, "mine;main 1\n");
}

static void sums_that_are_not_positive_are_left_out(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_MAIN), 1, -1);
	samples[1] = sample_of(STACK(LOC_USED), 2, 5);
	samples[2] = samples[1];
	samples[2].values[1] = -4;
	samples[3] = sample_of(STACK(LOC_TWO), 3, 0);
	gives(4, "used 1\n");
	gives(1, "");
	gives(0, "");
}

static void values_of_heaps_are_scaled(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_MAIN), 1, 100);
	samples[0].values[3] = 50;
	snapshot.kind = &heap_kind;
	value_gives(3, 1, "main 100\n");
	snapshot.kind = &cpu_kind;
}

static void empty_stacks_have_a_line(void **unused)
{
	(void)unused;
	samples[0] = sample_of(NO_STACK, 1, 1);
	samples[1] = sample_of(NO_STACK, 2, 2);
	samples[1].thread = "t";
	gives(2, "[unknown] 1\nt 2\n");
}

static void what_has_no_name_is_its_file_or_address(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_NOWHERE, LOC_MAIN), 1, 1000);
	samples[1] = sample_of(STACK(LOC_NO_ANSWER), 2, 1000);
	samples[2] = sample_of(STACK(LOC_NAMELESS), 3, 1000);
	gives(3, "main;0xa000 1000\n[no answer] 1000\n[two.so] 1000\n");
}

static void names_cannot_break_the_line(void **unused)
{
	struct pa_function bad = fn_used;
	(void)unused;
	samples[0] = sample_of(STACK(LOC_USED, LOC_TWO), 1, 1000);
	fn_used.name = "<[u8; 4]>\n;x;";
	gives(1, "tw\xEF\xBF\xBDo;<[u8: 4]>\xEF\xBF\xBD:x: 1000\n");
	fn_used = bad;
}

static void errors_are_told(void **unused)
{
	(void)unused;
	samples[0] = sample_of(STACK(LOC_MAIN), 1, 1000);
	snapshot.sample_count = 1;
	reset(NULL);
	out.stop_at = 1;
	assert_int_equal(pa_folded_write(&snapshot, 1, &sink), -ECANCELED);
	size_t failures = 0;
	for (int result = -ENOMEM; result; failures++) {
		reset(NULL);
		kernel.fail_at = failures + 1;
		result = pa_folded_write(&snapshot, 1, &sink);
		assert_true(result == 0 || result == -ENOMEM);
		pa_kept_pages_trim();
		assert_int_equal(kernel.open, 0);
	}
	assert_true(failures > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(stacks_are_root_first_with_inlined_frames, reset),
		cmocka_unit_test_setup(threads_of_one_name_are_together, reset),
		cmocka_unit_test_setup(the_programs_label_replaces_the_thread, reset),
		cmocka_unit_test_setup(values_of_heaps_are_scaled, reset),
		cmocka_unit_test_setup(empty_stacks_have_a_line, reset),
		cmocka_unit_test_setup(sums_that_are_not_positive_are_left_out, reset),
		cmocka_unit_test_setup(what_has_no_name_is_its_file_or_address, reset),
		cmocka_unit_test_setup(names_cannot_break_the_line, reset),
		cmocka_unit_test_setup(errors_are_told, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
