/*
 * Seats of the agent's own threads: where each can be found and asked to leave.
 *
 * A call of the program that fails while other threads exist (unshare of a user namespace), or that
 * takes something from the calling thread alone, has our threads end first (agent/aside.c). A
 * thread ends at its next wait, back in the frame that started it: by a jump, so nothing of the
 * frames between is run. It does so only while it holds no lock of ours and has not pinned itself.
 *
 * Both shared objects have this file. The table is one, in libpprofagent.so; the core is told
 * where it is. Threads without a seat (the program's, those of tests) pass through everything here.
 *
 * Context: PA_APP where not said otherwise.
 */
#ifndef PA_SEAT_H
#define PA_SEAT_H

#include "atomic.h"
#include "base.h"

#define PA_SEATS 32

struct pa_seat {
	PA_ATOMIC(int32_t) tid;    /* who sits here, or sat; 0: nobody; acq_rel by CAS */
	PA_ATOMIC(uint32_t) turn;  /* in which it was created; release in take, acquire in mind */
	PA_ATOMIC(uintptr_t) word; /* the futex that it sleeps on; 0: none; release / acquire */
	PA_ATOMIC(uint32_t) followed; /* orders that it has carried out; release / acquire */
	PA_ATOMIC(uint32_t) left;  /* it will never touch this seat again; release / acquire */
	/* the thread's own */
	uint32_t held; /* locks, and sections that must not be left half done */
	uint32_t pinned; /* the same of libc, which the program needs on: never left */
	void *way_out[5]; /* for __builtin_longjmp: no frame between has anything to clean up */
};

struct pa_seat_table {
	PA_ATOMIC(uint32_t) turn; /* threads of an earlier one are to leave; acq_rel */
	PA_ATOMIC(int) bell;      /* eventfd in the agent's own descriptor table, polled with every
	                             wait for descriptors; -1: none; release / acquire */
	PA_ATOMIC(uint32_t) order; /* how many were given; each thread carries out all that are
	                              given in its time; release / acquire */
	PA_ATOMIC(uint32_t) hard; /* who leaves will not be followed by others, and leaves what it
	                             is at as it is; release / acquire */
	PA_ATOMIC(uint32_t) torn; /* one has done that: none of ours can work any more */
	void (*follow)(uint32_t order); /* carries one out, on the calling thread: any wait */
	struct pa_seat seats[PA_SEATS];
};

/* Before this nobody has a seat. find: the calling thread's, or NULL; any context. */
PA_BOOT void pa_seat_boot(struct pa_seat_table *table, struct pa_seat *(*find)(void));

/* A seat for the calling thread, created in that turn after so many orders; NULL: none is free. */
PA_AGENT struct pa_seat *pa_seat_take(struct pa_seat_table *table, uint32_t turn, uint32_t followed,
	int32_t tid);

/* The kernel does not know the thread of that seat any more. errno kept. */
PA_APP bool pa_seat_is_gone(const struct pa_seat *seat);

/* All who sit have carried out all orders. */
PA_APP bool pa_seat_have_followed(void);

/* The calling thread is given an order: carries it out. It is asked to leave: does so when it may.
 */
PA_APP void pa_seat_mind(void);

/* Carries out orders, but does not leave, unless it is for good: for threads at work, at any line
 * of any library. */
PA_APP void pa_seat_heed(void);

/* The calling thread is asked to leave: what it waits for from another of ours will not come. */
PA_APP bool pa_seat_must_go(void);

/* Around what a thread must not leave half done. */
PA_APP void pa_seat_hold(void);
PA_APP void pa_seat_let_go(void);
PA_APP void pa_seat_pin(void);
PA_APP void pa_seat_unpin(void);

/* Around a sleep on a futex word: the one who asks wakes it. Both mind. */
PA_APP void pa_seat_sleep(const void *word);
PA_APP void pa_seat_wake(void);

/* To be polled with every wait for descriptors of a thread of ours; -1: nothing. */
PA_APP int pa_seat_bell(void);

#endif
