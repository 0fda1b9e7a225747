/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/c/trace_reader.h"

#include "test/lib/c/trace_bytes.h"

/* ---------------------------------------------------------------- goroutines and their stacks */

/* A goroutine that never runs. */
static void put_newborn(uint64_t g, uint64_t newstack)
{
	put_batch(0, 3000);
	blame();
	PUT(TRACE_GO_CREATE, 0, g, newstack, 0);
}

static void newstack_is_none(bool wrong)
{
	put_world();
	put_newborn(3, wrong ? 0 : MAIN);
	put_end();
}

static void newstack_is_not_defined(bool wrong)
{
	put_world();
	put_newborn(3, 9);
	put_stack(wrong ? 8 : 9, 1, 0x500000, MAIN);
	put_end();
}

static void newstack_is_empty(bool wrong)
{
	put_world();
	put_stack(9, wrong ? 0 : 1, 0x500000, MAIN);
	put_newborn(3, 9);
	put_end();
}

static void newstack_is_empty_the_second_time(bool wrong)
{
	put_world();
	put_stack(9, 1, 0x500000, MAIN);
	put_newborn(3, 9);
	put_stack(9, wrong ? 0 : 1, 0x500000, MAIN);
	put_end();
}

static void newstack_begins_with_no_pc(bool wrong)
{
	put_world();
	put_stack(9, 1, wrong ? 0 : 1, MAIN);
	put_newborn(3, 9);
	put_end();
}

static void goid_is_none(bool wrong)
{
	put_world();
	put_newborn(wrong ? 0 : 3, MAIN);
	put_end();
}

static void goid_is_no_number_of_json(bool wrong)
{
	put_world();
	put_newborn(((uint64_t)1 << 53) - !wrong, MAIN);
	put_end();
}

static void goid_is_the_first_row_of_the_viewer(bool wrong)
{
	put_world();
	put_newborn(wrong ? 1000000 : 999999, MAIN);
	put_end();
}

static void goid_is_the_last_row_of_the_viewer(bool wrong)
{
	put_world();
	put_newborn(wrong ? 1000010 : 1000011, MAIN);
	put_end();
}

static void p_is_a_row_of_the_viewer(bool wrong)
{
	put_world();
	blame();
	put_batch(wrong ? 1000000 : 999999, 3000);
	PUT(TRACE_HEAP_ALLOC, 0, 77);
	put_end();
}

/* ---------------------------------------------------------------- strings and stacks */

static void string_id_comes_twice(bool wrong)
{
	put_world();
	blame();
	put_string(wrong ? LOCK : 9, "lock");
	put_end();
}

static void string_id_is_none(bool wrong)
{
	put_world();
	blame();
	put_string(wrong ? 0 : 9, "lock");
	put_end();
}

static void string_is_empty(bool wrong)
{
	put_world();
	blame();
	put_string(9, wrong ? "" : "a");
	put_end();
}

static void string_is_too_long(bool wrong)
{
	static char text[1000002];

	memset(text, 'a', 1000000);
	text[1000000] = wrong ? 'a' : '\0';
	put_world();
	blame();
	put_string(9, text);
	put_end();
}

static void function_is_not_defined(bool wrong)
{
	put_world();
	blame();
	put_stack(9, 1, 0x500000, wrong ? 99 : 0);
	put_end();
}

static void file_is_not_defined(bool wrong)
{
	put_world();
	blame();
	PUT(TRACE_STACK, 9, 1, 0x500000, MAIN, wrong ? 99 : LOCK, 7);
	put_end();
}

static void label_is_not_defined(bool wrong)
{
	put_world();
	put_batch(1, 3000);
	PUT(TRACE_GO_PREEMPT, 0, MAIN);
	blame();
	PUT(TRACE_GO_START_LABEL, 5, 1, 2, wrong ? 99 : LOCK);
	put_end();
}

static void pc_is_in_two_functions(bool wrong)
{
	put_world();
	blame();
	put_stack(9, 3, 0x402001 - 2, wrong ? MAIN : WORKER);
	put_end();
}

static void equal_names_under_two_ids_are_one_function(bool wrong)
{
	put_world();
	put_string(9, wrong ? "mail" : "main");
	blame();
	put_stack(9, 1, 0x401000, 9);
	put_end();
}

static void stack_has_too_many_frames(bool wrong)
{
	put_world();
	blame();
	put_stack(9, wrong ? 121 : 120, 0x500000, MAIN);
	put_end();
}

static void stack_has_too_many_bytes(bool wrong)
{
	put_world();
	put_string((uint64_t)1 << 40, "main");
	blame();
	/* Of a frame: 10 or 4 bytes for the pc, 6 for the function, 2 for file and line. */
	put_stack(9, 120, wrong ? (uint64_t)1 << 63 : 0x500000, (uint64_t)1 << 40);
	put_end();
}

static void stack_says_more_frames_than_it_has(bool wrong)
{
	put_world();
	blame();
	PUT(TRACE_STACK, 9, wrong ? 2 : 1, 0x500000, MAIN, 0, 0);
	put_end();
}

