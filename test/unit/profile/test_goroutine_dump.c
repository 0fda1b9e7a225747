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

#include "agent/base/arena.h"
#include "agent/base/kept_pages.h"
#include "agent/profile/thread_info.h"
#include "agent/core/core.h"
#include "agent/profile/goroutine.h"
#include "agent/profile/mailbox.h"

/* Which threads were asked for what, in order. */
static char story[512];

static size_t mapped_bytes(void)
{
	pa_kept_pages_trim();
	return pa_map_bytes();
}

static void note(const char *what)
{
	size_t length = strlen(story);
	snprintf(story + length, sizeof(story) - length, "%s%s", length ? " " : "", what);
}

static void assert_story(const char *expected)
{
	assert_string_equal(story, expected);
	story[0] = '\0';
}

/* ---- stand-ins: the recording side ---- */

enum { COUNT = 3 };

static struct pa_thread_dump_entry entries[COUNT];
static int begin_error, call_error;
static void (*while_calling)(void);

static int dump_begin(struct pa_thread_dump *dump)
{
	note("list");
	*dump = (struct pa_thread_dump){ .generation = 1, .count = COUNT, .entries = entries };
	return begin_error;
}

static int dump_call(struct pa_thread_dump *dump)
{
	note("call");
	assert_ptr_equal(dump->entries, entries);
	if (while_calling)
		while_calling();
	return call_error;
}

/* ---- stand-ins: the kernel ---- */

static int32_t gone_tid;

bool pa_thread_info_read(int32_t tid, struct pa_thread_info *info)
{
	char text[32];
	snprintf(text, sizeof(text), "read-%d", tid);
	note(text);
	*info = (struct pa_thread_info){ .syscall = -1 };
	if (tid == gone_tid)
		return false;
	info->syscall = tid;
	return true;
}

/* ---- stand-ins: the collector ---- */

static int errors[PA_MAILBOX_SYNC + 1];      /* of the next requests, by op */
static const struct pa_goroutine_dump *told; /* what the collector knows of */
static int32_t copied[COUNT];                /* syscall in the details, at the copy */
static uint32_t copied_state[COUNT];

static void copy(struct pa_snapshot **snapshot)
{
	assert_non_null(told);
	for (int i = 0; i < COUNT; i++) {
		copied[i] = told->details[i].syscall;
		copied_state[i] = pa_load_acquire(&told->dump.entries[i].state);
	}
	*snapshot = calloc(1, sizeof(**snapshot));
}

int pa_mailbox_ask(const struct pa_mailbox_request *request, struct pa_snapshot **snapshot)
{
	static const char *const names[] = {
		[PA_MAILBOX_COPY_AND_END] = "copy-and-end",
		[PA_MAILBOX_BEGIN] = "begin",
		[PA_MAILBOX_END] = "end",
	};
	assert_ptr_equal(request->kind, &pa_goroutine_profile);
	note(names[request->op]);
	if (errors[request->op])
		return errors[request->op];
	if (request->op == PA_MAILBOX_COPY_AND_END)
		copy(snapshot);
	told = request->op == PA_MAILBOX_BEGIN ? request->argument.dump : NULL;
	return 0;
}

static struct pa_bridge bridge = {
	.dump_begin = dump_begin,
	.dump_call = dump_call,
};

static int fresh(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	pa_goroutine_profile.atfork_child(&pa_goroutine_profile, true);
	for (int i = 0; i < COUNT; i++)
		entries[i] = (struct pa_thread_dump_entry){ .state = PA_THREAD_DUMP_LISTED,
			.tid = 10 + i };
	memset(errors, 0, sizeof(errors));
	begin_error = call_error = gone_tid = 0;
	while_calling = NULL;
	told = NULL;
	story[0] = '\0';
	return 0;
}

/* ---- thread dump ---- */

static void answer_all(void)
{
	assert_non_null(told);
	for (int i = 0; i < COUNT; i++)
		pa_store_release(&entries[i].state, PA_THREAD_DUMP_ANSWERED);
}

static void answer_some(void)
{
	answer_all();
	pa_store_release(&entries[1].state, PA_THREAD_DUMP_SILENT);
}

static void take(bool detail, bool expected)
{
	size_t before = mapped_bytes();
	struct pa_snapshot *snapshot = pa_goroutine_take(detail);
	assert_int_equal(snapshot != NULL, expected);
	assert_int_equal(mapped_bytes(), before);
	assert_null(told);
	free(snapshot);
}

static void threads_that_answer_are_not_looked_up(void **unused)
{
	(void)unused;
	while_calling = answer_all;
	take(false, true);
	assert_story("list begin call copy-and-end");
	assert_int_equal(copied[0], -1);
}

