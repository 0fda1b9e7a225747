/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects programs that run under a sanitizer or a valgrind tool that the agent would disturb.
 *
 * Context: PA_BOOT. No state.
 */
#ifndef PA_OTHER_PROFILERS_H
#define PA_OTHER_PROFILERS_H

#include "base/base.h"

/*
 * True for sanitizers that track each thread, or the origin of each byte: they interpose libc and
 * fail on threads and memory that only the agent knows, or report leaks of the agent's threads. The
 * address sanitizer does not allow RTLD_DEEPBIND, so the core's libraries would be the program's.
 * Detected by weak symbols, since a failing dlsym costs 12 us.
 *
 * True for valgrind's race detectors too: they understand pthread locks only, so that each atomic
 * of the agent is a data race in the program's report. valgrind puts a library of its tool in front
 * of LD_PRELOAD. memcheck, massif and callgrind work with the agent.
 */
PA_BOOT bool pa_other_profilers(void);

#endif
