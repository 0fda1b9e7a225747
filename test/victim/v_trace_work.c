/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads at work, for traces. Obeys lines on stdin, and answers with a line:
 *
 *   threads N    creates and joins N threads, ten at a time: "threads"
 *   quiet N      N times what would not wait: locks that are free, descriptors that are ready:
 *                "quiet"
 *   storm T N    T threads that lock one mutex N times each, wake each other, and allocate:
 *                "storm SUM"
 *   fight T N    the same without waiting for each other: "fight"
 *   hog MS       a thread "hog" that uses so much CPU time: "hog"
 *   deadlock     two threads that wait for each other for ever: "deadlock"
 *   exit N       ends with status N
 *
 * Prints "ready" first, ends with its stdin.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noipa)) static

static int64_t ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct timespec limit(clockid_t clock, int64_t ns)
{
	int64_t at = ns_of(clock) + ns;

	return (struct timespec){ .tv_sec = at / 1000000000, .tv_nsec = at % 1000000000 };
}

static void *nothing(void *arg)
{
	return arg;
}

NOINLINE void short_threads(int count)
{
	pthread_t threads[10];

	for (int i = 0; i < count; i += 10) {
		for (int j = 0; j < 10; j++)
			pthread_create(&threads[j], NULL, nothing, NULL);
		for (int j = 0; j < 10; j++)
			pthread_join(threads[j], NULL);
	}
}

static void quiet_locks(long count)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
	static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	static sem_t sem;

	sem_init(&sem, 0, 0);
	for (long i = 0; i < count; i++) {
		pthread_mutex_lock(&mutex);
		pthread_cond_signal(&cond);
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
		pthread_rwlock_rdlock(&rwlock);
		pthread_rwlock_unlock(&rwlock);
		sem_post(&sem);
		sem_wait(&sem);
	}
}

static void quiet_calls(long count)
{
	struct epoll_event event = { .events = EPOLLIN };
	int pair[2], epoll = epoll_create1(0);
	int file = open("/proc/self/exe", O_RDONLY);
	char bytes[64];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || write(pair[1], "x", 1) != 1)
		abort();
	epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
	for (long i = 0; i < count; i++) {
		struct pollfd one = { .fd = pair[0], .events = POLLIN };
		struct timeval none = { 0, 0 }, minute = { 60, 0 };
		fd_set set;

		FD_ZERO(&set);
		FD_SET(pair[0], &set);
		if (read(file, bytes, sizeof(bytes)) == 0)
			lseek(file, 0, SEEK_SET);
		poll(&one, 1, -1);
		ppoll(&one, 1, NULL, NULL);
		select(pair[0] + 1, &set, NULL, NULL, &minute);
		epoll_wait(epoll, &event, 1, -1);
		recv(pair[0], bytes, 1, MSG_PEEK);
		recv(pair[1], bytes, 1, MSG_DONTWAIT);
		poll(NULL, 0, 0);
		select(0, NULL, NULL, NULL, &none);
	}
	fcntl(pair[1], F_SETFL, O_NONBLOCK);
	for (long i = 0; i < count; i++)
		(void)!read(pair[1], bytes, 1);
	close(file);
	close(epoll);
	close(pair[0]);
	close(pair[1]);
}

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	long each, sum;
	int waits;
} shared = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0 };

static void *fights(void *arg)
{
	void *kept = NULL;

	for (long i = 0; i < shared.each; i++) {
		struct timespec soon = limit(CLOCK_REALTIME, 1000000);

		free(kept);
		kept = malloc((size_t)i * 10 + 100);
		pthread_mutex_lock(&shared.mutex);
		shared.sum++;
		if (shared.waits && i % 8 == 0)
			pthread_cond_timedwait(&shared.cond, &shared.mutex, &soon);
		else
			pthread_cond_signal(&shared.cond);
		pthread_mutex_unlock(&shared.mutex);
	}
	free(kept);
	return arg;
}

NOINLINE void storm(int count, long each, int waits)
{
	pthread_t *threads = calloc((size_t)count, sizeof(*threads));

	shared.each = each;
	shared.sum = 0;
	shared.waits = waits;
	for (int i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, fights, NULL);
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	free(threads);
}

NOINLINE void computes(long ms)
{
	int64_t end_ns = ns_of(CLOCK_THREAD_CPUTIME_ID) + ms * 1000000;

	while (ns_of(CLOCK_THREAD_CPUTIME_ID) < end_ns)
		for (volatile int i = 0; i < 10000; i++)
			;
}

static void *hog(void *ms)
{
	char *kept = malloc(1 << 20);

	prctl(PR_SET_NAME, "hog");
	memset(kept, 1, 1 << 20);
	computes((long)ms);
	free(kept);
	return NULL;
}

static pthread_mutex_t dead[2] = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER };
static pthread_barrier_t both;

NOINLINE void lock_for_ever(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
}

static void *locks_both(void *arg)
{
	long first = (long)arg;

	prctl(PR_SET_NAME, first ? "dead_1" : "dead_0");
	pthread_mutex_lock(&dead[first]);
	pthread_barrier_wait(&both);
	lock_for_ever(&dead[!first]);
	return NULL;
}

static void deadlock(void)
{
	pthread_t thread;

	pthread_barrier_init(&both, NULL, 3);
	for (long i = 0; i < 2; i++)
		pthread_create(&thread, NULL, locks_both, (void *)i);
	pthread_barrier_wait(&both);
}

static void obey(const char *line)
{
	long a = 0, b = 0;
	char word[16] = "";

	sscanf(line, "%15s %ld %ld", word, &a, &b);
	if (strcmp(word, "threads") == 0) {
		short_threads((int)a);
		puts("threads");
	} else if (strcmp(word, "quiet") == 0) {
		quiet_locks(a);
		quiet_calls(a / 100);
		puts("quiet");
	} else if (strcmp(word, "storm") == 0) {
		storm((int)a, b, 1);
		printf("storm %ld\n", shared.sum);
	} else if (strcmp(word, "fight") == 0) {
		storm((int)a, b, 0);
		puts("fight");
	} else if (strcmp(word, "hog") == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, hog, (void *)a);
		pthread_join(thread, NULL);
		puts("hog");
	} else if (strcmp(word, "deadlock") == 0) {
		deadlock();
		puts("deadlock");
	} else if (strcmp(word, "exit") == 0) {
		exit((int)a);
	}
	fflush(stdout);
}

int main(void)
{
	char line[128];

	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return 0;
}
