/*
 * Clocks. Any context (vDSO calls; no lock, no allocation, errno kept).
 */
#ifndef PA_CLOCK_H
#define PA_CLOCK_H

#include <time.h>

#include "base.h"

/* The clock_gettime to ask from here on: libc's own, since the name may be that of a library that
 * fakes the time, and the two halves of the agent have to go by one clock. */
PA_BOOT void pa_clock_use(int (*own)(clockid_t id, struct timespec *now));

/* CLOCK_MONOTONIC in ns: the time base of all events. 20 ns. */
PA_SIGNAL int64_t pa_clock_mono_ns(void);

/* Wall clock, ns since 1970: only for time_nanos and the pages. */
PA_SIGNAL int64_t pa_clock_wall_ns(void);

/* CPU time of the calling thread in ns; a system call, 360 ns. */
PA_SIGNAL int64_t pa_clock_thread_cpu_ns(void);

#endif
