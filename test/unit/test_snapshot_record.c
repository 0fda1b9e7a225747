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
#include "agent/profile/about.h"
#include "agent/profile/core.h"
#include "agent/profile/requests.h"
#include "agent/profile/snapshot_record.h"

/* What was asked of whom, in order. */
static char story[512];

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

static struct pa_roll_entry entries[COUNT];
static int begin_error, call_error;
static void (*while_calling)(void);

static int roll_begin(struct pa_roll *roll)
{
	note("list");
	*roll = (struct pa_roll){ .generation = 1, .count = COUNT, .entries = entries };
	return begin_error;
}

static int roll_call(struct pa_roll *roll)
{
	note("call");
	assert_ptr_equal(roll->entries, entries);
	if (while_calling)
		while_calling();
	return call_error;
}

static struct {
	uint64_t block, mutex;
	int calls;
} rates;

static void contend_rates(uint64_t block_rate_ns, uint64_t mutex_fraction)
{
	rates.block = block_rate_ns;
	rates.mutex = mutex_fraction;
	rates.calls++;
}

/* ---- stand-ins: the kernel ---- */

static int32_t gone_tid;

bool pa_about_read(int32_t tid, struct pa_about *about)
{
	char text[32];
	snprintf(text, sizeof(text), "read-%d", tid);
	note(text);
	*about = (struct pa_about){ .syscall = -1 };
	if (tid == gone_tid)
		return false;
	about->syscall = tid;
	return true;
}

/* ---- stand-ins: the collector ---- */

static int errors[PA_REQUEST_ROLL_END + 1]; /* of the next requests, by op */
static const struct pa_requests_roll *told; /* what the collector knows of */
static int32_t copied[COUNT];               /* syscall in the details, at the copy */
static uint32_t copied_state[COUNT];

static void copy(struct pa_snapshot **snapshot)
{
	assert_non_null(told);
	for (int i = 0; i < COUNT; i++) {
		copied[i] = told->details[i].syscall;
		copied_state[i] = pa_load_acquire(&told->roll.entries[i].state);
	}
	*snapshot = calloc(1, sizeof(**snapshot));
}

int pa_requests_ask(enum pa_request_op op, enum pa_kind_id kind, int64_t argument,
	struct pa_snapshot **snapshot)
{
	static const char *const names[] = {
		[PA_REQUEST_COPY] = "copy",
		[PA_REQUEST_ROLL_BEGIN] = "begin",
		[PA_REQUEST_ROLL_END] = "end",
	};
	assert_int_equal(kind, PA_KIND_GOROUTINE);
	note(names[op]);
	if (errors[op])
		return errors[op];
	if (op == PA_REQUEST_COPY)
		copy(snapshot);
	else
		told = op == PA_REQUEST_ROLL_BEGIN ?
			(const struct pa_requests_roll *)(uintptr_t)argument : NULL;
	return 0;
}

static struct pa_settings settings;
static struct pa_bridge bridge = {
	.settings = &settings, .roll_begin = roll_begin, .roll_call = roll_call,
	.contend_rates = contend_rates,
};

static int fresh(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	pa_snapshot_record_atfork_child();
	for (int i = 0; i < COUNT; i++)
		entries[i] = (struct pa_roll_entry){ .state = PA_ROLL_LISTED, .tid = 10 + i };
	memset(errors, 0, sizeof(errors));
	memset(&settings, 0, sizeof(settings));
	memset(&rates, 0, sizeof(rates));
	begin_error = call_error = gone_tid = 0;
	while_calling = NULL;
	told = NULL;
	story[0] = '\0';
	return 0;
}

/* ---- rollcall ---- */

static void answer_all(void)
{
	assert_non_null(told);
	for (int i = 0; i < COUNT; i++)
		pa_store_release(&entries[i].state, PA_ROLL_ANSWERED);
}

static void answer_some(void)
{
	answer_all();
	pa_store_release(&entries[1].state, PA_ROLL_SILENT);
}