static void stack_id_is_none(bool wrong)
{
	put_world();
	blame();
	put_stack(wrong ? 0 : 9, 1, 0x500000, MAIN);
	put_end();
}

static void stack_id_is_too_big(bool wrong)
{
	put_world();
	blame();
	put_stack(((uint64_t)1 << 32) - !wrong, 1, 0x500000, MAIN);
	put_end();
}

/* ---------------------------------------------------------------- tasks, regions, logs */

/* While goroutine 1 runs on P1. */
static void put_region(uint64_t mode, uint64_t task, uint64_t name, uint64_t stack)
{
	put_batch(1, 3000);
	blame();
	PUT(TRACE_REGION, 0, task, mode, name, stack);
}

static void region_starts_without_stack(bool wrong)
{
	put_world();
	put_region(0, 0, LOCK, wrong ? 0 : MAIN);
	put_end();
}

static void region_ends_without_stack(bool wrong)
{
	put_world();
	put_region(0, 0, LOCK, MAIN);
	put_region(1, 0, LOCK, wrong ? 0 : MAIN);
	put_end();
}

static void region_has_a_stack_that_is_not_defined(bool wrong)
{
	put_world();
	put_region(0, 0, LOCK, wrong ? 9 : MAIN);
	put_end();
}

static void region_has_no_goroutine(bool wrong)
{
	put_world();
	put_batch(wrong ? 0 : 1, 3000);
	blame();
	PUT(TRACE_REGION, 0, 0, 0, LOCK, MAIN);
	put_end();
}

static void region_name_is_not_defined(bool wrong)
{
	put_world();
	put_region(0, 0, wrong ? 99 : LOCK, MAIN);
	put_end();
}

static void region_ends_under_another_string(bool wrong)
{
	put_world();
	put_string(9, "lock");
	put_region(0, 0, LOCK, MAIN);
	put_region(1, 0, wrong ? 9 : LOCK, MAIN);
	put_end();
}

static void region_ends_of_another_task(bool wrong)
{
	put_world();
	put_region(0, 5, LOCK, MAIN);
	put_region(1, wrong ? 0 : 5, LOCK, MAIN);
	put_end();
}

static void outer_region_ends_first(bool wrong)
{
	put_world();
	put_region(0, 0, LOCK, MAIN);
	put_region(0, 0, WORKER, MAIN);
	if (!wrong)
		put_region(1, 0, WORKER, MAIN);
	put_region(1, 0, LOCK, MAIN);
	put_end();
}

static void region_ends_twice(bool wrong)
{
	put_world();
	put_region(0, 0, LOCK, MAIN);
	put_region(1, 0, LOCK, MAIN);
	put_region(wrong, 0, LOCK, MAIN);
	put_end();
}

static void region_ends_on_another_goroutine(bool wrong)
{
	put_world();
	put_region(0, 0, LOCK, MAIN);
	put_batch(wrong ? 2 : 1, 4000);
	blame();
	PUT(TRACE_REGION, 0, 0, 1, LOCK, MAIN);
	put_end();
}

static void region_has_no_such_mode(bool wrong)
{
	put_world();
	put_region(wrong ? 2 : 0, 0, LOCK, MAIN);
	put_end();
}

static void put_task(uint64_t task, uint64_t name, uint64_t stack)
{
	put_batch(1, 3000);
	blame();
	PUT(TRACE_TASK_CREATE, 0, task, 0, name, stack);
}

static void task_starts_without_stack(bool wrong)
{
	put_world();
	put_task(5, LOCK, wrong ? 0 : MAIN);
	put_end();
}

static void task_ends_without_stack(bool wrong)
{
	put_world();
	put_task(5, LOCK, MAIN);
	blame();
	PUT(TRACE_TASK_END, 9, 5, wrong ? 0 : MAIN);
	put_end();
}

static void task_name_is_not_defined(bool wrong)
{
	put_world();
	put_task(5, wrong ? 99 : LOCK, MAIN);
	put_end();
}

static void task_id_is_none(bool wrong)
{
	put_world();
	put_task(wrong ? 0 : 5, LOCK, MAIN);
	put_end();
}

static void task_id_is_already_there(bool wrong)
{
	put_world();
	put_task(5, LOCK, MAIN);
	if (!wrong)
		PUT(TRACE_TASK_END, 0, 5, MAIN);
	put_task(6, LOCK, MAIN);
	put_batch(1, 4000);
	blame();
	PUT(TRACE_TASK_CREATE, 0, 5, 6, LOCK, MAIN);
	put_end();
}

static void put_log(uint64_t p, uint64_t key, uint64_t stack, const char *text)
{
	put_batch(p, 3000);
	blame();
	PUT(TRACE_LOG, 0, 0, key, stack);
	put_number(strlen(text));
	put_bytes(text, strlen(text));
}

static void log_of_a_goroutine_has_no_stack(bool wrong)
{
	put_world();
	put_log(wrong ? 1 : 0, LOCK, 0, "");
	put_end();
}

