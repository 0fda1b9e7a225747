/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What syscall(SYS_futex, ...) returns and what errno is after it, of every operation: nothing to
 * wait for, time limits, signals, bad arguments, the seventh argument, memory that is gone. Each
 * ROUNDS times (argv[1]), since what records may be on its way. One line each, the same in every
 * run.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

#define PRIVATE FUTEX_PRIVATE_FLAG
#define MS 1000000LL

static _Atomic uint32_t word, other;
static _Atomic int ready;
static int rounds;

static long futex(void *at, int op, uint32_t value, const void *limit, void *second, uint32_t third)
{
	return syscall(SYS_futex, at, op, value, limit, second, third);
}

static void say(const char *name, long result, int error)
{
	printf("%s %ld %s\n", name, result, result < 0 ? strerror(error) : "-");
}

/* Says what it is when it differs from the round before, which is once. */
#define CHECK(name, call)                                                             \
	do {                                                                          \
		long before = LONG_MIN;                                               \
		int error_before = 0;                                                 \
		for (int round = 0; round < rounds; round++) {                        \
			errno = 77;                                                   \
			long result = (call);                                         \
			int error = errno;                                            \
			if (result != before || error != error_before)                \
				say(name, result, error);                             \
			if (result >= 0 && error != 77)                               \
				printf("%s: errno was changed to %d\n", name, error); \
			before = result;                                              \
			error_before = error;                                         \
		}                                                                     \
	} while (0)

static struct timespec after(clockid_t clock, int64_t ns)
{
	struct timespec now;

	clock_gettime(clock, &now);
	ns += now.tv_sec * 1000000000LL + now.tv_nsec;
	return (struct timespec){ ns / 1000000000, ns % 1000000000 };
}

static void bad_arguments(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct timespec bad = { 0, -1 }, none = { 0, 0 };

	munmap(page, 4096);
	CHECK("another value", futex(&word, FUTEX_WAIT | PRIVATE, 1, NULL, NULL, 0));
	CHECK("another value, shared", futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
	CHECK("another value, bits", futex(&word, FUTEX_WAIT_BITSET | PRIVATE, 1, NULL, NULL, 1));
	CHECK("no bits to wait for", futex(&word, FUTEX_WAIT_BITSET | PRIVATE, 0, NULL, NULL, 0));
	CHECK("no bits to wake", futex(&word, FUTEX_WAKE_BITSET | PRIVATE, 1, NULL, NULL, 0));
	CHECK("wait, memory gone", futex(page, FUTEX_WAIT | PRIVATE, 0, NULL, NULL, 0));
	CHECK("wait, memory gone, shared", futex(page, FUTEX_WAIT, 0, NULL, NULL, 0));
	CHECK("wake, memory gone", futex(page, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0));
	CHECK("wake, memory gone, shared", futex(page, FUTEX_WAKE, 1, NULL, NULL, 0));
	CHECK("wait, not aligned", futex((char *)&word + 1, FUTEX_WAIT, 0, NULL, NULL, 0));
	CHECK("wake, not aligned", futex((char *)&word + 2, FUTEX_WAKE, 1, NULL, NULL, 0));
	CHECK("wait, NULL", futex(NULL, FUTEX_WAIT | PRIVATE, 0, NULL, NULL, 0));
	CHECK("wait, no address", futex((void *)INTPTR_MIN, FUTEX_WAIT, 0, NULL, NULL, 0));
	CHECK("wake, no address", futex((void *)INTPTR_MIN, FUTEX_WAKE, 1, NULL, NULL, 0));
	CHECK("bad limit", futex(&word, FUTEX_WAIT | PRIVATE, 0, &bad, NULL, 0));
	CHECK("limit gone", futex(&word, FUTEX_WAIT | PRIVATE, 0, page, NULL, 0));
	CHECK("no time", futex(&word, FUTEX_WAIT | PRIVATE, 0, &none, NULL, 0));
	CHECK("no operation", futex(&word, 99, 0, NULL, NULL, 0));
	CHECK("no call", syscall(511, 1, 2, 3, 4, 5, 6));
	CHECK("no call beyond", syscall(100000, 1, 2, 3, 4, 5, 6));
	CHECK("negative call", syscall(-1, 1, 2, 3, 4, 5, 6));
}

static void limits(void)
{
	const struct timespec short_time = { 0, MS };

	CHECK("limit", futex(&word, FUTEX_WAIT | PRIVATE, 0, &short_time, NULL, 0));
	CHECK("limit, shared", futex(&word, FUTEX_WAIT, 0, &short_time, NULL, 0));
	for (int i = 0; i < 2; i++) {
		struct timespec end = after(CLOCK_MONOTONIC, MS), now = after(CLOCK_REALTIME, MS);
		CHECK("end", futex(&word, FUTEX_WAIT_BITSET | PRIVATE, 0, &end, NULL, 1));
		CHECK("end by the clock",
			futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME | PRIVATE, 0, &now,
				NULL, 1));
	}
}

/* ---------------------------------------------------------------- with a second thread */

static void *waiter(void *op)
{
	ready = 1;
	long result = futex(&word, (int)(intptr_t)op, 0, NULL, NULL, 4);

	return (void *)result;
}

static pthread_t start(void *(*run)(void *), int op)
{
	const struct timespec moment = { 0, 2 * MS };
	pthread_t thread;

	ready = 0;
	pthread_create(&thread, NULL, run, (void *)(intptr_t)op);
	while (!ready)
		;
	nanosleep(&moment,
		NULL); /* it is in the call, most likely; if not, the wake waits for it */
	return thread;
}

