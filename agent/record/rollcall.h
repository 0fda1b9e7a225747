/*
 * Rollcall: every thread of the program writes its own stack, on our signal.
 *
 * Begin lists the threads, call signals them, a few dozen at a time, and returns when all have
 * answered, or PA_ROLL_PATIENCE_NS after the last that did. An answer is an event PA_EVENT_ROLL
 * with the stack, and the entry's fields below; both are complete when the entry's state is
 * PA_ROLL_ANSWERED and the call has returned. A thread that answers later is ignored.
 *
 * Context: begin and call PA_AGENT, one caller at a time; the answer PA_SIGNAL on the thread
 * itself. The entries belong to rollcall.c and stay as they are until the next begin.
 */
#ifndef PA_ROLLCALL_H
#define PA_ROLLCALL_H

#include <signal.h>
#include <ucontext.h>

#include "../base/atomic.h"
#include "../base/base.h"
#include "thread.h"

#define PA_ROLL_MAX 65536u /* more threads than that are not listed */
#define PA_ROLL_PATIENCE_NS (200 * PA_NS_PER_MS)
#define PA_ROLL_NAME_BYTES 16

enum pa_roll_state {
	PA_ROLL_LISTED,   /* not asked yet */
	PA_ROLL_ASKED,    /* the signal was sent */
	PA_ROLL_WRITING,  /* the thread is at it */
	PA_ROLL_ANSWERED, /* fields below and event are written */
	PA_ROLL_FULL,     /* no room in the ring: to be asked again */
	PA_ROLL_GONE,     /* the thread has ended meanwhile: not to be shown */
	PA_ROLL_SILENT    /* did not answer in time, or could not be asked */
};

struct pa_roll_entry {
	PA_ATOMIC(uint32_t) state; /* release by who fills the entry, acquire by who reads it */
	int32_t tid;
	/* Written by the thread itself between WRITING and ANSWERED; or for it, see asleep.h. */
	char name[PA_ROLL_NAME_BYTES]; /* may lack a NUL when 16 long */
	uint32_t wait;         /* enum pa_wait_kind: what a hook on its stack waits for */
	int32_t creator_tid;   /* 0: not known */
	uintptr_t object;      /* of the wait */
	int64_t since_ns;      /* CLOCK_MONOTONIC, begin of the wait; 0: none */
	uintptr_t creator_pc;  /* return address of the call that created it; 0: not known */
};

struct pa_roll {
	uint32_t generation;   /* never 0 */
	uint32_t count;
	struct pa_roll_entry *entries;
};

/* Lists the program's threads, all PA_ROLL_LISTED. 0, -ENOMEM, or -errno of /proc. */
PA_AGENT int pa_rollcall_begin(struct pa_roll *roll);

/*
 * Asks all that are PA_ROLL_LISTED. 0; -EADDRINUSE: the program uses our signal itself, and all are
 * PA_ROLL_SILENT; -errno, the same.
 */
PA_AGENT int pa_rollcall_call(struct pa_roll *roll);

/* Our signal came, and from no timer. False: it is no rollcall. */
PA_SIGNAL bool pa_rollcall_answer(const siginfo_t *info, const ucontext_t *context);

/* What thread, whose stack pointer is sp, says of itself. */
PA_SIGNAL void pa_rollcall_describe(struct pa_roll_entry *entry, const struct pa_thread *thread,
	uintptr_t sp);

/* Waits, PA_ROLL_PATIENCE_NS at most, until no signal is on its way to that thread; 0: to any. */
PA_APP void pa_rollcall_settle(int32_t tid);

/* In a forked child: nobody calls. */
PA_BOOT void pa_rollcall_atfork_child(void);

#endif
