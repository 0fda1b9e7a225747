/*
 * The guest: what civetweb, libdw, libunwind and their like find in place of libc's functions.
 *
 * Those libraries are static parts of libpprofagent-core.so: their calls are bound to these names
 * when it is linked, and nobody else sees them. They keep our libraries from changing what belongs
 * to the program: its memory allocator's statistics, signal dispositions, low descriptors,
 * children, directory, ids, its very life. A fortified or 64-bit form of a name is a name of its
 * own; `make lint` says which are in use and are not here.
 *
 * malloc and its family: the allocator behind our hooks; before the bridge is set a small static
 *     area, recognised for ever.
 * sigaction, signal: SIGPIPE is never touched. pthread_create: a thread of the agent.
 * pthread_cond_init, _wait ...: a thread that waits can be asked to leave (base/seat.h).
 * socket, bind, listen, setsockopt: hand out the socket that listen.c made, and leave it alone.
 * accept, poll: on that socket, go through the gate.
 * accept4, open, pipe, pipe2: close-on-exec, descriptors >= 100 where possible.
 * recv: notes whose request a thread is reading. send: no SIGPIPE, and patience as http.c says.
 * fork, vfork, popen, exec*, posix_spawn, system, kill, waitpid, ptrace, chdir, dup2, setuid,
 *     setgid, setgroups, dlopen: refused.
 * exit, _exit, abort, error, __assert_fail, and failed checks of the compiler (guest_checks.c): the
 *     thread stops for ever, the program does not.
 * gmtime, localtime: do not write the program's static buffer.
 *
 * Context: PA_AGENT, and the constructors of our libraries.
 */
#ifndef PA_GUEST_H
#define PA_GUEST_H

#include "../base/base.h"

/* Nothing handed over; in a forked child as well. */
PA_AGENT void pa_guest_init(void);

/*
 * The next socket() of anybody gives listen_fd; bind() and the like do nothing to it. accept() on
 * it goes through the gate.
 */
PA_AGENT void pa_guest_hand_over(int listen_fd);

/* What was handed over last, and is not taken back; -1: nothing. */
PA_AGENT int pa_guest_listener(void);

/* Ends the hand-over. The descriptor when nobody took it, else -1. */
PA_AGENT int pa_guest_take_back(void);

/* The connection that the calling thread received from last; -1: none. */
PA_AGENT int pa_guest_connection(void);

/*
 * From now on, when the calling thread waits for its client, give_up(ns since this call) decides
 * now and then whether to go on: else send() ends with EPIPE, poll() with ETIMEDOUT. NULL: always
 * go on.
 */
PA_AGENT void pa_guest_patience(bool (*give_up)(int64_t waited_ns));

#endif
