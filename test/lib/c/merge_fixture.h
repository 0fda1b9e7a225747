/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of merging have in common: two profiles as encode.c writes them, their merge, and
 * what readers of the result insist on. Included by one file of a test; set_up comes before each.
 */
#ifndef MERGE_FIXTURE_H
#define MERGE_FIXTURE_H

#include <errno.h>

#include "proto/gzip.h"
#include "proto/merge.h"
#include "proto/merge_part.h"
#include "test/lib/c/encode_fixture.h"

#define RAW_BYTES ((size_t)4 << 20)

static const struct pa_profile_ops kind = { .name = "profile",
	.value_count = 2,
	.default_sample_type = "cpu",
	.values = { { "samples", "count" }, { "cpu", "nanoseconds" } },
	.period_type = { "cpu", "nanoseconds" } };

/* ---- what is merged ---- */

/* One part: a profile, raw and gzipped. */
struct input {
	size_t bytes, gz_bytes;
	unsigned char raw[RAW_BYTES], gz[RAW_BYTES];
};
static struct input first, second, made;

static inline bool write_gz(void *arg, const void *bytes, size_t count)
{
	struct input *input = arg;

	assert_true(input->gz_bytes + count <= sizeof(input->gz));
	memcpy(input->gz + input->gz_bytes, bytes, count);
	input->gz_bytes += count;
	return true;
}

static inline void zip(struct input *input)
{
	const struct pa_sink to = { .write = write_gz, .arg = input };
	struct pa_gzip *gzip = pa_gzip_open(&to);

	input->gz_bytes = 0;
	assert_non_null(gzip);
	assert_true(pa_gzip_write(gzip, input->raw, input->bytes));
	assert_int_equal(pa_gzip_close(gzip), 0);
}

static inline void take_output(struct input *input)
{
	assert_true(gunzip());
	input->bytes = out.bytes;
	memcpy(input->raw, out.raw, out.bytes);
	zip(input);
	memset(&out, 0, sizeof(out));
}

static inline void encode_to(struct input *input, struct pa_snapshot *snapshot)
{
	memset(&out, 0, sizeof(out));
	assert_int_equal(pa_encode_profile(snapshot, &sink), 0);
	take_output(input);
}

static inline int set_up(void **unused)
{
	char *comments[] = { "dropped 3: frees" };
	struct pa_sample samples[] = {
		{ .stack = STACK(LOC_TWO, LOC_MAIN), .values = { 1, 10 }, .thread = "one" },
		{ .stack = STACK(LOC_INLINED, LOC_MAIN), .values = { 2, 20 }, .tid = 7 },
	};
	struct pa_snapshot snapshot = { .kind = &kind,
		.time_ns = 1700,
		.duration_ns = 33,
		.period = 512,
		.sample_count = 2,
		.samples = samples,
		.comment_count = 1,
		.comments = comments };

	reset(unused);
	encode_to(&first, &snapshot);
	samples[0].stack = STACK(LOC_USED, LOC_TWO);
	samples[1].stack = STACK(LOC_TWO);
	samples[1].values[0] = -5;
	snapshot.comment_count = 0;
	snapshot.time_ns = 1600;
	snapshot.duration_ns = 99;
	encode_to(&second, &snapshot);
	return 0;
}

static inline struct pa_merge *open_merge(void)
{
	struct pa_merge *merge = pa_merge_open(&sink);

	assert_non_null(merge);
	return merge;
}

static inline int add(struct pa_merge *merge, int64_t pid, const struct input *input)
{
	return pa_merge_add(merge, pid, "prog", input->gz, input->gz_bytes);
}

static inline struct wire_span close_merge(struct pa_merge *merge)
{
	assert_int_equal(pa_merge_close(merge), 0);
	assert_true(gunzip());
	return (struct wire_span){ out.raw, out.raw + out.bytes };
}

static inline struct wire_span merge_both(void)
{
	struct pa_merge *merge = open_merge();

	assert_int_equal(add(merge, 11, &first), 0);
	assert_int_equal(add(merge, 12, &second), 0);
	return close_merge(merge);
}

/* ---- what readers insist on ---- */

static inline void ids_are_in_order(struct wire_span p)
{
	for (uint64_t table = MAPPING; table <= FUNCTION; table++)
		for (size_t i = 0; i < wire_count(p, table); i++)
			assert_int_equal(wire_number(wire_message(p, table, i), 1), i + 1);
}

static inline void is_below(uint64_t index, size_t count)
{
	assert_true(index < count);
}

static inline void check_sample(struct wire_span p, struct wire_span sample)
{
	assert_int_equal(wire_packed_count(sample, 2), wire_count(p, TYPE));
	for (size_t i = 0; i < wire_packed_count(sample, 1); i++) {
		int64_t id = wire_packed(sample, 1, i);
		assert_true(id > 0 && (size_t)id <= wire_count(p, LOCATION));
	}
	for (size_t i = 0; i < wire_count(sample, 3); i++) {
		struct wire_span label = wire_message(sample, 3, i);
		assert_true(wire_field(label, 1, 0).value > 0);
		for (uint64_t field = 1; field <= 4; field++)
			if (field != 3)
				is_below(wire_field(label, field, 0).value, wire_count(p, STRING));
	}
}

