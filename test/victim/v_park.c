/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that are blocked in known calls, in functions called park_KIND, to be looked at. Obeys
 * lines on stdin, and answers when all threads that it started are where they belong:
 *
 *   states      one thread of each kind, called like it: "states KIND=TID ... main=TID"; main holds
 *               the mutex, "join" joins "nanosleep"
 *   many N      N threads of the kinds that block in libc, in turn: "many TID ..."
 *   masked      "masked library=TID raw=TID": threads that block all signals by pthread_sigmask,
 *               and by the system call itself
 *   raw         "raw shared=TID own=TID none=TID": threads made by clone, that have main's
 *               thread-local memory, zeros of their own, and none
 *   status      signal fields of /proc/self/status: "status SigPnd=.. ShdPnd=.. SigBlk=.. ..."
 *   end         lets all of them go, waits for their ends: "end N" (how many), and ends
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline)) static
#define THREADS_MAX 4096

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, of_cond = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem;
static int gate[2]; /* a pipe; readable for ever when its other end is closed */
static int epoll;
static _Atomic int ended;
static _Atomic uint32_t raw_gate;

static struct member {
	pthread_t thread;
	const struct kind *kind;
	_Atomic int tid;
	int joined;
} members[THREADS_MAX];
static int count;

/* ---------------------------------------------------------------- where they are blocked */

NOINLINE void park_mutex(void)
{
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
}

NOINLINE void park_cond(void)
{
	pthread_mutex_lock(&of_cond);
	while (!ended)
		pthread_cond_wait(&cond, &of_cond);
	pthread_mutex_unlock(&of_cond);
}

NOINLINE void park_sem(void)
{
	while (sem_wait(&sem))
		;
	sem_post(&sem);
}

NOINLINE void park_read(void)
{
	char byte;

	while (read(gate[0], &byte, 1) != 0)
		;
}

NOINLINE void park_epoll_wait(void)
{
	struct epoll_event event;

	while (!ended)
		epoll_wait(epoll, &event, 1, -1);
}

NOINLINE void park_poll(void)
{
	struct pollfd fd = { .fd = gate[0], .events = POLLIN };

	while (poll(&fd, 1, -1) < 1)
		;
}

NOINLINE void park_select(void)
{
	fd_set set;

	do {
		FD_ZERO(&set);
		FD_SET(gate[0], &set);
	} while (select(gate[0] + 1, &set, NULL, NULL, NULL) < 1);
}

NOINLINE void park_nanosleep(void)
{
	struct timespec t = { .tv_nsec = 900000000 };

	while (!ended)
		nanosleep(&t, NULL);
}

/* Its frame is found by the frame pointer: the compiler does not know how large it is. */
NOINLINE void park_array(void)
{
	struct pollfd fds[count % 2 + 1];

	do {
		memset(fds, 0, sizeof(fds));
		fds[0] = (struct pollfd){ .fd = gate[0], .events = POLLIN };
	} while (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 1 && !ended);
}

NOINLINE void park_rdlock(void)
{
	pthread_rwlock_rdlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
}

NOINLINE void park_wrlock(void)
{
	pthread_rwlock_wrlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
}

NOINLINE void park_barrier(void)
{
	pthread_barrier_wait(&barrier);
}

NOINLINE void park_join(void)
{
	for (int i = 0; i < count; i++)
		if (!members[i].joined && members[i].thread != pthread_self()) {
			members[i].joined = 1;
			pthread_join(members[i].thread, NULL);
			return;
		}
}

NOINLINE void park_running(void)
{
	static volatile unsigned long work;

	while (!ended)
		work++;
}

typedef void park_fn(void);

static const struct kind {
	const char *name;
	park_fn *park;
	int once; /* not among many */
	int spins;
} kinds[] = {
	{ "nanosleep", park_nanosleep, 0, 0 }, /* the first: park_join joins it */
	{ "join", park_join, 1, 0 },
	{ "mutex", park_mutex, 0, 0 },
	{ "cond", park_cond, 0, 0 },
	{ "sem", park_sem, 0, 0 },
	{ "read", park_read, 0, 0 },
	{ "epoll_wait", park_epoll_wait, 0, 0 },
	{ "poll", park_poll, 0, 0 },
	{ "select", park_select, 0, 0 },
	{ "array", park_array, 1, 0 },
	{ "rdlock", park_rdlock, 1, 0 },
	{ "wrlock", park_wrlock, 1, 0 },
	{ "barrier", park_barrier, 1, 0 },
	{ "running", park_running, 1, 1 },
};

#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

/* ---------------------------------------------------------------- the threads */

static void *run(void *arg)
{
	struct member *self = arg;

	pthread_setname_np(pthread_self(), self->kind->name);
	self->tid = (int)syscall(SYS_gettid);
	self->kind->park();
	return NULL;
}

/* Until it is asleep, where only its last call can have put it. */
static void wait_asleep(int tid)
{
	char path[64], text[256];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	for (;;) {
		FILE *f = fopen(path, "r");
		int asleep = !f || (fgets(text, sizeof(text), f) && strstr(text, ") S "));

		if (f)
			fclose(f);
		if (asleep)
			return;
		usleep(100);
	}
}

