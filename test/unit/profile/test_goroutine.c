/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "agent/base/arena.h"
#include "agent/base/clock.h"
#include "agent/core/core.h"
#include "agent/profile/goroutine.h"

#define NOW_NS (100 * PA_NS_PER_S)
#define COUNT 4

static struct pa_stack stacks[10];

/* Stand-ins of stack_table.c: one stack for each thing that is interned here. */
static struct pa_stack silent, creator, overflow;
static uintptr_t creator_pc;
static bool stack_table_full;

const struct pa_stack *pa_stack_table_intern_locked(const uintptr_t *pcs, uint32_t depth, bool leaf,
	enum pa_pseudo_pc tail)
{
	assert_false(leaf);
	if (tail == PA_PSEUDO_NO_ANSWER) {
		assert_int_equal(depth, 0);
		return &silent;
	}
	assert_int_equal(tail, PA_PSEUDO_NONE);
	assert_int_equal(depth, 1);
	creator_pc = pcs[0];
	return stack_table_full ? &overflow : &creator;
}

const struct pa_stack *pa_stack_table_overflow(void)
{
	return &overflow;
}

const struct pa_loc *pa_stack_table_loc(uint32_t id)
{
	(void)id;
	fail_msg("the stacks here have no locations");
	return NULL;
}

int64_t pa_clock_mono_ns(void)
{
	return NOW_NS;
}

static int32_t agent_tid;

static bool is_agent_thread(int32_t tid)
{
	return tid == agent_tid;
}

static const struct pa_labels some_labels = { .id = 5 };

static const struct pa_labels *labels_of(uint32_t id)
{
	assert_int_not_equal(id, 0);
	return id == some_labels.id ? &some_labels : NULL;
}

static unsigned awaited;

static void await_agent_threads(int64_t timeout_ns)
{
	assert_true(timeout_ns > 0);
	awaited++;
}

static struct pa_bridge bridge = { .is_agent_thread = is_agent_thread,
	.labels = labels_of,
	.await_agent_threads = await_agent_threads };
static struct pa_thread_dump_entry entries[COUNT];
static struct pa_thread_dump dump = { .generation = 7, .count = COUNT, .entries = entries };
static struct pa_thread_info details[COUNT], infos[COUNT];
static struct pa_sample samples[COUNT];

static int fresh(void **unused)
{
	(void)unused;
	pa_core_bridge = &bridge;
	pa_goroutine_profile.atfork_child(&pa_goroutine_profile, true);
	memset(details, 0, sizeof(details));
	for (int i = 0; i < COUNT; i++) {
		entries[i] = (struct pa_thread_dump_entry){ .state = PA_THREAD_DUMP_ANSWERED,
			.tid = 100 + i };
		snprintf(entries[i].name, sizeof(entries[i].name), "own-%d", i);
		details[i].syscall = -1;
		snprintf(details[i].name, sizeof(details[i].name), "kernel-%d", i);
	}
	dump.generation++;
	stack_table_full = false;
	return 0;
}

static void begin(const struct pa_thread_info *given)
{
	assert_int_equal(pa_goroutine_begin_locked(&dump, given), 0);
}

static void answer(uint32_t index, const struct pa_stack *stack)
{
	pa_goroutine_answer_locked(dump.generation, index, stack, 0);
}

static void list(size_t expected)
{
	assert_int_equal(pa_goroutine_count(), expected);
	memset(samples, 0, sizeof(samples));
	pa_goroutine_samples_locked(samples, infos);
}

/* ---- answers ---- */

static void answers_become_samples(void **unused)
{
	(void)unused;
	begin(NULL);
	for (uint32_t i = 0; i < COUNT; i++)
		answer(i, &stacks[i]);
	list(COUNT);
	for (int i = 0; i < COUNT; i++) {
		assert_ptr_equal(samples[i].stack, &stacks[i]);
		assert_int_equal(samples[i].values[0], 1);
		assert_int_equal(samples[i].values[1], 0);
		assert_int_equal(samples[i].bytes_label, -1);
		assert_int_equal(samples[i].tid, 100 + i);
		assert_ptr_equal(samples[i].info, &infos[i]);
		assert_ptr_equal(samples[i].thread, infos[i].name);
		assert_true(infos[i].answered);
		assert_string_equal(infos[i].name, entries[i].name);
		assert_int_equal(infos[i].state, 0);
		assert_int_equal(infos[i].syscall, -1);
		assert_int_equal(infos[i].wait, PA_WAIT_NONE);
		assert_int_equal(infos[i].waited_ns, 0);
		assert_null(infos[i].creator);
	}
}

static void answers_carry_labels(void **unused)
{
	(void)unused;
	begin(NULL);
	pa_goroutine_answer_locked(dump.generation, 0, &stacks[0], some_labels.id);
	answer(1, &stacks[1]);
	pa_goroutine_answer_locked(dump.generation, 2, &stacks[2], some_labels.id + 1);
	/* It wrote the event, and stopped there. */
	pa_store_relaxed(&entries[3].state, PA_THREAD_DUMP_WRITING);
	pa_goroutine_answer_locked(dump.generation, 3, &stacks[3], some_labels.id);
	list(COUNT);
	assert_ptr_equal(samples[0].labels, &some_labels);
	for (int i = 1; i < COUNT; i++)
		assert_null(samples[i].labels);
}

