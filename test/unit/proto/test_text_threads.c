/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include <sys/syscall.h>

#include "agent/base/kept_pages.h"
#include "test/lib/c/text_fixture.h"
#include "proto/scratch.h"

static const struct pa_profile_ops goroutine_kind = {
	.text = PA_PROFILE_OPS_TEXT_THREADS, .name = "goroutine", .value_count = 1
};
static const struct pa_thread_info running = { .answered = true, .syscall = -1, .state = 'R' };

static void print(struct pa_sample *samples, size_t count)
{
	struct pa_snapshot snapshot = {
		.kind = &goroutine_kind, .period = 1, .sample_count = count, .samples = samples
	};

	assert_int_equal(print_snapshot(&snapshot, 2), 0);
}

static void print_thread(const struct pa_stack *stack, const struct pa_thread_info *info)
{
	struct pa_sample sample = { .stack = stack, .values = { 1 }, .tid = 4711, .info = info };

	print(&sample, 1);
}

/* ---------------------------------------------------------------- tests */

static void no_threads_are_no_text(void **unused)
{
	(void)unused;
	print(NULL, 0);
	assert_int_equal(out.writes, 0);
}

static void thread_is_a_head_and_its_frames(void **unused)
{
	(void)unused;
	print_thread(STACK(LOC_INLINED, LOC_TWO), &running);
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"ns::in<int>(int)(...)\n"
		"\tin.h:70 +0x20\n"
		"main(...)\n"
		"\tp.c:6 +0x20\n"
		"tw\xEF\xBF\xBDo(...)\n"
		"\tt.c:8 +0x8010\n");
}

static void threads_stay_in_order_and_are_not_grouped(void **unused)
{
	struct pa_stack *stack = STACK(LOC_MAIN);
	struct pa_sample samples[] = {
		{ .stack = stack, .tid = 9, .info = &running },
		{ .stack = NO_STACK, .tid = 3, .info = &running },
		{ .stack = stack, .tid = 5, .info = &running },
	};

	(void)unused;
	print(samples, 3);
	assert_string_equal(out.text,
		"goroutine 9 [running]:\nmain(...)\n\tp.c:5 +0x10\n\n"
		"goroutine 3 [running]:\n\n"
		"goroutine 5 [running]:\nmain(...)\n\tp.c:5 +0x10\n");
	assert_int_equal(look_ups, 1);
}

static void name_is_quoted_behind_the_state(void **unused)
{
	struct pa_thread_info info = running;

	(void)unused;
	strcpy(info.name, "a \"b\"\t\xC3\xA4");
	print_thread(NO_STACK, &info);
	assert_string_equal(out.text,
		"goroutine 4711 [running] {thread: \"a \\\"b\\\"\\t\xC3\xA4\"}:\n");
}

static void labels_stand_behind_the_name(void **unused)
{
	static const struct {
		struct pa_labels head;
		struct pa_label labels[2];
	} set = { { .id = 1, .count = 2 }, { { "k", "v" }, { "z", "\"" } } };
	struct pa_thread_info info = running;
	struct pa_sample samples[] = {
		{ .stack = NO_STACK, .tid = 1, .info = &info, .labels = &set.head },
		{ .stack = NO_STACK, .tid = 2, .info = &running, .labels = &set.head },
	};

	(void)unused;
	strcpy(info.name, "w");
	print(samples, 2);
	assert_string_equal(out.text,
		"goroutine 1 [running] {thread: \"w\", k: \"v\", z: \"\\\"\"}:\n\n"
		"goroutine 2 [running] {k: \"v\", z: \"\\\"\"}:\n");
}

static void frame_without_a_file_is_in_its_module(void **unused)
{
	const char *file = fn_main.file;

	(void)unused;
	print_thread(STACK(LOC_USED), &running);
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"used(...)\n\t/lib/used.so:0 +0x5010\n");
	reset(NULL);
	fn_main.file = "";
	print_thread(STACK(LOC_MAIN), &running);
	fn_main.file = file;
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"main(...)\n\t/bin/prog:0 +0x10\n");
}

/* two.so is mapped 0x6000 above the addresses that it was linked for. */
static void nameless_frame_has_the_address_that_addr2line_takes(void **unused)
{
	(void)unused;
	print_thread(STACK(LOC_NAMELESS), &running);
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"0x8020(...)\n\t/lib/two.so:0 +0x2020\n");
	reset(NULL);
	modules[3].is_elf = false;
	print_thread(STACK(LOC_NAMELESS), &running);
	modules[3].is_elf = true;
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"0x8020(...)\n\t/lib/two.so:0 +0x1020\n");
}

static void frame_in_no_module_has_a_place_all_the_same(void **unused)
{
	(void)unused;
	print_thread(STACK(LOC_NOWHERE), &running);
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"0xa000(...)\n\t?:0 +0xa000\n");
}

