/*
 * Clocks. Any context (vDSO calls; no lock, no allocation, errno kept).
 */
#ifndef PA_CLOCK_H
#define PA_CLOCK_H

#include "base.h"

/* CLOCK_MONOTONIC in ns: the time base of all events. 20 ns. */
PA_SIGNAL int64_t pa_clock_mono_ns(void);

/* Wall clock, ns since 1970: only for time_nanos and the pages. */
PA_SIGNAL int64_t pa_clock_wall_ns(void);

/* CPU time of the calling thread in ns; a system call, 360 ns. */
PA_SIGNAL int64_t pa_clock_thread_cpu_ns(void);

#endif
