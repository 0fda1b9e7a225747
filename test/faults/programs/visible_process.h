/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel knows of a process and tells it, as lines "SECTION WHAT". Nothing that is
 * measured: no times, no sizes of memory, no numbers of processes.
 */
#ifndef VISIBLE_PROCESS_H
#define VISIBLE_PROCESS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <unistd.h>

typedef void visible_line(const char *line, const char *of);

/* each(line without its newline, of) for all lines of a file. */
static void visible_lines(const char *path, visible_line *each, const char *of)
{
	char line[4096];
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		each(line, of);
	}
	if (file)
		fclose(file);
}

typedef void visible_name(const char *name, int folder_fd);

static void visible_names(const char *path, visible_name *each)
{
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		if (entry->d_name[0] != '.')
			each(entry->d_name, dirfd(folder));
	if (folder)
		closedir(folder);
}

/* ---- threads ---- */

static char visible_thread[64]; /* the name of the one that is looked at */

static void visible_take_name(const char *line, const char *unused)
{
	(void)unused;
	snprintf(visible_thread, sizeof(visible_thread), "%s", line);
}

static void visible_mask(const char *line, const char *name)
{
	if (!strncmp(line, "SigBlk:", 7) || !strncmp(line, "SigPnd:", 7) ||
		!strncmp(line, "Cpus_allowed:", 13) || !strncmp(line, "Seccomp:", 8))
		printf("thread_status %s %s\n", name, line);
}

static void visible_one_thread(const char *tid, int unused)
{
	char path[300];
	(void)unused;
	snprintf(path, sizeof(path), "/proc/self/task/%s/comm", tid);
	strcpy(visible_thread, "?");
	visible_lines(path, visible_take_name, NULL);
	printf("thread %s\n", visible_thread);
	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	visible_lines(path, visible_mask, visible_thread);
	struct sched_param priority = { 0 };
	int policy = sched_getscheduler(atoi(tid));
	sched_getparam(atoi(tid), &priority);
	printf("thread_status %s policy %d priority %d nice %d\n", visible_thread, policy,
		priority.sched_priority, getpriority(PRIO_PROCESS, (id_t)atoi(tid)));
}

/* ---- children ---- */

static void visible_child_line(const char *line, const char *unused)
{
	(void)unused;
	if (line[0])
		printf("child %s\n", line);
}

static void visible_children_of(const char *tid, int unused)
{
	char path[300];
	(void)unused;
	snprintf(path, sizeof(path), "/proc/self/task/%s/children", tid);
	visible_lines(path, visible_child_line, NULL);
}

static void visible_children(void)
{
	struct rusage usage;
	struct tms spent;
	errno = 0;
	int waited = waitpid(-1, NULL, WNOHANG | __WALL);
	printf("child waitpid %d %s\n", waited, strerrorname_np(errno));
	visible_names("/proc/self/task", visible_children_of);
	getrusage(RUSAGE_CHILDREN, &usage);
	times(&spent);
	printf("child usage %ld %ld %ld %ld %ld %ld %ld\n", usage.ru_maxrss, usage.ru_minflt,
		usage.ru_majflt, (long)usage.ru_utime.tv_usec, (long)usage.ru_stime.tv_usec,
		usage.ru_nvcsw, (long)(spent.tms_cutime + spent.tms_cstime));
}

/* ---- signals, timers ---- */

static void visible_signal_set(const char *line, const char *unused)
{
	static const char *const sets[] = { "SigCgt:", "SigIgn:", "ShdPnd:" };
	(void)unused;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if (strncmp(line, sets[i], 7))
			continue;
		unsigned long long set = strtoull(line + 7, NULL, 16);
		for (int number = 1; number <= 64; number++)
			if (set >> (number - 1) & 1)
				printf("signal %s %d\n", sets[i], number);
	}
}

static void visible_signals(void)
{
	struct sigaction action;
	stack_t alternate;
	sigset_t mask;
	visible_lines("/proc/self/status", visible_signal_set, NULL);
	for (int number = 1; number <= 64; number++)
		if (sigaction(number, NULL, &action) == 0 &&
			(action.sa_handler != SIG_DFL || action.sa_flags))
			printf("action %d %d %x\n", number, action.sa_handler == SIG_IGN,
				(unsigned)action.sa_flags);
	sigaltstack(NULL, &alternate);
	printf("action alternate stack %d %zu\n", alternate.ss_flags, alternate.ss_size);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	for (int number = 1; number <= 64; number++)
		if (sigismember(&mask, number) == 1)
			printf("action blocked %d\n", number);
}

