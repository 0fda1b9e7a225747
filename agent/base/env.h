/*
 * Settings: all PPROFAGENT_* variables, read once in the constructor, before any thread of ours
 * exists. The one list of them is the table in env.c.
 *
 * Context: PA_BOOT; afterwards the struct is constant and may be read anywhere.
 * A bad address means "do not serve", any other bad value its default; either way one line on
 * stderr, and the program runs on. Values are decimal; sizes take k, M, G.
 */
#ifndef PA_ENV_H
#define PA_ENV_H

#include "base.h"

enum pa_symbols_mode { PA_SYMBOLS_LINES, PA_SYMBOLS_NAMES, PA_SYMBOLS_NONE };
/* Of a loopback listener. DEFAULT only while settings are read. */
enum pa_peers { PA_PEERS_DEFAULT, PA_PEERS_USER, PA_PEERS_ALL };
enum pa_log_level { PA_LOG_OFF, PA_LOG_ERROR, PA_LOG_INFO };

#define PA_ENV_TEXT_BYTES 256

/* Profiles that are written to files when the program ends. */
enum pa_exit_file {
	PA_EXIT_CPU,
	PA_EXIT_HEAP,
	PA_EXIT_ALLOCS,
	PA_EXIT_BLOCK,
	PA_EXIT_MUTEX,
	PA_EXIT_FILES
};

struct pa_settings {
	bool enabled;        /* false: completely inert (PPROFAGENT_ENABLED, or AT_SECURE) */
	bool launcher;       /* this program only hands the agent on (PPROFAGENT_PROGRAMS) */
	bool serving;        /* an address to listen on is set and was good */
	bool children;       /* forked and exec'ed children are profiled too */
	bool shell;          /* and what it starts shall know that it has siblings */
	bool of_shell;       /* started by such a one: says nothing of a port that is in use */
	bool child;          /* the parent had the agent: the marker in the environment says so */
	enum pa_log_level log;
	enum pa_symbols_mode symbols;
	uint64_t heap_rate_bytes; /* mean bytes between heap samples; 1 = all, 0 = off */
	uint64_t block_rate_ns;   /* ns of waiting for one recorded wait; 1 = all, 0 = off */
	uint64_t mutex_fraction;  /* one in so many contended critical sections; 1 = all, 0 = off */
	unsigned cpu_hz;          /* 1..1000 */
	unsigned stack_depth;     /* 1..512 frames */
	size_t buffer_bytes;      /* ring, power of two */
	size_t flight_bytes;      /* of the flight recorder; 0 = none */
	int signal;               /* number of the agent's own signal */
	char address[PA_ENV_TEXT_BYTES]; /* as given, for messages: "localhost:6053" */
	char host[PA_ENV_TEXT_BYTES];    /* "localhost", "" = all interfaces */
	uint16_t port;                   /* 0 = the kernel picks */
	char hosts[PA_ENV_TEXT_BYTES];   /* further Host names that may be asked for, comma list */
	enum pa_peers peers;             /* whose requests are answered on a loopback address */
	char programs[PA_ENV_TEXT_BYTES]; /* globs of programs to profile; "" = all but launchers */
	char token[PA_ENV_TEXT_BYTES];   /* "" = none; never shown or logged */
	char exit_files[PA_EXIT_FILES][PA_ENV_TEXT_BYTES]; /* names with %p %e %t; "" = none */
};

/*
 * Fills *settings from environ and says what is wrong with it. exe: basename of /proc/self/exe.
 * Never fails.
 */
PA_BOOT void pa_env_read(struct pa_settings *settings, char **environ_now, const char *exe);

/*
 * For the agent page: calls emit(arg, variable, value as resolved, default as text) for each
 * setting in the order of the table; the token shows only as "set" or "".
 */
PA_AGENT void pa_env_list(const struct pa_settings *settings,
	void (*emit)(void *arg, const char *variable, const char *value, const char *preset),
	void *arg);

/*
 * The environment marker by which an exec'ed child knows that its parent had the agent:
 * PPROFAGENT_PARENT=<pid>, of a shell that is inert -<pid>. Put into the environment by agent.c.
 */
#define PA_ENV_MARKER "PPROFAGENT_PARENT"

#endif
