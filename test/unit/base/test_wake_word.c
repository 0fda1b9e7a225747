/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "agent/base/clock.h"
#include "agent/base/wake_word.h"

#define TURNS 20000u
#define LONG_NS (60 * PA_NS_PER_S)

static struct {
	struct pa_wake_word asked, answered;
	PA_ATOMIC(uint32_t) question, answer;
} talk;

static void wait_for(struct pa_wake_word *word, PA_ATOMIC(uint32_t) *value, uint32_t wanted)
{
	for (;;) {
		uint32_t seen = pa_wake_word_seen(word);
		if (pa_load_acquire(value) == wanted)
			return;
		pa_wake_word_wait(word, seen, LONG_NS);
	}
}

static void *answer_all(void *unused)
{
	for (uint32_t turn = 1; turn <= TURNS; turn++) {
		wait_for(&talk.asked, &talk.question, turn);
		pa_store_release(&talk.answer, turn);
		pa_wake_word_bump(&talk.answered);
	}
	return unused;
}

/* One that was lost takes a minute. */
static void no_change_is_missed(void **unused)
{
	pthread_t thread;
	int64_t start_ns = pa_clock_mono_ns();

	(void)unused;
	assert_int_equal(pthread_create(&thread, NULL, answer_all, NULL), 0);
	for (uint32_t turn = 1; turn <= TURNS; turn++) {
		pa_store_release(&talk.question, turn);
		pa_wake_word_bump_one(&talk.asked);
		wait_for(&talk.answered, &talk.answer, turn);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(pa_clock_mono_ns() - start_ns < LONG_NS);
	assert_int_equal(pa_load_relaxed(&talk.asked.waiters), 0);
	assert_int_equal(pa_load_relaxed(&talk.answered.waiters), 0);
}

static void a_change_before_the_wait_ends_it(void **unused)
{
	struct pa_wake_word word = { 0 };
	uint32_t seen = pa_wake_word_seen(&word);
	int64_t start_ns = pa_clock_mono_ns();

	(void)unused;
	pa_wake_word_bump(&word);
	pa_wake_word_wait(&word, seen, LONG_NS);
	assert_true(pa_clock_mono_ns() - start_ns < LONG_NS);
}

static void the_wait_ends_with_its_time(void **unused)
{
	struct pa_wake_word word = { 0 };
	int64_t start_ns = pa_clock_mono_ns();

	(void)unused;
	while (pa_clock_mono_ns() - start_ns < PA_NS_PER_MS)
		pa_wake_word_wait(&word, pa_wake_word_seen(&word), PA_NS_PER_MS);
	assert_int_equal(pa_load_relaxed(&word.waiters), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_change_is_missed),
		cmocka_unit_test(a_change_before_the_wait_ends_it),
		cmocka_unit_test(the_wait_ends_with_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
