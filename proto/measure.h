/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as go tool pprof prints them: 512.03kB, 1.50s, 5.25%.
 *
 * Context: PA_AGENT, any thread; pure functions. The decimal point is a point in every locale.
 */
#ifndef PA_MEASURE_H
#define PA_MEASURE_H

#include "../agent/base/base.h"

#define PA_MEASURE_BYTES 48
/* The step that fits each value best. */
#define PA_MEASURE_AUTO (-1)

/* Step (B, kB, MB ... or ns, us, ms, s, hrs) that fits the value best. Units are those of sample
 * types; all but "bytes" and "nanoseconds" have one step, 0. */
PA_AGENT int pa_measure_step(int64_t value, const char *unit);

/* Writes the value in that step, with its name and at most two decimals. Returns out. */
PA_AGENT const char *pa_measure_label(char out[PA_MEASURE_BYTES], int64_t value, const char *unit,
	int step);

/* Writes the absolute share of total in percent, at least 6 characters. Returns out. */
PA_AGENT const char *pa_measure_percent(char out[PA_MEASURE_BYTES], int64_t value, int64_t total);

/* Replaces the decimal point that the program's locale has put into a number: any bytes. */
PA_AGENT void pa_measure_set_point(char *number);

#endif
