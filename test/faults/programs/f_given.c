/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the only thread of a program may do, and what it gives up for itself. After a pause in which
 * threads of an agent would be there:
 *
 *   user N        N times into a new user namespace: the first one of them
 *   alone N       N times what is refused to a process with threads
 *   mount N       N times back into its own mount namespace
 *   caps          all capabilities, by syscall(), and new privileges: prints how many threads of
 *                 the process have kept some
 *   jail FOLDER   chroot, and ids without privileges: prints how many descriptors of any thread
 *                 are folders
 *   busy FOLDER   a file system that it was started in, and has left, is unmounted
 *   raw           the ids, by syscall(), and then setuid(0), which is refused
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_FDS 300
#define MOST_TIDS 64

static void pause_ms(int ms)
{
	usleep((useconds_t)ms * 1000);
}

static int enter(const char *what, int times)
{
	int mounts = open("/proc/self/ns/mnt", O_RDONLY), good = 0;
	for (int i = 0; i < times; i++) {
		pause_ms(i ? 5 * i : 100);
		if (strcmp(what, "user") == 0)
			good += unshare(CLONE_NEWUSER) == 0;
		else if (strcmp(what, "alone") == 0)
			good += unshare(CLONE_VM | CLONE_SIGHAND | CLONE_THREAD) == 0;
		else
			good += setns(mounts, CLONE_NEWNS) == 0;
	}
	printf("%d of %d\n", good, times);
	return 0;
}

static void count_kept(const char *tid, int *caps, int *privileges)
{
	char path[300], line[256];
	snprintf(path, sizeof(path), "/proc/self/task/%s/status", tid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		*caps += strncmp(line, "CapPrm:", 7) == 0 && strtoull(line + 7, NULL, 16);
		*privileges += strncmp(line, "NoNewPrivs:\t0", 13) == 0;
	}
	if (file)
		fclose(file);
}

static int give_up_caps(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };
	int caps = 0, privileges = 0;
	pause_ms(150);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) != 0)
		return 1;
	DIR *tasks = opendir("/proc/self/task");
	for (struct dirent *entry; (entry = readdir(tasks));)
		if (entry->d_name[0] != '.')
			count_kept(entry->d_name, &caps, &privileges);
	printf("capabilities left in %d threads, new privileges in %d\n", caps, privileges);
	return 0;
}

static int folders_of(int tid)
{
	int thread = (int)syscall(SYS_pidfd_open, tid, O_EXCL /* PIDFD_THREAD */), folders = 0;
	struct stat status;
	for (int i = 0; thread >= 0 && i < MOST_FDS; i++) {
		int fd = (int)syscall(SYS_pidfd_getfd, thread, i, 0);
		folders += fd >= 0 && fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
		close(fd);
	}
	close(thread);
	return folders;
}

static int go_to_jail(const char *folder)
{
	int folders = 0;
	pause_ms(150);
	if (chroot(folder) || chdir("/") || setgroups(0, NULL) || setgid(65534) || setuid(65534))
		return 1;
	for (int tid = getpid(); tid < getpid() + MOST_TIDS; tid++)
		folders += folders_of(tid);
	printf("%d folders\n", folders);
	return 0;
}

static int leave_folder(char **argv)
{
	if (argv[3]) {
		pause_ms(150);
		int left = chdir("/");
		printf("%d %d\n", left, umount(argv[2]));
		return 0;
	}
	char *again[] = { argv[0], argv[1], argv[2], "again", NULL };
	if (unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("none", argv[2], "tmpfs", 0, NULL) || chdir(argv[2]))
		return 1;
	execv("/proc/self/exe", again);
	return 2;
}

static int change_ids(void)
{
	pause_ms(150);
	long changed = syscall(SYS_setresuid, 65534, 65534, 65534);
	int back = setuid(0);
	printf("%ld %d %s\n", changed, back, strerror(errno));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 &&
		(strcmp(argv[1], "user") == 0 || strcmp(argv[1], "alone") == 0 ||
			strcmp(argv[1], "mount") == 0))
		return enter(argv[1], atoi(argv[2]));
	if (argc > 2 && strcmp(argv[1], "jail") == 0)
		return go_to_jail(argv[2]);
	if (argc > 2 && strcmp(argv[1], "busy") == 0)
		return leave_folder(argv);
	if (argc > 1 && strcmp(argv[1], "raw") == 0)
		return change_ids();
	return argc > 1 && strcmp(argv[1], "caps") == 0 ? give_up_caps() : 3;
}
