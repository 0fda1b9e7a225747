/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent as one would build it at first: hooks that call libunwind on the spot, CPU samples by
 * ITIMER_PROF and SIGPROF, a stock HTTP server in the constructor, mg_stop at exit and in forked
 * children. Rows of the fault matrix have to fail under it. It serves texts that look like answers,
 * and no profiles.
 */
#define UNW_LOCAL_ONLY
#include <civetweb.h>
#include <dlfcn.h>
#include <errno.h>
#include <libunwind.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define DEPTH 128

static __thread int inside;
static __thread char scratch[12000];
static unsigned long events;
static struct mg_context *server;

static void capture(void)
{
	void *pcs[DEPTH];
	inside = 1;
	snprintf(scratch, sizeof(scratch), "%d frames", unw_backtrace(pcs, DEPTH));
	__atomic_add_fetch(&events, 1, __ATOMIC_RELAXED);
	inside = 0;
}

/* ---- hooks ---- */

static void *(*real_malloc)(size_t);
static void (*real_free)(void *);
static int (*real_lock)(pthread_mutex_t *);
static int (*real_trylock)(pthread_mutex_t *);

static void *next(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

void *malloc(size_t size)
{
	if (!real_malloc)
		real_malloc = next("malloc");
	if (!inside)
		capture();
	return real_malloc(size);
}

void free(void *pointer)
{
	if (!real_free)
		real_free = next("free");
	if (!inside && pointer)
		capture();
	real_free(pointer);
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!real_lock)
		real_lock = next("pthread_mutex_lock");
	if (!real_trylock)
		real_trylock = next("pthread_mutex_trylock");
	if (real_trylock(mutex) == 0)
		return 0;
	if (!inside)
		capture();
	return real_lock(mutex);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	return pthread_mutex_lock(mutex);
}

/* ---- CPU samples ---- */

static void on_tick(int number)
{
	(void)number;
	capture();
}

static void take_profile(unsigned seconds)
{
	struct sigaction action = { .sa_handler = on_tick };
	struct itimerval on = { { 0, 1000 }, { 0, 1000 } }, off = { { 0, 0 }, { 0, 0 } };
	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &on, NULL);
	sleep(seconds);
	setitimer(ITIMER_PROF, &off, NULL);
	signal(SIGPROF, SIG_DFL);
}

/* ---- HTTP ---- */

static int answer(struct mg_connection *conn, void *arg)
{
	(void)arg;
	char text[256], decoded[256];
	const struct mg_request_info *info = mg_get_request_info(conn);
	const char *query = info->query_string ? info->query_string : "";
	if (strstr(info->local_uri, "/profile")) {
		const char *seconds = strstr(query, "seconds=");
		take_profile(seconds ? (unsigned)atoi(seconds + 8) : 30);
	}
	mg_url_decode(query, (int)strlen(query), decoded, sizeof(decoded), 0);
	snprintf(text, sizeof(text), "%lu events\n", events);
	mg_printf(conn, "HTTP/1.1 200 OK\r\nX-Query: %s\r\nContent-Length: %zu\r\n\r\n%s", decoded,
		strlen(text), text);
	return 200;
}

static void serve(void)
{
	const char *address = getenv("PPROFAGENT_ADDRESS");
	const char *options[] = { "listening_ports", address ? address : "6053", NULL };
	server = mg_start(NULL, NULL, options);
	if (server)
		mg_set_request_handler(server, "/", answer, NULL);
}

static void stop(void)
{
	if (server)
		mg_stop(server);
	server = NULL;
}

static void in_child(void)
{
	stop();
	serve();
}

__attribute__((constructor)) static void begin(void)
{
	serve();
	pthread_atfork(NULL, NULL, in_child);
}

__attribute__((destructor)) static void end(void)
{
	stop();
}
