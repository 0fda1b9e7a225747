/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "agent/base/kept_pages.h"
#include "test/lib/c/trace_fixture.h"

#include "agent/record/trace_events.h"
#include "proto/gotrace_tables.h"
#include "proto/scratch.h"

static struct pa_gotrace_bytes bytes;
static struct pa_gotrace_tables tables;
static size_t mapped;

static int begin(void **unused)
{
	(void)unused;
	memset(&bytes, 0, sizeof(bytes));
	memset(&tables, 0, sizeof(tables));
	out.count = out.writes = out.stop_at = 0;
	rests = 0;
	first_line = 0;
	mapped = pa_map_bytes();
	pa_gotrace_bytes_begin(&bytes, &sink);
	bytes.in_batch = true;
	pa_gotrace_bytes_record(&bytes, PA_GOTRACE_BATCH, (const uint64_t[]){ 0, 1 }, 2);
	return pa_gotrace_tables_init(&tables, &bytes);
}

static int end(void **unused)
{
	(void)unused;
	trace_free(&trace);
	pa_gotrace_tables_free(&tables);
	pa_kept_pages_trim();
	assert_int_equal(pa_map_bytes(), mapped);
	return 0;
}

static uint64_t plain(const struct pa_stack *stack)
{
	return pa_gotrace_tables_stack(&tables, stack, PA_TRACE_EVENTS_IN_NOTHING);
}

/* Writes all, reads it, and looks at the rules about strings and stacks, without any event. */
static void write_tables(void)
{
	assert_int_equal(pa_gotrace_tables_write(&tables), 0);
	assert_int_equal(rests, 1);
	trace_free(&trace);
	bool whole = trace_parse(&trace, out.bytes, out.count);
	if (!whole && !strstr(trace.error, "there is none"))
		fail_msg("%s", trace.error);
	trace.error[0] = '\0';
	if (!trace_index(&trace))
		fail_msg("%s", trace.error);
}

/* The names of a stack's frames, innermost first. */
static const char *names_of(uint64_t stack)
{
	static char text[4096];
	size_t used = 0;

	text[0] = '\0';
	for (size_t n = 0; n < trace_depth(&trace, stack) && used < sizeof(text); n++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", n ? " " : "",
			trace_function(&trace, stack, n));
	return text;
}

static void stack_has_one_number_in_each_way_it_is_shown(void **unused)
{
	const struct pa_stack *one = STACK(IN_MAIN), *two = STACK(IN_WORKER);

	(void)unused;
	assert_int_equal(plain(NULL), 0);
	assert_int_equal(plain(one), 1);
	assert_int_equal(plain(two), 2);
	assert_int_equal(plain(one), 1);
	assert_int_equal(pa_gotrace_tables_stack(&tables, one, PA_TRACE_EVENTS_IN_COND), 3);
	assert_int_equal(pa_gotrace_tables_stack(&tables, one, PA_GOTRACE_ENTRY), 4);
	assert_int_equal(pa_gotrace_tables_stack(&tables, one, PA_TRACE_EVENTS_IN_COND), 3);
	write_tables();
	assert_string_equal(names_of(1), "main");
	assert_string_equal(names_of(3), "pthread_cond_wait main");
	assert_int_equal(trace.stack_count, 4);
}

static void frames_have_pc_name_file_and_line(void **unused)
{
	(void)unused;
	uint64_t number = plain(STACK(IN_LOCK, IN_MAIN));
	write_tables();
	const struct trace_frame *frame = trace_frame(&trace, number, 0);
	assert_int_equal(frame->pc, PC_OF(IN_LOCK));
	assert_string_equal(trace_function(&trace, number, 0), "take_lock");
	assert_string_equal(trace_string(&trace, frame->file), "lock.c");
	assert_int_equal(frame->line, 10 + IN_LOCK);
	assert_string_equal(trace_function(&trace, number, 1), "main");
}

static void stacks_end_at_main_and_at_the_start_routine(void **unused)
{
	(void)unused;
	uint64_t in_main =
		plain(STACK(IN_LOCK, IN_MAIN, IN_START_CALL_MAIN, IN_START_MAIN, IN_START));
	uint64_t in_thread = plain(STACK(IN_OTHER, IN_WORKER, IN_START_THREAD, IN_CLONE3));
	uint64_t versioned = plain(STACK(IN_WORKER, IN_CLONE_VERSIONED));
	uint64_t between = plain(STACK(IN_WORKER, IN_CLONE3, IN_MAIN));
	uint64_t nothing_else = plain(STACK(IN_START_THREAD, IN_CLONE3));
	write_tables();
	assert_string_equal(names_of(in_main), "take_lock main");
	assert_string_equal(names_of(in_thread), "other worker");
	assert_string_equal(names_of(versioned), "worker");
	assert_string_equal(names_of(between), "worker clone3 main");
	assert_string_equal(names_of(nothing_else), "start_thread");
}