static void a_thread_tells_what_it_waits_for_and_its_creator(void **unused)
{
	(void)unused;
	entries[1].thread.wait = PA_WAIT_COND;
	entries[1].thread.object = 0x7f00;
	entries[1].thread.since_ns = NOW_NS - 1234;
	entries[1].thread.creator_tid = 5;
	entries[1].thread.creator_pc = 0x401234;
	begin(details);
	answer(1, &stacks[1]);
	list(COUNT);
	assert_int_equal(infos[1].wait, PA_WAIT_COND);
	assert_int_equal(infos[1].object, 0x7f00);
	assert_int_equal(infos[1].waited_ns, 1234);
	assert_int_equal(infos[1].creator_tid, 5);
	assert_ptr_equal(infos[1].creator, &creator);
	assert_int_equal(creator_pc, 0x401234);
}

static void a_wait_that_begins_now_lasts_for_a_moment(void **unused)
{
	(void)unused;
	entries[0].thread.since_ns = NOW_NS;
	entries[1].thread.since_ns = NOW_NS + 5;
	begin(NULL);
	list(COUNT);
	assert_int_equal(infos[0].waited_ns, 1);
	assert_int_equal(infos[1].waited_ns, 1);
	assert_int_equal(infos[2].waited_ns, 0);
}

static void what_cannot_be_is_not_shown(void **unused)
{
	(void)unused;
	entries[0].thread.wait = PA_WAIT_KINDS;
	entries[0].thread.creator_pc = 12;
	entries[1].thread.creator_pc = 0x401234;
	stack_table_full = true;
	begin(NULL);
	list(COUNT);
	assert_int_equal(infos[0].wait, PA_WAIT_NONE);
	assert_null(infos[0].creator);
	assert_null(infos[1].creator);
}

static void names_become_valid_utf8(void **unused)
{
	(void)unused;
	memset(entries[0].name, 0xff, sizeof(entries[0].name));
	memcpy(entries[1].name, "a\xc3\xbc\xc3", 5);
	begin(NULL);
	list(COUNT);
	assert_int_equal(strlen(infos[0].name), 45);
	assert_string_equal(infos[1].name, "a\xc3\xbc\xef\xbf\xbd");
}

/* What the kernel says stays, what it does not know comes from the thread. */
static void details_are_joined_with_answers(void **unused)
{
	(void)unused;
	details[0].state = 'S';
	details[0].syscall = 202;
	details[0].argument = 0xabc0;
	details[0].words[2] = 77;
	begin(details);
	answer(0, &stacks[0]);
	list(COUNT);
	assert_string_equal(infos[0].name, "own-0");
	assert_int_equal(infos[0].state, 'S');
	assert_int_equal(infos[0].syscall, 202);
	assert_int_equal(infos[0].argument, 0xabc0);
	assert_int_equal(infos[0].words[2], 77);
}

static void silent_threads_are_listed_with_what_the_kernel_says(void **unused)
{
	(void)unused;
	pa_store_relaxed(&entries[1].state, PA_THREAD_DUMP_SILENT);
	pa_store_relaxed(&entries[2].state, PA_THREAD_DUMP_WRITING);
	entries[1].thread.object = entries[2].thread.object = 0xdead;
	details[1].state = 'D';
	begin(details);
	answer(0, &stacks[0]);
	answer(2, &stacks[2]); /* it wrote the event, and stopped there */
	answer(3, &stacks[3]);
	list(COUNT);
	for (int i = 1; i <= 2; i++) {
		assert_ptr_equal(samples[i].stack, &silent);
		assert_int_equal(samples[i].tid, 100 + i);
		assert_false(infos[i].answered);
		assert_int_equal(infos[i].object, 0);
		assert_string_equal(samples[i].thread, details[i].name);
	}
	assert_int_equal(infos[1].state, 'D');
	assert_ptr_equal(samples[3].stack, &stacks[3]);
}

static void a_thread_whose_event_was_lost_keeps_its_words(void **unused)
{
	(void)unused;
	entries[0].thread.wait = PA_WAIT_MUTEX;
	begin(details);
	list(COUNT);
	assert_ptr_equal(samples[0].stack, &silent);
	assert_false(infos[0].answered);
	assert_string_equal(infos[0].name, "own-0");
	assert_int_equal(infos[0].wait, PA_WAIT_MUTEX);
}

static void threads_that_are_gone_are_not_shown(void **unused)
{
	(void)unused;
	pa_store_relaxed(&entries[0].state, PA_THREAD_DUMP_GONE);
	pa_store_relaxed(&entries[2].state, PA_THREAD_DUMP_GONE);
	begin(details);
	answer(1, &stacks[1]);
	answer(3, &stacks[3]);
	list(2);
	assert_int_equal(samples[0].tid, 101);
	assert_ptr_equal(samples[0].info, &infos[0]);
	assert_int_equal(samples[1].tid, 103);
	assert_ptr_equal(samples[1].stack, &stacks[3]);
	assert_ptr_equal(samples[1].info, &infos[1]);
}

