/*
 * The logarithm that sampling needs, in integers: floating point on the program's threads would
 * change its flags, and trap where it wants that.
 *
 * Context: PA_SIGNAL. No state.
 */
#ifndef PA_LOGARITHM_H
#define PA_LOGARITHM_H

#include "base.h"

/* Results count 2^-32: one bit of the fraction. */
#define PA_LOGARITHM_BITS 32

/* -ln(x / 2^64); 0 counts as 1. Off by less than 2e-6. 1 division, 6 multiplications. */
PA_SIGNAL uint64_t pa_logarithm(uint64_t x);

#endif
