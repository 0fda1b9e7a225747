/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/serve/takeover.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/serve/port_name.h"

static const struct pa_address wanted = { .family = AF_INET };

static int tear_down(void **unused)
{
	(void)unused;
	pa_takeover_end();
	assert_false(pa_takeover_is_wanted());
	assert_int_equal(pa_takeover_wait_ns(), -1);
	assert_false(pa_takeover_is_due());
	return 0;
}

static void end_of_the_parent_is_seen_without_waking_up(void **unused)
{
	int from_child[2], to_child[2];
	char seen[3] = "";
	(void)unused;
	assert_int_equal(pipe(from_child), 0);
	assert_int_equal(pipe(to_child), 0);
	/* A parent that ends while its child watches it. */
	pid_t middle = fork();
	if (middle == 0) {
		pid_t parent = getpid();
		if (fork() != 0) {
			char go;
			_exit(read(to_child[0], &go, 1) != 1);
		}
		pa_takeover_begin(&wanted, parent, true);
		char before = pa_takeover_fd() > STDERR_FILENO && pa_takeover_wait_ns() == -1 &&
				!pa_takeover_is_due() ?
			'1' :
			'0';
		if (write(to_child[1], "g", 1) != 1)
			_exit(1);
		struct pollfd holder = { .fd = pa_takeover_fd(), .events = POLLIN };
		bool woken = poll(&holder, 1, 30000) == 1 && pa_takeover_is_due();
		const char says[] = { before, woken ? '1' : '0' };
		_exit(write(from_child[1], says, 2) != 2);
	}
	assert_int_equal(read(from_child[0], seen, 2), 2);
	assert_string_equal(seen, "11");
	waitpid(middle, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(from_child[i]);
		close(to_child[i]);
	}
}

static void without_a_holder_the_pauses_grow(void **unused)
{
	(void)unused;
	pa_takeover_begin(&wanted, 0, true);
	assert_int_equal(pa_takeover_fd(), -1);
	assert_true(pa_takeover_is_wanted());
	assert_false(pa_takeover_is_due());
	assert_in_range(pa_takeover_wait_ns(), 1, PA_TAKEOVER_FIRST_NS);
	pa_takeover_again();
	assert_in_range(pa_takeover_wait_ns(), PA_TAKEOVER_FIRST_NS, 2 * PA_TAKEOVER_FIRST_NS);
	for (int i = 0; i < 20; i++)
		pa_takeover_again();
	assert_in_range(pa_takeover_wait_ns(), PA_TAKEOVER_LAST_NS / 2, PA_TAKEOVER_LAST_NS);
}

static void what_may_not_watch_tries_at_times(void **unused)
{
	(void)unused;
	pa_takeover_begin(&wanted, getppid(), false);
	assert_int_equal(pa_takeover_fd(), -1);
	assert_in_range(pa_takeover_wait_ns(), 1, PA_TAKEOVER_FIRST_NS);
}

static void an_ancestor_is_found_by_the_name_of_its_thread(void **unused)
{
	const struct pa_address address = { .family = AF_INET, .port = 64999 };
	int status;
	(void)unused;
	pa_port_name_set(64999);
	pid_t child = fork();
	if (child == 0) {
		/* A child of the child: its parent has another name. */
		pa_port_name_set(0);
		pid_t grandchild = fork();
		if (grandchild == 0) {
			pa_takeover_begin(&address, 0, true);
			_exit(pa_takeover_fd() >= 0 ? 7 : 1);
		}
		waitpid(grandchild, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	waitpid(child, &status, 0);
	pa_port_name_set(0);
	assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(end_of_the_parent_is_seen_without_waking_up),
		TEST(without_a_holder_the_pauses_grow),
		TEST(what_may_not_watch_tries_at_times),
		TEST(an_ancestor_is_found_by_the_name_of_its_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