static void entry_is_the_outermost_frame_alone(void **unused)
{
	(void)unused;
	uint64_t whole = pa_gotrace_tables_stack(&tables,
		STACK(IN_OTHER, IN_WORKER, IN_START_THREAD, IN_CLONE3), PA_GOTRACE_ENTRY);
	uint64_t alone = pa_gotrace_tables_stack(&tables, STACK(IN_MAIN), PA_GOTRACE_ENTRY);
	uint64_t empty = pa_gotrace_tables_stack(&tables, stack_of(0, NULL), PA_GOTRACE_ENTRY);
	write_tables();
	assert_string_equal(names_of(whole), "worker");
	assert_int_equal(trace_frame(&trace, whole, 0)->pc, PC_OF(IN_WORKER));
	assert_string_equal(names_of(alone), "main");
	assert_string_equal(names_of(empty), "[unknown]");
}

static const struct pa_stack *deep_stack(uint32_t depth)
{
	static uint32_t locs[512];

	for (uint32_t i = 0; i < depth; i++)
		locs[i] = IN_EXTRA + i;
	locs[depth - 3] = IN_WORKER;
	locs[depth - 2] = IN_START_THREAD;
	locs[depth - 1] = IN_CLONE3;
	return stack_of(depth, locs);
}

/* It is the thread's name. */
static void entry_of_a_deep_stack_is_its_outermost_frame_too(void **unused)
{
	(void)unused;
	uint64_t number = pa_gotrace_tables_stack(&tables, deep_stack(500), PA_GOTRACE_ENTRY);
	write_tables();
	assert_string_equal(names_of(number), "worker");
}

static void deep_stacks_lose_their_outermost_frames(void **unused)
{
	(void)unused;
	uint64_t number = plain(deep_stack(500));
	write_tables();
	assert_int_equal(trace_depth(&trace, number), 120);
	assert_int_equal(trace_frame(&trace, number, 0)->pc, PC_OF(IN_EXTRA));
}

/* With numbers that take many bytes each. The reader refuses what is too long. */
static void stacks_stay_under_the_limit_of_readers(void **unused)
{
	static char texts[40000][8];

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(texts); i++) {
		snprintf(texts[i], sizeof(texts[i]), "%zu", i);
		pa_gotrace_tables_text(&tables, texts[i]);
	}
	static uint32_t locs[128];
	for (uint32_t i = 0; i < PA_COUNT(locs); i++)
		locs[i] = IN_INLINED;
	first_line = 1 << 30;
	uint64_t number = plain(stack_of(PA_COUNT(locs), locs));
	write_tables();
	assert_in_range(trace_depth(&trace, number), 50, 119);
}

static void inlined_frames_have_pcs_of_their_own(void **unused)
{
	(void)unused;
	uint64_t number = plain(STACK(IN_INLINED, IN_MAIN));
	write_tables();
	assert_string_equal(names_of(number), "small smaller main main");
	assert_int_equal(trace_frame(&trace, number, 2)->pc, PC_OF(IN_INLINED));
	assert_int_not_equal(trace_frame(&trace, number, 0)->pc,
		trace_frame(&trace, number, 1)->pc);
}

static void waits_have_names_of_their_own(void **unused)
{
	uint64_t numbers[PA_TRACE_EVENTS_WAIT_COUNT];
	const struct pa_stack *stack = STACK(IN_MAIN);

	(void)unused;
	for (uint32_t wait = 1; wait < PA_TRACE_EVENTS_WAIT_COUNT; wait++)
		numbers[wait] = pa_gotrace_tables_stack(&tables, stack, wait);
	write_tables();
	assert_string_equal(names_of(numbers[PA_TRACE_EVENTS_IN_MUTEX]), "pthread_mutex_lock main");
	assert_string_equal(names_of(numbers[PA_TRACE_EVENTS_IN_JOIN]), "pthread_join main");
	assert_string_equal(names_of(numbers[PA_TRACE_EVENTS_IN_OTHER_CALL]), "syscall main");
	for (uint32_t wait = 1; wait < PA_TRACE_EVENTS_WAIT_COUNT; wait++)
		assert_int_equal(trace_depth(&trace, numbers[wait]), 2);
}

static void what_is_no_code_has_a_pc_that_is_not_small(void **unused)
{
	(void)unused;
	uint64_t number = pa_gotrace_tables_stack(&tables, STACK(IN_NO_ANSWER), PA_GOTRACE_ENTRY);
	write_tables();
	assert_string_equal(names_of(number), "[no answer]");
	assert_true(trace_frame(&trace, number, 0)->pc >= (uint64_t)1 << 47);
}

