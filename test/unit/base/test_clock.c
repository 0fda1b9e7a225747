/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/clock.h"

static int64_t libc_ns(clockid_t id)
{
	struct timespec now;

	assert_int_equal(clock_gettime(id, &now), 0);
	return now.tv_sec * PA_NS_PER_S + now.tv_nsec;
}

static void each_clock_is_the_one_it_says(void **unused)
{
	static const struct {
		int64_t (*read)(void);
		clockid_t id;
	} clocks[] = {
		{ pa_clock_mono_ns, CLOCK_MONOTONIC },
		{ pa_clock_wall_ns, CLOCK_REALTIME },
		{ pa_clock_thread_cpu_ns, CLOCK_THREAD_CPUTIME_ID },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(clocks); i++) {
		int64_t before = libc_ns(clocks[i].id);
		int64_t now = clocks[i].read();
		int64_t after = libc_ns(clocks[i].id);

		assert_true(before <= now);
		assert_true(now <= after);
	}
}

static void thread_cpu_time_advances_with_work(void **unused)
{
	int64_t start = pa_clock_thread_cpu_ns();

	(void)unused;
	for (volatile unsigned i = 0; i < 100000; i++)
		continue;
	assert_true(pa_clock_thread_cpu_ns() > start);
}

static void clocks_keep_errno(void **unused)
{
	(void)unused;
	errno = 4711;
	pa_clock_mono_ns();
	pa_clock_wall_ns();
	pa_clock_thread_cpu_ns();
	assert_int_equal(errno, 4711);
}

/* The thread's clock is a system call, so a sandbox can refuse it. */
static int read_refused_clock(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = PA_COUNT(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 77;
	errno = 4711;
	if (pa_clock_thread_cpu_ns() != 0)
		return 1;
	return errno == 4711 ? 0 : 2;
}

static void a_refused_clock_is_0_and_keeps_errno(void **unused)
{
	int status;
	pid_t child = fork();

	(void)unused;
	assert_true(child >= 0);
	if (child == 0)
		_exit(read_refused_clock());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int faked(clockid_t id, struct timespec *now)
{
	*now = (struct timespec){ .tv_sec = 5 + id };
	return 0;
}

static void the_clock_in_use_is_the_one_that_is_asked(void **unused)
{
	(void)unused;
	pa_clock_use(faked);
	assert_int_equal(pa_clock_mono_ns(), (5 + CLOCK_MONOTONIC) * PA_NS_PER_S);
	pa_clock_use(clock_gettime);
	assert_int_not_equal(pa_clock_mono_ns(), (5 + CLOCK_MONOTONIC) * PA_NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_clock_is_the_one_it_says),
		cmocka_unit_test(thread_cpu_time_advances_with_work),
		cmocka_unit_test(clocks_keep_errno),
		cmocka_unit_test(the_clock_in_use_is_the_one_that_is_asked),
		cmocka_unit_test(a_refused_clock_is_0_and_keeps_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
