/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns recording of contention and of traces on and off, and the wait hooks that both need.
 *
 * Context: PA_APP, any thread. No lock.
 */
#ifndef PA_WAIT_RECORDING_H
#define PA_WAIT_RECORDING_H

#include "base/base.h"

/* Rates as in struct pa_settings; 0: off. */
PA_APP void pa_wait_recording_contention(uint64_t block_rate_ns, uint64_t mutex_fraction);
PA_APP void pa_wait_recording_trace(bool on);
PA_APP void pa_wait_recording_all_off(void);

#endif