static void visible_timer_line(const char *line, const char *unused)
{
	(void)unused;
	if (!strncmp(line, "signal:", 7))
		printf("timer %.*s\n", (int)strcspn(line, "/"), line);
}

static void visible_timers(void)
{
	struct itimerval timer;
	visible_lines("/proc/self/timers", visible_timer_line, NULL);
	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++)
		if (getitimer((__itimer_which_t)which, &timer) == 0)
			printf("timer %d %ld\n", which,
				timer.it_value.tv_sec + timer.it_value.tv_usec);
	printf("timer alarm %u\n", alarm(0));
}

/* ---- descriptors ---- */

static void visible_descriptor(const char *name, int folder_fd)
{
	int fd = atoi(name);
	struct stat status;
	if (fd == folder_fd)
		return;
	if (fstat(fd, &status) == 0)
		printf("descriptor %d type %o flags %x %x\n", fd, status.st_mode >> 12,
			(unsigned)fcntl(fd, F_GETFL), (unsigned)fcntl(fd, F_GETFD));
	else
		printf("descriptor %d ?\n", fd);
}

static void visible_descriptors(void)
{
	visible_names("/proc/self/fd", visible_descriptor);
	int pair[2] = { -1, -1 }, null = open("/dev/null", O_RDONLY);
	if (pipe(pair) == 0)
		printf("descriptor next %d %d %d\n", null, pair[0], pair[1]);
	close(null);
	close(pair[0]);
	close(pair[1]);
}

/* ---- the rest of /proc/self ---- */

static void visible_status_line(const char *line, const char *unused)
{
	static const char *const measured[] = { "Vm", "Rss", "Hugetlb",
		"Pid:", "Tgid:", "PPid:", "Ngid:", "NS", "Sig", "Shd", "voluntary_",
		"nonvoluntary_", "Threads:" };
	(void)unused;
	if (!strncmp(line, "VmLck:", 6))
		printf("locked %ld\n", atol(line + 6));
	for (size_t i = 0; i < sizeof(measured) / sizeof(measured[0]); i++)
		if (!strncmp(line, measured[i], strlen(measured[i])))
			return;
	printf("status %s\n", line);
}

static void visible_file_line(const char *line, const char *of)
{
	printf("file %s %s\n", of, line);
}

static void visible_files(void)
{
	static const char *const names[] = { "limits", "timerslack_ns", "oom_score_adj",
		"coredump_filter", "personality", "loginuid", "cgroup", "comm", "uid_map",
		"gid_map" };
	char path[64];
	visible_lines("/proc/self/status", visible_status_line, NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", names[i]);
		visible_lines(path, visible_file_line, names[i]);
	}
}

static void visible_namespace(const char *name, int folder_fd)
{
	char target[256] = "";
	if (readlinkat(folder_fd, name, target, sizeof(target) - 1) > 0)
		printf("namespace %s %s\n", name, target);
}

/* Of /proc/self/maps: the name, and whether it can be written and executed. */
static void visible_mapping(const char *line, const char *unused)
{
	char rights[8] = "";
	int path = 0;
	(void)unused;
	sscanf(line, "%*s %7s %*s %*s %*s %n", rights, &path);
	printf("mapping %s%s\n", path && line[path] ? line + path : "anonymous",
		strstr(rights, "wx") ? " writable code" : "");
}

static void visible_traits(void)
{
	char cwd[4096];
	mode_t mask = umask(0);
	umask(mask);
	printf("process umask %o cwd %s\n", mask, getcwd(cwd, sizeof(cwd)));
	printf("process leader %d %d\n", getpgrp() == getpid(), getsid(0) == getpid());
	printf("process io priority %ld\n", syscall(SYS_ioprio_get, 1, 0));
	printf("process dumpable %d death signal %d subreaper %d slack %d\n",
		prctl(PR_GET_DUMPABLE), prctl(PR_GET_PDEATHSIG, &(int){ 0 }),
		prctl(PR_GET_CHILD_SUBREAPER, &(int){ 0 }), prctl(PR_GET_TIMERSLACK));
	printf("process keeps capabilities %d securebits %d thp off %d mce %d\n",
		prctl(PR_GET_KEEPCAPS), prctl(PR_GET_SECUREBITS),
		prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
}

static void visible_process(void)
{
	visible_names("/proc/self/task", visible_one_thread);
	visible_children();
	visible_signals();
	visible_timers();
	visible_descriptors();
	visible_files();
	visible_names("/proc/self/ns", visible_namespace);
	visible_lines("/proc/self/maps", visible_mapping, NULL);
	visible_traits();
}

#endif
