/*
 * The mailbox of the collector: other threads of ours put a request in and wait for the answer.
 *
 * A few slots, each one word of state; no lock, so that a request may be given up at any moment and
 * a forked child only has to empty the slots.
 *
 * Context: PA_AGENT; _ask by any of our threads but the collector, _answer by the collector only.
 * When all slots are taken, a request fails as if it had not been answered.
 */
#ifndef PA_REQUESTS_H
#define PA_REQUESTS_H

#include "../record/rollcall.h"
#include "snapshot.h"

enum pa_request_op {
	PA_REQUEST_COPY,      /* a snapshot of the kind; argument: PA_KIND_CUSTOM: which profile */
	PA_REQUEST_CPU_BEGIN, /* begin a CPU profile; argument: its period in ns */
	PA_REQUEST_CPU_END,   /* a snapshot of the CPU profile, and end it; argument: the moment it
	                         was switched off, CLOCK_MONOTONIC ns */
	PA_REQUEST_ROLL_BEGIN, /* keep answers to a rollcall, for snapshots of PA_KIND_GOROUTINE;
	                         argument: address of a struct pa_requests_roll */
	PA_REQUEST_ROLL_END,  /* forget them */
	PA_REQUEST_SYNC       /* nothing: what was recorded has been dealt with */
};

/* Belongs to the asker, with what it points to; stays until _ROLL_END was answered. */
struct pa_requests_roll {
	struct pa_roll roll;
	const struct pa_about *details; /* as in pa_threads_roll_begin */
};

#define PA_REQUESTS_TIMEOUT_NS (10 * PA_NS_PER_S)

/*
 * Has the collector do it after everything that was recorded before this call. 0, -ETIMEDOUT,
 * -EBUSY (no slot), -ENOMEM. *snapshot (may be NULL when op gives none) is then the caller's.
 */
PA_AGENT int pa_requests_ask(enum pa_request_op op, enum pa_kind_id kind, int64_t argument,
	struct pa_snapshot **snapshot);

/* Does what can be done now. True when requests are left that wait for records to be read. */
PA_AGENT bool pa_requests_answer(void);

/* Those of our threads who asked are gone; the program's still wait. */
PA_AGENT void pa_requests_forget_agents(void);

/* In a forked child: those who asked are gone. */
PA_BOOT void pa_requests_atfork_child(void);

#endif