static void pseudo_frame_is_one_line(void **unused)
{
	struct pa_thread_info silent = { .syscall = -1, .state = 'D' };

	(void)unused;
	print_thread(STACK(LOC_NO_ANSWER), &silent);
	assert_string_equal(out.text, "goroutine 4711 [disk sleep, no answer]:\n[no answer]\n");
	reset(NULL);
	print_thread(STACK(LOC_MAIN, LOC_LOST), &running);
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\nmain(...)\n\tp.c:5 +0x10\n"
		"pprofagent.lostEvents\n");
}

static void texts_with_control_bytes_stay_in_their_lines(void **unused)
{
	const char *name = fn_main.name, *file = fn_main.file;
	char *path = modules[2].path;

	(void)unused;
	fn_main.name = "a\nb";
	fn_main.file = "p\n.c";
	modules[2].path = "/li\nb";
	print_thread(STACK(LOC_MAIN, LOC_USED), &running);
	fn_main.name = name;
	fn_main.file = file;
	modules[2].path = path;
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"a\xEF\xBF\xBD"
		"b(...)\n\tp\xEF\xBF\xBD.c:5 +0x10\n"
		"used(...)\n\t/li\xEF\xBF\xBD"
		"b:0 +0x5010\n");
}

static void creator_stands_below_the_frames(void **unused)
{
	struct pa_thread_info info = running;

	(void)unused;
	info.creator = STACK(LOC_MAIN);
	info.creator_tid = 17;
	print_thread(STACK(LOC_TWO), &info);
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"tw\xEF\xBF\xBDo(...)\n\tt.c:8 +0x8010\n"
		"created by main in goroutine 17\n\tp.c:5 +0x10\n");
}

static void creator_without_a_thread_or_a_name_is_told(void **unused)
{
	struct pa_thread_info info = running;

	(void)unused;
	info.creator = STACK(LOC_INLINED);
	print_thread(NO_STACK, &info);
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"created by ns::in<int>(int)\n\tin.h:70 +0x20\n");
	reset(NULL);
	info.creator = STACK(LOC_NAMELESS);
	info.creator_tid = 8;
	print_thread(NO_STACK, &info);
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"created by 0x8020 in goroutine 8\n"
		"\t/lib/two.so:0 +0x2020\n");
	reset(NULL);
	info.creator = STACK(LOC_LOST);
	print_thread(NO_STACK, &info);
	assert_string_equal(out.text,
		"goroutine 4711 [running]:\n"
		"created by pprofagent.lostEvents in goroutine 8\n");
	reset(NULL);
	info.creator = NO_STACK;
	print_thread(NO_STACK, &info);
	assert_string_equal(out.text, "goroutine 4711 [running]:\n");
}

/* Inlined frames and those without a name too: they are passed over, and count as they come. */
static void state_is_told_by_the_names_on_the_stack(void **unused)
{
	const struct pa_thread_info info = {
		.answered = true, .syscall = SYS_futex, .argument = 0x7f00, .words = { 2, 0, 42, 0 }
	};
	const char *name = fn_in.name;

	(void)unused;
	fn_in.name = "__lll_lock_wait";
	print_thread(STACK(LOC_LOST, LOC_NAMELESS, LOC_INLINED, LOC_MAIN), &info);
	*strchr(out.text, '\n') = '\0';
	assert_string_equal(out.text, "goroutine 4711 [mutex lock 0x7f00, held by 42]:");
	reset(NULL);
	/* Seven others before it, then eight. */
	print_thread(STACK(LOC_LOST, LOC_MAIN, LOC_MAIN, LOC_MAIN, LOC_MAIN, LOC_MAIN, LOC_MAIN,
			     LOC_MAIN, LOC_INLINED),
		&info);
	*strchr(out.text, '\n') = '\0';
	assert_string_equal(out.text, "goroutine 4711 [mutex lock 0x7f00, held by 42]:");
	reset(NULL);
	print_thread(STACK(LOC_MAIN, LOC_MAIN, LOC_MAIN, LOC_MAIN, LOC_MAIN, LOC_MAIN, LOC_MAIN,
			     LOC_MAIN, LOC_INLINED),
		&info);
	fn_in.name = name;
	*strchr(out.text, '\n') = '\0';
	assert_string_equal(out.text, "goroutine 4711 [futex wait 0x7f00]:");
}

static void thread_of_which_nothing_is_known_is_running(void **unused)
{
	(void)unused;
	print_thread(NO_STACK, NULL);
	assert_string_equal(out.text, "goroutine 4711 [running]:\n");
}

