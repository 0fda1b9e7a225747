/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asserts of the agent's own invariants, in debug builds (PA_DEBUG: `make debug`, `make unit`,
 * asan, tsan). In release builds the condition is compiled, not evaluated. Not for input from the
 * program, the kernel or a file, which is always checked, and counted.
 *
 *   PA_ASSERT(condition)      an invariant of the file's own state or of its arguments
 *   PA_ASSERT_HELD(rank)      lock.h: the calling thread holds a lock of that rank
 *   PA_ASSERT_AGENT()         thread_slot.h: it is an agent thread
 *   PA_ASSERT_PROGRAM()       record/thread.h: it is a thread of the program
 *
 * Context: PA_SIGNAL.
 */
#ifndef PA_ASSERT_H
#define PA_ASSERT_H

#include "base.h"

#ifdef PA_DEBUG
#define PA_ASSERT(condition) \
	(pa_likely(condition) ? (void)0 : pa_assert_failed(__FILE__, __LINE__, #condition))
#else
#define PA_ASSERT(condition) ((void)sizeof(!(condition)))
#endif

#ifdef PA_DEBUG
/* One line on descriptor 2, then SIGABRT. */
PA_SIGNAL void pa_assert_failed(const char *file, int line, const char *condition)
	__attribute__((noreturn, cold));
#endif

#endif
