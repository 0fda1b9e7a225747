/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program does to itself: namespaces, roots, ids, capabilities, from its one thread or with
 * others. Each step says what it gave.
 *
 *   f_creds first | later      first: at once; later: when "go" comes on stdin
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, int result)
{
	printf("%s %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
	fflush(stdout);
}

static void in_child(const char *what, int flags)
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(unshare(flags) ? errno : 0);
	waitpid(pid, &status, 0);
	printf("child %s %s\n", what, strerrorname_np(WEXITSTATUS(status)));
	fflush(stdout);
}

static void join(const char *kind, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	say(kind, setns(fd, flags));
	close(fd);
}

static void *ids(void *arg)
{
	uid_t real, effective, saved;
	gid_t group;
	getresuid(&real, &effective, &saved);
	getresgid(&group, &group, &group);
	printf("thread has %u %u %u %u\n", real, effective, saved, group);
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char line[16];
	puts("ready");
	fflush(stdout);
	if (argc > 1 && !strcmp(argv[1], "later") && !fgets(line, sizeof(line), stdin))
		return 1;
	in_child("mount", CLONE_NEWNS);
	in_child("files", CLONE_FILES | CLONE_FS);
	in_child("pid", CLONE_NEWPID);
	join("mnt", CLONE_NEWNS);
	join("uts", CLONE_NEWUTS);
	join("ipc", CLONE_NEWIPC);
	join("net", CLONE_NEWNET);
	join("pid", CLONE_NEWPID);
	join("cgroup", CLONE_NEWCGROUP);
	say("unshare files", unshare(CLONE_FILES));
	say("unshare fs", unshare(CLONE_FS));
	say("unshare sysvsem", unshare(CLONE_SYSVSEM));
	say("unshare mount", unshare(CLONE_NEWNS));
	say("unshare uts", unshare(CLONE_NEWUTS));
	say("unshare net", unshare(CLONE_NEWNET));
	say("chroot", chroot("/"));
	say("chdir", chdir("/tmp"));
	umask(027);
	say("no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	say("keep capabilities", prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	say("setgroups", setgroups(0, NULL));
	say("setresgid", setresgid(65534, 65534, 65534));
	say("setresuid", setresuid(65534, 65534, 65534));
	say("setuid back", setuid(0));
	ids(NULL);
	pthread_create(&thread, NULL, ids, NULL);
	pthread_join(thread, NULL);
	free(malloc(1000000));
	return 4;
}
