/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps profiles of its own with pprofagent.h: does what stdin says, a line each, and answers with
 * a line. Prints "ready" first. Results are names of errors, or 0.
 *
 *   new NAME                  "new RESULT"
 *   add NAME VALUE SKIP       "add RESULT": from add_one, called by caller
 *   other NAME VALUE          "other RESULT": from add_other
 *   null                      "null RESULT RESULT RESULT": add, remove, write without a profile
 *   remove NAME VALUE         "remove RESULT"
 *   count NAME                "count N"
 *   lookup NAME               "lookup NAME", or "lookup nothing"
 *   write NAME                its text, then "write RESULT"
 *   list                      "list N NAME,NAME,..."
 *   storm NAME THREADS EACH   "storm errors N": threads at once; each adds EACH values, removes all
 *                             but the first hundred and does it again
 *   fork NAME                 forks; the child adds a value from add_child, prints
 *                             "child PID count N", and lives until its parent ends
 *
 * NAME is without spaces; %20 stands for one. Ends with its stdin.
 */
#include "../../agent/pprofagent.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NOINLINE __attribute__((noipa)) static
#define VALUE(n) ((const void *)(uintptr_t)(n))
#define KEPT 100

static pprofagent_profile *find(const char *name)
{
	return pprofagent_profile_lookup(name);
}

NOINLINE int add_one(const char *name, unsigned long value, int skip)
{
	int result = pprofagent_profile_add(find(name), VALUE(value), skip);
	return result;
}

NOINLINE int caller(const char *name, unsigned long value, int skip)
{
	int result = add_one(name, value, skip);
	return result;
}

NOINLINE int add_other(const char *name, unsigned long value)
{
	int result = pprofagent_profile_add(find(name), VALUE(value), 0);
	return result;
}

NOINLINE int add_child(const char *name)
{
	int result = pprofagent_profile_add(find(name), &result, 0);
	return result;
}

/* ---- many threads ---- */

static struct {
	pprofagent_profile *profile;
	unsigned long each;
	atomic_ulong errors;
} storm;

NOINLINE int add_in_storm(unsigned long value)
{
	int result = pprofagent_profile_add(storm.profile, VALUE(value), 0);
	return result;
}

static void *run_storm(void *arg)
{
	unsigned long base = ((unsigned long)(uintptr_t)arg + 1) << 32;

	for (int round = 0; round < 2; round++) {
		for (unsigned long i = round ? KEPT : 0; i < storm.each; i++)
			storm.errors += add_in_storm(base + i) != 0;
		for (unsigned long i = KEPT; i < storm.each; i++)
			storm.errors +=
				pprofagent_profile_remove(storm.profile, VALUE(base + i)) != 0;
	}
	return arg;
}

static void do_storm(const char *name, unsigned long threads, unsigned long each)
{
	pthread_t thread[64];

	storm.profile = find(name);
	storm.each = each;
	for (unsigned long i = 0; i < threads; i++)
		pthread_create(&thread[i], NULL, run_storm, (void *)(uintptr_t)i);
	for (unsigned long i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("storm errors %lu\n", (unsigned long)storm.errors);
}

/* ---- commands ---- */

static void do_list(void)
{
	pprofagent_profile *profiles[80];
	size_t count = pprofagent_profile_list(profiles, 80);

	printf("list %zu ", count);
	for (size_t i = 0; i < count && i < 80; i++)
		printf("%s%s", i ? "," : "", pprofagent_profile_name(profiles[i]));
	printf("\n");
}

static void do_fork(const char *name)
{
	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	add_child(name);
	printf("child %d count %d\n", (int)getpid(), pprofagent_profile_count(find(name)));
	fflush(stdout);
	for (;;)
		pause();
}

static const char *result_of(int result)
{
	return result ? strerrorname_np(-result) : "0";
}

static void unescape(char *name)
{
	char *at;

	while ((at = strstr(name, "%20"))) {
		*at = ' ';
		memmove(at + 1, at + 3, strlen(at + 3) + 1);
	}
}

NOINLINE int run(const char *line)
{
	char what[16], name[200] = "";
	unsigned long value = 0, number = 0;
	pprofagent_profile *profile;

	if (sscanf(line, "%15s %199s %lu %lu", what, name, &value, &number) < 1)
		return 1;
	unescape(name);
	profile = find(name);
	if (!strcmp(what, "new"))
		printf("new %s\n", result_of(pprofagent_profile_new(name, &profile)));
	else if (!strcmp(what, "add"))
		printf("add %s\n", result_of(caller(name, value, (int)number)));
	else if (!strcmp(what, "other"))
		printf("other %s\n", result_of(add_other(name, value)));
	else if (!strcmp(what, "null"))
		printf("null %s %s %s\n", result_of(pprofagent_profile_add(NULL, name, 0)),
			result_of(pprofagent_profile_remove(NULL, name)),
			result_of(pprofagent_profile_write(NULL, 1, 0)));
	else if (!strcmp(what, "remove"))
		printf("remove %s\n", result_of(pprofagent_profile_remove(profile, VALUE(value))));
	else if (!strcmp(what, "count"))
		printf("count %d\n", pprofagent_profile_count(profile));
	else if (!strcmp(what, "lookup"))
		printf("lookup %s\n", profile ? pprofagent_profile_name(profile) : "nothing");
	else if (!strcmp(what, "write"))
		printf("write %s\n", result_of(pprofagent_profile_write(profile, 1, 1)));
	else if (!strcmp(what, "list"))
		do_list();
	else if (!strcmp(what, "storm"))
		do_storm(name, value, number);
	else if (!strcmp(what, "fork"))
		do_fork(name);
	else
		return 1;
	fflush(stdout);
	return 0;
}

int main(void)
{
	char line[512];
	int wrong = 0;

	puts("ready");
	fflush(stdout);
	while (!wrong && fgets(line, sizeof(line), stdin))
		wrong = run(line);
	return wrong;
}
