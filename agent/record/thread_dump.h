/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread dump: every thread of the program writes its own stack, on the agent's signal.
 *
 * Begin lists the threads; call signals them, a few dozen at a time, and returns when all have
 * answered, or PA_THREAD_DUMP_TIMEOUT_NS after the last answer; PA_THREAD_DUMP_STARVED_NS where the
 * others only wait for a processor. An answer is an event PA_EVENT_DUMP with the stack, and the
 * entry's fields below; both are complete when the entry's state is PA_THREAD_DUMP_ANSWERED and the
 * call has returned. Later answers are ignored.
 *
 * Context: begin and call PA_AGENT, one caller at a time; the answer PA_SIGNAL on the thread
 * itself. thread_dump.c owns the entries; they are unchanged until the next begin. No lock.
 * When the ring is full: threads are signalled again, in a bounded number of rounds.
 */
#ifndef PA_THREAD_DUMP_H
#define PA_THREAD_DUMP_H

#include <signal.h>
#include <ucontext.h>

#include "../base/atomic.h"
#include "../base/base.h"
#include "thread_state.h"

#define PA_THREAD_DUMP_MAX 65536u /* further threads are not listed */
#define PA_THREAD_DUMP_TIMEOUT_NS (200 * PA_NS_PER_MS)
#define PA_THREAD_DUMP_STARVED_NS (2 * PA_NS_PER_S)
#define PA_THREAD_DUMP_NAME_BYTES 16

enum pa_thread_dump_state {
	PA_THREAD_DUMP_LISTED,    /* not signalled yet */
	PA_THREAD_DUMP_SIGNALLED, /* the signal was sent */
	PA_THREAD_DUMP_WRITING,   /* the thread is writing */
	PA_THREAD_DUMP_ANSWERED,  /* fields below and event are complete */
	PA_THREAD_DUMP_FULL,      /* no room in the ring: signal it again */
	PA_THREAD_DUMP_GONE,      /* the thread has ended: do not show it */
	PA_THREAD_DUMP_SILENT     /* did not answer in time, or must not be signalled */
};

struct pa_thread_dump_entry {
	PA_ATOMIC(uint32_t) state; /* release by the thread that fills the entry, acquire by the
				    * reader */
	int32_t tid;
	int64_t cpu_ns; /* of the thread when it was signalled; the caller's */
	/* Written by the thread itself between WRITING and ANSWERED; or on its behalf, see
	 * blocked_threads.h. */
	char name[PA_THREAD_DUMP_NAME_BYTES]; /* may lack a NUL when 16 long */
	struct pa_thread_state thread;
};

struct pa_thread_dump {
	uint32_t generation; /* never 0 */
	uint32_t count;
	struct pa_thread_dump_entry *entries;
	int64_t waited_ns; /* of the call: times without an answer of PA_THREAD_DUMP_TIMEOUT_NS */
};

/* Lists the program's threads, all PA_THREAD_DUMP_LISTED. 0, -ENOMEM, or -errno of /proc. */
PA_AGENT int pa_thread_dump_begin(struct pa_thread_dump *dump);

/*
 * Signals all threads that are PA_THREAD_DUMP_LISTED. 0; -EADDRINUSE: the program uses the agent's
 * signal, and all are PA_THREAD_DUMP_SILENT; -errno, the same.
 */
PA_AGENT int pa_thread_dump_call(struct pa_thread_dump *dump);

/* In the agent's handler, for a signal of no timer. False: it is no thread dump. */
PA_SIGNAL bool pa_thread_dump_answer(const siginfo_t *info, const ucontext_t *context);

/* Waits, PA_THREAD_DUMP_TIMEOUT_NS at most, until no signal is pending for that thread; 0: for
 * any. */
PA_APP void pa_thread_dump_settle(int32_t tid);

/* In a forked child: no dump is in progress. */
PA_BOOT void pa_thread_dump_atfork_child(void);

#endif
