/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds that count waits and threads: what the encoder makes of their samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "agent/base/kept_pages.h"
#include "test/lib/c/encode_fixture.h"
#include "proto/scratch.h"

#define CONTENTION_VALUES                                                                       \
	.value_count = 2, .values = { { "contentions", "count" }, { "delay", "nanoseconds" } }, \
	.period_type = { "contentions", "count" }
static const struct pa_profile_ops block_kind = {
	.text = PA_PROFILE_OPS_TEXT_BLOCK, .name = "block", CONTENTION_VALUES
};
static const struct pa_profile_ops mutex_kind = {
	.text = PA_PROFILE_OPS_TEXT_MUTEX, .name = "mutex", CONTENTION_VALUES
};
static const struct pa_profile_ops goroutine_kind = { .text = PA_PROFILE_OPS_TEXT_THREADS,
	.name = "goroutine",
	.value_count = 1,
	.values = { { "goroutine", "count" } },
	.period_type = { "goroutine", "count" } };
static const struct pa_profile_ops create_kind = { .text = PA_PROFILE_OPS_TEXT_COUNT,
	.name = "threadcreate",
	.value_count = 1,
	.values = { { "threadcreate", "count" } },
	.period_type = { "threadcreate", "count" } };

static struct wire_span encode_each(const struct pa_profile_ops *kind, struct pa_sample *samples,
	size_t count)
{
	struct pa_snapshot snapshot = { .kind = kind,
		.time_ns = 1700,
		.period = 1,
		.fraction = 5,
		.sample_count = count,
		.samples = samples };

	reset(NULL);
	assert_int_equal(pa_encode_profile(&snapshot, &sink), 0);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
	assert_true(gunzip());
	return (struct wire_span){ out.raw, out.raw + out.bytes };
}

static void assert_type(struct wire_span profile, struct wire_span type, const char *name,
	const char *unit)
{
	assert_string_equal(text(profile, wire_number(type, 1)), name);
	assert_string_equal(text(profile, wire_number(type, 2)), unit);
}

/* Types, period 1, no time that it took, and no type that is shown first by wish. */
static void assert_head(struct wire_span p, const struct pa_profile_ops *kind)
{
	assert_int_equal(wire_count(p, TYPE), kind->value_count);
	for (size_t i = 0; i < kind->value_count; i++)
		assert_type(p, wire_message(p, TYPE, i), kind->values[i].type,
			kind->values[i].unit);
	assert_type(p, wire_message(p, PERIOD_TYPE, 0), kind->period_type.type,
		kind->period_type.unit);
	assert_int_equal(wire_number(p, PERIOD), 1);
	assert_int_equal(wire_number(p, TIME), 1700);
	assert_int_equal(wire_count(p, DEFAULT_TYPE), 0);
	assert_int_equal(wire_count(p, DURATION), 0);
}

/* ---------------------------------------------------------------- tests */

static void contentions_and_delays_are_as_recorded(void **unused)
{
	const struct pa_profile_ops *const kinds[] = { &block_kind, &mutex_kind };
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_INLINED, LOC_TWO),
			.values = { 3, 5000000000 },
			.bytes_label = -1 },
		{ .stack = STACK(LOC_MAIN), .values = { -2, -70 } },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		struct wire_span p = encode_each(kinds[i], samples, 2),
				 s = wire_message(p, SAMPLE, 0);

		assert_head(p, kinds[i]);
		assert_int_equal(wire_count(p, SAMPLE), 2);
		assert_int_equal(wire_packed_count(s, 1), 2);
		assert_int_equal(wire_packed_count(s, 2), 2);
		/* Neither by the period nor by the fraction: it was scaled when recorded. */
		assert_int_equal(wire_packed(s, 2, 0), 3);
		assert_int_equal(wire_packed(s, 2, 1), 5000000000);
		assert_int_equal(wire_packed(wire_message(p, SAMPLE, 1), 2, 0), -2);
		assert_int_equal(wire_packed(wire_message(p, SAMPLE, 1), 2, 1), -70);
		assert_int_equal(wire_count(s, 3), 0);
		assert_int_equal(wire_count(wire_message(p, SAMPLE, 1), 3), 0);
	}
}

