/* SPDX-License-Identifier: Apache-2.0 */
/* Which process reads its settings, which one reports, and that reading them is safe early. */
#include "test/lib/c/read_env.h"

#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/wait.h>

#ifdef __has_feature
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	HAS_FEATURE(address_sanitizer) || HAS_FEATURE(thread_sanitizer)
#define OWN_MALLOC 0
#else
#define OWN_MALLOC 1
#endif

/* As /proc/self/exe of this program is called from inside itself when it tests AT_SECURE. */
#define SECURE_WORD "read-in-secure-mode"

static void off_and_launchers_and_disabled_say_nothing(void **unused)
{
	(void)unused;
	read_as("prog", ENVIRON("PPROFAGENT_LOG=off", "PPROFAGENT_ADDRESS=x", "PPROFAGENT_X=1"));
	assert_string_equal(got.lines, "");
	assert_false(got.settings.serving);
	read_as("bash", ENVIRON("PPROFAGENT_CPU_HZ=x", "PPROFAGENT_X=1", "PPROFAGENT_LOG=info"));
	assert_string_equal(got.lines, "");
	assert_true(got.settings.launcher);
	assert_int_equal(got.settings.cpu_hz, 100);
	read_as("prog", ENVIRON("PPROFAGENT_CPU_HZ=x", "PPROFAGENT_ENABLED=false"));
	assert_string_equal(got.lines, "");
	assert_false(got.settings.enabled);
	assert_silent("PPROFAGENT_ENABLED=0");
	assert_false(got.settings.enabled);
}

static void launchers_hand_the_agent_on(void **unused)
{
	static const char *const launchers[] = { "sh", "bash", "dash", "zsh", "ksh", "fish",
		"busybox", "env", "timeout", "nice", "ionice", "nohup", "setsid", "stdbuf", "xargs",
		"setpriv", "unshare", "nsenter", "chroot", "sudo", "su", "runuser", "doas", "gosu",
		"su-exec", "tini", "dumb-init", "catatonit", "pg_ctl", "strace", "ltrace", "gdb",
		"taskset", "chrt", "numactl", "prlimit", "flock", "time", "watch", "script",
		"systemd-run", "start-stop-daemon", "valgrind", "valgrind.bin",
		"memcheck-amd64-linux" };
	static const char *const programs[] = { "shar", "bash2", "xbash", "redis-server", "su-x",
		"arm64-linux-not", "" };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(launchers); i++) {
		read_as(launchers[i], ENVIRON("A=b"));
		if (!got.settings.launcher)
			fail_msg("%s is no launcher", launchers[i]);
	}
	for (size_t i = 0; i < PA_COUNT(programs); i++) {
		read_as(programs[i], ENVIRON("A=b"));
		if (got.settings.launcher)
			fail_msg("%s is a launcher", programs[i]);
	}
}

static void programs_names_what_counts_launcher_or_not(void **unused)
{
	static const struct {
		char *entry;
		const char *exe;
		bool launcher;
	} cases[] = {
		{ "PPROFAGENT_PROGRAMS=nginx", "nginx", false },
		{ "PPROFAGENT_PROGRAMS=nginx", "redis-server", true },
		{ "PPROFAGENT_PROGRAMS=redis-*,nginx", "redis-server", false },
		{ "PPROFAGENT_PROGRAMS=redis-*, bash", "bash", false },
		{ "PPROFAGENT_PROGRAMS=*", "sh", false },
		{ "PPROFAGENT_PROGRAMS=python3.?", "python3.11", true },
		{ "PPROFAGENT_PROGRAMS=,", "nginx", true },
	};

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(cases); i++) {
		read_as(cases[i].exe, ENVIRON(cases[i].entry));
		assert_int_equal(got.settings.launcher, cases[i].launcher);
	}
}

static void only_the_first_process_reports(void **unused)
{
	char own[64], other[64];

	(void)unused;
	snprintf(own, sizeof(own), PA_ENV_MARKER "=%d", getpid());
	snprintf(other, sizeof(other), PA_ENV_MARKER "=%d", getppid());

	read_as("prog", ENVIRON(other, "PPROFAGENT_CPU_HZ=x", "PPROFAGENT_X=1"));
	assert_true(got.settings.child);
	assert_string_equal(got.lines, "");
	assert_int_equal(got.settings.cpu_hz, 100);

	read_as("prog", ENVIRON(other, "PPROFAGENT_CPU_HZ=x", "PPROFAGENT_LOG=info"));
	assert_true(got.settings.child);
	assert_string_equal(got.lines,
		"pprofagent: PPROFAGENT_CPU_HZ=\"x\": must be 1-1000; using 100\n");

	read_as("prog", ENVIRON(own, "PPROFAGENT_CPU_HZ=x"));
	assert_false(got.settings.child);
	assert_string_equal(got.lines,
		"pprofagent: PPROFAGENT_CPU_HZ=\"x\": must be 1-1000; using 100\n");
}