static inline void check_tables(struct wire_span p)
{
	const size_t texts = wire_count(p, STRING);

	for (size_t i = 0; i < wire_count(p, MAPPING); i++)
		for (uint64_t field = 5; field <= 6; field++)
			is_below(wire_field(wire_message(p, MAPPING, i), field, 0).value, texts);
	for (size_t i = 0; i < wire_count(p, FUNCTION); i++)
		for (uint64_t field = 2; field <= 4; field++)
			is_below(wire_field(wire_message(p, FUNCTION, i), field, 0).value, texts);
	for (size_t i = 0; i < wire_count(p, LOCATION); i++) {
		struct wire_span location = wire_message(p, LOCATION, i);
		is_below(wire_field(location, 2, 0).value, wire_count(p, MAPPING) + 1);
		for (size_t n = 0; n < wire_count(location, 4); n++) {
			uint64_t id = wire_field(wire_message(location, 4, n), 1, 0).value;
			assert_true(id && id <= wire_count(p, FUNCTION));
		}
	}
}

static inline void check_profile(struct wire_span p)
{
	assert_string_equal(text(p, 0), "");
	ids_are_in_order(p);
	check_tables(p);
	for (size_t i = 0; i < wire_count(p, SAMPLE); i++)
		check_sample(p, wire_message(p, SAMPLE, i));
}

/* The number of a label, or the index of its text; 0: it has none. */
static inline uint64_t label_of(struct wire_span p, size_t sample, const char *key)
{
	struct wire_span message = wire_message(p, SAMPLE, sample);
	uint64_t found = 0;

	for (size_t i = 0; i < wire_count(message, 3); i++) {
		struct wire_span label = wire_message(message, 3, i);
		if (strcmp(text(p, wire_number(label, 1)), key) != 0)
			continue;
		assert_int_equal(found, 0);
		found = wire_field(label, 2, 0).value + wire_field(label, 3, 0).value;
	}
	return found;
}

static inline struct wire_span location_at(struct wire_span p, size_t sample, size_t frame)
{
	return wire_message(p, LOCATION,
		(uint64_t)wire_packed(wire_message(p, SAMPLE, sample), 1, frame) - 1);
}

static const char *function_at(struct wire_span p, size_t sample, size_t frame)
{
	struct wire_span line = wire_message(location_at(p, sample, frame), 4, 0);

	return text(p, wire_number(wire_message(p, FUNCTION, wire_number(line, 1) - 1), 2));
}

static const char *file_at(struct wire_span p, size_t sample, size_t frame)
{
	uint64_t mapping = wire_number(location_at(p, sample, frame), 2);

	return text(p, wire_number(wire_message(p, MAPPING, mapping - 1), 5));
}

/* The sample has the stack of the other sample in the input. */
static inline void same_stack(struct wire_span p, size_t sample, const struct input *input,
	size_t other)
{
	struct wire_span from = { input->raw, input->raw + input->bytes };
	size_t depth = wire_packed_count(wire_message(from, SAMPLE, other), 1);

	assert_int_equal(wire_packed_count(wire_message(p, SAMPLE, sample), 1), depth);
	for (size_t i = 0; i < depth; i++) {
		assert_int_equal(wire_number(location_at(p, sample, i), 3),
			wire_number(location_at(from, other, i), 3));
		assert_string_equal(function_at(p, sample, i), function_at(from, other, i));
		assert_string_equal(file_at(p, sample, i), file_at(from, other, i));
	}
}

/* A part that is written by hand: the head of first, and these bytes. */
static inline int add_with(const void *bytes, size_t count)
{
	struct pa_merge *merge = open_merge();

	assert_true(first.bytes + count <= RAW_BYTES);
	memcpy(made.raw, first.raw, first.bytes);
	memcpy(made.raw + first.bytes, bytes, count);
	made.bytes = first.bytes + count;
	zip(&made);
	int result = add(merge, 1, &made);
	int closed = pa_merge_close(merge);
	assert_int_equal(closed, result ? -ENODATA : 0);
	memset(&out, 0, offsetof(__typeof__(out), gz));
	return result;
}
#define ADD_WITH(...) \
	add_with((unsigned char[]){ __VA_ARGS__ }, sizeof((unsigned char[]){ __VA_ARGS__ }))
#define BYTES(number) ((number) << 3 | 2)

/* The values and the labels of the agent are those of the other sample. */
static inline void same_values(struct wire_span p, size_t sample, const struct input *input,
	size_t other)
{
	struct wire_span from = { input->raw, input->raw + input->bytes };

	for (size_t i = 0; i < wire_count(p, TYPE); i++)
		assert_int_equal(wire_packed(wire_message(p, SAMPLE, sample), 2, i),
			wire_packed(wire_message(from, SAMPLE, other), 2, i));
	assert_int_equal(label_of(p, sample, "tid"), label_of(from, other, "tid"));
	/* text() reuses its memory. */
	uint64_t name = label_of(p, sample, "thread"), given = label_of(from, other, "thread");
	assert_string_equal(text(p, name), text(from, given));
}

static inline uint64_t random_next(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

#endif
