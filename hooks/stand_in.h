/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions in place of real ones that an old libc does not have.
 *
 * A program that was built with such a libc does not call them, but it may look for them (a weak
 * reference, dlsym), and finds the hooks. These do then what the real functions would do.
 *
 * Context: PA_APP. No lock.
 */
#ifndef PA_STAND_IN_H
#define PA_STAND_IN_H

#include "real.h"

/* Fills in what found lacks: functions of glibc 2.29 to 2.34. known has what found has before a
 * stand-in is called. */
PA_APP void pa_stand_in_fill(struct pa_real *found, const struct pa_real *known);

#endif
