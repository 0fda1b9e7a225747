/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/record/ring.h"

#define SMALL ((size_t)64 << 10)
#define SMALL_CELLS (SMALL / PA_RING_CELL_BYTES)

struct message {
	uint32_t writer, number;
	uint32_t words;
	uint32_t word[];
};

/* Writes one message of n words, reserving room for more of them. False: full. */
static bool put(struct pa_ring *ring, uint32_t writer, uint32_t number, uint32_t n, uint32_t more)
{
	size_t reserved = sizeof(struct message) + (n + more) * sizeof(uint32_t);
	struct message *m = pa_ring_reserve(ring, reserved);
	if (!m)
		return false;
	m->writer = writer;
	m->number = number;
	m->words = n;
	for (uint32_t i = 0; i < n; i++)
		m->word[i] = number + i;
	pa_ring_publish(ring, m, reserved, sizeof(struct message) + n * sizeof(uint32_t));
	return true;
}

/* The number of the next message, checked; -1 when there is none. */
static int64_t get(struct pa_ring *ring)
{
	size_t bytes;
	const struct message *m = pa_ring_read(ring, &bytes);
	if (!m)
		return -1;
	assert_true(bytes >= sizeof(*m) + m->words * sizeof(uint32_t));
	for (uint32_t i = 0; i < m->words; i++)
		assert_int_equal(m->word[i], m->number + i);
	int64_t number = m->number;
	pa_ring_release(ring);
	return number;
}

static void records_come_in_slot_order(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(put(ring, 0, i, i % 40, 0));
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(get(ring), i);
	assert_int_equal(get(ring), -1);
	assert_int_equal(pa_ring_stats(ring).used_bytes, 0);
}

static void full_ring_refuses_and_keeps_what_it_has(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	uint32_t count = 0;
	while (put(ring, 0, count, 0, 0))
		count++;
	assert_int_equal(count, SMALL_CELLS);
	assert_int_equal(get(ring), 0);
	assert_true(put(ring, 0, count, 0, 0));
	assert_false(put(ring, 0, count, 0, 0));
	for (uint32_t i = 1; i <= count; i++)
		assert_int_equal(get(ring), i);
}

static void cells_that_were_not_used_are_given_back(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	uint32_t count = 0;
	while (put(ring, 0, count, 0, 200))
		count++;
	/* Only the last reservation has to fit at its full size. */
	assert_in_range(count, SMALL_CELLS - 20, SMALL_CELLS);
}

static void cells_given_back_under_another_record_become_padding(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	struct message *outer = pa_ring_reserve(ring, 1000);
	assert_true(put(ring, 0, 2, 3, 0)); /* as a signal handler in the middle of the first */
	*outer = (struct message){ .number = 1 };
	pa_ring_publish(ring, outer, 1000, sizeof(*outer));
	assert_int_equal(get(ring), 1);
	assert_int_equal(get(ring), 2);
	assert_int_equal(get(ring), -1);
	assert_int_equal(pa_ring_stats(ring).used_bytes, 0);
}

/* The reader has seen the tail before it shrank, and must not stop or skip at its old place. */
static void reader_goes_on_where_a_tail_was_that_has_shrunk(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	struct message *outer = pa_ring_reserve(ring, 1000);
	assert_int_equal(get(ring), -1);
	*outer = (struct message){ .number = 1 };
	pa_ring_publish(ring, outer, 1000, sizeof(*outer));
	assert_int_equal(get(ring), 1);
	assert_int_equal(get(ring), -1);
	assert_true(put(ring, 0, 2, 300, 0));
	assert_true(put(ring, 0, 3, 0, 0));
	assert_int_equal(get(ring), 2);
	assert_int_equal(get(ring), 3);
	assert_int_equal(get(ring), -1);
	assert_int_equal(pa_ring_stats(ring).used_bytes, 0);
}

static void dropped_record_is_never_seen(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	void *dropped = pa_ring_reserve(ring, 500);
	assert_true(put(ring, 0, 7, 1, 0));
	pa_ring_publish(ring, dropped, 500, 0);
	assert_int_equal(get(ring), 7);
	assert_int_equal(get(ring), -1);
}

