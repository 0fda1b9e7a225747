/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways out in which threads end one by one, and races between ways out. stdout is buffered.
 *
 *   f_ends HOW [MS]     MS: after how long (0)
 *
 * raw: main ends by the raw system call with status 0, a thread goes on and ends as threads do.
 * raw-last: main leaves by pthread_exit, the last thread ends by the raw system call. raw-alone:
 * main is alone and ends by it, with status 4. cancelled: main cancels the last thread and leaves.
 * destructor: the last thread's key destructor starts yet another one. keys: it calls exit(5).
 * detached: exit(8) beside detached threads in malloc and locks. many: eight threads end at once
 * after main. two: two threads call exit(3) at once. atexit: a handler calls exit(6). dlclose: a
 * handler closes a library. timer: main leaves by pthread_exit, libc's own thread calls exit(7).
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t key;
static pthread_barrier_t together;
static void *library;
static int life_us;

static void rest(int us)
{
	const struct timespec time = { us / 1000000, us % 1000000 * 1000L };
	if (us)
		nanosleep(&time, NULL);
}

static void say_end(void)
{
	puts("exit handlers");
}

static void *live(void *arg)
{
	void *volatile block = malloc(100);
	rest(life_us);
	free(block);
	puts("thread");
	return arg;
}

static void *live_raw(void *arg)
{
	live(arg);
	fflush(stdout);
	syscall(SYS_exit, 0);
	return NULL;
}

static void *live_together(void *arg)
{
	free(malloc(100));
	rest(life_us);
	pthread_barrier_wait(&together);
	return arg;
}

static void *exit_together(void *arg)
{
	live_together(arg);
	exit(3);
}

static void *wait_for_ever(void *arg)
{
	printf("waits\n");
	pthread_barrier_wait(&together);
	for (;;)
		pause();
	return arg;
}

static void *use_much(void *arg)
{
	pthread_detach(pthread_self());
	for (;;) {
		pthread_mutex_lock(&lock);
		free(malloc((size_t)rand() % 5000));
		pthread_mutex_unlock(&lock);
	}
	return arg;
}

static void start(void *(*run)(void *), int count)
{
	pthread_t thread;
	while (count--)
		pthread_create(&thread, NULL, run, NULL);
}

static void start_another(void *arg)
{
	(void)arg;
	puts("destructor");
	start(live, 1);
}

static void exit_5(void *arg)
{
	(void)arg;
	exit(5);
}

static void *live_with_key(void *arg)
{
	live(arg);
	pthread_setspecific(key, &key);
	return arg;
}

static void exit_again(void)
{
	exit(6);
}

static void close_library(void)
{
	dlclose(library);
	puts("closed");
}

static void on_timer(union sigval value)
{
	(void)value;
	exit(7);
}

static void start_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD };
	struct itimerspec when = { .it_value = { 0, life_us * 1000L + 1 } };
	timer_t timer;
	event.sigev_notify_function = on_timer;
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &when, NULL);
}

static void leave(const char *how)
{
	pthread_t thread;

	if (!strcmp(how, "raw")) {
		fflush(stdout);
		start(live, 1);
		syscall(SYS_exit, 0);
	}
	if (!strcmp(how, "raw-last"))
		start(live_raw, 1);
	if (!strcmp(how, "raw-alone")) {
		rest(life_us);
		fflush(stdout);
		syscall(SYS_exit, 4);
	}
	if (!strcmp(how, "cancelled")) {
		pthread_create(&thread, NULL, wait_for_ever, NULL);
		pthread_barrier_wait(&together);
		rest(life_us);
		pthread_cancel(thread);
	}
	if (!strcmp(how, "destructor")) {
		pthread_key_create(&key, start_another);
		start(live_with_key, 1);
	}
	if (!strcmp(how, "keys")) {
		pthread_key_create(&key, exit_5);
		start(live_with_key, 1);
	}
	if (!strcmp(how, "detached")) {
		start(use_much, 4);
		rest(life_us);
		exit(8);
	}
	if (!strcmp(how, "many"))
		start(live_together, 8);
	if (!strcmp(how, "two")) {
		start(exit_together, 2);
		pause();
	}
	if (!strcmp(how, "atexit")) {
		atexit(exit_again);
		rest(life_us);
		exit(2);
	}
	if (!strcmp(how, "dlclose")) {
		library = dlopen("libz.so.1", RTLD_NOW);
		atexit(close_library);
		rest(life_us);
		exit(2);
	}
	if (!strcmp(how, "timer"))
		start_timer();
	pthread_exit(NULL);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "many";

	life_us = argc > 2 ? (int)(strtod(argv[2], NULL) * 1000) : 0;
	pthread_barrier_init(&together, NULL, !strcmp(how, "many") ? 8 : 2);
	if (strcmp(how, "two"))
		atexit(say_end);
	puts("begins");
	leave(how);
}
