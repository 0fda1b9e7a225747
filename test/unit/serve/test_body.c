/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/body.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* All at once, and byte by byte: both must be the same. */
static void check(int64_t length, const char *text, enum pa_body_state state, const char *bytes)
{
	for (int step = 0; step < 2; step++) {
		struct pa_body *body = pa_body_new(length, 16);
		size_t count = strlen(text);
		for (size_t i = 0; step && i < count; i++)
			pa_body_feed(body, text + i, 1);
		if (!step)
			pa_body_feed(body, text, count);
		assert_int_equal(body->state, state);
		if (bytes) {
			assert_int_equal(body->count, strlen(bytes));
			assert_memory_equal(body->bytes, bytes, body->count);
		}
		pa_body_free(body);
	}
}

static void body_of_a_length_ends_with_it(void **unused)
{
	(void)unused;
	check(0, "", PA_BODY_WHOLE, "");
	check(4, "0x1", PA_BODY_MORE, "0x1");
	check(4, "0x12", PA_BODY_WHOLE, "0x12");
	check(4, "0x12 and more", PA_BODY_WHOLE, "0x12");
	check(16, "0123456789abcdef", PA_BODY_WHOLE, "0123456789abcdef");
	check(17, "", PA_BODY_TOO_LONG, NULL);
	check(INT64_MAX, "", PA_BODY_TOO_LONG, NULL);
}

static void chunks_are_put_together(void **unused)
{
	(void)unused;
	check(-1, "", PA_BODY_MORE, "");
	check(-1, "3\r\n0x1\r\n0\r\n\r\n", PA_BODY_WHOLE, "0x1");
	check(-1, "3\r\n0x1\r\n2\r\n23\r\n0\r\n\r\n", PA_BODY_WHOLE, "0x123");
	check(-1, "A\r\n0123456789\r\n0\r\n\r\n", PA_BODY_WHOLE, "0123456789");
	check(-1, "0010\r\n0123456789abcdef\r\n0\r\n\r\n", PA_BODY_WHOLE, "0123456789abcdef");
	check(-1, "1 ; name=value\r\nx\r\n0\r\nTrailer: a\r\n\r\n", PA_BODY_WHOLE, "x");
	check(-1, "3\n0x1\n0\n\n", PA_BODY_WHOLE, "0x1");
	check(-1, "3\r\n0x1\r\n0\r\n", PA_BODY_MORE, "0x1");
	check(-1, "0\r\n\r\n3\r\n0x1", PA_BODY_WHOLE, "");
}

static void what_is_no_chunk_is_bad(void **unused)
{
	(void)unused;
	check(-1, "x", PA_BODY_BAD, NULL);
	check(-1, "\r\n", PA_BODY_BAD, NULL);
	check(-1, "-1\r\n", PA_BODY_BAD, NULL);
	check(-1, "0x3\r\n", PA_BODY_BAD, NULL);
	check(-1, "3\r\n0x1x", PA_BODY_BAD, NULL);
	check(-1, "000000003\r\n", PA_BODY_BAD, NULL);
}

static void chunks_may_not_be_too_long_together(void **unused)
{
	(void)unused;
	check(-1, "11\r\n0123456789abcdefg\r\n", PA_BODY_TOO_LONG, NULL);
	check(-1, "8\r\n01234567\r\n9\r\n012345678\r\n", PA_BODY_TOO_LONG, NULL);
	check(-1, "ffffffff\r\n0123456789abcdefg", PA_BODY_TOO_LONG, NULL);
}

static void body_is_received_as_it_comes(void **unused)
{
	int ends[2];
	struct pa_body *body = pa_body_new(6, 16);
	(void)unused;
	assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), errno);
	assert_true(pa_body_receive(body, ends[0]));
	assert_int_equal(body->state, PA_BODY_MORE);
	assert_int_equal(send(ends[1], "0x1", 3, 0), 3);
	assert_true(pa_body_receive(body, ends[0]));
	assert_int_equal(body->count, 3);
	assert_int_equal(send(ends[1], "234rest", 7, 0), 7);
	assert_true(pa_body_receive(body, ends[0]));
	assert_int_equal(body->state, PA_BODY_WHOLE);
	assert_memory_equal(body->bytes, "0x1234", 6);
	pa_body_free(body);
	/* what follows is not read */
	body = pa_body_new(5, 16);
	close(ends[1]);
	assert_false(pa_body_receive(body, ends[0]));
	assert_int_equal(body->state, PA_BODY_BAD);
	assert_memory_equal(body->bytes, "rest", 4);
	pa_body_free(body);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(body_of_a_length_ends_with_it),
		cmocka_unit_test(chunks_are_put_together),
		cmocka_unit_test(what_is_no_chunk_is_bad),
		cmocka_unit_test(chunks_may_not_be_too_long_together),
		cmocka_unit_test(body_is_received_as_it_comes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
