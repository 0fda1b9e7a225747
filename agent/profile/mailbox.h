/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mailbox of the collector: other threads put in a request and wait for its result.
 *
 * A fixed number of slots, each with one word of state; no lock, so that a request can be given up
 * at any time and a forked child only has to empty the slots.
 *
 * Context: PA_AGENT; pa_mailbox_ask on any thread but the collector, pa_mailbox_answer on the
 * collector only. The snapshot of a request belongs to its caller. When all slots are taken:
 * -EBUSY.
 */
#ifndef PA_MAILBOX_H
#define PA_MAILBOX_H

#include "../base/atomic.h"
#include "snapshot.h"

enum pa_mailbox_op {
	PA_MAILBOX_COPY,         /* returns a snapshot of the kind */
	PA_MAILBOX_BEGIN,        /* calls begin of the kind */
	PA_MAILBOX_END,          /* calls end of the kind */
	PA_MAILBOX_COPY_AND_END, /* returns a snapshot as of argument.end_ns, and calls end */
	PA_MAILBOX_SYNC          /* no action: waits until everything recorded has been handled */
};

/* Memory that argument points to belongs to the caller and must exist until _END was answered. */
struct pa_mailbox_request {
	enum pa_mailbox_op op;
	const struct pa_profile_ops *kind;
	union pa_profile_ops_argument argument;
};

/* Executes a request on the collector. Returns the caller's error. The snapshot is published in
 * *snapshot (release) before it is filled: a forked child frees what it finds there. */
typedef int pa_mailbox_perform_fn(const struct pa_mailbox_request *request,
	PA_ATOMIC(struct pa_snapshot *) *snapshot);

#define PA_MAILBOX_TIMEOUT_NS (10 * PA_NS_PER_S)

/*
 * Makes the collector execute a request after everything recorded before this call. Returns 0,
 * -ETIMEDOUT, -EBUSY (no slot) or -ENOMEM. *snapshot (may be NULL if op returns none) then belongs
 * to the caller.
 */
PA_API int pa_mailbox_ask(const struct pa_mailbox_request *request, struct pa_snapshot **snapshot);

/* Executes the requests that can be executed now. True: others wait for records to be read. */
PA_AGENT bool pa_mailbox_answer(pa_mailbox_perform_fn *perform);

/* Our threads that waited were suspended; those of the program still wait. */
PA_AGENT void pa_mailbox_forget_agents(void);

/* In a forked child: the waiting threads do not exist. */
PA_BOOT void pa_mailbox_atfork_child(void);

#endif
