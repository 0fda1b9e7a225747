/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What reference/main.go does, in C and with threads: the program that is asked through the agent.
 * Arguments and commands are described there; the address is not used here, and what
 * PPROFAGENT_ settings say is not an argument. Functions that are looked for in profiles have the
 * same names.
 *
 * What only the agent's public header can do (custom profiles, labels) is left out where there is
 * none, and without effect where the agent does not know it.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if __has_include("pprofagent.h")
#include "pprofagent.h"
#define HAS_API 1
#else
#define HAS_API 0
#endif

#define NOINLINE __attribute__((noinline)) static
#define THREADS_MAX 64
#define NS_PER_MS 1000000LL
#define NS_PER_S 1000000000LL

static void **kept;
static int kept_count;
static volatile uint64_t spun;
static const char *volatile last; /* tells functions apart that would be merged */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void rest(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	nanosleep(&t, NULL);
}

static void start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, arg))
		abort();
	pthread_detach(thread);
}

/* ---------------------------------------------------------------- the agent's API */

static void label(const char *worker)
{
#if HAS_API
	const char *const pairs[] = { "worker", worker, "k2", "v 2", NULL };

	pprofagent_set_labels(pairs);
#else
	(void)worker;
#endif
}

#if HAS_API
NOINLINE void member(pprofagent_profile *profile, const void *value)
{
	pprofagent_profile_add(profile, value, 0);
}
#endif

static void make_custom(const char *name)
{
#if HAS_API
	static const char values[2];
	pprofagent_profile *profile;

	if (pprofagent_profile_new(name, &profile) == 0) {
		member(profile, &values[0]);
		member(profile, &values[1]);
	}
#else
	(void)name;
#endif
}

/* ---------------------------------------------------------------- memory */

NOINLINE void keeper(int count, size_t size)
{
	for (int i = 0; i < count; i++) {
		kept[kept_count] = malloc(size);
		memset(kept[kept_count++], 1, size);
	}
}

NOINLINE void churner(int count, size_t size)
{
	for (int i = 0; i < count; i++) {
		void *block = malloc(size);
		memset(block, 1, size);
		free(block);
	}
}

static void drop(void)
{
	while (kept_count)
		free(kept[--kept_count]);
}

static void keep(int count, size_t size)
{
	kept = realloc(kept, sizeof(*kept) * (size_t)(kept_count + count));
	keeper(count, size);
}

/* ---------------------------------------------------------------- CPU and idle threads */

NOINLINE void burner(int64_t until_ns)
{
	while (now_ns() < until_ns) {
		for (uint64_t i = 0; i < 100000; i++)
			spun += i * i;
	}
}

static void *burn(void *arg)
{
	label("burner");
	burner(now_ns() + (intptr_t)arg * NS_PER_MS);
	puts("burnt");
	return NULL;
}

static pthread_mutex_t never_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

NOINLINE void parker(void)
{
	pthread_mutex_lock(&never_lock);
	for (;;)
		pthread_cond_wait(&never, &never_lock);
}

static void *park(void *arg)
{
	label("parker");
	parker();
	return arg;
}

/* ---------------------------------------------------------------- contention */

static struct {
	pthread_mutex_t lock;
	_Atomic int waiting;
	_Atomic int64_t since_ns; /* sum of the times when they came, from start_ns on */
	int64_t start_ns;
} section = { .lock = PTHREAD_MUTEX_INITIALIZER };

NOINLINE void leaver(void)
{
	last = "leaver";
	pthread_mutex_unlock(&section.lock);
}

NOINLINE void taker(void)
{
	pthread_mutex_lock(&section.lock);
}

NOINLINE void first(void)
{
	last = "first";
	pthread_mutex_unlock(&section.lock);
}

NOINLINE void second(void)
{
	last = "second";
	pthread_mutex_unlock(&section.lock);
}

static void *waiter(void *arg)
{
	section.since_ns += now_ns() - section.start_ns;
	section.waiting++;
	taker();
	leaver();
	return arg;
}

/* One critical section. The result is what the waiters had waited when it ended. */
static int64_t hold(void (*leave)(void), int64_t length_ns, int waiters)
{
	pthread_t thread[THREADS_MAX];

	section.waiting = 0;
	section.since_ns = 0;
	section.start_ns = now_ns();
	pthread_mutex_lock(&section.lock);
	for (int i = 0; i < waiters; i++) {
		if (pthread_create(&thread[i], NULL, waiter, NULL))
			abort();
	}
	while (section.waiting < waiters)
		rest(NS_PER_MS);
	rest(length_ns);
	int64_t waited_ns = waiters * (now_ns() - section.start_ns) - section.since_ns;
	leave();
	for (int i = 0; i < waiters; i++)
		pthread_join(thread[i], NULL);
	return waited_ns;
}

/* ---------------------------------------------------------------- commands */

static void *where(const char *name)
{
	static const struct {
		const char *name;
		void *function;
	} functions[] = { { "keeper", (void *)keeper }, { "churner", (void *)churner },
		{ "burner", (void *)burner }, { "first", (void *)first } };

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (strcmp(functions[i].name, name) == 0)
			return functions[i].function;
	}
	return NULL;
}

static int obey(const char *line)
{
	char name[32];
	long count, size;
	int waiters;

	if (sscanf(line, "keep %ld %ld", &count, &size) == 2) {
		keep((int)count, (size_t)size);
		puts("kept");
	} else if (strcmp(line, "drop\n") == 0) {
		drop();
		puts("dropped");
	} else if (sscanf(line, "churn %ld %ld", &count, &size) == 2) {
		churner((int)count, (size_t)size);
		puts("churned");
	} else if (sscanf(line, "contend %31s %ld %d", name, &count, &waiters) == 3 &&
		waiters <= THREADS_MAX) {
		printf("contended %" PRId64 "\n",
			hold(strcmp(name, "first") == 0 ? first : second, count * NS_PER_MS,
				waiters));
	} else if (sscanf(line, "burn %ld", &count) == 1) {
		start(burn, (void *)(intptr_t)count);
		puts("burning");
	} else if (sscanf(line, "park %ld", &count) == 1) {
		while (count-- > 0)
			start(park, NULL);
		puts("parked");
	} else if (sscanf(line, "where %31s", name) == 1) {
		printf("where %p\n", where(name));
	} else {
		return 0;
	}
	return 1;
}

int main(int argc, char **argv)
{
	char line[128];

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "custom=", 7) == 0)
			make_custom(argv[i] + 7);
	}
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		if (!obey(line))
			return 1;
	}
	return 0;
}