static void log_of_another_p_has_no_stack(bool wrong)
{
	put_world();
	put_log(3, LOCK, wrong ? 0 : MAIN, "");
	put_end();
}

static void log_key_is_not_defined(bool wrong)
{
	put_world();
	put_log(1, wrong ? 99 : LOCK, MAIN, "text");
	put_end();
}

/* ---------------------------------------------------------------- samples */

static void put_sample(uint64_t delta, uint64_t ts, uint64_t p, uint64_t g)
{
	blame();
	PUT(TRACE_CPU_SAMPLE, delta, ts, p, g, MAIN);
	put_end();
}

static void sample_moves_the_clock(bool wrong)
{
	put_world();
	put_sample(wrong, 2000, 1, 1);
}

static void sample_is_of_an_impossible_p(bool wrong)
{
	put_world();
	put_sample(0, 2000, wrong ? 1000000 : TRACE_NO_P, 1);
}

static void sample_has_a_known_goroutine_or_none(bool wrong)
{
	put_world();
	put_sample(0, 2000, 1, wrong ? 3 : 0);
}

static void sample_is_as_old_as_its_goroutine(bool wrong)
{
	put_world();
	put_newborn(3, MAIN);
	put_sample(0, wrong ? 3000 : 3001, 1, 3);
}

/* ---------------------------------------------------------------- main */

static const struct CMUnitTest tests[] = {
	TWINS(newstack_is_none, "newstack 0 is not defined"),
	TWINS(newstack_is_not_defined, "newstack 9 is not defined"),
	TWINS(newstack_is_empty, "newstack 9 is empty"),
	TWINS(newstack_is_empty_the_second_time, "newstack 9 is empty"),
	TWINS(newstack_begins_with_no_pc, "newstack 9 begins with pc 0"),
	TWINS(goid_is_none, "g 0 is no possible goid"),
	TWINS(goid_is_no_number_of_json, "g 9007199254740992 is no possible goid"),
	TWINS(goid_is_the_first_row_of_the_viewer, "g 1000000 is no possible goid"),
	TWINS(goid_is_the_last_row_of_the_viewer, "g 1000010 is no possible goid"),
	TWINS(p_is_a_row_of_the_viewer, "p 1000000 is too big"),
	TWINS(string_id_comes_twice, "string id 3 is not unique"),
	TWINS(string_id_is_none, "string id 0"),
	TWINS(string_is_empty, "a text of 0 bytes"),
	TWINS(string_is_too_long, "a text of 1000001 bytes"),
	TWINS(function_is_not_defined, "string id 99 is not defined"),
	TWINS(file_is_not_defined, "string id 99 is not defined"),
	TWINS(label_is_not_defined, "string id 99 is not defined"),
	TWINS(pc_is_in_two_functions, "pc 0x402000 is in two functions: worker and main"),
	TWINS(equal_names_under_two_ids_are_one_function, "in two functions: main and mail"),
	TWINS(stack_has_too_many_frames, "121 frames, at most 120"),
	TWINS(stack_has_too_many_bytes, "2162 bytes of arguments, at most 2000"),
	TWINS(stack_says_more_frames_than_it_has, "wrong number of arguments: 6 for 2 frames"),
	TWINS(stack_id_is_none, "stack id 0"),
	TWINS(stack_id_is_too_big, "stack id 4294967296"),
	TWINS(region_starts_without_stack, "it has no stack"),
	TWINS(region_ends_without_stack, "it has no stack"),
	TWINS(region_has_a_stack_that_is_not_defined, "it has no stack"),
	TWINS(region_has_no_goroutine, "no g runs on p 0"),
	TWINS(region_name_is_not_defined, "string id 99 is not defined"),
	TWINS(region_ends_under_another_string, "misuse of region"),
	TWINS(region_ends_of_another_task, "misuse of region"),
	TWINS(outer_region_ends_first, "misuse of region"),
	TWINS(region_ends_twice, "the end of a region that did not start"),
	TWINS(region_ends_on_another_goroutine, "the end of a region that did not start"),
	TWINS(region_has_no_such_mode, "mode 2"),
	TWINS(task_starts_without_stack, "it has no stack"),
	TWINS(task_ends_without_stack, "it has no stack"),
	TWINS(task_name_is_not_defined, "string id 99 is not defined"),
	TWINS(task_id_is_none, "task 0"),
	TWINS(task_id_is_already_there, "task 5 is already there"),
	TWINS(log_of_a_goroutine_has_no_stack, "it has no stack"),
	TWINS(log_of_another_p_has_no_stack, "it has no stack"),
	TWINS(log_key_is_not_defined, "string id 99 is not defined"),
	TWINS(sample_moves_the_clock, "its delta is not 0"),
	TWINS(sample_is_of_an_impossible_p, "p 1000000 is too big"),
	TWINS(sample_has_a_known_goroutine_or_none, "g 3 is never created"),
	TWINS(sample_is_as_old_as_its_goroutine, "its time 3000 is not after g 3"),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