static void take(bool detail, bool expected)
{
	size_t before = pa_map_bytes();
	struct pa_snapshot *snapshot = pa_snapshot_threads(detail);
	assert_int_equal(snapshot != NULL, expected);
	assert_int_equal(pa_map_bytes(), before);
	assert_null(told);
	free(snapshot);
}

static void threads_that_answer_are_not_looked_up(void **unused)
{
	(void)unused;
	while_calling = answer_all;
	take(false, true);
	assert_story("list begin call copy end");
	assert_int_equal(copied[0], -1);
}

static void details_are_read_before_anyone_is_asked(void **unused)
{
	(void)unused;
	while_calling = answer_all;
	take(true, true);
	assert_story("list read-10 read-11 read-12 begin call copy end");
	assert_int_equal(copied[2], 12);
}

static void of_silent_threads_the_kernel_is_asked(void **unused)
{
	(void)unused;
	while_calling = answer_some;
	take(false, true);
	assert_story("list begin call read-11 copy end");
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
		assert_int_equal(copied_state[1], PA_ROLL_GONE);
		assert_int_equal(copied_state[0], PA_ROLL_ANSWERED);
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
	assert_int_equal(copied_state[1], PA_ROLL_SILENT);
}

static void without_our_signal_nobody_answers(void **unused)
{
	(void)unused;
	call_error = -EADDRINUSE;
	take(false, true);
	assert_story("list begin call read-10 read-11 read-12 copy end");
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

static void every_error_ends_the_rollcall(void **unused)
{
	(void)unused;
	errors[PA_REQUEST_ROLL_BEGIN] = -ENOMEM;
	take(false, false);
	assert_story("list begin end");
	errors[PA_REQUEST_ROLL_BEGIN] = 0;
	errors[PA_REQUEST_COPY] = -ENOMEM;
	while_calling = answer_all;
	take(false, false);
	assert_story("list begin call copy end");
	errors[PA_REQUEST_COPY] = 0;
	take(false, true);
}

/* The collector hangs: what it was told of stays until it says that it is done with it. */
static void memory_stays_until_the_collector_has_let_go(void **unused)
{
	size_t before = pa_map_bytes();
	const struct pa_requests_roll *first;
	(void)unused;
	while_calling = answer_all;
	errors[PA_REQUEST_COPY] = errors[PA_REQUEST_ROLL_END] = -ETIMEDOUT;
	assert_null(pa_snapshot_threads(false));
	assert_story("list begin call copy end");
	first = told;
	assert_true(pa_map_bytes() > before);

	assert_null(pa_snapshot_threads(false));
	assert_story("end end");
	assert_int_equal(first->roll.count, COUNT);

	memset(errors, 0, sizeof(errors));
	free(pa_snapshot_threads(false));
	assert_story("end list begin call copy end");
	assert_int_equal(pa_map_bytes(), before);
}

static void a_forked_child_keeps_nothing_of_a_rollcall(void **unused)
{
	size_t before = pa_map_bytes();
	(void)unused;
	errors[PA_REQUEST_COPY] = errors[PA_REQUEST_ROLL_END] = -ETIMEDOUT;
	assert_null(pa_snapshot_threads(false));
	pa_snapshot_record_atfork_child();
	assert_int_equal(pa_map_bytes(), before);
	memset(errors, 0, sizeof(errors));
	story[0] = '\0';
	while_calling = answer_all;
	take(false, true);
	assert_story("list begin call copy end");
}

/* ---- contention ---- */

static void assert_rates(int calls, uint64_t block, uint64_t mutex)
{
	assert_int_equal(rates.calls, calls);
	assert_int_equal(rates.block, block);
	assert_int_equal(rates.mutex, mutex);
}

static void the_first_watch_and_the_last_unwatch_switch(void **unused)
{
	(void)unused;
	pa_snapshot_watch(PA_KIND_BLOCK);
	assert_rates(1, 1, 0);
	pa_snapshot_watch(PA_KIND_BLOCK);
	assert_rates(1, 1, 0);
	pa_snapshot_unwatch(PA_KIND_BLOCK);
	assert_rates(1, 1, 0);
	pa_snapshot_unwatch(PA_KIND_BLOCK);
	assert_rates(2, 0, 0);
	pa_snapshot_watch(PA_KIND_BLOCK);
	assert_rates(3, 1, 0);
}

static void kinds_are_switched_apart(void **unused)
{
	(void)unused;
	pa_snapshot_watch(PA_KIND_MUTEX);
	assert_rates(1, 0, 1);
	assert_int_equal(pa_snapshot_record_fraction(), 1);
	pa_snapshot_watch(PA_KIND_BLOCK);
	assert_rates(2, 1, 1);
	pa_snapshot_unwatch(PA_KIND_MUTEX);
	assert_rates(3, 1, 0);
	assert_int_equal(pa_snapshot_record_fraction(), 0);
	pa_snapshot_unwatch(PA_KIND_BLOCK);
	assert_rates(4, 0, 0);
}

static void what_the_settings_switch_on_stays_at_their_rate(void **unused)
{
	(void)unused;
	settings.block_rate_ns = 5000;
	settings.mutex_fraction = 20;
	pa_snapshot_watch(PA_KIND_BLOCK);
	pa_snapshot_watch(PA_KIND_MUTEX);
	pa_snapshot_unwatch(PA_KIND_MUTEX);
	assert_rates(0, 0, 0);
	assert_int_equal(pa_snapshot_record_fraction(), 20);
	settings.mutex_fraction = 0;
	pa_snapshot_watch(PA_KIND_MUTEX);
	assert_rates(1, 5000, 1);
}

static void other_kinds_and_odd_unwatches_switch_nothing(void **unused)
{
	(void)unused;
	for (int kind = 0; kind < PA_KIND_COUNT; kind++) {
		if (kind != PA_KIND_BLOCK && kind != PA_KIND_MUTEX)
			pa_snapshot_watch((enum pa_kind_id)kind);
		pa_snapshot_unwatch((enum pa_kind_id)kind);
	}
	assert_rates(0, 0, 0);
	pa_snapshot_watch(PA_KIND_BLOCK);
	assert_rates(1, 1, 0);
}

static void in_a_forked_child_nobody_watches(void **unused)
{
	(void)unused;
	pa_snapshot_watch(PA_KIND_BLOCK);
	pa_snapshot_watch(PA_KIND_MUTEX);
	pa_snapshot_record_atfork_child();
	assert_rates(2, 1, 1);
	assert_int_equal(pa_snapshot_record_fraction(), 0);
	pa_snapshot_watch(PA_KIND_BLOCK);
	assert_rates(3, 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(threads_that_answer_are_not_looked_up, fresh),
		cmocka_unit_test_setup(details_are_read_before_anyone_is_asked, fresh),
		cmocka_unit_test_setup(of_silent_threads_the_kernel_is_asked, fresh),
		cmocka_unit_test_setup(silent_threads_that_are_gone_are_marked, fresh),
		cmocka_unit_test_setup(details_from_before_the_signal_stand, fresh),
		cmocka_unit_test_setup(without_our_signal_nobody_answers, fresh),
		cmocka_unit_test_setup(no_list_no_snapshot, fresh),
		cmocka_unit_test_setup(every_error_ends_the_rollcall, fresh),
		cmocka_unit_test_setup(memory_stays_until_the_collector_has_let_go, fresh),
		cmocka_unit_test_setup(a_forked_child_keeps_nothing_of_a_rollcall, fresh),
		cmocka_unit_test_setup(the_first_watch_and_the_last_unwatch_switch, fresh),
		cmocka_unit_test_setup(kinds_are_switched_apart, fresh),
		cmocka_unit_test_setup(what_the_settings_switch_on_stays_at_their_rate, fresh),
		cmocka_unit_test_setup(other_kinds_and_odd_unwatches_switch_nothing, fresh),
		cmocka_unit_test_setup(in_a_forked_child_nobody_watches, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
