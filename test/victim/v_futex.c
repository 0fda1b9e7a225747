// SPDX-License-Identifier: Apache-2.0
/*
 * Waits on futexes by syscall(), one kind for each operation. For each line on stdin
 *
 *   KIND HOLD_MS WAITERS
 *
 * main starts WAITERS threads that wait for its word, goes on HOLD_MS after the last has come, and
 * wakes them all. Prints "KIND waited NS charged NS": the time that the waiters measured around
 * their calls, and how much of it had passed when main woke them. KINDs with lock_ in front wait
 * inside a function that is called as GLib's is in which mutexes wait. "quiet N" makes each call N
 * times without anything to wait or wake for, "both HOLD_MS WAITERS" lets half of the waiters wait
 * for a pthread mutex. Ends with status 0 with its stdin.
 *
 * Calls: turn -> give_up -> wake_KIND, waiter -> wait_for (or g_mutex_lock_slowpath).
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

#define WAITERS_MAX 64
#define BIT 4u
#define PRIVATE FUTEX_PRIVATE_FLAG
#define NOINLINE __attribute__((noinline)) static

static _Atomic uint32_t word, other;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct kind {
	const char *name;
	int wait;
	void (*wake)(void);
};

static struct {
	const struct kind *kind;
	int64_t hold_ns;
	int waiters;
	int of_mutex; /* those that wait for the mutex instead */
	int as_lock;
	_Atomic int arrived;
	int64_t start_ns[WAITERS_MAX], end_ns[WAITERS_MAX];
} round;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void rest(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	nanosleep(&t, NULL);
}

/* ---------------------------------------------------------------- waking */

NOINLINE void wake_plain(void)
{
	syscall(SYS_futex, &word, FUTEX_WAKE | PRIVATE, INT_MAX);
}

NOINLINE void wake_shared(void)
{
	syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX);
}

NOINLINE void wake_bitset(void)
{
	syscall(SYS_futex, &word, FUTEX_WAKE_BITSET | PRIVATE, INT_MAX, NULL, NULL, BIT);
}

/* The first call wakes nothing. */
NOINLINE void wake_other_bit(void)
{
	syscall(SYS_futex, &word, FUTEX_WAKE_BITSET | PRIVATE, INT_MAX, NULL, NULL, BIT << 1);
}

NOINLINE void wake_op(void)
{
	syscall(SYS_futex, &other, FUTEX_WAKE_OP | PRIVATE, 1, INT_MAX, &word,
		FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, 1));
}

NOINLINE void wake_requeue(void)
{
	syscall(SYS_futex, &word, FUTEX_REQUEUE | PRIVATE, INT_MAX, 1, &other);
}

NOINLINE void wake_cmp_requeue(void)
{
	syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE | PRIVATE, INT_MAX, 1, &other, 1);
}

NOINLINE void wake_pi(void)
{
	uint32_t mine = (uint32_t)syscall(SYS_gettid);

	if (!atomic_compare_exchange_strong(&word, &mine, 0))
		syscall(SYS_futex, &word, FUTEX_UNLOCK_PI | PRIVATE);
}

static const struct kind kinds[] = {
	{ "plain", FUTEX_WAIT | PRIVATE, wake_plain },
	{ "shared", FUTEX_WAIT, wake_shared },
	{ "bitset", FUTEX_WAIT_BITSET | PRIVATE, wake_bitset },
	{ "other_bit", FUTEX_WAIT_BITSET | PRIVATE, wake_bitset },
	{ "op", FUTEX_WAIT | PRIVATE, wake_op },
	{ "requeue", FUTEX_WAIT | PRIVATE, wake_requeue },
	{ "cmp_requeue", FUTEX_WAIT | PRIVATE, wake_cmp_requeue },
	{ "pi", FUTEX_LOCK_PI | PRIVATE, wake_pi },
	{ "pi2", FUTEX_LOCK_PI2 | PRIVATE, wake_pi },
	{ "timed", FUTEX_WAIT | PRIVATE, wake_plain },
};

static const struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	fprintf(stderr, "no kind %s\n", name);
	exit(2);
}

