/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_fixture.h"

#include "proto/gotrace_look.h"

#define MUTEX PA_TRACE_EVENTS_IN_MUTEX
#define OBJECT 0x1000
#define OTHER_OBJECT 0x2000

enum { ANNA = 11, BERT, CARL, FILLER };

static struct pa_gotrace_look *look;
static struct pa_stack *stack;

static int begin(void **unused)
{
	(void)unused;
	look = pa_gotrace_look_new();
	stack = STACK(IN_LOCK, IN_MAIN);
	return look ? 0 : -1;
}

static int end(void **unused)
{
	(void)unused;
	pa_gotrace_look_free(look);
	return 0;
}

/* Goes in, and nothing comes out yet. */
static void push(struct pa_trace_queue_item item)
{
	assert_null(pa_gotrace_look_push(look, &item));
}

static struct pa_gotrace_step pop(void)
{
	const struct pa_gotrace_step *step = pa_gotrace_look_pop(look);

	assert_non_null(step);
	return *step;
}

static void block(int32_t tid, enum pa_trace_events_wait wait)
{
	push(block_of(0, tid, wait, OBJECT, NULL));
}

static void woke(int32_t tid, uint64_t link)
{
	push(woke_of(0, tid, link));
}

static void release(int32_t tid, uint64_t number)
{
	push(release_of(0, tid, OBJECT, number, stack));
}

/* What comes next is kept, and wakes that thread. */
static void assert_wakes(int32_t tid)
{
	struct pa_gotrace_step step = pop();

	assert_int_equal(step.wakes, tid);
	assert_false(step.dropped);
}

static void assert_dropped(bool dropped)
{
	assert_int_equal(pop().dropped, dropped);
}

static void release_is_marked_with_the_thread_it_woke(void **unused)
{
	(void)unused;
	block(ANNA, MUTEX);
	release(BERT, 7);
	woke(ANNA, 7);
	assert_wakes(0);
	assert_wakes(ANNA);
	struct pa_gotrace_step step = pop();
	assert_int_equal(step.woken_by, BERT);
	assert_ptr_equal(step.release, stack);
	assert_false(step.dropped);
	assert_null(pa_gotrace_look_pop(look));
}

static void release_that_another_thread_took_wakes_no_waiter(void **unused)
{
	(void)unused;
	block(ANNA, MUTEX);
	release(BERT, 7);
	release(CARL, 8);
	woke(ANNA, 8);
	assert_wakes(0);
	assert_wakes(0);
	assert_wakes(ANNA);
	assert_int_equal(pop().woken_by, CARL);
}

static void wait_whose_lock_was_free_before_it_is_dropped(void **unused)
{
	(void)unused;
	release(BERT, 7);
	block(ANNA, MUTEX);
	woke(ANNA, 7);
	assert_wakes(0);
	assert_dropped(true);
	assert_dropped(true);
}

static void wait_for_a_condition_is_never_dropped(void **unused)
{
	(void)unused;
	release(BERT, 7);
	block(ANNA, PA_TRACE_EVENTS_IN_COND);
	woke(ANNA, 7);
	assert_wakes(0);
	assert_dropped(false);
	struct pa_gotrace_step step = pop();
	assert_false(step.dropped);
	assert_int_equal(step.woken_by, 0);
}

static void wait_for_a_futex_that_was_made_is_never_dropped(void **unused)
{
	(void)unused;
	release(BERT, 7);
	block(ANNA, PA_TRACE_EVENTS_IN_FUTEX);
	woke(ANNA, 7);
	assert_wakes(0);
	assert_dropped(false);
	assert_dropped(false);
}

static void wait_that_was_refused_is_dropped_whatever_it_was_for(void **unused)
{
	static const enum pa_trace_events_wait waits[] = { PA_TRACE_EVENTS_IN_FUTEX,
		PA_TRACE_EVENTS_IN_FUTEX_PI, PA_TRACE_EVENTS_IN_COND, PA_TRACE_EVENTS_IN_SEM };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(waits); i++) {
		block(ANNA, waits[i]);
		release(BERT, 7);
		woke(ANNA, PA_TRACE_EVENTS_NO_WAIT);
		assert_dropped(true);
		assert_wakes(0);
		assert_dropped(true);
	}
}