static void answers_of_another_generation_are_ignored(void **unused)
{
	(void)unused;
	pa_goroutine_answer_locked(dump.generation, 0, &stacks[9], 0); /* none yet */
	begin(NULL);
	pa_goroutine_answer_locked(dump.generation - 1, 0, &stacks[9], 0);
	pa_goroutine_answer_locked(dump.generation + 1, 0, &stacks[9], 0);
	pa_goroutine_answer_locked(dump.generation, COUNT, &stacks[9], 0);
	pa_goroutine_answer_locked(dump.generation, UINT32_MAX, &stacks[9], 0);
	list(COUNT);
	for (int i = 0; i < COUNT; i++)
		assert_false(infos[i].answered);
	pa_goroutine_end_locked();
	pa_goroutine_answer_locked(dump.generation, 0, &stacks[9], 0);
	pa_goroutine_answer_locked(0, 0, &stacks[9], 0);
	assert_int_equal(pa_goroutine_count(), 0);
}

static void a_new_thread_dump_ends_the_one_before(void **unused)
{
	(void)unused;
	begin(NULL);
	answer(0, &stacks[0]);
	dump.generation++;
	begin(NULL);
	list(COUNT);
	assert_false(infos[0].answered);
	pa_goroutine_answer_locked(dump.generation - 1, 0, &stacks[0], 0);
	list(COUNT);
	assert_false(infos[0].answered);
}

static void ending_gives_the_memory_back(void **unused)
{
	struct pa_thread_dump none = { .generation = 3 };
	size_t before = pa_map_bytes();
	(void)unused;
	begin(NULL);
	assert_true(pa_goroutine_bytes() >= COUNT * sizeof(void *));
	pa_goroutine_end_locked();
	pa_goroutine_end_locked();
	assert_int_equal(pa_goroutine_begin_locked(&none, NULL), 0);
	assert_int_equal(pa_goroutine_count(), 0);
	pa_goroutine_end_locked();
	assert_int_equal(pa_map_bytes(), before);
	assert_int_equal(pa_goroutine_bytes(), 0);
}

static void a_forked_child_has_no_thread_dump(void **unused)
{
	(void)unused;
	for (int kept = 0; kept < 2; kept++) {
		begin(details);
		pa_goroutine_profile.atfork_child(&pa_goroutine_profile, kept);
		assert_int_equal(pa_goroutine_bytes(), 0);
		assert_int_equal(pa_goroutine_count(), 0);
		answer(0, &stacks[0]);
		assert_int_equal(pa_goroutine_count(), 0);
	}
}

/* ---- now ---- */

static sem_t started, leave;

static void *stay(void *tid)
{
	*(int32_t *)tid = gettid();
	sem_post(&started);
	sem_wait(&leave);
	return NULL;
}

static void threads_of_ours_are_not_counted(void **unused)
{
	pthread_t threads[2];
	int32_t tids[2];
	size_t before = 0;
	(void)unused;
	sem_init(&started, 0, 0);
	sem_init(&leave, 0, 0);
	for (int i = 0; i < 2; i++) {
		/* After the first one: a sanitizer may start a thread of its own with it. */
		before = pa_goroutine_now();
		assert_int_equal(pthread_create(&threads[i], NULL, stay, &tids[i]), 0);
		sem_wait(&started);
	}
	assert_true(before >= 2);
	assert_int_equal(pa_goroutine_now(), before + 1);
	agent_tid = tids[1];
	awaited = 0;
	assert_int_equal(pa_goroutine_now(), before);
	assert_int_equal(awaited, 1);
	for (int i = 0; i < 2; i++)
		sem_post(&leave);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	agent_tid = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(answers_become_samples, fresh),
		cmocka_unit_test_setup(answers_carry_labels, fresh),
		cmocka_unit_test_setup(a_thread_tells_what_it_waits_for_and_its_creator, fresh),
		cmocka_unit_test_setup(a_wait_that_begins_now_lasts_for_a_moment, fresh),
		cmocka_unit_test_setup(what_cannot_be_is_not_shown, fresh),
		cmocka_unit_test_setup(names_become_valid_utf8, fresh),
		cmocka_unit_test_setup(details_are_joined_with_answers, fresh),
		cmocka_unit_test_setup(silent_threads_are_listed_with_what_the_kernel_says, fresh),
		cmocka_unit_test_setup(a_thread_whose_event_was_lost_keeps_its_words, fresh),
		cmocka_unit_test_setup(threads_that_are_gone_are_not_shown, fresh),
		cmocka_unit_test_setup(answers_of_another_generation_are_ignored, fresh),
		cmocka_unit_test_setup(a_new_thread_dump_ends_the_one_before, fresh),
		cmocka_unit_test_setup(ending_gives_the_memory_back, fresh),
		cmocka_unit_test_setup(a_forked_child_has_no_thread_dump, fresh),
		cmocka_unit_test_setup(threads_of_ours_are_not_counted, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
