/*
 * The end of the program's threads against the start of ours.
 *
 * libc ends the process, exit handlers and streams included, when its count of threads falls to 0.
 * A thread of ours is in that count from within pthread_create() until it takes itself out. If the
 * program's last thread ended meanwhile, it would leave without ending the process, and its
 * descriptors with it. So a thread of ours is only created while a thread of the program is there
 * that has not begun to end, and none of them goes past that point before ours is out of the count.
 *
 * No lock: both sides write to one word, and see in it what the other one has done before.
 * A thread that ends by the raw system call is never seen to end: libc counts it for ever, too.
 */
#ifndef PA_ENDS_H
#define PA_ENDS_H

#include "thread.h"

/* The calling thread is the program's only one. */
PA_BOOT void pa_ends_boot(struct pa_thread *self);

/* In a new thread of the program, before its start routine. */
PA_APP void pa_ends_thread_begin(struct pa_thread *self);

/* The calling thread of the program ends. Waits, a bounded time, until those of ours that are being
 * created are out of libc's count. Again for the same thread: nothing. errno kept. */
PA_APP void pa_ends_thread_end(struct pa_thread *self);

/*
 * Before a thread of ours is created. When all threads of the program that we know of are about to
 * end, waits for that: up to a second, since there may be others that live on, of libc's own or by
 * clone(). pa_ends_agent_came: the new thread is out of libc's count and known as ours, or it could
 * not be created.
 */
PA_AGENT void pa_ends_expect_agent(void);
PA_AGENT void pa_ends_agent_came(void);

/* A list of threads that is made while one of ours is expected has one that nothing tells from the
 * program's: waits until there is none. */
PA_AGENT void pa_ends_await_agents(int64_t timeout_ns);
PA_SIGNAL uint32_t pa_ends_expected_agents(void);

/* In a forked child: the calling thread is the only one. */
PA_BOOT void pa_ends_atfork_child(struct pa_thread *self);

#endif