static void record_never_wraps_over_the_end(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	/* 300-word records do not divide the ring: every lap meets the end differently. */
	for (uint32_t i = 0; i < 5000; i++) {
		assert_true(put(ring, 0, i, 300 + i % 7 * 16, 50));
		assert_int_equal(get(ring), i);
	}
}

static void reader_waits_for_an_earlier_slot(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	struct message *first = pa_ring_reserve(ring, sizeof(*first));
	assert_true(put(ring, 0, 2, 0, 0));
	assert_int_equal(get(ring), -1);
	*first = (struct message){ .number = 1 };
	pa_ring_publish(ring, first, sizeof(*first), sizeof(*first));
	assert_int_equal(get(ring), 1);
	assert_int_equal(get(ring), 2);
}

static void slot_that_is_never_published_is_skipped_and_counted(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	struct message *lost = pa_ring_reserve(ring, 400);
	assert_true(put(ring, 0, 2, 0, 0));
	int64_t number, begin_ns = pa_clock_mono_ns();
	while ((number = get(ring)) < 0) {
		assert_true(pa_clock_mono_ns() - begin_ns < 20 * PA_NS_PER_S);
		pa_ring_wait_data(ring, PA_NS_PER_S);
	}
	assert_int_equal(number, 2);
	assert_int_equal(pa_ring_stats(ring).skipped, 1);
	/* The writer that comes back after all changes nothing. */
	*lost = (struct message){ .number = 1 };
	pa_ring_publish(ring, lost, 400, sizeof(*lost));
	assert_int_equal(get(ring), -1);
	assert_true(put(ring, 0, 3, 0, 0));
	assert_int_equal(get(ring), 3);
}

static void child_of_fork_reads_on_past_slots_of_dead_writers(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	assert_true(put(ring, 0, 1, 0, 0));
	pa_ring_reserve(ring, 100);
	assert_true(put(ring, 0, 2, 0, 0));
	pa_ring_reserve(ring, 100);
	pa_ring_atfork_child(ring, false);
	assert_true(put(ring, 0, 3, 0, 0));
	assert_int_equal(get(ring), 1);
	assert_int_equal(get(ring), 2);
	assert_int_equal(get(ring), 3);
	assert_int_equal(pa_ring_stats(ring).skipped, 2);
}

static void position_is_passed_when_everything_before_was_read(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	struct message *m = pa_ring_reserve(ring, 1000);
	uint64_t position = pa_ring_tail(ring);
	assert_false(pa_ring_passed(ring, position));
	*m = (struct message){ .number = 1 };
	pa_ring_publish(ring, m, 1000, sizeof(*m)); /* shrinks the tail below position */
	assert_int_equal(get(ring), 1);
	assert_true(pa_ring_passed(ring, position));
}

static void no_writer_waits_for_room_without_a_reader(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	while (put(ring, 0, 0, 0, 0))
		;
	assert_false(pa_ring_wait_room(ring, 64, 60 * PA_NS_PER_S));
}

static void *read_later(void *ring)
{
	assert_int_equal(get(ring), 1);
	pa_ring_done(ring);
	return NULL;
}

static void waiter_comes_back_when_the_reader_has_dealt_with_everything(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	assert_true(pa_ring_wait_done(ring, pa_ring_tail(ring), 0)); /* nothing to wait for */
	assert_true(put(ring, 0, 1, 0, 0));
	assert_false(pa_ring_wait_done(ring, pa_ring_tail(ring),
		60 * PA_NS_PER_S)); /* nothing would wake it */
	pa_ring_reader(ring, true);
	assert_false(pa_ring_wait_done(ring, pa_ring_tail(ring), PA_NS_PER_MS));
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, read_later, ring), 0);
	assert_true(pa_ring_wait_done(ring, pa_ring_tail(ring), 60 * PA_NS_PER_S));
	pthread_join(thread, NULL);
}

struct crowd {
	struct pa_ring *ring;
	uint32_t writer;
};

enum { WRITERS = 4, EACH = 20000 };

