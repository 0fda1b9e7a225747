/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clocks. Any context (vDSO calls; no lock, no allocation, errno kept).
 */
#ifndef PA_CLOCK_H
#define PA_CLOCK_H

#include <time.h>

#include "base.h"

/* Sets the clock_gettime that is used from now on: libc's own. A library that fakes the time may
 * interpose the symbol, and both shared objects need the same clock. */
PA_BOOT void pa_clock_use(int (*own)(clockid_t id, struct timespec *now));

/*
 * Reads clocks by system calls from now on: the vDSO reads the time stamp counter, which ends a
 * thread that prctl(PR_SET_TSC) denies it. On the program's threads; the agent's own permit it to
 * themselves. allowed: whether the calling thread may make that call; without, a clock shows 0.
 */
PA_SIGNAL void pa_clock_use_calls(bool (*allowed)(void));
PA_SIGNAL bool pa_clock_uses_calls(void);

/* clock_gettime as this object reads clocks now; the core uses that of the preloaded object. */
PA_SIGNAL int pa_clock_read(clockid_t id, struct timespec *now);

/* CLOCK_MONOTONIC in ns: the time base of all events. About 20 ns. */
PA_SIGNAL int64_t pa_clock_mono_ns(void);

/* Wall clock, ns since 1970: only for time_nanos and the HTML pages. */
PA_SIGNAL int64_t pa_clock_wall_ns(void);

/* CPU time of the calling thread in ns. A system call, about 360 ns. */
PA_SIGNAL int64_t pa_clock_thread_cpu_ns(void);

/* Any clock, as the CPU clock of another thread: 0 if there is none. */
PA_SIGNAL int64_t pa_clock_ns(clockid_t id);

#endif
