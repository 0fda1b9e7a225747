/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwind tables that the program has registered for code that it made at run time
 * (__register_frame and its kin): their addresses and the time of each registration.
 *
 * Hooks add and remove; what is in the tables is read by the collector (unwind/registered.h), which
 * finds what is new by a bit for each group of slots. A slot is found by the address of its table,
 * in two groups of 64: the costs do not depend on how many there are.
 *
 * Context: as marked. Lock-free; 16 bytes a slot, mapped at the first registration. A forked child
 * keeps the slots; one that was being filled in another thread stays in use.
 * When full (both groups; at 65,536 in all, or no memory): add returns false.
 */
#ifndef PA_UNWIND_TABLES_H
#define PA_UNWIND_TABLES_H

#include "../base/atomic.h"
#include "../base/base.h"

#define PA_UNWIND_TABLES_GROUPS 1024
#define PA_UNWIND_TABLES_GROUP_SLOTS 64
#define PA_UNWIND_TABLES_SLOTS (PA_UNWIND_TABLES_GROUPS * PA_UNWIND_TABLES_GROUP_SLOTS)

/* Low bits of a slot's state; above them the time of its registration or removal: CLOCK_MONOTONIC,
 * ns, another one for each. A state of 0, or one that is gone: the slot is free. */
enum pa_unwind_tables_flag {
	PA_UNWIND_TABLES_FILLED = 1 << 0, /* begin is valid */
	PA_UNWIND_TABLES_LIST = 1 << 1,   /* it is an array of pointers to tables */
	PA_UNWIND_TABLES_USED = 1 << 2,   /* a rule of it may be in the frame cache */
	PA_UNWIND_TABLES_SEEN = 1 << 3,   /* the collector has read it */
	PA_UNWIND_TABLES_GONE = 1 << 4    /* removed */
};
#define PA_UNWIND_TABLES_FLAG_BITS 5

struct pa_unwind_tables_slot {
	PA_ATOMIC(uintptr_t) begin; /* relaxed, ordered by state */
	PA_ATOMIC(uint64_t) state;  /* release by what fills the slot, acquire by readers */
};

/* All zero: empty. */
struct pa_unwind_tables {
	PA_ATOMIC(struct pa_unwind_tables_slot *) slots; /* NULL: none so far; release, acquire */
	PA_ATOMIC(uint64_t) adds;    /* registrations so far; release behind changed, acquire */
	PA_ATOMIC(uint64_t) last_ns; /* time of the last change; relaxed */
	PA_ATOMIC(uint64_t) changed[PA_UNWIND_TABLES_GROUPS / 64]; /* bit: a group with new slots;
								    * acq_rel by or and swap */
};

PA_INLINE int64_t pa_unwind_tables_time_ns(uint64_t state)
{
	return (int64_t)(state >> PA_UNWIND_TABLES_FLAG_BITS);
}

/* Adds the table at an address that is not 0 and not there: remove it before. False: full. */
PA_APP bool pa_unwind_tables_add(struct pa_unwind_tables *tables, uintptr_t begin, bool is_list,
	int64_t now_ns);

/* Removes it, if it is there. True: the frame cache may have rules of it. */
PA_APP bool pa_unwind_tables_remove(struct pa_unwind_tables *tables, uintptr_t begin,
	int64_t now_ns);

/* Sets flags of the registration that has this time. False: it is gone. */
PA_AGENT bool pa_unwind_tables_mark(struct pa_unwind_tables_slot *slot, int64_t time_ns,
	enum pa_unwind_tables_flag flags);

/* True while that registration is there: what was read of its table before is valid. When not, its
 * slot has a later time: it was removed by then. */
PA_AGENT bool pa_unwind_tables_is_there(const struct pa_unwind_tables_slot *slot, int64_t time_ns);

#endif
