/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oldest libc and kernel with which the agent works. Below them it says so in one line, in the
 * first program only, and the program runs without it.
 *
 * Context: PA_BOOT. No lock.
 */
#ifndef PA_FLOOR_H
#define PA_FLOOR_H

#include "base/env.h"

/* True with glibc 2.28 or newer. late: the environment is not modified any more. */
PA_BOOT bool pa_floor_libc(const struct pa_settings *settings, bool late);

/* True with a kernel that has MADV_WIPEONFORK, Linux 4.14: pa_wiped_pages_boot succeeded. */
PA_BOOT bool pa_floor_kernel(const struct pa_settings *settings);

#endif
