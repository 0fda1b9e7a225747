/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switches for what is recorded, and the place where records go. Read in any context (PA_SIGNAL) by
 * plain loads; written by boot, fork and the agent's threads.
 *
 * The switches are in a page that the kernel wipes (MADV_WIPEONFORK, madvise(2)) in every child
 * with memory of its own, however it is created: fork, _Fork, raw clone. Such a child finds all
 * switches off, without a system call in any hook, until the fork handlers (if they run) turn them
 * on again.
 *
 * No lock.
 */
#ifndef PA_SWITCHES_H
#define PA_SWITCHES_H

#include "../arch/arch.h"
#include "../base/atomic.h"
#include "alloc_counts.h"
#include "copy_size.h"
#include "counters.h"
#include "destructors.h"
#include "frame_cache.h"
#include "ring.h"
#include "unwind_tables.h"

struct pa_switches {
	PA_ATOMIC(uint32_t) booted;  /* 1: the fields of pa_record are set. release / acquire */
	PA_ATOMIC(uint32_t) inert;   /* 1: boot decided that the agent does nothing in this
				      * process; relaxed */
	PA_ATOMIC(uint32_t) heap;    /* sample allocations; relaxed: a small delay is harmless */
	PA_ATOMIC(uint32_t) cpu;     /* take CPU ticks; as above */
	PA_ATOMIC(uint32_t) trace;   /* an execution trace is being taken; as above */
	PA_ATOMIC(uint32_t) contend; /* one of the two below is not 0; as above */
	PA_ATOMIC(uint64_t) block_rate_ns; /* see contend_rates in bridge.h; as above */
	PA_ATOMIC(uint64_t) mutex_fraction;
	PA_ATOMIC(uint32_t) destructors[PA_DESTRUCTORS]; /* destructors.c; acq_rel */
};

/* All off until boot maps the page. */
extern struct pa_switches *pa_switches PA_HIDDEN;

/* Constant after boot, except for what says otherwise. */
struct pa_record {
	struct pa_ring *ring;
	struct pa_frame_cache *frames;
	struct pa_counters counters;
	struct pa_copy_size_pair copy_sizes;
	PA_ATOMIC(uint32_t) held_files; /* libraries whose unloading the collector should learn of
					 * soon; written by the core, relaxed */
	struct pa_unwind_tables unwind_tables; /* of the program; see its file */
	uint64_t heap_rate_bytes;
	struct pa_alloc_counts *alloc_counts; /* NULL: not every allocation is recorded */
	uint32_t stack_depth;                 /* maximum number of pcs per event */
	int signal;                           /* number of the agent's signal */
	int pid;
	/* The main thread's, as in struct pa_thread. */
	uintptr_t main_stack_least, main_stack_lo, main_stack_hi;
};
extern struct pa_record pa_record PA_HIDDEN;

/* Until then all switches are off. Called by wiped_pages.c. */
PA_BOOT void pa_switches_begin(void);

union pa_switches_page {
	struct pa_switches switches;
	char page[PA_PAGE_BYTES];
};
extern union pa_switches_page pa_switches_page PA_HIDDEN;

#define PA_COUNT_EVENT(name) ((void)pa_add_relaxed(&pa_record.counters.name, 1))
#define PA_COUNT_EVENTS(name, n) ((void)pa_add_relaxed(&pa_record.counters.name, (n)))

#endif