static long join(pthread_t thread)
{
	void *result;

	pthread_join(thread, &result);
	return (long)result;
}

/* Until it wakes one: it may not have begun to wait. */
static long wake_one(int op, uint32_t third)
{
	long result;

	while ((result = futex(&word, op, 1, (void *)1L, &other, third)) == 0)
		sched_yield();
	return result;
}

static void wakes(void)
{
	static const struct {
		const char *name;
		int wait, wake;
		uint32_t third;
	} rows[] = {
		{ "wake", FUTEX_WAIT | PRIVATE, FUTEX_WAKE | PRIVATE, 0 },
		{ "wake shared", FUTEX_WAIT, FUTEX_WAKE, 0 },
		{ "wake bits", FUTEX_WAIT_BITSET | PRIVATE, FUTEX_WAKE_BITSET | PRIVATE, 4 },
		{ "wake op", FUTEX_WAIT | PRIVATE, FUTEX_WAKE_OP | PRIVATE,
			FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_EQ, 1) },
		{ "requeue", FUTEX_WAIT | PRIVATE, FUTEX_REQUEUE | PRIVATE, 0 },
		{ "compare and requeue", FUTEX_WAIT | PRIVATE, FUTEX_CMP_REQUEUE | PRIVATE, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		pthread_t thread = start(waiter, rows[i].wait);
		say(rows[i].name, wake_one(rows[i].wake, rows[i].third), 0);
		say("woken", join(thread), 0);
	}
	pthread_t thread = start(waiter, FUTEX_WAIT_BITSET | PRIVATE);
	CHECK("wake other bits", futex(&word, FUTEX_WAKE_BITSET | PRIVATE, 9, NULL, NULL, 8));
	CHECK("requeue, other value",
		futex(&word, FUTEX_CMP_REQUEUE | PRIVATE, 1, (void *)1L, &other, 5));
	say("wake bits at last", wake_one(FUTEX_WAKE_BITSET | PRIVATE, 4), 0);
	join(thread);
	CHECK("wake nothing", futex(&word, FUTEX_WAKE | PRIVATE, 1, NULL, NULL, 0));
}

static void *pi_waiter(void *op)
{
	ready = 1;
	long result = futex(&word, (int)(intptr_t)op, 0, NULL, NULL, 0);

	if (result == 0)
		futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
	return (void *)result;
}

static void pi_locks(void)
{
	static const int ops[] = { FUTEX_LOCK_PI | PRIVATE, FUTEX_LOCK_PI2 | PRIVATE };

	for (int i = 0; i < 2; i++) {
		word = (uint32_t)syscall(SYS_gettid);
		CHECK("lock again", futex(&word, ops[i], 0, NULL, NULL, 0));
		pthread_t thread = start(pi_waiter, ops[i]);
		say("unlock", futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), errno);
		say("locked", join(thread), 0);
		word = 0;
		CHECK("unlock of none", futex(&word, FUTEX_UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0));
		word = 0;
	}
}

/* ---------------------------------------------------------------- signals */

static _Atomic int handled;

static void note(int signal)
{
	(void)signal;
	handled++;
}

/* A limit that does not come, by op: the result of the call, or its error negated. */
static void *interrupted(void *op)
{
	const struct timespec far = { 60, 0 };
	struct timespec end = after(CLOCK_MONOTONIC, 60000 * MS);
	int command = (int)(intptr_t)op & FUTEX_CMD_MASK;

	ready = 1;
	long result = futex(&word, (int)(intptr_t)op, 0, command == FUTEX_WAIT_BITSET ? &end : &far,
		NULL, 4);
	return (void *)(result < 0 ? -(long)errno : result);
}

static void *unlimited(void *op)
{
	ready = 1;
	long result = futex(&word, (int)(intptr_t)op, 0, NULL, NULL, 4);

	return (void *)(result < 0 ? -(long)errno : result);
}

/* Signals until the call has ended: one may have come before it. */
static long signal_until_end(pthread_t thread)
{
	const struct timespec moment = { 0, MS };
	void *result;

	do {
		pthread_kill(thread, SIGUSR1);
		nanosleep(&moment, NULL);
	} while (pthread_tryjoin_np(thread, &result) == EBUSY);
	return (long)result;
}

static void say_end(const char *name, long result)
{
	say(name, result < 0 ? -1 : result, (int)-result);
}

static void signals(void)
{
	static const int ops[] = { FUTEX_WAIT | PRIVATE, FUTEX_WAIT_BITSET | PRIVATE, FUTEX_WAIT };
	struct sigaction action = { .sa_handler = note };

	for (int i = 0; i < 3; i++) {
		action.sa_flags = 0;
		sigaction(SIGUSR1, &action, NULL);
		say_end("interrupted", signal_until_end(start(unlimited, ops[i])));
		say_end("interrupted with a limit", signal_until_end(start(interrupted, ops[i])));
		action.sa_flags = SA_RESTART;
		sigaction(SIGUSR1, &action, NULL);
		say_end("restarted with a limit", signal_until_end(start(interrupted, ops[i])));
		pthread_t thread = start(unlimited, ops[i]);
		for (int before = handled; handled < before + 3;)
			pthread_kill(thread, SIGUSR1);
		wake_one(FUTEX_WAKE | (ops[i] & PRIVATE), 0);
		say_end("restarted", join(thread));
	}
}

int main(int argc, char **argv)
{
	rounds = argc > 1 ? atoi(argv[1]) : 100;
	bad_arguments();
	limits();
	wakes();
	pi_locks();
	signals();
	return 0;
}