static void details_are_read_before_anyone_is_asked(void **unused)
{
	(void)unused;
	while_calling = answer_all;
	take(true, true);
	assert_story("list read-10 read-11 read-12 begin call copy-and-end");
	assert_int_equal(copied[2], 12);
}

static void of_silent_threads_the_kernel_is_asked(void **unused)
{
	(void)unused;
	while_calling = answer_some;
	take(false, true);
	assert_story("list begin call read-11 copy-and-end");
	assert_int_equal(copied[0], -1);
	assert_int_equal(copied[1], 11);
}

static void silent_threads_that_are_gone_are_marked(void **unused)
{
	(void)unused;
	while_calling = answer_some;
	gone_tid = 11;
	for (int detail = 0; detail < 2; detail++) {
		take(detail, true);
		assert_int_equal(copied_state[1], PA_THREAD_DUMP_GONE);
		assert_int_equal(copied_state[0], PA_THREAD_DUMP_ANSWERED);
	}
}

static void move_on(void)
{
	answer_some();
	entries[1].tid = 99;
}

static void details_from_before_the_signal_stand(void **unused)
{
	(void)unused;
	while_calling = move_on;
	take(true, true);
	assert_int_equal(copied[1], 11);
	assert_int_equal(copied_state[1], PA_THREAD_DUMP_SILENT);
}

static void without_our_signal_no_thread_answers(void **unused)
{
	(void)unused;
	call_error = -EADDRINUSE;
	take(false, true);
	assert_story("list begin call read-10 read-11 read-12 copy-and-end");
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(copied[i], 10 + i);
}

static void no_list_no_snapshot(void **unused)
{
	(void)unused;
	begin_error = -ENOENT;
	take(false, false);
	assert_story("list");
	begin_error = 0;
	while_calling = answer_all;
	take(false, true);
}

static void every_error_ends_the_thread_dump(void **unused)
{
	(void)unused;
	errors[PA_MAILBOX_BEGIN] = -ENOMEM;
	take(false, false);
	assert_story("list begin end");
	errors[PA_MAILBOX_BEGIN] = 0;
	errors[PA_MAILBOX_COPY_AND_END] = -ENOMEM;
	while_calling = answer_all;
	take(false, false);
	assert_story("list begin call copy-and-end end");
	errors[PA_MAILBOX_COPY_AND_END] = 0;
	take(false, true);
}

/* The collector hangs: what it was told of stays until it says that it is done with it. */
static void memory_stays_until_the_collector_has_let_go(void **unused)
{
	size_t before = mapped_bytes();
	const struct pa_goroutine_dump *first;
	(void)unused;
	while_calling = answer_all;
	errors[PA_MAILBOX_COPY_AND_END] = errors[PA_MAILBOX_END] = -ETIMEDOUT;
	assert_null(pa_goroutine_take(false));
	assert_story("list begin call copy-and-end end");
	first = told;
	assert_true(mapped_bytes() > before);

	assert_null(pa_goroutine_take(false));
	assert_story("end end");
	assert_int_equal(first->dump.count, COUNT);

	memset(errors, 0, sizeof(errors));
	free(pa_goroutine_take(false));
	assert_story("end list begin call copy-and-end");
	assert_int_equal(mapped_bytes(), before);
}

static void a_forked_child_keeps_nothing_of_a_thread_dump(void **unused)
{
	size_t before = mapped_bytes();
	(void)unused;
	errors[PA_MAILBOX_COPY_AND_END] = errors[PA_MAILBOX_END] = -ETIMEDOUT;
	assert_null(pa_goroutine_take(false));
	pa_goroutine_profile.atfork_child(&pa_goroutine_profile, true);
	assert_int_equal(mapped_bytes(), before);
	memset(errors, 0, sizeof(errors));
	story[0] = '\0';
	while_calling = answer_all;
	take(false, true);
	assert_story("list begin call copy-and-end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(threads_that_answer_are_not_looked_up, fresh),
		cmocka_unit_test_setup(details_are_read_before_anyone_is_asked, fresh),
		cmocka_unit_test_setup(of_silent_threads_the_kernel_is_asked, fresh),
		cmocka_unit_test_setup(silent_threads_that_are_gone_are_marked, fresh),
		cmocka_unit_test_setup(details_from_before_the_signal_stand, fresh),
		cmocka_unit_test_setup(without_our_signal_no_thread_answers, fresh),
		cmocka_unit_test_setup(no_list_no_snapshot, fresh),
		cmocka_unit_test_setup(every_error_ends_the_thread_dump, fresh),
		cmocka_unit_test_setup(memory_stays_until_the_collector_has_let_go, fresh),
		cmocka_unit_test_setup(a_forked_child_keeps_nothing_of_a_thread_dump, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