static void nameless_frames_are_called_by_their_address(void **unused)
{
	char wanted[32];

	(void)unused;
	uint64_t number = plain(STACK(IN_NAMELESS, IN_MAIN));
	write_tables();
	snprintf(wanted, sizeof(wanted), "0x%zx main", PC_OF(IN_NAMELESS));
	assert_string_equal(names_of(number), wanted);
}

/* In a stripped program all frames are: each address is kept once. */
static void nameless_frames_keep_their_name_in_any_number_of_stacks(void **unused)
{
	uint32_t locs[100];

	(void)unused;
	for (uint32_t i = 0; i < PA_COUNT(locs); i++)
		locs[i] = IN_EXTRA + i;
	const struct pa_stack *stack = stack_of(PA_COUNT(locs), locs);
	/* All of these are one stack to us, and many to the tables. */
	for (uint32_t i = 0; i < 4000; i++) {
		uint64_t number = pa_gotrace_tables_reserve(&tables);
		pa_gotrace_tables_bind(&tables, number, stack);
		((struct pa_gotrace_key *)tables.keys.at)[number - 1].how =
			PA_TRACE_EVENTS_IN_NOTHING;
	}
	write_tables();
	assert_true(tables.texts.mapped_bytes < tables.texts.cap_bytes / 4);
	assert_string_equal(trace_function(&trace, 4000, 99), trace_function(&trace, 1, 99));
}

static void reserved_stack_is_unknown_until_it_is_bound(void **unused)
{
	(void)unused;
	uint64_t unbound = pa_gotrace_tables_reserve(&tables);
	uint64_t bound = pa_gotrace_tables_reserve(&tables);
	assert_int_equal(plain(STACK(IN_MAIN)), 3);
	pa_gotrace_tables_bind(&tables, bound, STACK(IN_OTHER, IN_WORKER, IN_START_THREAD));
	write_tables();
	assert_string_equal(names_of(unbound), "[unknown]");
	assert_string_equal(names_of(bound), "worker");
}

static void texts_are_written_once_when_they_are_new(void **unused)
{
	char copy[] = "red";

	(void)unused;
	assert_int_equal(pa_gotrace_tables_text(&tables, ""), 0);
	assert_int_equal(pa_gotrace_tables_text(&tables, copy), 1);
	assert_int_equal(pa_gotrace_tables_text(&tables, "blue"), 2);
	memcpy(copy, "ill", sizeof(copy));
	assert_int_equal(pa_gotrace_tables_text(&tables, "red"), 1);
	write_tables();
	assert_int_equal(trace.string_count, 2);
	assert_string_equal(trace_string(&trace, 1), "red");
	assert_string_equal(trace_string(&trace, 2), "blue");
}

static void texts_that_find_no_room_are_empty(void **unused)
{
	char text[PA_TRACE_EVENTS_TEXT_BYTES];
	uint64_t i = 0;

	(void)unused;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	do
		snprintf(text, 21, "%020lu", ++i), text[20] = 'x';
	while (pa_gotrace_tables_text(&tables, text) && i < 10000);
	assert_true(i < 10000);
	assert_false(tables.failed);
	uint64_t number = plain(STACK(IN_MAIN));
	write_tables();
	assert_string_equal(names_of(number), "main");
}

static void sink_that_says_stop_ends_the_tables(void **unused)
{
	(void)unused;
	plain(STACK(IN_MAIN));
	out.stop_at = 1;
	assert_int_equal(pa_gotrace_tables_write(&tables), -ECANCELED);
	assert_int_equal(rests, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stack_has_one_number_in_each_way_it_is_shown),
		TEST(frames_have_pc_name_file_and_line),
		TEST(stacks_end_at_main_and_at_the_start_routine),
		TEST(entry_is_the_outermost_frame_alone),
		TEST(entry_of_a_deep_stack_is_its_outermost_frame_too),
		TEST(deep_stacks_lose_their_outermost_frames),
		TEST(stacks_stay_under_the_limit_of_readers),
		TEST(inlined_frames_have_pcs_of_their_own),
		TEST(waits_have_names_of_their_own),
		TEST(what_is_no_code_has_a_pc_that_is_not_small),
		TEST(nameless_frames_are_called_by_their_address),
		TEST(nameless_frames_keep_their_name_in_any_number_of_stacks),
		TEST(reserved_stack_is_unknown_until_it_is_bound),
		TEST(texts_are_written_once_when_they_are_new),
		TEST(texts_that_find_no_room_are_empty),
		TEST(sink_that_says_stop_ends_the_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