static void higher_debug_is_the_same_and_has_no_comments(void **unused)
{
	char *comments[] = { "dropped 3: frees" };
	struct pa_sample sample = {
		.stack = NO_STACK, .values = { 1 }, .tid = 1, .info = &running
	};
	struct pa_snapshot snapshot = { .kind = &goroutine_kind,
		.sample_count = 1,
		.samples = &sample,
		.comment_count = 1,
		.comments = comments };

	(void)unused;
	assert_int_equal(print_snapshot(&snapshot, 3), 0);
	assert_string_equal(out.text, "goroutine 1 [running]:\n");
}

static void text_is_cut_at_the_end_of_a_thread(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_MAIN), .tid = 1, .info = &running },
		{ .stack = STACK(LOC_MAIN, LOC_MAIN), .tid = 2, .info = &running },
		{ .stack = NO_STACK, .tid = 3, .info = &running },
	};
	struct pa_snapshot snapshot = {
		.kind = &goroutine_kind, .sample_count = 3, .samples = samples
	};
	static const char first[] = "goroutine 1 [running]:\nmain(...)\n\tp.c:5 +0x10\n";
	static const char second[] = "\ngoroutine 2 [running]:\nmain(...)\n\tp.c:5 +0x10\n"
				     "main(...)\n\tp.c:5 +0x10\n";
	static const char third[] = "\ngoroutine 3 [running]:\n";
	const size_t one = sizeof(first) - 1, two = one + sizeof(second) - 1,
		     all = two + sizeof(third) - 1;
	struct pa_text text;

	(void)unused;
	for (size_t limit = 0; limit <= all; limit++) {
		reset(NULL);
		pa_text_open(&text, &snapshot, &sink);
		pa_text_threads(&text, limit);
		assert_int_equal(pa_text_close(&text), 0);
		pa_kept_pages_trim();
		assert_int_equal(kernel.open, 0);
		/* The third would fit where the second does not, and would be out of place. */
		assert_int_equal(out.bytes,
			limit < one         ? 0 :
				limit < two ? one :
				limit < all ? two :
					      all);
	}
	assert_memory_equal(out.text, first, one);
	assert_memory_equal(out.text + one, second, two - one);
	assert_string_equal(out.text + two, third);
}

static void client_that_leaves_cancels(void **unused)
{
	static struct pa_sample samples[1000];
	struct pa_snapshot snapshot = {
		.kind = &goroutine_kind, .sample_count = 1000, .samples = samples
	};

	(void)unused;
	for (size_t i = 0; i < 1000; i++)
		samples[i].stack = STACK(LOC_MAIN);
	out.stop_at = 2;
	assert_int_equal(print_snapshot(&snapshot, 2), -ECANCELED);
	assert_int_equal(out.writes, 2);
}

static void missing_memory_is_told(void **unused)
{
	struct pa_thread_info info = running;
	struct pa_sample sample = { .stack = STACK(LOC_INLINED), .info = &info };
	struct pa_snapshot snapshot = {
		.kind = &goroutine_kind, .sample_count = 1, .samples = &sample
	};

	(void)unused;
	info.creator = STACK(LOC_MAIN);
	assert_int_equal(missing_memory(&snapshot, 2), 2);
	assert_non_null(strstr(out.text, "created by main\n\tp.c:5 +0x10\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_threads_are_no_text, reset),
		cmocka_unit_test_setup(thread_is_a_head_and_its_frames, reset),
		cmocka_unit_test_setup(threads_stay_in_order_and_are_not_grouped, reset),
		cmocka_unit_test_setup(name_is_quoted_behind_the_state, reset),
		cmocka_unit_test_setup(labels_stand_behind_the_name, reset),
		cmocka_unit_test_setup(frame_without_a_file_is_in_its_module, reset),
		cmocka_unit_test_setup(nameless_frame_has_the_address_that_addr2line_takes, reset),
		cmocka_unit_test_setup(frame_in_no_module_has_a_place_all_the_same, reset),
		cmocka_unit_test_setup(pseudo_frame_is_one_line, reset),
		cmocka_unit_test_setup(texts_with_control_bytes_stay_in_their_lines, reset),
		cmocka_unit_test_setup(creator_stands_below_the_frames, reset),
		cmocka_unit_test_setup(creator_without_a_thread_or_a_name_is_told, reset),
		cmocka_unit_test_setup(state_is_told_by_the_names_on_the_stack, reset),
		cmocka_unit_test_setup(thread_of_which_nothing_is_known_is_running, reset),
		cmocka_unit_test_setup(higher_debug_is_the_same_and_has_no_comments, reset),
		cmocka_unit_test_setup(text_is_cut_at_the_end_of_a_thread, reset),
		cmocka_unit_test_setup(client_that_leaves_cancels, reset),
		cmocka_unit_test_setup(missing_memory_is_told, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
