/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libc shims: replacements of libc functions for civetweb, libdw, libunwind and the other libraries
 * in the core.
 *
 * These libraries are linked statically into libpprofagent-core.so: their calls are bound to the
 * definitions here at link time, and no other object sees these symbols. The shims keep the
 * libraries from changing state that belongs to the program: the statistics of its allocator,
 * signal dispositions, low descriptors, children, working directory, ids, its exit. Fortified and
 * 64-bit variants are names of their own; `make lint` reports those that are used and missing here.
 *
 * malloc and its family: the allocator behind our hooks; before the bridge is set a small static
 *     area, whose blocks free() ignores.
 * mmap: in the range of addresses where the program maps nothing (libc_mmap.c, base/arena.h).
 * sigaction, signal: SIGPIPE is never changed. sigprocmask: does nothing, all signals are blocked.
 * pthread_create: creates a thread of the agent.
 * pthread_join, usleep: the waiting thread can be asked to leave (base/thread_slot.h).
 * pthread_cond_init, _wait ...: the waiting thread can be asked to leave (base/thread_slot.h).
 * pthread_key_create, pthread_setspecific ...: without keys of libc (libc_keys.c).
 * socket, bind, listen, setsockopt: return the socket that listen.c made, and do not change it.
 * getsockname: of that socket, an IPv4 address, whatever family it has.
 * accept, poll: on that socket, use the connection queue (conn_queue.h).
 * accept4, open, openat, pipe, pipe2: close-on-exec, descriptors >= 100 in the program's table.
 * recv: records the connection of the thread; stops at the end of the header. shutdown: not of a
 *     connection that is kept. send: without SIGPIPE; give_up (below) ends a stalled one.
 * fork, vfork, popen, exec*, posix_spawn, system, kill, waitpid, ptrace, chdir, dup2, setuid,
 *     setgid, setgroups, dlopen: fail.
 * exit, _exit, abort, error, __assert_fail, and failed checks of the compiler (libc_checks.c): stop
 *     the calling thread forever; the program continues.
 * gmtime_r, gmtime, localtime, strftime: read no time zone, write no static buffer of the program's
 *     (libc_time.c).
 *
 * Context: PA_AGENT, and the constructors of our libraries. No lock.
 */
#ifndef PA_LIBC_SHIMS_H
#define PA_LIBC_SHIMS_H

#include "../base/base.h"

/* Resets the hand-over; also in a forked child. */
PA_AGENT void pa_libc_shims_init(void);

/* The next socket() call of any thread returns listen_fd; bind() and the like do nothing to it.
 * accept() on it uses the connection queue. */
PA_AGENT void pa_libc_shims_hand_over(int listen_fd);

/* Returns the descriptor handed over last and not taken back; -1: none. */
PA_AGENT int pa_libc_shims_listener(void);

/* Ends the hand-over. Returns the descriptor if no socket() call took it; otherwise -1. */
PA_AGENT int pa_libc_shims_take_back(void);

/* Returns the connection that the calling thread received from last; -1: none. */
PA_AGENT int pa_libc_shims_connection(void);

/* shutdown() leaves the connection open: a duplicate of its descriptor stays in use. */
PA_AGENT void pa_libc_shims_keep_connection(void);
PA_AGENT void pa_libc_shims_release_connection(void);

/* The connection of the calling thread is closed. */
PA_AGENT void pa_libc_shims_forget_connection(void);

/* While the calling thread waits for its client, give_up(ns since this call) is called repeatedly.
 * When it returns true, send() fails with EPIPE and poll() with ETIMEDOUT. NULL: never give up. */
PA_AGENT void pa_libc_shims_set_give_up(bool (*give_up)(int64_t waited_ns));

#endif
