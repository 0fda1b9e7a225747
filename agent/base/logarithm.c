/* SPDX-License-Identifier: Apache-2.0 */
#include "logarithm.h"

#define ONE ((uint64_t)1 << PA_LOGARITHM_BITS)
#define LN_2 ((uint64_t)2977044472) /* in units of 1 / ONE */

/* Both factors are below 1. */
static uint64_t times_fixed(uint64_t a, uint64_t b)
{
	return a * b >> PA_LOGARITHM_BITS;
}

/*
 * x = m * 2^e with m in [1, 2): ln x = e ln 2 + ln m, ln m by its series in s = (m-1)/(m+1) < 1/3.
 * The error of the truncated series is below 2 s^11 / 11 * 1.13.
 */
uint64_t pa_logarithm(uint64_t x)
{
	int below = __builtin_clzll(x | 1); /* x / 2^64 = m * 2^-(below + 1) */
	uint64_t m = (x | !x) << below >> (63 - PA_LOGARITHM_BITS);
	uint64_t s = ((m - ONE) << (PA_LOGARITHM_BITS - 1)) / ((m + ONE) >> 1);
	uint64_t s2 = times_fixed(s, s);
	uint64_t series = ONE / 7 + s2 / 9;
	series = ONE / 5 + times_fixed(s2, series);
	series = ONE / 3 + times_fixed(s2, series);
	uint64_t log_m = 2 * (s + times_fixed(s, times_fixed(s2, series)));
	return (uint64_t)(below + 1) * LN_2 - log_m;
}
