/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "agent/symbols/symbols_inflate.h"

#define STEP ((size_t)64 << 10)
#define SMALL_BYTES ((size_t)8 << 20)
/* More than the saved states cover before they are thinned out. */
#define LARGE_BYTES ((size_t)(2 * PA_SYMBOLS_INFLATE_SAVED + 5) * PA_SYMBOLS_INFLATE_APART)

static struct pa_symbols_elf file;
static struct pa_symbols_inflate *stream;
static uint8_t read_bytes[STEP];

static uint32_t word_at(uint64_t at)
{
	return (uint32_t)(at / sizeof(uint32_t) * 2654435761u) >> 12;
}

/* A compressed stream of words that follow from their positions. */
static void open_stream(size_t bytes)
{
	uLong packed_bytes = compressBound(bytes);
	uint8_t *packed = malloc(packed_bytes);
	uint32_t *plain = malloc(bytes);

	for (size_t at = 0; at < bytes; at += sizeof(*plain))
		plain[at / sizeof(*plain)] = word_at(at);
	assert_int_equal(compress2(packed, &packed_bytes, (Bytef *)plain, bytes, 1), Z_OK);
	free(plain);
	file = (struct pa_symbols_elf){ .fd = -1, .image = packed, .bytes = packed_bytes };
	stream = pa_symbols_inflate_open(&file, 0, packed_bytes);
	assert_non_null(stream);
}

static void close_stream(void)
{
	pa_symbols_inflate_close(stream);
	free((void *)file.image);
}

/* Reads at a place, and compares. Returns what was decompressed for it. */
static uint64_t read_at(uint64_t at)
{
	uint64_t before = pa_symbols_inflate_total();
	uint32_t word;

	assert_true(pa_symbols_inflate_read(stream, at, read_bytes, STEP, INT64_MAX));
	for (size_t i = 0; i < STEP; i += 4096) {
		memcpy(&word, read_bytes + i, sizeof(word));
		assert_int_equal(word, word_at(at + i));
	}
	return pa_symbols_inflate_total() - before;
}

static void reading_forwards_is_one_pass(void **unused)
{
	uint64_t all = 0;

	(void)unused;
	open_stream(SMALL_BYTES);
	for (uint64_t at = 0; at < SMALL_BYTES; at += 4 * STEP)
		all += read_at(at);
	assert_in_range(all, SMALL_BYTES - 4 * STEP, SMALL_BYTES);
	close_stream();
}

static void reading_elsewhere_begins_near(void **unused)
{
	(void)unused;
	open_stream(SMALL_BYTES);
	assert_int_equal(read_at(SMALL_BYTES - STEP), SMALL_BYTES);
	for (uint64_t at = SMALL_BYTES - 2 * STEP; at > 3 * STEP; at -= 3 * STEP)
		assert_in_range(read_at(at), STEP, PA_SYMBOLS_INFLATE_APART + 2 * STEP);
	/* Also forwards, over what need not be decompressed again. */
	assert_int_equal(read_at(0), STEP);
	assert_in_range(read_at(SMALL_BYTES - STEP), STEP, PA_SYMBOLS_INFLATE_APART + 2 * STEP);
	close_stream();
}

static void long_streams_have_fewer_states_per_byte(void **unused)
{
	(void)unused;
	open_stream(LARGE_BYTES);
	assert_int_equal(read_at(LARGE_BYTES - STEP), LARGE_BYTES);
	for (uint64_t at = LARGE_BYTES - 2 * STEP; at > 50 * STEP; at -= 37 * STEP)
		assert_in_range(read_at(at), STEP, 4 * PA_SYMBOLS_INFLATE_APART + 2 * STEP);
	close_stream();
}

static void damage_is_an_error_and_what_is_before_it_is_read(void **unused)
{
	(void)unused;
	open_stream(SMALL_BYTES);
	assert_int_equal(read_at(SMALL_BYTES - STEP), SMALL_BYTES);
	assert_false(pa_symbols_inflate_read(stream, SMALL_BYTES - STEP / 2, read_bytes, STEP,
		INT64_MAX));
	assert_false(pa_symbols_inflate_read(stream, SMALL_BYTES + STEP, read_bytes, STEP,
		INT64_MAX));
	assert_in_range(read_at(SMALL_BYTES / 2), STEP, PA_SYMBOLS_INFLATE_APART + 2 * STEP);
	file.bytes /= 2; /* cut off meanwhile */
	assert_false(pa_symbols_inflate_read(stream, SMALL_BYTES - STEP, read_bytes, STEP,
		INT64_MAX));
	read_at(0);
	close_stream();
}

static void out_of_time_the_next_call_continues(void **unused)
{
	uint64_t before = pa_symbols_inflate_total();
	unsigned calls = 0;

	(void)unused;
	open_stream(SMALL_BYTES);
	while (!pa_symbols_inflate_read(stream, SMALL_BYTES - STEP, read_bytes, STEP, 0))
		calls++;
	assert_in_range(calls, 2, SMALL_BYTES / STEP);
	assert_int_equal(pa_symbols_inflate_total() - before, SMALL_BYTES);
	close_stream();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reading_forwards_is_one_pass),
		cmocka_unit_test(reading_elsewhere_begins_near),
		cmocka_unit_test(long_streams_have_fewer_states_per_byte),
		cmocka_unit_test(damage_is_an_error_and_what_is_before_it_is_read),
		cmocka_unit_test(out_of_time_the_next_call_continues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
