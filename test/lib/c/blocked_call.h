/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for another thread of the test to be blocked in a system call. */
#ifndef BLOCKED_CALL_H
#define BLOCKED_CALL_H

#include "agent/base/atomic.h"

/* tid: 0 until the thread has written it. Ends the test if the thread cannot be read in /proc. */
void blocked_call_await(PA_ATOMIC(int32_t) *tid, long number);

#endif