static void thread_has_its_name_and_tid_as_labels(void **unused)
{
	const struct pa_thread_info info = { .answered = true };
	struct pa_stack *stack = STACK(LOC_MAIN);
	struct pa_sample samples[] = {
		{ .stack = stack,
			.values = { 1 },
			.tid = 4711,
			.thread = "worker",
			.bytes_label = 64,
			.info = &info },
		{ .stack = stack, .values = { 1 }, .tid = 4712, .thread = "", .info = &info },
		{ .stack = STACK(LOC_NO_ANSWER), .values = { 1 }, .tid = 4713 },
	};
	struct wire_span p = encode_each(&goroutine_kind, samples, 3),
			 s = wire_message(p, SAMPLE, 0);

	(void)unused;
	assert_head(p, &goroutine_kind);
	assert_int_equal(wire_count(p, SAMPLE), 3);
	assert_int_equal(wire_packed_count(s, 2), 1);
	assert_int_equal(wire_packed(s, 2, 0), 1);
	assert_int_equal(wire_count(s, 3), 2);
	assert_string_equal(text(p, wire_number(wire_message(s, 3, 0), 1)), "thread");
	assert_string_equal(text(p, wire_number(wire_message(s, 3, 0), 2)), "worker");
	assert_string_equal(text(p, wire_number(wire_message(s, 3, 1), 1)), "tid");
	assert_int_equal(wire_number(wire_message(s, 3, 1), 3), 4711);
	for (size_t i = 1; i < 3; i++) {
		s = wire_message(p, SAMPLE, i);
		assert_int_equal(wire_count(s, 3), 1);
		assert_string_equal(text(p, wire_number(wire_message(s, 3, 0), 1)), "tid");
		assert_int_equal(wire_number(wire_message(s, 3, 0), 3), 4711 + i);
	}
}

static void labels_are_texts_of_the_sample(void **unused)
{
	static const struct {
		struct pa_labels head;
		struct pa_label labels[3];
	} set = { { .count = 3 },
		{ { "k", "v" },
			{ "\xff"
			  "bad",
				"a\xfe" },
			{ "tid", "mine" } } };
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_MAIN),
			.values = { 1 },
			.tid = 4711,
			.thread = "worker",
			.labels = &set.head },
		{ .stack = STACK(LOC_MAIN), .values = { 1 }, .tid = 4712, .thread = "k" },
	};
	static const char *const expected[][2] = { { "thread", "worker" }, { "k", "v" },
		{ "\xEF\xBF\xBD"
		  "bad",
			"a\xEF\xBF\xBD" },
		{ "tid", "mine" } };
	struct wire_span p = encode_each(&goroutine_kind, samples, 2),
			 s = wire_message(p, SAMPLE, 0);

	(void)unused;
	assert_int_equal(wire_count(s, 3), PA_COUNT(expected));
	for (size_t i = 0; i < PA_COUNT(expected); i++) {
		assert_string_equal(text(p, wire_number(wire_message(s, 3, i), 1)), expected[i][0]);
		assert_string_equal(text(p, wire_number(wire_message(s, 3, i), 2)), expected[i][1]);
		assert_int_equal(wire_count(wire_message(s, 3, i), 3), 0);
	}
	assert_int_equal(wire_count(wire_message(p, SAMPLE, 1), 3), 2);
}

static void thread_without_an_answer_has_a_frame_that_says_so(void **unused)
{
	struct pa_sample sample = { .stack = STACK(LOC_NO_ANSWER), .values = { 1 }, .tid = 9 };
	struct wire_span p = encode_each(&goroutine_kind, &sample, 1),
			 l = wire_message(p, LOCATION, 0);

	(void)unused;
	assert_int_equal(wire_number(l, 2), 0);
	assert_int_equal(wire_number(l, 3), PA_PSEUDO_NO_ANSWER);
	assert_string_equal(text(p, wire_number(wire_message(p, FUNCTION, 0), 2)), "[no answer]");
}

static void creations_are_counted_and_have_no_labels(void **unused)
{
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_MAIN), .values = { 5 }, .bytes_label = -1 },
		{ .stack = stack_of(0, NULL), .values = { 1 } },
	};
	struct wire_span p = encode_each(&create_kind, samples, 2);

	(void)unused;
	assert_head(p, &create_kind);
	assert_int_equal(wire_packed_count(wire_message(p, SAMPLE, 0), 2), 1);
	assert_int_equal(wire_packed(wire_message(p, SAMPLE, 0), 2, 0), 5);
	assert_int_equal(wire_count(wire_message(p, SAMPLE, 1), 1), 0);
	assert_int_equal(wire_packed(wire_message(p, SAMPLE, 1), 2, 0), 1);
	assert_int_equal(wire_count(wire_message(p, SAMPLE, 0), 3) +
			wire_count(wire_message(p, SAMPLE, 1), 3),
		0);
}

static void profile_without_samples_has_its_types(void **unused)
{
	const struct pa_profile_ops *const kinds[] = { &block_kind, &mutex_kind, &goroutine_kind,
		&create_kind };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		struct wire_span p = encode_each(kinds[i], NULL, 0);

		assert_head(p, kinds[i]);
		assert_int_equal(wire_count(p, SAMPLE), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(contentions_and_delays_are_as_recorded, reset),
		cmocka_unit_test_setup(thread_has_its_name_and_tid_as_labels, reset),
		cmocka_unit_test_setup(labels_are_texts_of_the_sample, reset),
		cmocka_unit_test_setup(thread_without_an_answer_has_a_frame_that_says_so, reset),
		cmocka_unit_test_setup(creations_are_counted_and_have_no_labels, reset),
		cmocka_unit_test_setup(profile_without_samples_has_its_types, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
