/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/relay_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct pa_relay_target target = { .pid = 42, .inner = 7, .start_ticks = 1234 };
static struct pa_relay_target found;
static const char *why;

static void page_confirms_pid_and_start(void **unused)
{
	(void)unused;
	assert_int_equal(pa_relay_target_confirm(&target,
				 "HTTP/1.0 200 OK\r\n\r\n{\"agent\":{\"version\":\"1\",\"pid\":7,"
				 "\"process_start_ticks\":1234,\"url\""),
		1);
}

static void other_pages_do_not_confirm(void **unused)
{
	static const char *const others[] = { "\"pid\":42,\"process_start_ticks\":1234,",
		"\"pid\":7,\"process_start_ticks\":1235,", "\"pid\":7,\"process_start_ticks\":0,",
		"\"pid\":,\"process_start_ticks\":1234," };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(others); i++)
		assert_int_equal(pa_relay_target_confirm(&target, others[i]), -1);
}

static void cut_pages_need_more(void **unused)
{
	static const char *const parts[] = { "", "HTTP/1.0 200", "\"pid\":7",
		"\"pid\":7,\"process_start_ticks\":12", "\"process_start_ticks\":1234," };
	(void)unused;
	for (size_t i = 0; i < PA_COUNT(parts); i++)
		assert_int_equal(pa_relay_target_confirm(&target, parts[i]), 0);
}

static void processes_above_are_unknown(void **unused)
{
	(void)unused;
	assert_int_equal(pa_relay_target_find(getpid(), &found, &why), PA_RELAY_TARGET_SELF);
	assert_int_equal(pa_relay_target_find(getppid(), &found, &why), PA_RELAY_TARGET_UNKNOWN);
	assert_int_equal(pa_relay_target_find(1, &found, &why), PA_RELAY_TARGET_UNKNOWN);
	assert_int_equal(pa_relay_target_find(INT32_MAX, &found, &why), PA_RELAY_TARGET_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_confirms_pid_and_start),
		cmocka_unit_test(other_pages_do_not_confirm),
		cmocka_unit_test(cut_pages_need_more),
		cmocka_unit_test(processes_above_are_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
