/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer logarithm for sample intervals: floating point on the program's threads would change its
 * status flags, and trap where the program enabled traps.
 *
 * Context: PA_SIGNAL. No state.
 */
#ifndef PA_LOGARITHM_H
#define PA_LOGARITHM_H

#include "base.h"

/* Results are fixed point with 32 fraction bits. */
#define PA_LOGARITHM_BITS 32

/* -ln(x / 2^64); 0 counts as 1. Error below 2e-6. 1 division, 6 multiplications. */
PA_SIGNAL uint64_t pa_logarithm(uint64_t x);

#endif
