/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every call that waits for descriptors, or sleeps, returns when signals end it, or are let in
 * by its mask, and when its thread is cancelled, in the call and before. One line each, the same in
 * every run.
 */
#include "calls.h"

static struct timespec minute_left;

static struct timespec *left_of_minute(void)
{
	minute_left = (struct timespec){ 0 };
	return &minute_left;
}

static struct pollfd *one_fd(void)
{
	static _Thread_local struct pollfd p;

	p = (struct pollfd){ .fd = fd.pipe[0], .events = POLLIN };
	return &p;
}

static fd_set *one_set(void)
{
	static _Thread_local fd_set s;

	FD_ZERO(&s);
	FD_SET(fd.pipe[0], &s);
	return &s;
}

static struct timeval *one_minute(void)
{
	static _Thread_local struct timeval t;

	t = (struct timeval){ .tv_sec = MINUTE };
	return &t;
}

static const struct timespec minute = { .tv_sec = MINUTE };
static struct epoll_event event;

#define CALLS(X)                                                                           \
	X(read, READ(fd.pipe[0]))                                                          \
	X(read_socket, READ(fd.pair[0]))                                                   \
	X(recv, RECV(fd.pair[0], 0))                                                       \
	X(recvfrom, RECVFROM(fd.pair[0], 0))                                               \
	X(recvmsg, recvmsg(fd.pair[0], message(), 0))                                      \
	X(accept, accept(fd.listener, NULL, NULL))                                         \
	X(accept4, accept4(fd.listener, NULL, NULL, 0))                                    \
	X(poll, poll(one_fd(), one, -1))                                                   \
	X(poll_timed, poll(one_fd(), one, MINUTE * 1000))                                  \
	X(ppoll, ppoll(one_fd(), one, NULL, NULL))                                         \
	X(ppoll_timed, ppoll(one_fd(), one, &minute, NULL))                                \
	X(select, select(64, one_set(), NULL, NULL, NULL))                                 \
	X(select_timed, select(64, one_set(), NULL, NULL, one_minute()))                   \
	X(pselect, pselect(64, one_set(), NULL, NULL, NULL, NULL))                         \
	X(pselect_timed, pselect(64, one_set(), NULL, NULL, &minute, NULL))                \
	X(epoll_wait, epoll_wait(fd.epoll, &event, 1, -1))                                 \
	X(epoll_pwait, epoll_pwait(fd.epoll, &event, 1, MINUTE * 1000, NULL))              \
	X(nanosleep, nanosleep(&minute, left_of_minute()))                                 \
	X(clock_nanosleep, clock_nanosleep(CLOCK_MONOTONIC, 0, &minute, left_of_minute())) \
	X(thrd_sleep, thrd_sleep(&minute, left_of_minute()))                               \
	X(usleep, usleep(MINUTE * 1000000))                                                \
	X(sleep, sleep(MINUTE) >= MINUTE - 1)                                              \
	X(poll_nothing, poll(NULL, 0, -1))

#define DEFINE(name, call)           \
	static long in_##name(void)  \
	{                            \
		return (long)(call); \
	}
CALLS(DEFINE)

static const struct call {
	const char *name;
	long (*call)(void);
} calls[] = {
#define ROW(name, call) { #name, in_##name },
	CALLS(ROW)
};

static struct {
	const struct call *call;
	_Atomic int tid, go, signals;
	long result;
	int error, back, cleaned;
} now;

static void on_signal(int number)
{
	(void)number;
	now.signals++;
}

static void clean(void *arg)
{
	(void)arg;
	now.cleaned = 1;
}

static void *makes_call(void *arg)
{
	int old;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	now.tid = (int)syscall(SYS_gettid);
	while (!now.go)
		sched_yield();
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
	pthread_cleanup_push(clean, NULL);
	errno = UNTOUCHED;
	now.result = now.call->call();
	now.error = errno;
	now.back = 1;
	pthread_cleanup_pop(0);
	return arg;
}

static void falls_asleep(int tid)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	for (int asleep = 0; !asleep;) {
		FILE *f = fopen(path, "r");

		asleep = !f || !fgets(text, sizeof(text), f) || strstr(text, ") S ");
		if (f)
			fclose(f);
		sched_yield();
	}
}

static pthread_t begin(const struct call *call)
{
	pthread_t thread;

	memset(&now, 0, sizeof(now));
	now.call = call;
	pthread_create(&thread, NULL, makes_call, NULL);
	while (!now.tid)
		sched_yield();
	return thread;
}

/* By a signal whose handler says so; else it goes on and is cancelled. */
static void interrupted(const struct call *call, int flags)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = flags };
	pthread_t thread = begin(call);
	int tid = now.tid;

	minute_left = (struct timespec){ 0 };
	sigaction(SIGUSR1, &action, NULL);
	now.go = 1;
	falls_asleep(tid);
	pthread_kill(thread, SIGUSR1);
	while (!now.signals)
		sched_yield();
	falls_asleep(tid);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	printf("%s %s: back %d %ld %s left %s\n", call->name, flags ? "restart" : "end", now.back,
		now.result, now.back ? name_of(now.error) : "",
		minute_left.tv_sec ? "some" : "none");
}

static void cancelled(const struct call *call, int pending)
{
	pthread_t thread = begin(call);
	int tid = now.tid;
	void *result;

	if (pending)
		pthread_cancel(thread);
	now.go = 1;
	if (!pending) {
		falls_asleep(tid);
		pthread_cancel(thread);
	}
	pthread_join(thread, &result);
	printf("%s cancelled %s: %d back %d cleaned %d\n", call->name, pending ? "before" : "in it",
		result == PTHREAD_CANCELED, now.back, now.cleaned);
}

/* A signal that is blocked, and let in by the call's own mask. */
static void masks(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t usr1, empty;
	struct pollfd ready = { .fd = fd.full[0], .events = POLLIN };

	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&empty);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, NULL);
	now.signals = 0;
#define MASKED(call)                                  \
	do {                                          \
		raise(SIGUSR1);                       \
		SAY(call);                            \
		printf(" signals %d\n", now.signals); \
	} while (0)
	MASKED(ppoll(one_fd(), one, NULL, &empty));
	MASKED(ppoll(one_fd(), one, SOON, &empty));
	MASKED(ppoll(&ready, one, NULL, &usr1));
	SAY(ppoll(one_fd(), one, SOON, &usr1));
	MASKED(pselect(64, one_set(), NULL, NULL, NULL, &empty));
	SAY(pselect(64, one_set(), NULL, NULL, SOON, &usr1));
	MASKED(epoll_pwait(fd.epoll, &event, 1, -1, &empty));
	MASKED(epoll_pwait(fd.epoll, &event, 1, MINUTE * 1000, &empty));
	SAY(epoll_pwait(fd.epoll, &event, 1, SOON_MS, &usr1));
	SAY(poll(one_fd(), one, SOON_MS));
	pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
}

int main(void)
{
	make_fds();
	masks();
	for (size_t i = 0; i < COUNT(calls); i++) {
		interrupted(&calls[i], 0);
		interrupted(&calls[i], SA_RESTART);
		cancelled(&calls[i], 0);
		cancelled(&calls[i], 1);
	}
	puts("calls ok");
	return 0;
}