static int begin(const struct kind *kind)
{
	struct member *member = &members[count];
	pthread_attr_t attr;

	if (count == THREADS_MAX)
		exit(1);
	member->kind = kind;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	if (pthread_create(&member->thread, &attr, run, member))
		exit(1);
	pthread_attr_destroy(&attr);
	while (!member->tid)
		usleep(10);
	count++;
	if (!kind->spins)
		wait_asleep(member->tid);
	return member->tid;
}

static void begin_states(void)
{
	printf("states");
	for (int i = 0; i < KINDS; i++)
		printf(" %s=%d", kinds[i].name, begin(&kinds[i]));
	printf(" main=%d\n", getpid());
}

static void begin_many(int wanted)
{
	printf("many");
	for (int i = 0; wanted > 0; i = (i + 1) % KINDS)
		if (!kinds[i].once) {
			printf(" %d", begin(&kinds[i]));
			wanted--;
		}
	putchar('\n');
}

NOINLINE void park_masked(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	park_sem();
}

NOINLINE void park_raw_masked(void)
{
	unsigned long all = ~0UL;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all));
	park_sem();
}

static void begin_masked(void)
{
	static const struct kind library = { "library", park_masked, 1, 0 },
				 raw = { "raw", park_raw_masked, 1, 0 };

	printf("masked library=%d", begin(&library));
	printf(" raw=%d\n", begin(&raw));
}

/* ---------------------------------------------------------------- threads that libc knows
 * nothing of */

#define RAW_BYTES 65536

enum tls { SHARED, OWN, NONE };

static struct raw {
	char stack[RAW_BYTES] __attribute__((aligned(64)));
	uint64_t tls[RAW_BYTES / 8];
	_Atomic int32_t tid; /* the kernel clears it at its end */
	_Atomic int woken;
} raws[3];

static long raw_syscall(long number, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

/* Neither this nor what it calls may touch thread-local memory: it has none, or another's. */
NOINLINE int park_raw(void *arg)
{
	struct raw *self = arg;

	while (!raw_gate) {
		raw_syscall(SYS_futex, (long)&raw_gate, FUTEX_WAIT, 0, 0);
		self->woken++;
	}
	return 0;
}

static int begin_raw(enum tls tls)
{
	struct raw *raw = &raws[tls];
	uint64_t *own = &raw->tls[RAW_BYTES / 16];
	int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
		CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |
		(tls == SHARED ? 0 : CLONE_SETTLS);

	own[0] = own[2] = (uintptr_t)own; /* what the ABI wants at the thread pointer */
	if (clone(park_raw, raw->stack + RAW_BYTES, flags, raw, &raw->tid, tls == OWN ? own : NULL,
		    &raw->tid) < 0)
		exit(1);
	wait_asleep(raw->tid);
	return raw->tid;
}

static void begin_raws(void)
{
	printf("raw shared=%d", begin_raw(SHARED));
	printf(" own=%d", begin_raw(OWN));
	printf(" none=%d\n", begin_raw(NONE));
}

static int end_raws(void)
{
	int there = 0;

	for (int i = 0; i < 3; i++)
		there += raws[i].tid != 0;
	raw_gate = 1;
	syscall(SYS_futex, &raw_gate, FUTEX_WAKE, 99, NULL);
	for (int i = 0; i < 3; i++)
		while (raws[i].tid)
			usleep(100);
	return there;
}

/* ---------------------------------------------------------------- main */

static void print_status(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256], name[32], value[32];

	printf("status");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%31[^:]: %31s", name, value) == 2 &&
			(!strncmp(name, "Sig", 3) || !strcmp(name, "ShdPnd")))
			printf(" %s=%s", name, value);
	putchar('\n');
	fclose(f);
}

static void end_all(void)
{
	char to_barrier = 0;
	int raw;

	pthread_mutex_lock(&of_cond);
	ended = 1;
	pthread_mutex_unlock(&of_cond);
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	pthread_rwlock_unlock(&rwlock);
	sem_post(&sem);
	close(gate[1]);
	for (int i = 0; i < count; i++)
		to_barrier |= members[i].kind->park == park_barrier;
	if (to_barrier)
		pthread_barrier_wait(&barrier);
	for (int i = 0; i < count; i++)
		if (members[i].kind->park == park_nanosleep)
			pthread_kill(members[i].thread, SIGUSR1);
	for (int i = 0; i < count; i++)
		if (!members[i].joined)
			pthread_join(members[i].thread, NULL);
	raw = end_raws();
	printf("end %d\n", count + raw);
}

static void on_signal(int number)
{
	(void)number;
}

static int prepare(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct epoll_event event = { .events = EPOLLIN };

	sigaction(SIGUSR1, &action, NULL); /* ends nanosleep */
	pthread_mutex_lock(&mutex);
	pthread_rwlock_wrlock(&rwlock);
	pthread_barrier_init(&barrier, NULL, 2);
	sem_init(&sem, 0, 0);
	epoll = epoll_create1(0);
	return pipe(gate) || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, gate[0], &event);
}

int main(void)
{
	char line[64];

	if (prepare())
		return 1;
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "states\n"))
			begin_states();
		else if (!strncmp(line, "many ", 5))
			begin_many(atoi(line + 5));
		else if (!strcmp(line, "masked\n"))
			begin_masked();
		else if (!strcmp(line, "raw\n"))
			begin_raws();
		else if (!strcmp(line, "status\n"))
			print_status();
		else if (!strcmp(line, "end\n")) {
			end_all();
			return 0;
		}
		fflush(stdout);
	}
	return 1;
}
