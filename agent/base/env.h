/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings: all PPROFAGENT_* variables, read once in the constructor, before any agent thread
 * exists. The table in env.c is the only list of them.
 *
 * Context: PA_BOOT; afterwards the struct is constant and readable from any context.
 * An invalid address or token means "do not serve", any other invalid value its default; either way
 * one line on stderr, and the program runs on. Values are decimal; sizes take k, M, G.
 */
#ifndef PA_ENV_H
#define PA_ENV_H

#include "atomic.h"
#include "base.h"

enum pa_env_unnamed { PA_ENV_UNNAMED_FUNCTION, PA_ENV_UNNAMED_NONE };
enum pa_env_symbols { PA_ENV_SYMBOLS_LINES, PA_ENV_SYMBOLS_NAMES, PA_ENV_SYMBOLS_NONE };
/* Which users are answered on a loopback address or a unix socket. DEFAULT occurs only while
 * settings are read. */
enum pa_env_peers { PA_ENV_PEERS_DEFAULT, PA_ENV_PEERS_USER, PA_ENV_PEERS_ALL };
/* When the hooks of an allocator inside the program are used: never, while a profile of N seconds
 * is taken, or always. */
enum pa_env_hooks { PA_ENV_HOOKS_OFF, PA_ENV_HOOKS_SECONDS, PA_ENV_HOOKS_ON };
/* The label "thread" of samples: the name, the name without its numbers, none. */
enum pa_env_thread_label {
	PA_ENV_THREAD_LABEL_NAME,
	PA_ENV_THREAD_LABEL_POOL,
	PA_ENV_THREAD_LABEL_OFF
};
enum pa_env_log { PA_ENV_LOG_OFF, PA_ENV_LOG_ERROR, PA_ENV_LOG_INFO };

#define PA_ENV_TEXT_BYTES 256

/* Profiles written to files when the program ends. */
enum pa_env_exit_file {
	PA_ENV_EXIT_CPU,
	PA_ENV_EXIT_HEAP,
	PA_ENV_EXIT_ALLOCS,
	PA_ENV_EXIT_BLOCK,
	PA_ENV_EXIT_MUTEX,
	PA_ENV_EXIT_COUNT
};

struct pa_settings {
	bool enabled;    /* false: inert (PPROFAGENT_ENABLED, or AT_SECURE) */
	bool launcher;   /* not profiled, only passes the agent on (PPROFAGENT_PROGRAMS) */
	bool serving;    /* a valid address to listen on is set */
	bool cpu_shared; /* CPU profiles share without being asked (PPROFAGENT_CPU_SHARED) */
	bool children;   /* profile forked and exec'ed children too */
	bool shell;      /* a launcher that is a shell: what it starts has siblings */
	bool of_shell;   /* started by a shell: no message when the port is in use */
	bool child;      /* the environment marker says that the parent had the agent */
	enum pa_env_log log;
	enum pa_env_symbols symbols;
	enum pa_env_unnamed unnamed; /* names for functions of stripped files */
	enum pa_env_thread_label thread_label;
	uint64_t heap_rate_bytes; /* mean bytes between heap samples; 1 = all, 0 = off */
	enum pa_env_hooks allocator_hooks;
	/* pprofagent.h changes them while the program runs; relaxed. Mean ns of waiting per
	 * recorded wait; one in so many contended critical sections. 1 = all, 0 = off. */
	PA_ATOMIC(uint64_t) block_rate_ns, mutex_fraction;
	unsigned cpu_hz;                 /* 1..1000 */
	unsigned stack_depth;            /* 1..512 frames */
	size_t buffer_bytes;             /* ring, power of two */
	size_t flight_bytes;             /* of the flight recorder; 0 = none */
	int signal;                      /* number of the agent's own signal */
	char address[PA_ENV_TEXT_BYTES]; /* as given, for messages: "localhost:6053" */
	char host[PA_ENV_TEXT_BYTES];    /* "localhost", "" = all interfaces */
	uint16_t port;                   /* 0 = the kernel chooses */
	/* Of a unix socket, with %p and %%; "" = none: host and port. */
	char socket_path[PA_ENV_TEXT_BYTES];
	char hosts[PA_ENV_TEXT_BYTES];    /* further accepted Host names, comma list */
	enum pa_env_peers peers;          /* users that are answered on this machine */
	char programs[PA_ENV_TEXT_BYTES]; /* globs of programs to profile; "" = all but launchers */
	char token[PA_ENV_TEXT_BYTES];    /* "" = none; never shown or logged */
	char exit_files[PA_ENV_EXIT_COUNT][PA_ENV_TEXT_BYTES]; /* names with %p %e %t; "" = none */
};

/*
 * Fills *settings from environ and reports invalid values. exe: basename of /proc/self/exe. Never
 * fails.
 */
PA_BOOT void pa_env_read(struct pa_settings *settings, char **environ_now, const char *exe);

/* As getenv(3), which the program may define itself (ksh93), and which may not work before main. */
PA_BOOT const char *pa_env_value(char **environ_now, const char *variable);

/*
 * For the agent page: calls emit(arg, variable, resolved value, default as text) for each setting
 * in table order; the token shows only as "set" or "".
 */
PA_AGENT void pa_env_list(const struct pa_settings *settings,
	void (*emit)(void *arg, const char *variable, const char *value, const char *preset),
	void *arg);

/*
 * The environment marker that tells an exec'ed child that its parent had the agent:
 * PPROFAGENT_PARENT=<pid>, of an inert shell -<pid>. agent.c puts it into the environment.
 */
#define PA_ENV_MARKER "PPROFAGENT_PARENT"

#endif