/* Its number is that of the last thread to arrive, which did not wait. */
static void last_one_at_a_barrier_wakes_the_others(void **unused)
{
	(void)unused;
	for (int32_t tid = ANNA; tid <= CARL; tid++) {
		struct pa_trace_queue_item item =
			block_of(0, tid, PA_TRACE_EVENTS_IN_BARRIER, OBJECT, NULL);
		item.link = (uint64_t)tid;
		push(item);
	}
	woke(CARL, CARL);
	woke(ANNA, CARL);
	woke(BERT, CARL);
	assert_dropped(false);
	assert_dropped(false);
	struct pa_gotrace_step last = pop();
	assert_true(last.dropped);
	assert_int_equal(last.wakes, ANNA);
	assert_dropped(true);
	assert_int_equal(pop().woken_by, CARL);
	assert_int_equal(pop().woken_by, CARL);
}

static void broadcast_is_marked_with_the_first_and_the_others_know_it(void **unused)
{
	(void)unused;
	block(ANNA, PA_TRACE_EVENTS_IN_COND);
	block(BERT, PA_TRACE_EVENTS_IN_COND);
	release(CARL, 7);
	woke(BERT, 7);
	woke(ANNA, 7);
	pop();
	pop();
	assert_wakes(BERT);
	assert_int_equal(pop().woken_by, CARL);
	struct pa_gotrace_step step = pop();
	assert_int_equal(step.woken_by, CARL);
	assert_ptr_equal(step.release, stack);
}

/* Two objects share a place of the table that has the numbers. */
static void release_of_another_object_wakes_no_waiter(void **unused)
{
	(void)unused;
	block(ANNA, MUTEX);
	push(release_of(0, BERT, OTHER_OBJECT, 7, stack));
	woke(ANNA, 7);
	assert_wakes(0);
	assert_wakes(0);
	assert_int_equal(pop().woken_by, 0);
}

static void release_is_found_although_another_object_replaced_its_number(void **unused)
{
	(void)unused;
	block(ANNA, MUTEX);
	release(CARL, 6);
	release(BERT, 7);
	push(release_of(0, CARL, OTHER_OBJECT, 8, NULL));
	woke(ANNA, 8);
	assert_wakes(0);
	assert_wakes(0);
	assert_wakes(ANNA);
	assert_wakes(0);
	struct pa_gotrace_step step = pop();
	assert_int_equal(step.woken_by, BERT);
	assert_ptr_equal(step.release, stack);
}

static void wait_is_dropped_although_another_object_replaced_the_number(void **unused)
{
	(void)unused;
	release(BERT, 7);
	block(ANNA, MUTEX);
	push(release_of(0, CARL, OTHER_OBJECT, 8, NULL));
	woke(ANNA, 8);
	assert_wakes(0);
	assert_dropped(true);
	assert_wakes(0);
	assert_dropped(true);
}

static void older_release_of_another_object_drops_nothing(void **unused)
{
	(void)unused;
	push(release_of(0, BERT, OTHER_OBJECT, 7, stack));
	block(ANNA, MUTEX);
	woke(ANNA, 7);
	pop();
	assert_dropped(false);
	assert_dropped(false);
}

static void end_of_a_thread_releases_the_joiner(void **unused)
{
	struct pa_trace_queue_item item = item_at(0, BERT, PA_TRACE_EVENTS_END);

	(void)unused;
	item.object = OBJECT;
	item.link = 7;
	block(ANNA, PA_TRACE_EVENTS_IN_JOIN);
	push(item);
	woke(ANNA, 7);
	assert_wakes(0);
	assert_wakes(ANNA);
}

static void wake_up_without_a_number_has_no_waker(void **unused)
{
	(void)unused;
	release(BERT, 0);
	block(ANNA, MUTEX);
	release(BERT, 0);
	woke(ANNA, 0);
	assert_wakes(0);
	assert_wakes(0);
	assert_wakes(0);
	assert_int_equal(pop().woken_by, 0);
}

static void wake_up_without_a_wait_marks_nothing(void **unused)
{
	(void)unused;
	release(BERT, 7);
	woke(ANNA, 7);
	woke(ANNA, 8);
	assert_wakes(0);
	assert_dropped(false);
	assert_dropped(false);
}

/* So that as many events as the window has are behind it. */
static void fill(size_t count)
{
	const struct pa_trace_queue_item item = item_at(0, FILLER, PA_TRACE_EVENTS_TICK);

	for (size_t i = 0; i < count; i++)
		pa_gotrace_look_push(look, &item);
}

