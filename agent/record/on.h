/*
 * What is being recorded now, and where the recording goes. Readers in any context (PA_SIGNAL),
 * a few plain loads; writers are boot, fork and the agent's thread.
 *
 * The switches live in a page that the kernel wipes in every child that has memory of its own, by
 * whatever call it was made: fork, _Fork, raw clone. Such a child finds everything off, without a
 * system call in any hook, until the fork handlers (if they ran) switch it on again.
 */
#ifndef PA_ON_H
#define PA_ON_H

#include "../base/atomic.h"
#include "bridge.h"

struct pa_on {
	PA_ATOMIC(uint32_t) booted; /* 1: the fields of pa_record are set. release / acquire */
	PA_ATOMIC(uint32_t) inert;  /* 1: boot decided to do nothing in this process; relaxed */
	PA_ATOMIC(uint32_t) heap;   /* sample allocations; relaxed: late or early by one is fine */
	PA_ATOMIC(uint32_t) cpu;    /* take CPU ticks; as above */
	PA_ATOMIC(uint32_t) trace;  /* an execution trace is being taken; as above */
	PA_ATOMIC(uint32_t) contend; /* one of the two below is not 0; as above */
	PA_ATOMIC(uint64_t) block_rate_ns;  /* see contend_rates in bridge.h; as above */
	PA_ATOMIC(uint64_t) mutex_fraction;
};

/* Everything off until boot replaced the page. */
extern struct pa_on *pa_on PA_HIDDEN;

/* Constant after boot. */
struct pa_record {
	struct pa_ring *ring;
	struct pa_frames *frames;
	struct pa_counters counters;
	uint64_t heap_rate_bytes;
	uint32_t stack_depth;  /* at most so many pcs an event */
	int signal;            /* number of our signal */
	int pid;
	/* The main thread's, as in struct pa_thread. */
	uintptr_t main_stack_least, main_stack_lo, main_stack_hi;
};
extern struct pa_record pa_record PA_HIDDEN;

/* Maps the page. False: no memory, everything stays off. */
PA_BOOT bool pa_on_boot(void);

#define PA_COUNT_EVENT(name) ((void)pa_add_relaxed(&pa_record.counters.name, 1))
#define PA_COUNT_EVENTS(name, n) ((void)pa_add_relaxed(&pa_record.counters.name, (n)))

#endif
