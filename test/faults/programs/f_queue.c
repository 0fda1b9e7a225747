/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A message queue that the process wants to hear of, opened at once: in the first process, and in a
 * forked child that has the parent's queue as well (in a fork handler, which no thread of an agent
 * comes before). Also a file lock that any close() would drop.
 * Prints "notified 1 locked 1" for each.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t notified;
static mqd_t queue;
static FILE *file;

static void on_message(int number)
{
	(void)number;
	notified = 1;
}

static void sleep_all(unsigned ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l };
	while (nanosleep(&left, &left) != 0)
		;
}

/* By another process, which the lock is in the way of. */
static int is_locked(int fd)
{
	int status;
	struct flock lock = { .l_type = F_WRLCK };
	pid_t pid = _Fork();
	if (pid == 0)
		_exit(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK);
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void open_both(void)
{
	char name[64];
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct flock lock = { .l_type = F_WRLCK };
	snprintf(name, sizeof(name), "/f_queue.%d", getpid());
	signal(SIGUSR1, on_message);
	notified = 0;
	queue = mq_open(name, O_RDWR | O_CREAT, 0600, NULL);
	mq_unlink(name);
	if (queue == (mqd_t)-1 || mq_notify(queue, &event) != 0) {
		perror("mq_notify");
		exit(2);
	}
	file = tmpfile();
	fcntl(fileno(file), F_SETLK, &lock);
}

static void hear(const char *who)
{
	sleep_all(400); /* longer than a forked child's agent sleeps */
	mq_send(queue, "x", 1, 0);
	for (int i = 0; i < 50 && !notified; i++)
		sleep_all(2);
	printf("%s notified %d locked %d\n", who, (int)notified, is_locked(fileno(file)));
	fflush(stdout);
	fclose(file);
	/* The queue stays open: forked children have a copy. */
}

int main(void)
{
	open_both();
	hear("first");
	pthread_atfork(NULL, NULL, open_both);
	if (fork() == 0) {
		hear("child");
		_exit(0);
	}
	wait(NULL);
	return 0;
}
