/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/symbol_endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/lib/c/fake_http.h"
#include "test/lib/c/fake_profiles.h"

static struct {
	char text[4096];
	size_t length;
	int writes_left; /* then the sink says stop; -1: never */
} sunk;

static bool sink_write(void *arg, const void *bytes, size_t count)
{
	(void)arg;
	if (sunk.writes_left == 0)
		return false;
	sunk.writes_left -= sunk.writes_left > 0;
	assert_true(sunk.length + count < sizeof(sunk.text));
	memcpy(sunk.text + sunk.length, bytes, count);
	sunk.length += count;
	sunk.text[sunk.length] = '\0';
	return true;
}

static const struct pa_sink sink = { .write = sink_write };

static const char *lines_for(const char *words, size_t count)
{
	sunk.length = 0;
	sunk.writes_left = -1;
	assert_int_equal(pa_symbol_endpoint_write(words, count, &sink), 0);
	return sunk.text;
}

static const char *lines(const char *words)
{
	return lines_for(words, strlen(words));
}

#define HEADER "num_symbols: 1\n"
#define NAME " app::hot<int>()\n"
#define TOO_LONG "reading request: bufio: buffer full\n"

static void known_addresses_get_a_line(void **unused)
{
	(void)unused;
	assert_string_equal(lines(""), HEADER);
	assert_string_equal(lines("0x1000"), HEADER "0x1000" NAME);
	assert_string_equal(lines("0x1ABC+4096+0x9999"), HEADER "0x1abc" NAME "0x1000" NAME);
	assert_string_equal(lines("0x1000+"), HEADER "0x1000" NAME);
	assert_string_equal(lines("+0x1000"), HEADER "0x1000" NAME);
	assert_string_equal(lines("010000"), HEADER "0x1000" NAME);
}

static void junk_is_passed_over(void **unused)
{
	(void)unused;
	assert_string_equal(lines("zz"), HEADER);
	assert_string_equal(lines("0x"), HEADER);
	assert_string_equal(lines("zz++ 0x1000+0x1001"), HEADER "0x1001" NAME);
	assert_string_equal(lines_for("0x1000\0+0x1001", 14), HEADER "0x1001" NAME);
}

static void long_word_ends_it_with_an_error_line(void **unused)
{
	char words[3 * PA_SYMBOL_ENDPOINT_WORD_BYTES];
	(void)unused;
	memset(words, '0', sizeof(words));
	assert_string_equal(lines_for(words, PA_SYMBOL_ENDPOINT_WORD_BYTES), HEADER TOO_LONG);
	assert_string_equal(lines_for(words, PA_SYMBOL_ENDPOINT_WORD_BYTES - 1), HEADER);
	/* with its '+' the word still fits */
	memcpy(words + PA_SYMBOL_ENDPOINT_WORD_BYTES - 1, "+0x1000", 7);
	assert_string_equal(lines_for(words, PA_SYMBOL_ENDPOINT_WORD_BYTES + 6),
		HEADER "0x1000" NAME);
	/* one more, and it does not */
	memcpy(words + PA_SYMBOL_ENDPOINT_WORD_BYTES - 1, "0+0x1000", 8);
	assert_string_equal(lines_for(words, PA_SYMBOL_ENDPOINT_WORD_BYTES + 7), HEADER TOO_LONG);
}

static void what_came_before_a_long_word_is_answered(void **unused)
{
	char words[2 * PA_SYMBOL_ENDPOINT_WORD_BYTES];
	(void)unused;
	memset(words, 'z', sizeof(words));
	memcpy(words, "0x1000+", 7);
	assert_string_equal(lines_for(words, sizeof(words)), HEADER "0x1000" NAME TOO_LONG);
}

static void stop_of_the_sink_ends_it(void **unused)
{
	(void)unused;
	for (int i = 0; i < 4; i++) {
		sunk.length = 0;
		sunk.writes_left = i;
		assert_int_equal(pa_symbol_endpoint_write("0x1000", 6, &sink), -ECANCELED);
	}
}

/* ---- the request ---- */

