/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recording rates: contention by the settings and on behalf of clients, and events of execution
 * traces.
 *
 * Context: PA_AGENT, any of our threads. Lock: PA_LOCK_RATES, except where stated. No memory.
 */
#ifndef PA_RECORDING_H
#define PA_RECORDING_H

#include "../base/base.h"

enum pa_recording_what { PA_RECORDING_BLOCK, PA_RECORDING_MUTEX, PA_RECORDING_COUNT };

/*
 * Adds or removes a watch. While there are watches, a kind that the settings leave off is recorded:
 * at rate 1, or at the rates below if all watches are sampled, as watches that last for minutes
 * are: rate 1 would be too expensive in a program with a million waits per second. Values are
 * scaled when they are recorded (lock_waits.h), so a change of the rate does not bias them.
 */
#define PA_RECORDING_SAMPLED_BLOCK_NS 100000u /* 100 us of waiting per event */
#define PA_RECORDING_SAMPLED_FRACTION 10u     /* one in ten critical sections */
PA_AGENT void pa_recording_watch(enum pa_recording_what what, bool sampled, bool on);

/* The program has changed the rates in the settings. */
PA_API void pa_recording_rates_changed(void);

/* Mean ns of waiting per recorded wait now; 1: all, 0: none. No lock. */
PA_API uint64_t pa_recording_block_rate_ns(void);

/* One in this many ends of contended critical sections is recorded now; 0: none. No lock. */
PA_API uint64_t pa_recording_mutex_fraction(void);

/* Switches the recording of execution trace events. */
PA_AGENT void pa_recording_trace(bool on);

/* Removes all watches: the agent's threads were suspended. */
PA_AGENT void pa_recording_suspended(void);

/* In a forked child: removes all watches; the recording side follows the settings. */
PA_BOOT void pa_recording_atfork_child(void);

#endif
