/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes sure by the number of links of /proc/self/task that it has one thread, as the zygote of
 * Chromium does, and that its forked child has. Its arguments are not looked at.
 */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int count(void)
{
	struct stat task;
	usleep(50000); /* longer than a thread takes to start */
	return stat("/proc/self/task/", &task) == 0 ? (int)task.st_nlink - 2 : -1;
}

int main(void)
{
	int status = 0, before = count();
	if (fork() == 0)
		_exit(count());
	wait(&status);
	printf("threads %d, in the child %d\n", before, WEXITSTATUS(status));
	return 0;
}