static struct pa_http http;

static void ask(enum pa_request_method method, const char *query)
{
	const struct pa_request request = { .method = method, .path = "", .query = query };
	http.head_only = method == PA_REQUEST_METHOD_HEAD;
	pa_symbol_endpoint_answer(&http, &request);
	assert_true(http.begun && http.ended);
}

static int new_http(void **unused)
{
	(void)unused;
	http = http_new();
	return 0;
}

static int free_http(void **unused)
{
	(void)unused;
	http_free(&http);
	return 0;
}

static void get_takes_the_raw_query(void **unused)
{
	(void)unused;
	ask(PA_REQUEST_METHOD_GET, "0x1000+0x1001");
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.head.type, "text/plain; charset=utf-8");
	assert_string_equal(http.bytes, HEADER "0x1000" NAME "0x1001" NAME);
	assert_int_equal(http.head.length, (int64_t)http.count);
}

static void get_without_query_has_symbols(void **unused)
{
	(void)unused;
	ask(PA_REQUEST_METHOD_GET, "");
	assert_string_equal(http.bytes, HEADER);
}

static void head_has_no_body(void **unused)
{
	(void)unused;
	ask(PA_REQUEST_METHOD_HEAD, "0x1000");
	assert_int_equal(http.head.status, 200);
	assert_int_equal(http.count, 0);
}

static void post_takes_the_body(void **unused)
{
	(void)unused;
	http.body = "0x1000+0x5";
	http.body_length = (int64_t)strlen(http.body);
	ask(PA_REQUEST_METHOD_POST, "0x1001");
	assert_string_equal(http.bytes, HEADER "0x1000" NAME);
}

static void body_of_unknown_length_is_taken(void **unused)
{
	(void)unused;
	http.body = "0x1000";
	http.body_length = -1;
	ask(PA_REQUEST_METHOD_POST, "");
	assert_string_equal(http.bytes, HEADER "0x1000" NAME);
}

static void announced_large_body_is_refused_unread(void **unused)
{
	(void)unused;
	http.body_length = (int64_t)PA_SYMBOL_ENDPOINT_BODY_BYTES + 1;
	ask(PA_REQUEST_METHOD_POST, "");
	assert_int_equal(http.head.status, 413);
	assert_true(http.head.pprof_error);
	assert_int_equal(http.body_read, 0);
}

static char *body_of(size_t count)
{
	char *body = malloc(count + 1);
	memset(body, '1', count);
	body[count] = '\0';
	return body;
}

static void unannounced_large_body_is_refused(void **unused)
{
	char *body = body_of(PA_SYMBOL_ENDPOINT_BODY_BYTES + 1);
	(void)unused;
	http.body = body;
	http.body_length = -1;
	ask(PA_REQUEST_METHOD_POST, "");
	assert_int_equal(http.head.status, 413);
	free(body);
}

static void body_of_one_mebibyte_is_good(void **unused)
{
	char *body = body_of(PA_SYMBOL_ENDPOINT_BODY_BYTES);
	(void)unused;
	memcpy(body, "0x1000+", 7);
	http.body = body;
	http.body_length = (int64_t)PA_SYMBOL_ENDPOINT_BODY_BYTES;
	ask(PA_REQUEST_METHOD_POST, "");
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.bytes, HEADER "0x1000" NAME TOO_LONG);
	free(body);
}

static void short_body_is_408(void **unused)
{
	(void)unused;
	http.body = "0x1000";
	http.body_length = 7;
	ask(PA_REQUEST_METHOD_POST, "");
	assert_int_equal(http.head.status, 408);
}

static void crowd_is_503(void **unused)
{
	(void)unused;
	http.crowded = http.suspend_full = true;
	ask(PA_REQUEST_METHOD_GET, "0x1000");
	assert_int_equal(http.head.status, 503);
}

static void in_a_crowd_pprof_learns_that_there_are_names(void **unused)
{
	(void)unused;
	http.crowded = true;
	ask(PA_REQUEST_METHOD_GET, "");
	assert_int_equal(http.head.status, 200);
	assert_string_equal(http.bytes, "num_symbols: 1\n");
}

