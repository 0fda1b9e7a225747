/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <zlib.h>

#include "proto/gzip.h"

#define INPUT_BYTES ((size_t)1 << 20)

static struct {
	unsigned char in[INPUT_BYTES], out[INPUT_BYTES * 2], back[INPUT_BYTES];
	size_t out_bytes, calls, stop_at; /* stop_at: the call that says no; 0: none */
} state;

static bool write_out(void *arg, const void *bytes, size_t count)
{
	assert_ptr_equal(arg, &state);
	assert_true(count > 0 && state.out_bytes + count <= sizeof(state.out));
	if (++state.calls == state.stop_at)
		return false;
	memcpy(state.out + state.out_bytes, bytes, count);
	state.out_bytes += count;
	return true;
}

static const struct pa_sink sink = { .write = write_out, .arg = &state };

/* Bytes that do not compress: what comes out is about what went in. */
static int reset(void **unused)
{
	uint64_t random = 88172645463325252u;

	(void)unused;
	memset(&state, 0, sizeof(state));
	for (size_t i = 0; i < INPUT_BYTES; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		state.in[i] = (unsigned char)random;
	}
	return 0;
}

/* The number of bytes that the output holds, after checking that it ends well. */
static size_t inflate_out(void)
{
	z_stream stream = { .next_in = state.out,
		.avail_in = (uInt)state.out_bytes,
		.next_out = state.back,
		.avail_out = sizeof(state.back) };

	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	assert_int_equal(stream.avail_in, 0);
	assert_int_equal(inflateEnd(&stream), Z_OK);
	return stream.total_out;
}

static void output_inflates_to_the_input(void **unused)
{
	static const size_t parts[] = { 0, 1, 7, 4096, 100000 };
	struct pa_gzip *gzip = pa_gzip_open(&sink);
	size_t at = 0;

	(void)unused;
	assert_non_null(gzip);
	for (size_t i = 0; at < INPUT_BYTES; i++) {
		size_t part = parts[i % 5] < INPUT_BYTES - at ? parts[i % 5] : INPUT_BYTES - at;

		assert_true(pa_gzip_write(gzip, state.in + at, part));
		at += part;
	}
	assert_int_equal(pa_gzip_close(gzip), 0);
	assert_int_equal(inflate_out(), INPUT_BYTES);
	assert_memory_equal(state.back, state.in, INPUT_BYTES);
}

/* A short stream is held back and gets a small deflate state; one byte more gets the large one. */
static void streams_around_the_small_size_are_whole(void **unused)
{
	(void)unused;
	for (size_t count = 8191; count <= 8194; count++) {
		struct pa_gzip *gzip = pa_gzip_open(&sink);

		state.out_bytes = 0;
		assert_true(pa_gzip_write(gzip, state.in, 8000));
		assert_true(pa_gzip_write(gzip, state.in + 8000, count - 8000));
		assert_true(pa_gzip_write(gzip, state.in, 0));
		assert_int_equal(pa_gzip_close(gzip), 0);
		assert_int_equal(inflate_out(), count);
		assert_memory_equal(state.back, state.in, count);
	}
}

/* The window of the small state covers all of the stream. */
static void small_stream_repeats_its_begin_cheaply(void **unused)
{
	struct pa_gzip *gzip = pa_gzip_open(&sink);

	(void)unused;
	assert_true(pa_gzip_write(gzip, state.in, 4000));
	assert_true(pa_gzip_write(gzip, state.in, 4000));
	assert_int_equal(pa_gzip_close(gzip), 0);
	assert_int_equal(inflate_out(), 8000);
	assert_true(state.out_bytes < 4500);
}

static void empty_stream_is_a_whole_file(void **unused)
{
	struct pa_gzip *gzip = pa_gzip_open(&sink);

	(void)unused;
	assert_int_equal(pa_gzip_close(gzip), 0);
	assert_int_equal(inflate_out(), 0);
	assert_int_equal(state.calls, 1);
}

static void header_says_fastest_and_no_time(void **unused)
{
	static const unsigned char expected[9] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4 };
	struct pa_gzip *gzip = pa_gzip_open(&sink);

	(void)unused;
	assert_true(pa_gzip_write(gzip, "x", 1));
	assert_int_equal(pa_gzip_close(gzip), 0);
	assert_memory_equal(state.out, expected, sizeof(expected));
}

static void first_bytes_leave_before_the_last_come(void **unused)
{
	struct pa_gzip *gzip = pa_gzip_open(&sink);

	(void)unused;
	assert_true(pa_gzip_write(gzip, state.in, 64 << 10));
	assert_true(state.out_bytes >= 16 << 10);
	assert_int_equal(pa_gzip_close(gzip), 0);
}

static void stopped_sink_is_not_written_again(void **unused)
{
	struct pa_gzip *gzip = pa_gzip_open(&sink);

	(void)unused;
	state.stop_at = 2;
	assert_false(pa_gzip_write(gzip, state.in, INPUT_BYTES));
	assert_false(pa_gzip_write(gzip, state.in, INPUT_BYTES));
	assert_int_equal(pa_gzip_close(gzip), -ECANCELED);
	assert_int_equal(state.calls, 2);
}

static void sink_that_stops_at_the_end_cancels(void **unused)
{
	struct pa_gzip *gzip = pa_gzip_open(&sink);

	(void)unused;
	state.stop_at = 1;
	assert_true(pa_gzip_write(gzip, "x", 1));
	assert_int_equal(pa_gzip_close(gzip), -ECANCELED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(output_inflates_to_the_input, reset),
		cmocka_unit_test_setup(streams_around_the_small_size_are_whole, reset),
		cmocka_unit_test_setup(small_stream_repeats_its_begin_cheaply, reset),
		cmocka_unit_test_setup(empty_stream_is_a_whole_file, reset),
		cmocka_unit_test_setup(header_says_fastest_and_no_time, reset),
		cmocka_unit_test_setup(first_bytes_leave_before_the_last_come, reset),
		cmocka_unit_test_setup(stopped_sink_is_not_written_again, reset),
		cmocka_unit_test_setup(sink_that_stops_at_the_end_cancels, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
