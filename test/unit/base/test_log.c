/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/log.h"

/* What say writes; a datagram socket in the place of stderr keeps each write apart. */
static struct {
	int kept, mine;
	char line[2048];
} err;

static void capture(void)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
	err.kept = dup(STDERR_FILENO);
	err.mine = ends[0];
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	close(ends[1]);
}

static ssize_t next_write(void)
{
	ssize_t length = recv(err.mine, err.line, sizeof(err.line) - 1, MSG_DONTWAIT);

	err.line[length < 0 ? 0 : length] = '\0';
	return length;
}

static void release(void)
{
	dup2(err.kept, STDERR_FILENO);
	close(err.kept);
	close(err.mine);
}

static void a_line_is_one_write(void **unused)
{
	(void)unused;
	capture();
	pa_log("%s=\"%d\": nothing wrong", "PPROFAGENT_X", 7);
	pa_log("second");
	next_write();
	assert_string_equal(err.line, "pprofagent: PPROFAGENT_X=\"7\": nothing wrong\n");
	next_write();
	assert_string_equal(err.line, "pprofagent: second\n");
	assert_true(next_write() < 0);
	release();
}

static void a_long_line_is_cut_at_512_and_ends(void **unused)
{
	char text[600];

	(void)unused;
	capture();
	memset(text, 'x', sizeof(text));
	for (size_t length = 498; length <= 501; length++) {
		size_t expected = length < 499 ? length + 13 : 512;

		pa_log("%.*s", (int)length, text);
		assert_int_equal(next_write(), expected);
		assert_int_equal(err.line[expected - 1], '\n');
		assert_int_equal(err.line[expected - 2], 'x');
	}
	release();
}

static void saying_keeps_errno(void **unused)
{
	(void)unused;
	capture();
	close(STDERR_FILENO);
	errno = 4711;
	pa_log("to nobody");
	assert_int_equal(errno, 4711);
	assert_true(next_write() < 0);
	release();
}

/* Runs run in a child with stderr = fd; its exit status, or 128 + the signal that ended it. */
static int in_child(int (*run)(void), int fd)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGPIPE, SIG_DFL);
		dup2(fd, STDERR_FILENO);
		alarm(20);
		_exit(run());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int say_and_look_at_signals(void)
{
	sigset_t before, after, pending;

	sigprocmask(SIG_SETMASK, NULL, &before);
	pa_log("into a broken pipe");
	sigprocmask(SIG_SETMASK, NULL, &after);
	sigpending(&pending);
	if (memcmp(&before, &after, sizeof(uint64_t)) != 0)
		return 1;
	return sigismember(&pending, SIGPIPE) ? 2 : 0;
}

static int say_with_sigpipe_pending(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGPIPE);
	pa_log("into a broken pipe");
	sigpending(&set);
	return sigismember(&set, SIGPIPE) ? 0 : 1;
}

static void a_broken_pipe_does_not_end_the_process(void **unused)
{
	int ends[2];

	(void)unused;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	assert_int_equal(in_child(say_and_look_at_signals, ends[1]), 0);
	assert_int_equal(in_child(say_with_sigpipe_pending, ends[1]), 0);
	close(ends[1]);
}

static int say_only(void)
{
	pa_log("nobody reads this");
	return 0;
}

static void a_full_pipe_does_not_block(void **unused)
{
	char page[4096] = "";
	int ends[2];

	(void)unused;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], page, sizeof(page)) > 0)
		continue;
	assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
	assert_int_equal(in_child(say_only, ends[1]), 0);
	close(ends[0]);
	close(ends[1]);
}

static void assert_quoted(const char *text, const char *expected)
{
	char out[PA_LOG_QUOTED_BYTES];

	assert_ptr_equal(pa_log_quote(out, sizeof(out), text), out);
	assert_string_equal(out, expected);
}