static void shells_mark_what_they_start(void **unused)
{
	(void)unused;
	read_as("prog", ENVIRON(PA_ENV_MARKER "=-1"));
	assert_true(got.settings.of_shell);
	assert_false(got.settings.child);
	read_as("prog", ENVIRON(PA_ENV_MARKER "=1"));
	assert_false(got.settings.of_shell);
	assert_true(got.settings.child);
	read_as("bash", ENVIRON("A=b"));
	assert_true(got.settings.shell);
	read_as("env", ENVIRON("A=b"));
	assert_false(got.settings.shell);
}

static void a_broken_marker_is_no_parent(void **unused)
{
	static char *const markers[] = { PA_ENV_MARKER "=x", PA_ENV_MARKER "=0",
		PA_ENV_MARKER "=-1", PA_ENV_MARKER "=99999999999", PA_ENV_MARKER "=1x" };

	(void)unused;
	for (size_t i = 0; i < PA_COUNT(markers); i++) {
		assert_silent(markers[i]);
		assert_false(got.settings.child);
	}
}

static int exit_status(pid_t child)
{
	int status;

	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* 0 when no variable was read and nothing was said. */
static int read_in_secure_mode(void)
{
	read_as("prog", ENVIRON("PPROFAGENT_CPU_HZ=7", "PPROFAGENT_X=1", "PPROFAGENT_BUFFER=x"));
	if (got.settings.enabled || got.settings.cpu_hz != 100)
		return 1;
	return got.lines[0] ? 2 : 0;
}

static void another_effective_user_makes_it_inert(void **unused)
{
	pid_t child;

	(void)unused;
	if (getuid() != 0)
		skip();
	child = fork();
	if (child == 0)
		_exit(setresuid(65534, 0, 0) == 0 ? read_in_secure_mode() : 78);
	assert_int_equal(exit_status(child), 0);
	child = fork();
	if (child == 0)
		_exit(setresgid(65534, 0, 0) == 0 ? read_in_secure_mode() : 78);
	assert_int_equal(exit_status(child), 0);
}

static void at_secure_makes_it_inert(void **unused)
{
	pid_t child;

	(void)unused;
	if (getuid() != 0)
		skip();
	child = fork();
	if (child == 0) {
		if (setresuid(65534, 0, 0) != 0)
			_exit(78);
		execl("/proc/self/exe", "test_env_who", SECURE_WORD, (char *)NULL);
		_exit(79);
	}
	assert_int_equal(exit_status(child), 0);
}

/* After exec the users are equal again, so only AT_SECURE tells. */
static int main_in_secure_mode(void)
{
	if (setresuid(0, 0, 0) != 0 || getuid() != geteuid() || !getauxval(AT_SECURE))
		return 80;
	return read_in_secure_mode();
}

#if OWN_MALLOC

/* volatile, as copy below: compilers think they know what strdup does. */
static volatile size_t allocations;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

PA_EXPORT void *malloc(size_t bytes)
{
	allocations++;
	return __libc_malloc(bytes);
}

PA_EXPORT void *calloc(size_t count, size_t bytes)
{
	allocations++;
	return __libc_calloc(count, bytes);
}

PA_EXPORT void *realloc(void *block, size_t bytes)
{
	allocations++;
	return __libc_realloc(block, bytes);
}

static void ignore(void *arg, const char *variable, const char *value, const char *preset)
{
	(void)arg;
	(void)variable;
	(void)value;
	(void)preset;
}

static void reading_allocates_nothing(void **unused)
{
	size_t before = allocations;
	char *volatile copy = strdup("libc's own calls count");
	char exe[256] = "";

	(void)unused;
	assert_true(allocations > before);
	free(copy);
	memset(exe, 'x', sizeof(exe) - 1);
	before = allocations;
	read_as(exe,
		ENVIRON("PPROFAGENT_PROGRAMS=a*,x*y,[x]*,?*", "PPROFAGENT_CPU_HZ=x",
			"PPROFAGENT_SIGNAL=no", "PPROFAGENT_ADDRESS=\xff\xff:x",
			"PPROFAGENT_ADRESS=1"));
	pa_env_list(&got.settings, ignore, NULL);
	assert_int_equal(allocations, before);
	assert_non_null(strstr(got.lines, "did you mean PPROFAGENT_ADDRESS?"));
}

#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_and_launchers_and_disabled_say_nothing),
		cmocka_unit_test(launchers_hand_the_agent_on),
		cmocka_unit_test(programs_names_what_counts_launcher_or_not),
		cmocka_unit_test(only_the_first_process_reports),
		cmocka_unit_test(shells_mark_what_they_start),
		cmocka_unit_test(a_broken_marker_is_no_parent),
		cmocka_unit_test(another_effective_user_makes_it_inert),
		cmocka_unit_test(at_secure_makes_it_inert),
#if OWN_MALLOC
		cmocka_unit_test(reading_allocates_nothing),
#endif
	};

	if (argc > 1 && strcmp(argv[1], SECURE_WORD) == 0)
		return main_in_secure_mode();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