static void *write_many(void *arg)
{
	struct crowd *self = arg;
	for (uint32_t i = 0; i < EACH; i++)
		while (!put(self->ring, self->writer, i, (self->writer * 7 + i) % 50, i % 90))
			pa_ring_wait_room(self->ring, 600, PA_NS_PER_S);
	return NULL;
}

static void every_record_of_many_writers_arrives_once_and_in_their_order(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	struct crowd crowd[WRITERS];
	pthread_t threads[WRITERS];
	uint32_t next[WRITERS] = { 0 };
	pa_ring_reader(ring, true);
	for (uint32_t i = 0; i < WRITERS; i++) {
		crowd[i] = (struct crowd){ ring, i };
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, &crowd[i]), 0);
	}
	for (uint32_t got = 0; got < WRITERS * EACH;) {
		size_t bytes;
		const struct message *m = pa_ring_read(ring, &bytes);
		if (!m) {
			pa_ring_wait_data(ring, PA_NS_PER_S / 100);
			continue;
		}
		assert_true(m->writer < WRITERS);
		assert_int_equal(m->number, next[m->writer]++);
		for (uint32_t i = 0; i < m->words; i++)
			assert_int_equal(m->word[i], m->number + i);
		pa_ring_release(ring);
		got++;
	}
	for (uint32_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(get(ring), -1);
	assert_int_equal(pa_ring_stats(ring).skipped, 0);
}

static void *kick_later(void *ring)
{
	pa_ring_kick(ring);
	return NULL;
}

static void *sleep_for_data(void *ring)
{
	pa_ring_wait_data(ring, 20 * PA_NS_PER_S);
	return NULL;
}

/* Laps on, where the writers last saw the reader far behind. */
static void reader_is_woken_at_a_quarter(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	pthread_t reader;
	for (uint32_t i = 0; i < 5 * SMALL_CELLS; i++) {
		assert_true(put(ring, 0, i, 0, 0));
		assert_int_equal(get(ring), i);
	}
	int64_t begin_ns = pa_clock_mono_ns();
	pthread_create(&reader, NULL, sleep_for_data, ring);
	for (uint32_t i = 0; i < SMALL_CELLS / 4; i++)
		assert_true(put(ring, 0, i, 0, 0));
	pthread_join(reader, NULL);
	assert_true(pa_clock_mono_ns() - begin_ns < 10 * PA_NS_PER_S);
}

static void kick_ends_the_readers_sleep(void **unused)
{
	(void)unused;
	struct pa_ring *ring = pa_ring_create(SMALL);
	pthread_t thread;
	int64_t begin_ns = pa_clock_mono_ns();
	assert_int_equal(pthread_create(&thread, NULL, kick_later, ring), 0);
	pa_ring_wait_data(ring, 60 * PA_NS_PER_S);
	pthread_join(thread, NULL);
	assert_true(pa_clock_mono_ns() - begin_ns < 30 * PA_NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_in_slot_order),
		cmocka_unit_test(full_ring_refuses_and_keeps_what_it_has),
		cmocka_unit_test(cells_that_were_not_used_are_given_back),
		cmocka_unit_test(cells_given_back_under_another_record_become_padding),
		cmocka_unit_test(reader_goes_on_where_a_tail_was_that_has_shrunk),
		cmocka_unit_test(dropped_record_is_never_seen),
		cmocka_unit_test(record_never_wraps_over_the_end),
		cmocka_unit_test(reader_waits_for_an_earlier_slot),
		cmocka_unit_test(slot_that_is_never_published_is_skipped_and_counted),
		cmocka_unit_test(child_of_fork_reads_on_past_slots_of_dead_writers),
		cmocka_unit_test(position_is_passed_when_everything_before_was_read),
		cmocka_unit_test(no_writer_waits_for_room_without_a_reader),
		cmocka_unit_test(waiter_comes_back_when_the_reader_has_dealt_with_everything),
		cmocka_unit_test(every_record_of_many_writers_arrives_once_and_in_their_order),
		cmocka_unit_test(reader_is_woken_at_a_quarter),
		cmocka_unit_test(kick_ends_the_readers_sleep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
