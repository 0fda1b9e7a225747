/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/process_forms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char texts[] = "/bin/a b\0a -x\0/bin/<i>\0evil\n<b>'\xff\x1b[2J\0";

static struct pa_process_tree_entry entries[2];
static struct pa_process_tree tree;
static struct pa_buffer page;

static int set_up(void **unused)
{
	(void)unused;
	entries[0] = (struct pa_process_tree_entry){
		.process = { .pid = 4711,
			.ppid = 1,
			.start_ticks = 1,
			.cpu_ticks = 1205,
			.rss_bytes = 2048,
			.threads = 3,
			.program = "main" },
		.agent = { PA_PROC_PROCESS_SERVING, 6060, 4712, { 0 } },
		.exe = 0,
		.cmdline = 9,
	};
	entries[1] = (struct pa_process_tree_entry){
		.process = { .pid = 4720, .ppid = 4711, .threads = 1, .program = "a\"\n<x>" },
		.depth = 1,
		.agent = { .state = PA_PROC_PROCESS_STARTING },
		.exe = 14,
		.cmdline = 23,
	};
	tree = (struct pa_process_tree){ .entries = entries, .count = 2, .texts = texts };
	return 0;
}

static int tear_down(void **unused)
{
	(void)unused;
	pa_buffer_free(&page);
	return 0;
}

static void shows(const char *text)
{
	if (!strstr(page.bytes, text))
		fail_msg("not on the page: %s\n%s", text, page.bytes);
}

static void text_is_one_line_a_process(void **unused)
{
	size_t lines = 0;
	(void)unused;
	pa_process_forms_text(&page, &tree);
	for (const char *at = page.bytes; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 3);
	shows("   4711       1  serving   127.0.0.1:6060              3      12.05          2  ");
	shows("Z  main  /bin/a b  a -x\n");
	shows("   4720    4711  starting  -                           1       0.00          0  ");
	shows("Z    a\"\\x0a<x>  /bin/<i>  evil\\x0a<b>'\\xff\\x1b[2J\n");
}

static void cut_is_said_in_each_form(void **unused)
{
	(void)unused;
	tree.cut = true;
	pa_process_forms_text(&page, &tree);
	shows("not all processes were looked at");
	pa_buffer_free(&page);
	pa_process_forms_html(&page, &tree);
	shows("not all processes were looked at");
	pa_buffer_free(&page);
	pa_process_forms_json(&page, &tree);
	shows("\"cut\":true}");
}

static void json_has_all_fields(void **unused)
{
	(void)unused;
	pa_process_forms_json(&page, &tree);
	shows("{\"processes\":[\n{\"pid\":4711,\"ppid\":1,\"depth\":0,\"program\":\"main\","
	      "\"cmdline\":\"a -x\",\"exe\":\"/bin/a b\",\"state\":\"serving\",\"port\":6060,"
	      "\"address\":\"127.0.0.1:6060\",\"other_network\":false,\"start_ticks\":1,");
	shows("\"cpu_seconds\":12.05,\"rss_bytes\":2048,\"threads\":3},\n");
	shows("\"program\":\"a\\\"\\u000a<x>\",\"cmdline\":\"evil\\u000a<b>'\xef\xbf\xbd\\u001b["
	      "2J\","
	      "\"exe\":\"/bin/<i>\",\"state\":\"starting\",\"port\":0,\"address\":\"\"");
	shows("],\n\"cut\":false}\n");
}

static void addresses_are_those_to_connect_to(void **unused)
{
	const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
	(void)unused;
	entries[0].agent.address = pa_address_of_ipv6(&loopback, 6060);
	pa_process_forms_text(&page, &tree);
	shows("serving   [::1]:6060                  3 ");
	entries[0].agent.address = pa_address_of_ipv6(&in6addr_any, 6060);
	pa_process_forms_text(&page, &tree);
	shows("serving   127.0.0.1:6060              3 ");
}

static void paths_of_sockets_are_escaped(void **unused)
{
	(void)unused;
	entries[0].agent.address = pa_address_of_path("/run/<b>\n\"");
	entries[0].agent.port = 0;
	pa_process_forms_text(&page, &tree);
	shows("serving   unix:/run/<b>\\x0a\"");
	pa_buffer_free(&page);
	pa_process_forms_html(&page, &tree);
	shows("<td>unix:/run/&lt;b&gt;\\x0a");
	pa_buffer_free(&page);
	pa_process_forms_json(&page, &tree);
	shows("\"port\":0,\"address\":\"unix:/run/<b>\\u000a\\\"\",");
}

static void html_has_no_markup_of_programs(void **unused)
{
	(void)unused;
	pa_process_forms_html(&page, &tree);
	shows("<td>a -x</td><td><a href='goroutine?debug=1&amp;pid=4711'>goroutine</a>");
	shows("a&#34;\\x0a&lt;x&gt;</td><td>/bin/&lt;i&gt;</td>"
	      "<td>evil\\x0a&lt;b&gt;&#39;\\xff\\x1b[2J</td><td></td></tr>");
	assert_null(strstr(page.bytes, "<x>"));
	assert_null(strstr(page.bytes, "pid=4720"));
}

static void targets_are_those_that_can_be_asked(void **unused)
{
	(void)unused;
	pa_process_forms_targets(&page, &tree, "host:6060");
	assert_string_equal(page.bytes,
		"[\n{\"targets\":[\"host:6060\"],\"labels\":{\"service_name\":\"main\","
		"\"__param_pid\":\"4711\",\"__process_pid__\":\"4711\","
		"\"__meta_pprofagent_pid\":\"4711\",\"__meta_pprofagent_ppid\":\"1\","
		"\"__meta_pprofagent_program\":\"main\",\"__meta_pprofagent_cmdline\":\"a "
		"-x\"}}]\n");
}

static void process_of_another_network_is_no_target(void **unused)
{
	(void)unused;
	entries[0].other_network = true;
	pa_process_forms_targets(&page, &tree, "host:6060");
	assert_string_equal(page.bytes, "[]\n");
	pa_buffer_free(&page);
	pa_process_forms_text(&page, &tree);
	shows("serving   other net:6060 ");
	pa_buffer_free(&page);
	pa_process_forms_json(&page, &tree);
	shows("\"port\":6060,\"address\":\"\",\"other_network\":true");
	pa_buffer_free(&page);
	pa_process_forms_html(&page, &tree);
	shows("port 6060 of another network namespace");
	assert_null(strstr(page.bytes, "pid=4711"));
}

static void hosts_are_quoted(void **unused)
{
	(void)unused;
	tree.count = 1;
	pa_process_forms_targets(&page, &tree, "a\"b\\");
	shows("[\"a\\\"b\\\\\"]");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(text_is_one_line_a_process),
		TEST(cut_is_said_in_each_form),
		TEST(json_has_all_fields),
		TEST(addresses_are_those_to_connect_to),
		TEST(paths_of_sockets_are_escaped),
		TEST(html_has_no_markup_of_programs),
		TEST(targets_are_those_that_can_be_asked),
		TEST(process_of_another_network_is_no_target),
		TEST(hosts_are_quoted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