static void plain_text_and_utf8_stay_as_they_are(void **unused)
{
	(void)unused;
	assert_quoted("", "");
	assert_quoted("localhost:6053 \"~\\", "localhost:6053 \"~\\");
	assert_quoted("\u00e9 \u20ac \ud7ff \U0001f600 \U0010ffff",
		"\u00e9 \u20ac \ud7ff \U0001f600 \U0010ffff");
}

static void control_bytes_are_escaped(void **unused)
{
	(void)unused;
	assert_quoted("a\nb\r\t\x1b[2J\x7f", "a\\x0ab\\x0d\\x09\\x1b[2J\\x7f");
	assert_quoted("\xc2\x9b"
		      "31m \xc2\xa0",
		"\\xc2\\x9b31m \xc2\xa0");
}

static void what_is_not_utf8_is_escaped(void **unused)
{
	(void)unused;
	assert_quoted("\xff\x80z", "\\xff\\x80z");
	assert_quoted("\xc0\xaf", "\\xc0\\xaf");                   /* overlong */
	assert_quoted("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");          /* overlong */
	assert_quoted("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"); /* overlong */
	assert_quoted("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* surrogate */
	assert_quoted("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
	assert_quoted("\xe2\x82", "\\xe2\\x82");                   /* cut short */
	assert_quoted("\xe2\x82x", "\\xe2\\x82x");
	assert_quoted("\xf0\x9f\x98", "\\xf0\\x9f\\x98");
}

static void quoting_stops_after_64_bytes_of_input(void **unused)
{
	char text[101], expected[PA_LOG_QUOTED_BYTES] = "";

	(void)unused;
	memset(text, 'a', 100);
	text[100] = '\0';
	memset(expected, 'a', 64);
	assert_quoted(text, expected);

	memcpy(text + 62, "\u20ac", 3); /* would end at 65 */
	expected[62] = '\0';
	assert_quoted(text, expected);

	memset(text, 1, 100);
	for (int i = 0; i < 64; i++)
		memcpy(expected + i * 4, "\\x01", 5);
	assert_int_equal(strlen(expected), PA_LOG_QUOTED_BYTES - 1);
	assert_quoted(text, expected);
}

static void paths_are_quoted_as_a_whole(void **unused)
{
	char path[101], out[120];

	(void)unused;
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_string_equal(pa_log_quote_all(out, sizeof(out), path), path);
	path[99] = '\n';
	assert_string_equal(pa_log_quote_all(out, sizeof(out), path) + 99, "\\x0a");
	assert_int_equal(strlen(pa_log_quote_all(out, 50, path)), 49);
}

static void quoting_stays_in_its_room(void **unused)
{
	char out[8];

	(void)unused;
	memset(out, '#', sizeof(out));
	pa_log_quote(out, 0, "abc");
	assert_int_equal(out[0], '#');
	assert_string_equal(pa_log_quote(out, 1, "abc"), "");
	assert_string_equal(pa_log_quote(out, 3, "abc"), "ab");
	assert_string_equal(pa_log_quote(out, 5, "a\nb"), "a");
	assert_string_equal(pa_log_quote(out, 6, "a\nb"), "a\\x0a");
	assert_string_equal(pa_log_quote(out, 3, "\u20ac"), "");
	assert_string_equal(pa_log_quote(out, 4, "\u20ac"), "\u20ac");
	assert_int_equal(out[6], '#');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_one_write),
		cmocka_unit_test(a_long_line_is_cut_at_512_and_ends),
		cmocka_unit_test(saying_keeps_errno),
		cmocka_unit_test(a_broken_pipe_does_not_end_the_process),
		cmocka_unit_test(a_full_pipe_does_not_block),
		cmocka_unit_test(plain_text_and_utf8_stay_as_they_are),
		cmocka_unit_test(control_bytes_are_escaped),
		cmocka_unit_test(what_is_not_utf8_is_escaped),
		cmocka_unit_test(quoting_stops_after_64_bytes_of_input),
		cmocka_unit_test(paths_are_quoted_as_a_whole),
		cmocka_unit_test(quoting_stays_in_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