static int is_pi(void)
{
	return round.kind->wake == wake_pi;
}

/* ---------------------------------------------------------------- waiting */

NOINLINE long wait_for(int op, const struct timespec *limit)
{
	return syscall(SYS_futex, &word, op, 0, limit, NULL, BIT);
}

NOINLINE long g_mutex_lock_slowpath(int op, const struct timespec *limit)
{
	return syscall(SYS_futex, &word, op, 0, limit, NULL, BIT);
}

NOINLINE void wait_until_woken(void)
{
	int64_t limit_ns = round.hold_ns / 2;
	struct timespec limit = { limit_ns / 1000000000, limit_ns % 1000000000 };
	int timed = strcmp(round.kind->name, "timed") == 0;
	long (*wait)(int, const struct timespec *) =
		round.as_lock ? g_mutex_lock_slowpath : wait_for;

	if (is_pi())
		wait(round.kind->wait, NULL);
	else
		while (!word && wait(round.kind->wait, timed ? &limit : NULL) == 0)
			;
}

NOINLINE void wait_for_mutex(void)
{
	pthread_mutex_lock(&mutex);
}

NOINLINE void leave_mutex(void)
{
	pthread_mutex_unlock(&mutex);
}

static void *waiter(void *arg)
{
	int i = (int)(intptr_t)arg;

	round.start_ns[i] = now_ns();
	round.arrived++;
	if (i < round.of_mutex)
		wait_for_mutex();
	else
		wait_until_woken();
	round.end_ns[i] = now_ns();
	if (i < round.of_mutex)
		leave_mutex();
	else if (is_pi())
		wake_pi();
	return NULL;
}

NOINLINE void give_up(void)
{
	if (is_pi()) {
		wake_pi();
		return;
	}
	word = 1;
	round.kind->wake();
	if (round.of_mutex)
		leave_mutex();
}

static void turn(const char *name, int hold_ms, int waiters, int of_mutex)
{
	pthread_t threads[WAITERS_MAX];
	int64_t waited_ns = 0, charged_ns = 0, end_ns;
	int i;

	round.as_lock = strncmp(name, "lock_", 5) == 0;
	round.kind = kind_of(round.as_lock ? name + 5 : name);
	round.hold_ns = hold_ms * 1000000LL;
	round.waiters = waiters;
	round.of_mutex = of_mutex;
	round.arrived = 0;
	word = is_pi() ? (uint32_t)syscall(SYS_gettid) : 0;
	if (of_mutex)
		pthread_mutex_lock(&mutex);
	for (i = 0; i < waiters; i++)
		pthread_create(&threads[i], NULL, waiter, (void *)(intptr_t)i);
	while (round.arrived < waiters)
		rest(100000);
	rest(round.hold_ns / 2);
	if (strcmp(round.kind->name, "other_bit") == 0)
		wake_other_bit();
	rest(round.hold_ns / 2);
	end_ns = now_ns();
	give_up();
	for (i = 0; i < waiters; i++) {
		pthread_join(threads[i], NULL);
		waited_ns += round.end_ns[i] - round.start_ns[i];
		charged_ns += end_ns - round.start_ns[i];
	}
	printf("%s waited %lld charged %lld\n", of_mutex ? "both" : name, (long long)waited_ns,
		(long long)charged_ns);
}

static void quiet(int count)
{
	size_t i;

	word = 1;
	while (count--)
		for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
			round.kind = &kinds[i];
			if (!is_pi())
				wait_for(round.kind->wait, NULL);
			round.kind->wake();
		}
	puts("quiet");
}

int main(void)
{
	char line[128], name[32];
	int hold_ms, waiters;

	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "quiet %d", &hold_ms) == 1)
			quiet(hold_ms);
		else if (sscanf(line, "both %d %d", &hold_ms, &waiters) == 2)
			turn("plain", hold_ms, waiters, waiters / 2);
		else if (sscanf(line, "%31s %d %d", name, &hold_ms, &waiters) == 3)
			turn(name, hold_ms, waiters, 0);
	}
	return 0;
}
