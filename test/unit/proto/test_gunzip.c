/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/gunzip.h"
#include "proto/gzip.h"

#define TEXT_BYTES ((size_t)100 << 10)

static struct {
	size_t gz_bytes;
	unsigned char text[TEXT_BYTES], gz[2 * TEXT_BYTES], back[2 * TEXT_BYTES];
} state;

static bool write_gz(void *arg, const void *bytes, size_t count)
{
	(void)arg;
	assert_true(state.gz_bytes + count <= sizeof(state.gz));
	memcpy(state.gz + state.gz_bytes, bytes, count);
	state.gz_bytes += count;
	return true;
}

static void zip(size_t count)
{
	const struct pa_sink to = { .write = write_gz };
	struct pa_gzip *gzip = pa_gzip_open(&to);

	assert_non_null(gzip);
	state.gz_bytes = 0;
	assert_true(pa_gzip_write(gzip, state.text, count));
	assert_int_equal(pa_gzip_close(gzip), 0);
}

static int set_up(void **unused)
{
	uint32_t random = 1;

	(void)unused;
	for (size_t i = 0; i < TEXT_BYTES; i++) {
		random = random * 1664525 + 1013904223;
		state.text[i] = (unsigned char)(random >> 24);
	}
	zip(TEXT_BYTES);
	return 0;
}

static struct pa_gunzip *open_file(void)
{
	struct pa_gunzip *gunzip = pa_gunzip_open(state.gz, state.gz_bytes);

	assert_non_null(gunzip);
	return gunzip;
}

static void pieces_of_any_length_are_the_text(void **unused)
{
	static const size_t lengths[] = { 1, 2, 16383, 16384, 16385, 40000 };
	struct pa_gunzip *gunzip = open_file();
	size_t at = 0, got = 1;

	(void)unused;
	for (size_t i = 0; got; i++) {
		size_t length = lengths[i % PA_COUNT(lengths)];
		got = pa_gunzip_read(gunzip, state.back + at, length);
		assert_int_equal(got, at + length < TEXT_BYTES ? length : TEXT_BYTES - at);
		at += got;
	}
	assert_int_equal(at, TEXT_BYTES);
	assert_memory_equal(state.back, state.text, TEXT_BYTES);
	assert_true(pa_gunzip_is_whole(gunzip));
	pa_gunzip_close(gunzip);
}

static void reading_may_begin_again(void **unused)
{
	struct pa_gunzip *gunzip = open_file();

	(void)unused;
	for (size_t count = 10; count <= TEXT_BYTES; count *= 10) {
		pa_gunzip_rewind(gunzip);
		assert_int_equal(pa_gunzip_read(gunzip, state.back, count), count);
		assert_memory_equal(state.back, state.text, count);
		assert_false(pa_gunzip_is_whole(gunzip));
	}
	pa_gunzip_close(gunzip);
}

static void empty_text_is_whole(void **unused)
{
	(void)unused;
	zip(0);
	struct pa_gunzip *gunzip = open_file();
	assert_int_equal(pa_gunzip_read(gunzip, state.back, 1), 0);
	assert_true(pa_gunzip_is_whole(gunzip));
	pa_gunzip_close(gunzip);
}

static bool is_whole(void)
{
	struct pa_gunzip *gunzip = open_file();
	size_t got = pa_gunzip_read(gunzip, state.back, sizeof(state.back));
	bool whole = pa_gunzip_is_whole(gunzip);

	assert_true(got <= TEXT_BYTES);
	pa_gunzip_close(gunzip);
	return whole;
}

static void damaged_files_are_not_whole(void **unused)
{
	(void)unused;
	assert_true(is_whole());
	state.gz_bytes--;
	assert_false(is_whole());
	state.gz_bytes /= 2;
	assert_false(is_whole());
	state.gz_bytes = 0;
	assert_false(is_whole());
	zip(TEXT_BYTES);
	state.gz_bytes++; /* a byte behind the end */
	assert_false(is_whole());
	state.gz_bytes--;
	state.gz[state.gz_bytes - 6] ^= 1; /* of the checksum */
	assert_false(is_whole());
	state.gz[0] ^= 1;
	assert_false(is_whole());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(pieces_of_any_length_are_the_text),
		TEST(reading_may_begin_again),
		TEST(empty_text_is_whole),
		TEST(damaged_files_are_not_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