static void release_that_left_the_window_is_found_by_the_woken_thread(void **unused)
{
	const struct pa_trace_queue_item woken = woke_of(0, ANNA, 7);

	(void)unused;
	block(ANNA, MUTEX);
	release(BERT, 7);
	fill(PA_GOTRACE_WINDOW);
	pa_gotrace_look_push(look, &woken);
	for (size_t i = 0; i < PA_GOTRACE_WINDOW - 2; i++)
		pop();
	struct pa_gotrace_step step = pop();
	assert_int_equal(step.item.op, PA_TRACE_EVENTS_WOKE);
	assert_int_equal(step.woken_by, BERT);
	assert_ptr_equal(step.release, stack);
	assert_null(pa_gotrace_look_pop(look));
}

static void wait_that_left_the_window_is_kept_with_its_end(void **unused)
{
	const struct pa_trace_queue_item woken = woke_of(0, ANNA, 7);

	(void)unused;
	release(BERT, 7);
	block(ANNA, MUTEX);
	fill(PA_GOTRACE_WINDOW);
	pa_gotrace_look_push(look, &woken);
	for (size_t i = 0; i < PA_GOTRACE_WINDOW - 2; i++)
		pop();
	assert_dropped(false);
	assert_null(pa_gotrace_look_pop(look));
}

/* Numbers that share a place with it came after. */
static void forgotten_release_wakes_no_waiter(void **unused)
{
	(void)unused;
	block(ANNA, MUTEX);
	release(BERT, 7);
	release(BERT, 7 + 4096);
	woke(ANNA, 7);
	assert_wakes(0);
	assert_wakes(0);
	assert_wakes(0);
	assert_int_equal(pop().woken_by, 0);
}

static void what_goes_in_comes_out_in_order(void **unused)
{
	uint64_t next = 0;

	(void)unused;
	for (uint64_t i = 0; i < 5 * PA_GOTRACE_WINDOW; i++) {
		struct pa_trace_queue_item item = item_at(0, FILLER, PA_TRACE_EVENTS_TICK);
		item.link = i;
		const struct pa_gotrace_step *step = pa_gotrace_look_push(look, &item);
		assert_int_equal(step != NULL, i >= PA_GOTRACE_WINDOW - 1);
		if (step)
			assert_int_equal(step->item.link, next++);
	}
	for (; next < 5 * PA_GOTRACE_WINDOW; next++)
		assert_int_equal(pop().item.link, next);
	assert_null(pa_gotrace_look_pop(look));
}

static void text_comes_with_its_event_and_a_nul(void **unused)
{
	char text[PA_TRACE_EVENTS_TEXT_BYTES];
	const struct pa_trace_queue_item item = item_at(0, ANNA, PA_TRACE_EVENTS_LOG);
	struct texted texted;

	(void)unused;
	memset(text, 'x', sizeof(text));
	texted = with_text(item, text, sizeof(text));
	pa_gotrace_look_push(look, texted.items);
	texted = with_text(item, "a\0b", 3);
	pa_gotrace_look_push(look, texted.items);
	push(item);
	struct pa_gotrace_step step = pop();
	assert_memory_equal(step.text, text, sizeof(text));
	assert_int_equal(step.text[sizeof(text)], '\0');
	assert_memory_equal(pop().text, "a\0b", 4);
	assert_string_equal(pop().text, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(release_is_marked_with_the_thread_it_woke),
		TEST(release_that_another_thread_took_wakes_no_waiter),
		TEST(wait_whose_lock_was_free_before_it_is_dropped),
		TEST(wait_for_a_condition_is_never_dropped),
		TEST(wait_for_a_futex_that_was_made_is_never_dropped),
		TEST(wait_that_was_refused_is_dropped_whatever_it_was_for),
		TEST(last_one_at_a_barrier_wakes_the_others),
		TEST(broadcast_is_marked_with_the_first_and_the_others_know_it),
		TEST(release_of_another_object_wakes_no_waiter),
		TEST(release_is_found_although_another_object_replaced_its_number),
		TEST(wait_is_dropped_although_another_object_replaced_the_number),
		TEST(older_release_of_another_object_drops_nothing),
		TEST(end_of_a_thread_releases_the_joiner),
		TEST(wake_up_without_a_number_has_no_waker),
		TEST(wake_up_without_a_wait_marks_nothing),
		TEST(release_that_left_the_window_is_found_by_the_woken_thread),
		TEST(wait_that_left_the_window_is_kept_with_its_end),
		TEST(forgotten_release_wakes_no_waiter),
		TEST(what_goes_in_comes_out_in_order),
		TEST(text_comes_with_its_event_and_a_nul),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
