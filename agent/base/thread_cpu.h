/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of another thread of this process.
 *
 * Context: PA_API, any thread; no lock. A system call.
 */
#ifndef PA_THREAD_CPU_H
#define PA_THREAD_CPU_H

#include <sys/types.h>

#include "base.h"

/* ns; 0: no such thread, or a sandbox denies it. */
PA_API int64_t pa_thread_cpu_ns(pid_t tid);

#endif
