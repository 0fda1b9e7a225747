/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts about one process, from /proc/PID (proc(5)): its names, what it uses, whether an agent is
 * in it and where that serves.
 *
 * Pids are those of the mounted /proc, which shows one pid namespace: a process in an inner one has
 * another pid for itself.
 *
 * Context: PA_AGENT, any of our threads. No lock, no cache; one descriptor is open at a time. After
 * a chroot of the program /proc cannot be reached, and nothing is found.
 */
#ifndef PA_PROC_PROCESS_H
#define PA_PROC_PROCESS_H

#include <sys/types.h>

#include "address.h"

#define PA_PROC_PROCESS_NAME_BYTES 64
#define PA_PROC_PROCESS_LINK_BYTES 64   /* of a link to what has no path */
#define PA_PROC_PROCESS_TICKS_PER_S 100 /* USER_HZ on all machines that Linux supports here */

struct pa_proc_process {
	pid_t pid, ppid;
	uint64_t start_ticks; /* since the machine's start */
	uint64_t cpu_ticks;   /* user and system, all threads */
	uint64_t rss_bytes;
	uint64_t threads;
	char program[PA_PROC_PROCESS_NAME_BYTES]; /* as in comm: arbitrary bytes */
};

/* False: there is no such process, or it cannot be read. */
PA_AGENT bool pa_proc_process_read(pid_t pid, struct pa_proc_process *out);

/* Parses /proc/PID/stat. False: it is of another form. */
PA_AGENT bool pa_proc_process_parse(const char *stat, struct pa_proc_process *out);

/* Pid of this process in /proc; 0: /proc cannot be read. */
PA_AGENT pid_t pa_proc_process_self(void);

/* True if the real and the effective user of the process are those of this one. *inner: its own
 * getpid(), which differs in an inner pid namespace; may be NULL. */
PA_AGENT bool pa_proc_process_is_of_user(pid_t pid, pid_t *inner);

/* A network namespace: "net:[4026531840]"; "": unknown. */
struct pa_proc_process_network {
	char link[PA_PROC_PROCESS_LINK_BYTES];
};
PA_AGENT struct pa_proc_process_network pa_proc_process_own_network(void);

/* False: it is in another one, or this is unknown. */
PA_AGENT bool pa_proc_process_is_in_network(pid_t pid,
	const struct pa_proc_process_network *network);

/* Arguments separated by spaces, as ps(1) shows them; "": none, a kernel thread or a zombie. */
PA_AGENT void pa_proc_process_cmdline(pid_t pid, char *text, size_t size);

/* Path of its file; "": unknown. */
PA_AGENT void pa_proc_process_exe(pid_t pid, char *text, size_t size);

enum pa_proc_process_state {
	PA_PROC_PROCESS_NONE,     /* no agent is in it */
	PA_PROC_PROCESS_INERT,    /* an agent is in it, but does not serve */
	PA_PROC_PROCESS_STARTING, /* the same, of a process that began just now */
	PA_PROC_PROCESS_SERVING
};

struct pa_proc_process_agent {
	enum pa_proc_process_state state;
	uint16_t port;             /* SERVING: from the name of its thread; 0: a unix socket */
	pid_t server_tid;          /* SERVING */
	struct pa_address address; /* of a unix socket; otherwise unknown */
};

/*
 * Looks at the names of its threads; at the descriptors of an agent's thread without a port, for a
 * unix socket; and at its mappings if no thread is the agent's. A name can be given by any program:
 * the result is a claim. age_ticks: since the start of the process. *place: where among its threads
 * the server was in a process before, and is in this one; 0 at first. Processes of one program have
 * it at one place, so that the names of the threads before it are not read.
 */
PA_AGENT struct pa_proc_process_agent pa_proc_process_find_agent(pid_t pid, uint64_t age_ticks,
	uint32_t *place);

/* Ticks since the machine's start, as start_ticks. */
PA_AGENT uint64_t pa_proc_process_now_ticks(void);

#endif
