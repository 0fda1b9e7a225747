/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the encoder have in common: the made-up program, stacks of it, and a sink whose
 * bytes are read again. Included by one file of a test; reset comes before each.
 */
#ifndef ENCODE_FIXTURE_H
#define ENCODE_FIXTURE_H

#include <stdio.h>
#include <zlib.h>

#include "agent/base/kept_pages.h"
#include "proto/encode.h"
#include "proto/scratch.h"
#include "agent/profile/heap_scale.h"
#include "test/lib/c/fake_program.h"
#include "test/lib/c/wire.h"

/* Not Go's formula, but one that shows which numbers were given to it. */
PA_AGENT void pa_heap_scale_estimate(int64_t count, int64_t bytes, int64_t rate, double round_up,
	int64_t *scaled_count, int64_t *scaled_bytes)
{
	(void)round_up;
	*scaled_count = count * 2 + rate;
	*scaled_bytes = bytes * 10 + count;
}

PA_AGENT double pa_heap_scale_rounding(const struct pa_stack *stack, int64_t size_bytes)
{
	(void)stack;
	(void)size_bytes;
	return 0;
}

static struct {
	size_t writes, stop_at, gz_bytes, bytes, look_ups_at_first;
	unsigned char gz[1 << 20], raw[1 << 22];
} out;

static bool write_out(void *arg, const void *bytes, size_t count)
{
	(void)arg;
	if (!out.writes++)
		out.look_ups_at_first = look_ups;
	if (out.writes == out.stop_at)
		return false;
	assert_true(out.gz_bytes + count <= sizeof(out.gz));
	memcpy(out.gz + out.gz_bytes, bytes, count);
	out.gz_bytes += count;
	return true;
}

static const struct pa_sink sink = { .write = write_out };

/* True when the output is a whole gzip file. */
static inline bool gunzip(void)
{
	z_stream stream = { .next_in = out.gz,
		.avail_in = (uInt)out.gz_bytes,
		.next_out = out.raw,
		.avail_out = sizeof(out.raw) };
	int result;

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	result = inflate(&stream, Z_FINISH);
	out.bytes = stream.total_out;
	inflateEnd(&stream);
	return result == Z_STREAM_END;
}

enum {
	TYPE = 1,
	SAMPLE,
	MAPPING,
	LOCATION,
	FUNCTION,
	STRING,
	TIME = 9,
	DURATION,
	PERIOD_TYPE,
	PERIOD,
	COMMENT,
	DEFAULT_TYPE
};

static inline const char *text(struct wire_span profile, uint64_t index)
{
	static char copies[4][1 << 17];
	static unsigned next;
	struct wire_span span = wire_message(profile, STRING, index);
	char *copy = copies[next++ % 4];

	assert_true((size_t)(span.end - span.at) < sizeof(copies[0]));
	memcpy(copy, span.at, (size_t)(span.end - span.at));
	copy[span.end - span.at] = '\0';
	return copy;
}

static inline struct pa_stack *stack_of(uint32_t depth, const uint32_t *locs)
{
	static union {
		struct pa_stack stack;
		char room[sizeof(struct pa_stack) + 4096];
	} stacks[8];
	static unsigned next;
	struct pa_stack *stack = &stacks[next++ % 8].stack;

	stack->depth = depth;
	if (depth)
		memcpy(stack->locs, locs, depth * sizeof(*locs));
	return stack;
}
#define STACK(...) stack_of(sizeof((uint32_t[]){ __VA_ARGS__ }) / 4, (uint32_t[]){ __VA_ARGS__ })

static inline struct wire_span encode(const struct pa_profile_ops *kind, struct pa_sample *samples,
	size_t count)
{
	struct pa_snapshot snapshot = { .kind = kind,
		.time_ns = 1700,
		.duration_ns = 33,
		.period = 512,
		.sample_count = count,
		.samples = samples };

	assert_int_equal(pa_encode_profile(&snapshot, &sink), 0);
	pa_kept_pages_trim();
	assert_int_equal(kernel.open, 0);
	assert_true(gunzip());
	return (struct wire_span){ out.raw, out.raw + out.bytes };
}

static inline int reset(void **unused)
{
	(void)unused;
	pa_kept_pages_trim();
	memset(&kernel, 0, sizeof(kernel));
	memset(&out, 0, sizeof(out));
	look_ups = 0;
	return 0;
}

#endif