static void crowded_body_is_503(void **unused)
{
	(void)unused;
	http.suspend_full = true;
	http.body = "0x1000+0x1001";
	http.body_length = (int64_t)strlen(http.body);
	ask(PA_REQUEST_METHOD_POST, "");
	assert_int_equal(http.head.status, 503);
}

static void end_crowd(void)
{
	http.crowded = http.suspended < 3;
}

static void turn_is_waited_for(void **unused)
{
	(void)unused;
	http.crowded = true;
	http.on_wait = end_crowd;
	ask(PA_REQUEST_METHOD_GET, "0x1000");
	assert_string_equal(http.bytes, HEADER "0x1000" NAME);
	assert_int_equal(http.suspended, 3);
}

/* The client that has the first bytes of its answer is the only one whose names are looked up. */
static struct pa_http second;

static void ask_second(void)
{
	const struct pa_request request = { .path = "", .query = "0x1001" };
	http.on_begin = NULL;
	second = http_new();
	second.suspend_full = true;
	pa_symbol_endpoint_answer(&second, &request);
}

static void second_one_waits_for_the_first(void **unused)
{
	(void)unused;
	http.on_begin = ask_second;
	ask(PA_REQUEST_METHOD_GET, "0x1000");
	assert_string_equal(http.bytes, HEADER "0x1000" NAME);
	assert_int_equal(second.head.status, 503);
	http_free(&second);
	ask_second();
	assert_int_equal(second.head.status, 200);
	http_free(&second);
}

static int bodies_waiting;

/* Each that waits for its turn brings another. */
static void bring_another(void)
{
	const struct pa_request request = {
		.method = PA_REQUEST_METHOD_POST, .path = "", .query = ""
	};
	struct pa_http other = http_new();

	int number = ++bodies_waiting;
	other.crowded = other.body_at_once = true;
	other.client_left = true;
	other.body = "0x1000";
	other.body_length = (int64_t)strlen(other.body);
	other.on_wait = bring_another;
	pa_symbol_endpoint_answer(&other, &request);
	assert_int_equal(other.head.status, number < PA_SYMBOL_ENDPOINT_BODIES ? 500 : 503);
	http_free(&other);
}

static void bodies_are_bounded(void **unused)
{
	(void)unused;
	bodies_waiting = 0;
	http.crowded = http.client_left = http.body_at_once = true;
	http.on_wait = bring_another;
	http.body = "0x1000";
	http.body_length = (int64_t)strlen(http.body);
	ask(PA_REQUEST_METHOD_POST, "");
	assert_int_equal(bodies_waiting, PA_SYMBOL_ENDPOINT_BODIES);
	/* and all are given back */
	http_free(&http);
	http = http_new();
	http.body = "0x1000";
	http.body_length = (int64_t)strlen(http.body);
	ask(PA_REQUEST_METHOD_POST, "");
	assert_int_equal(http.head.status, 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_http, free_http)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_addresses_get_a_line),
		cmocka_unit_test(junk_is_passed_over),
		cmocka_unit_test(long_word_ends_it_with_an_error_line),
		cmocka_unit_test(what_came_before_a_long_word_is_answered),
		cmocka_unit_test(stop_of_the_sink_ends_it),
		TEST(get_takes_the_raw_query),
		TEST(get_without_query_has_symbols),
		TEST(head_has_no_body),
		TEST(post_takes_the_body),
		TEST(body_of_unknown_length_is_taken),
		TEST(announced_large_body_is_refused_unread),
		TEST(unannounced_large_body_is_refused),
		TEST(body_of_one_mebibyte_is_good),
		TEST(short_body_is_408),
		TEST(crowd_is_503),
		TEST(in_a_crowd_pprof_learns_that_there_are_names),
		TEST(crowded_body_is_503),
		TEST(turn_is_waited_for),
		TEST(second_one_waits_for_the_first),
		TEST(bodies_are_bounded),
	};
	return cmocka_run_group_tests(tests, fake_start, NULL);
}
