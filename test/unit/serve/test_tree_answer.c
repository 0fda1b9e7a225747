/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/tree_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/serve/client_budget.h"

static struct pa_tree_answer answer;
static int ends[2];
static char line[16];

static int set_up(void **unused)
{
	(void)unused;
	answer = (struct pa_tree_answer){ 0 };
	return socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
}

static int tear_down(void **unused)
{
	(void)unused;
	pa_tree_answer_free(&answer);
	assert_int_equal(pa_client_budget_stats().used[PA_CLIENT_BUDGET_TREES], 0);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* Sends in pieces, and receives what has come. */
static int receive_text(const char *bytes, size_t count)
{
	int result = 1;

	while (count && result == 1) {
		size_t part = count < 50000 ? count : 50000;
		assert_int_equal(send(ends[1], bytes, part, 0), part);
		result = pa_tree_answer_receive(&answer, ends[0]);
		bytes += part;
		count -= part;
	}
	return result;
}

static void end_sending(void)
{
	shutdown(ends[1], SHUT_WR);
	assert_int_equal(pa_tree_answer_receive(&answer, ends[0]), 0);
	pa_tree_answer_parse(&answer);
}

static void parse(const char *text)
{
	assert_int_equal(receive_text(text, strlen(text)), 1);
	end_sending();
}

static void response_has_a_status_and_a_body(void **unused)
{
	(void)unused;
	parse("HTTP/1.0 200 OK\r\nX: y\r\n\r\nbody\r\n\r\nmore");
	assert_int_equal(answer.status, 200);
	assert_memory_equal((char *)answer.room.at + answer.body, "body", 4);
	pa_tree_answer_line(&answer, line, sizeof(line));
	assert_string_equal(line, "body\r");
}

static void other_bytes_are_no_response(void **unused)
{
	static const char *const texts[] = { "x", "HTTP/1.0 200 OK\r\n", "HTTP/1.0\r\n\r\n",
		"220 mail.example.com ESMTP\r\n\r\nx" };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(texts); i++) {
		parse(texts[i]);
		assert_int_equal(answer.status, 0);
		pa_tree_answer_line(&answer, line, sizeof(line));
		assert_string_equal(line, "");
		tear_down(NULL);
		set_up(NULL);
	}
	end_sending();
	assert_int_equal(answer.status, 0);
	pa_tree_answer_line(&answer, line, sizeof(line));
	assert_string_equal(line, "");
}

static void line_is_cut_to_its_room(void **unused)
{
	(void)unused;
	parse("HTTP/1.1 503 No\r\n\r\n0123456789abcdefghi\n");
	assert_int_equal(answer.status, 503);
	pa_tree_answer_line(&answer, line, sizeof(line));
	assert_string_equal(line, "0123456789abcde");
}

static void long_response_is_received_up_to_the_limit(void **unused)
{
	static char bytes[PA_TREE_ANSWER_BYTES];
	(void)unused;
	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(receive_text(bytes, sizeof(bytes) - 1), 1);
	assert_int_equal(answer.count, sizeof(bytes) - 1);
	assert_memory_equal(answer.room.at, bytes, sizeof(bytes) - 1);
	assert_int_equal(receive_text(bytes, 1), -EMSGSIZE);
}

static void memory_is_charged_to_the_budget(void **unused)
{
	static char bytes[100000];
	(void)unused;
	assert_true(pa_client_budget_take(PA_CLIENT_BUDGET_DELTAS,
		PA_CLIENT_BUDGET_KEPT_BYTES - (size_t)(64 << 10)));
	assert_int_equal(receive_text("x", 1), 1);
	assert_int_equal(pa_client_budget_stats().used[PA_CLIENT_BUDGET_TREES], 64 << 10);
	assert_int_equal(receive_text(bytes, sizeof(bytes)), -ENOBUFS);
	pa_client_budget_forget(PA_CLIENT_BUDGET_DELTAS);
}

static void broken_connection_is_an_error(void **unused)
{
	(void)unused;
	assert_int_equal(pa_tree_answer_receive(&answer, -1), -EBADF);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(response_has_a_status_and_a_body),
		TEST(other_bytes_are_no_response),
		TEST(line_is_cut_to_its_room),
		TEST(long_response_is_received_up_to_the_limit),
		TEST(memory_is_charged_to_the_budget),
		TEST(broken_connection_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
