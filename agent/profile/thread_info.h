/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's data about a thread of this process, from /proc/self/task.
 *
 * Context: PA_AGENT, any of our threads. No lock. Opens one file at a time.
 */
#ifndef PA_THREAD_INFO_H
#define PA_THREAD_INFO_H

#include "../record/lock_waits.h"
#include "../stacks/stack_table.h"

/* 15 bytes, each up to three bytes in UTF-8. */
#define PA_THREAD_INFO_NAME_BYTES 48

/* State of a thread at a thread dump. The kernel's part (state, syscall, argument, words) is set
 * only on request (take with detail), or if the thread did not answer. */
struct pa_thread_info {
	bool answered;          /* the thread wrote its stack; otherwise the stack is
				 * PA_PSEUDO_NO_ANSWER */
	char state;             /* as in /proc/PID/stat: R S D T t Z X I; 0: unknown */
	int32_t syscall;        /* system call in which it is blocked; -1: none */
	uint64_t argument;      /* first argument; for futex the address of the word */
	uint32_t words[4];      /* futex: memory at the futex word, [0] the word itself; otherwise
				 * zeros. Mutex: [2] is the owner's tid; join: [0] is the other
				 * thread's tid */
	enum pa_wait_kind wait; /* known while contention is recorded; otherwise PA_WAIT_NONE */
	uintptr_t object;       /* that it waits for; 0: unknown */
	int64_t waited_ns;      /* so far; 0: unknown */
	int32_t creator_tid;    /* 0: unknown */
	const struct pa_stack *creator;       /* the creating call, one location; NULL: unknown */
	char name[PA_THREAD_INFO_NAME_BYTES]; /* UTF-8, "" if unknown */
};

/*
 * Fills *info: name, state, syscall, argument and words; the other fields are cleared. Unreadable
 * data is unknown. False: there is no such thread.
 */
PA_AGENT bool pa_thread_info_read(int32_t tid, struct pa_thread_info *info);

#endif
