/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/c/merge_fixture.h"

static void cut_off_input_is_refused_wherever_it_is_cut(void **unused)
{
	struct pa_merge *merge = open_merge();

	(void)unused;
	for (size_t count = 0; count < first.gz_bytes; count++)
		assert_int_equal(pa_merge_add(merge, 1, "x", first.gz, count), -EBADMSG);
	first.gz[first.gz_bytes++] = 0; /* behind the end */
	assert_int_equal(add(merge, 1, &first), -EBADMSG);
	assert_int_equal(pa_merge_close(merge), -ENODATA);
}

/* A gzip file of any bytes is refused, or what comes of it is a profile that readers take. */
static void add_damaged(struct input *damaged)
{
	struct pa_merge *merge = open_merge();

	memset(&out, 0, offsetof(__typeof__(out), gz));
	zip(damaged);
	assert_int_equal(add(merge, 1, &first), 0);
	int result = add(merge, 2, damaged);
	assert_true(result == 0 || result == -EBADMSG || result == -EPROTOTYPE);
	check_profile(close_merge(merge));
}

static void any_bytes_are_refused_or_make_a_whole_profile(void **unused)
{
	uint64_t random = 88172645463325252u;

	(void)unused;
	for (int round = 0; round < 3000; round++) {
		size_t changes = 1 + random_next(&random) % 4;
		memcpy(made.raw, second.raw, second.bytes);
		made.bytes = second.bytes;
		while (changes--) {
			size_t at = random_next(&random) % made.bytes;
			if (random_next(&random) % 4)
				made.raw[at] = (unsigned char)random_next(&random);
			else
				made.bytes = at + 1;
		}
		add_damaged(&made);
	}
}

static size_t put_length(unsigned char *to, size_t length)
{
	size_t count = 0;

	for (; length >= 0x80; length >>= 7)
		to[count++] = (unsigned char)(length | 0x80);
	to[count++] = (unsigned char)length;
	return count;
}

static void long_texts_and_messages_are_refused(void **unused)
{
	static unsigned char bytes[PA_MERGE_PART_TEXT_BYTES + 16];
	size_t head;

	(void)unused;
	for (int more = 0; more <= 1; more++) {
		memset(bytes, 'x', sizeof(bytes));
		bytes[0] = BYTES(STRING);
		head = 1 + put_length(bytes + 1, PA_MERGE_PART_TEXT_BYTES + (size_t)more);
		assert_int_equal(add_with(bytes, head + PA_MERGE_PART_TEXT_BYTES + (size_t)more),
			more ? -EBADMSG : 0);
		/* A sample with two values and an unknown field. */
		size_t length = PA_MERGE_MESSAGE_BYTES + (size_t)more;
		bytes[0] = BYTES(SAMPLE);
		head = 1 + put_length(bytes + 1, length);
		memcpy(bytes + head, "\x12\x02\x01\x01\x7a", 5);
		size_t rest = length - 5 - put_length((unsigned char[8]){ 0 }, length - 8);
		put_length(bytes + head + 5, rest);
		assert_int_equal(add_with(bytes, head + length), more ? -EBADMSG : 0);
	}
}

static void a_bomb_is_refused(void **unused)
{
	static unsigned char zeros[1 << 16] = { BYTES(STRING), 0 };
	struct pa_merge *merge = open_merge();
	const struct pa_sink to = { .write = write_gz, .arg = &made };

	(void)unused;
	for (size_t i = 0; i < sizeof(zeros); i += 2)
		zeros[i] = BYTES(STRING);
	made.gz_bytes = 0;
	struct pa_gzip *gzip = pa_gzip_open(&to);
	for (size_t total = 0; total <= PA_MERGE_PART_BYTES; total += sizeof(zeros))
		assert_true(pa_gzip_write(gzip, zeros, sizeof(zeros)));
	assert_int_equal(pa_gzip_close(gzip), 0);
	assert_int_equal(add(merge, 1, &made), -EBADMSG);
	assert_int_equal(pa_merge_close(merge), -ENODATA);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(cut_off_input_is_refused_wherever_it_is_cut),
		TEST(any_bytes_are_refused_or_make_a_whole_profile),
		TEST(long_texts_and_messages_are_refused),
		TEST(a_bomb_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
