/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders the end of the program's threads and the start of agent threads.
 *
 * libc ends the process, with exit handlers and streams, when its count of threads falls to 0
 * (pthread_exit(3)). An agent thread is in that count from within pthread_create() until it removes
 * itself. If the program's last thread ended in between, it would end without ending the process,
 * and its descriptors would stay open. So an agent thread is created only while a thread of the
 * program exists that has not begun to end, and no thread of the program passes that point before
 * the agent thread has left the count.
 *
 * Context: PA_APP. No lock: both sides write to one word, and read there what the other side did
 * before. A thread that ends by a raw exit(2) call is never seen to end; libc keeps counting it,
 * too.
 */
#ifndef PA_THREAD_ENDS_H
#define PA_THREAD_ENDS_H

#include "thread.h"

/* At boot: the calling thread is the program's only one. */
PA_BOOT void pa_thread_ends_boot(struct pa_thread *self);

/* In a new thread of the program, before its start routine. */
PA_APP void pa_thread_ends_thread_begin(struct pa_thread *self);

/* When the calling thread of the program ends: waits, bounded, until agent threads being created
 * have left libc's count. No effect when called again for the thread. errno kept. */
PA_APP void pa_thread_ends_thread_end(struct pa_thread *self);

/*
 * Before an agent thread is created. When all known threads of the program are about to end, waits
 * for that: up to a second, since other threads may live on, of libc or of clone(2).
 * pa_thread_ends_agent_came: the new thread has left libc's count and is registered, or could not
 * be created.
 */
PA_APP void pa_thread_ends_expect_agent(void);
PA_APP void pa_thread_ends_agent_came(void);

/* While an agent thread is expected, a list of threads contains one that cannot be distinguished
 * from the program's: waits until none is expected. */
PA_APP void pa_thread_ends_await_agents(int64_t timeout_ns);
PA_SIGNAL uint32_t pa_thread_ends_expected_agents(void);

/* In a forked child: the calling thread is the only one. */
PA_BOOT void pa_thread_ends_atfork_child(struct pa_thread *self);

#endif
