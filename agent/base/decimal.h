/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decimal digits without printf, for code that must not call it, or that runs at each start.
 *
 * Context: PA_SIGNAL. No state.
 */
#ifndef PA_DECIMAL_H
#define PA_DECIMAL_H

#include <stdint.h>

#include "base.h"

/* Digits of any number. */
#define PA_DECIMAL_DIGITS 20

/* Writes the digits before end, without a NUL; returns the first one. */
PA_INLINE char *pa_decimal_before(char *end, uint64_t number)
{
	do
		*--end = (char)('0' + number % 10);
	while (number /= 10);
	return end;
}

#endif
