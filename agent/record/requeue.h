/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals with the agent's number that the program sends to itself.
 *
 * A mask of all signals is set without the agent's (hooks/hook_signal.c), so a thread that has
 * blocked all signals still receives it. Such a thread hides the signal: the program relies on its
 * being blocked. From the first signal with this number that the program sends to itself, the
 * agent's handler stays installed in front of the program's (pa_disposition_share). A hiding thread
 * that receives the signal blocks it and requeues it where it came from: another thread takes it,
 * or it stays pending, as without the agent. From then on the thread's mask is the program's.
 *
 * Order: a requeued signal precedes those queued after it, up to PA_REQUEUE_BEHIND. pa_requeue_lock
 * blocks the program's own senders meanwhile. Two hiding threads that receive two signals at the
 * same moment may swap them.
 *
 * Context: as marked. Lock: a latch. No memory.
 */
#ifndef PA_REQUEUE_H
#define PA_REQUEUE_H

#include <signal.h>
#include <ucontext.h>

#include "../base/base.h"
#include "../base/latch.h"

#define PA_REQUEUE_BEHIND 64

/* State of the calling thread; written by it, and by the agent's handler on it. */
struct pa_requeue_self {
	/* The set that sigwait or a similar call waits for, without the agent's signal; the handler
	 * adds it. In TLS and not on the stack: the call may never return (siglongjmp). */
	sigset_t waits;
	bool settled; /* its mask is exactly the program's: nothing is hidden */
};
extern PA_TLS struct pa_requeue_self pa_requeue_self PA_HIDDEN;

/* A thread hides the signal, or has hidden it. */
PA_SIGNAL void pa_requeue_note_hidden(void);
PA_SIGNAL bool pa_requeue_is_hidden(void);

/* Before the program queues the signal, with a value, to this thread and not to the process:
 * siginfo_t does not distinguish the two. */
PA_SIGNAL void pa_requeue_note_thread(int32_t tid);

/* Around code that queues the signal, by the program or the agent. errno kept. */
PA_SIGNAL struct pa_latch_hold pa_requeue_lock(void);
PA_SIGNAL void pa_requeue_unlock(struct pa_latch_hold hold);

/*
 * In the agent's handler, in state SHARED: true when the interrupted thread hides the signal, which
 * is requeued. False: deliver it to this thread. by_mask: a call with a temporary mask (sigsuspend,
 * ppoll) let it through; such a mask expresses intent, and the context has the mask that the thread
 * continues with. errno kept.
 */
PA_SIGNAL bool pa_requeue_signal(int signal, const siginfo_t *info, ucontext_t *context,
	bool by_mask);

/*
 * Queues the signal where it came from. rt_sigqueueinfo(2) lets a thread resend a siginfo of
 * kill(2) only to itself, and only the main thread may do so to the process: another thread sends
 * it anew, with the program as sender when that was the case.
 */
PA_SIGNAL void pa_requeue_put_back(int signal, const siginfo_t *info);

/* In a forked child: the lock is free. */
PA_BOOT void pa_requeue_atfork_child(void);

#endif
