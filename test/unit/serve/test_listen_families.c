/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 addresses and unix sockets. */
#include "agent/serve/listen.h"

#include <string.h>
#include <sys/stat.h>

#include "test/lib/c/listen_fixture.h"

/* ---- IPv6 ---- */

static void ipv6_address_is_bound(void **unused)
{
	char url[64];
	int error;
	(void)unused;
	ask_for("::1", 0);
	opened(&error);
	if (!has_ipv6()) {
		assert_true(error < 0);
		skip();
	}
	assert_int_equal(error, 0);
	is_bound_to("[::1]");
	assert_int_equal(result.fds[1], -1);
	snprintf(url, sizeof(url), "http://[::1]:%u/debug/pprof/", result.bound.port);
	assert_string_equal(result.url, url);
	connects(&result.bound);
}

static void fallback_of_ipv6_is_a_port_of_its_loopback(void **unused)
{
	int error, other = occupy_ipv6(0);
	(void)unused;
	if (other < 0)
		skip();
	ask_for("::1", pa_address_of_socket(other, getsockname).port);
	opened(&error);
	assert_int_equal(error, 0);
	assert_true(result.fallback);
	is_bound_to("[::1]");
	assert_false(pa_listen_move(&settings, &policy, &result));
	close(other);
	assert_true(pa_listen_move(&settings, &policy, &result));
	assert_int_equal(result.bound.port, settings.port);
}

static void localhost_whose_ipv6_port_is_taken_is_ipv4_and_says_so(void **unused)
{
	char line[128];
	int error, other = occupy_ipv6(0);
	(void)unused;
	if (other < 0)
		skip();
	uint16_t port = pa_address_of_socket(other, getsockname).port;
	ask_for("localhost", port);
	const char *text = opened(&error);
	assert_int_equal(error, 0);
	assert_false(result.fallback);
	assert_int_equal(result.fds[1], -1);
	assert_int_equal(result.bound.port, port);
	snprintf(line, sizeof(line), "pprofagent: listen [::1]:%u: address already in use", port);
	assert_memory_equal(text, line, strlen(line));
	snprintf(line, sizeof(line), "serving http://127.0.0.1:%u/debug/pprof/\n", port);
	assert_non_null(strstr(text, line));
	close(other);
}

static void without_ipv6_the_same_settings_are_ipv4(void **unused)
{
	int error;
	(void)unused;
	policy.no_ipv6 = true;
	assert_string_equal(opened(&error), "");
	assert_int_equal(error, 0);
	is_bound_to("127.0.0.1");
	assert_int_equal(result.fds[1], -1);
	pa_listen_close(&result);
	ask_for("", 0);
	assert_string_equal(opened(&error), "");
	is_bound_to("0.0.0.0");
	pa_listen_close(&result);
	ask_for("::1", 6060);
	snprintf(settings.address, sizeof(settings.address), "[::1]:6060");
	assert_string_equal(opened(&error),
		"pprofagent: listen [::1]:6060: "
		"Address family not supported by protocol; not serving\n");
}

/* ---- unix sockets ---- */

static char folder[64];

static int remove_folder(void **unused)
{
	(void)unused;
	return folder[0] ? rmdir(folder) : 0;
}

static void ask_for_path(const char *name)
{
	settings.host[0] = '\0';
	snprintf(settings.socket_path, sizeof(settings.socket_path), "/tmp/test_listen.%d/%s",
		getpid(), name);
	snprintf(settings.address, sizeof(settings.address), "unix:%.100s", settings.socket_path);
	snprintf(folder, sizeof(folder), "/tmp/test_listen.%d", getpid());
	mkdir(folder, 0700);
}

static void unix_socket_is_said_in_a_form_to_copy(void **unused)
{
	char line[512], path[128];
	int error;
	(void)unused;
	ask_for_path("%p.sock");
	settings.log = PA_ENV_LOG_INFO;
	const char *text = opened(&error);
	assert_int_equal(error, 0);
	snprintf(path, sizeof(path), "/tmp/test_listen.%d/%d.sock", getpid(), getpid());
	assert_string_equal(result.bound.path, path);
	snprintf(line, sizeof(line),
		"pprofagent: serving unix:%s: curl --unix-socket %s "
		"http://localhost/debug/pprof/\n",
		path, path);
	assert_string_equal(text, line);
	connects(&result.bound);
	assert_false(pa_listen_is_shared(&settings));
	unlink(path);
}

static void unix_socket_in_use_gets_one_beside_it_and_moves(void **unused)
{
	char line[512], first[128];
	int error;
	(void)unused;
	ask_for_path("x.sock");
	assert_true(pa_listen_is_shared(&settings));
	opened(&error);
	assert_int_equal(error, 0);
	struct pa_listen holder = result;
	const char *text = opened(&error);
	assert_int_equal(error, 0);
	assert_true(result.fallback);
	snprintf(first, sizeof(first), "/tmp/test_listen.%d/x.%d.sock", getpid(), getpid());
	assert_string_equal(result.bound.path, first);
	snprintf(line, sizeof(line), "pprofagent: listen unix:%s: address already in use",
		settings.socket_path);
	assert_memory_equal(text, line, strlen(line));
	assert_false(pa_listen_move(&settings, &policy, &result));
	pa_listen_close(&holder); /* the file stays */
	assert_true(pa_listen_move(&settings, &policy, &result));
	assert_string_equal(result.bound.path, settings.socket_path);
	connects(&result.bound);
	unlink(first);
	unlink(settings.socket_path);
}

static void unix_socket_that_cannot_be_made_is_said(void **unused)
{
	int error;
	(void)unused;
	ask_for_path("none/x.sock");
	assert_non_null(strstr(opened(&error), ": No such file or directory; not serving\n"));
	ask_for_path("file");
	close(open(settings.socket_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_non_null(strstr(opened(&error),
		": the file is there and is not a socket; not serving\n"));
	assert_int_equal(unlink(settings.socket_path), 0);
	policy.no_unix = true;
	assert_non_null(strstr(opened(&error), "; not serving\n"));
	assert_int_equal(access(settings.socket_path, F_OK), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ipv6_address_is_bound),
		TEST(fallback_of_ipv6_is_a_port_of_its_loopback),
		TEST(localhost_whose_ipv6_port_is_taken_is_ipv4_and_says_so),
		TEST(without_ipv6_the_same_settings_are_ipv4),
		TEST(unix_socket_is_said_in_a_form_to_copy),
		TEST(unix_socket_in_use_gets_one_beside_it_and_moves),
		TEST(unix_socket_that_cannot_be_made_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, remove_folder);
}
