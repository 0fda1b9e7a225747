/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots of the agent's own threads, by which each thread can be found, woken and ended.
 *
 * Some calls of the program fail while other threads exist (unshare(2) of a user namespace) or
 * affect the calling thread only: the agent's threads end before them (agent/suspend.c). A thread
 * ends at its next wait, by a jump back into the frame that started it: no code of the frames
 * between runs. It ends only while it holds no lock of the agent and is not pinned.
 *
 * Both shared objects contain this file. libpprofagent.so owns the one table; the core gets its
 * address. For threads without a slot (the program's, those of tests) all functions are no-ops.
 *
 * Context: PA_APP unless stated otherwise.
 */
#ifndef PA_THREAD_SLOT_H
#define PA_THREAD_SLOT_H

#include "assert.h"
#include "atomic.h"
#include "base.h"

#define PA_THREAD_SLOT_COUNT 32

struct pa_thread_slot {
	PA_ATOMIC(int32_t) tid;         /* the thread that uses, or used, the slot; 0: none; acq_rel
				    * by CAS */
	PA_ATOMIC(uint32_t) generation; /* generation of its creation; release in take, acquire in
				    * mind */
	PA_ATOMIC(uintptr_t) word;      /* the futex word that it sleeps on; 0: none; release /
				    * acquire */
	PA_ATOMIC(uint32_t) followed;   /* orders that it has carried out; release / acquire */
	PA_ATOMIC(uint32_t) left;       /* the thread will not touch this slot any more; release /
				       * acquire */
	/* of the thread itself */
	uint32_t held;    /* locks, and sections that must not be left half done */
	uint32_t pinned;  /* libc locks and sections, which the program needs afterwards: never
			   * left */
	void *way_out[5]; /* for __builtin_longjmp: no frame between has any clean-up */
};

struct pa_thread_slot_table {
	PA_ATOMIC(uint32_t) generation; /* current generation: threads of an earlier one must end;
				    * acq_rel */
	PA_ATOMIC(int) wake_fd;         /* eventfd in the agent's own descriptor table, polled with
				    * every wait for descriptors; -1: none; release / acquire */
	PA_ATOMIC(uint32_t) order;      /* number of orders given; each thread carries out all that
				    * are given while it exists; release / acquire */
	PA_ATOMIC(uint32_t) hard;       /* the agent ends for good: threads may end while they hold
				    * locks; release / acquire */
	PA_ATOMIC(uint32_t) torn; /* a thread ended while it held a lock: the agent cannot work
				    * any more */
	void (*follow)(uint32_t order); /* carries out one order on the calling thread */
	struct pa_thread_slot slots[PA_THREAD_SLOT_COUNT];
};

/* Before this call no thread has a slot. find: the calling thread's slot, or NULL; any context. */
PA_BOOT void pa_thread_slot_boot(struct pa_thread_slot_table *table,
	struct pa_thread_slot *(*find)(void));

/* A slot for the calling thread, of generation generation, which has carried out `followed` orders;
 * NULL:
 * none is free. */
PA_AGENT struct pa_thread_slot *pa_thread_slot_take(struct pa_thread_slot_table *table,
	uint32_t generation, uint32_t followed, int32_t tid);

/* True when the thread of the slot does not exist for the kernel any more. errno kept. */
PA_APP bool pa_thread_slot_is_gone(const struct pa_thread_slot *slot);

/* True when all threads with a slot have carried out all orders. */
PA_APP bool pa_thread_slot_have_followed(void);

/* Carries out pending orders; ends the calling thread when it must end and may. */
PA_APP void pa_thread_slot_checkpoint(void);

/* Carries out pending orders, and ends the thread only when the agent ends for good: for threads at
 * work, at any point of any library. */
PA_APP void pa_thread_slot_follow_orders(void);

/* True when the calling thread must end: other agent threads end too, so results that it waits for
 * will not come. */
PA_APP bool pa_thread_slot_must_end(void);

/* Asserts that the calling thread is an agent thread; before boot, as in unit tests, any thread
 * passes. */
#ifdef PA_DEBUG
PA_SIGNAL bool pa_thread_slot_is_ours(void);
#define PA_ASSERT_AGENT() PA_ASSERT(pa_thread_slot_is_ours())
#else
#define PA_ASSERT_AGENT() ((void)0)
#endif

/* Around sections that a thread must not leave half done. */
PA_APP void pa_thread_slot_hold(void);
PA_APP void pa_thread_slot_release(void);
PA_APP void pa_thread_slot_pin(void);
PA_APP void pa_thread_slot_unpin(void);

/* Around a sleep on a futex word, which the suspending thread wakes. Both call mind. */
PA_APP void pa_thread_slot_sleep(const void *word);
PA_APP void pa_thread_slot_wake(void);

/* Descriptor to poll in every wait for descriptors of an agent thread; -1: none. */
PA_APP int pa_thread_slot_wake_fd(void);

#endif
