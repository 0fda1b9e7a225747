/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of a profile by what they account for: the text of go tool pprof -top, with the
 * numbers, names and header lines that it has for the same profile.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). No lock. Memory grows with locations,
 * functions and calls between functions, not with samples; freed on return.
 */
#ifndef PA_TOP_H
#define PA_TOP_H

#include "encode.h"

/* Of the value of that index, at most rows functions (0: all); as in pprof without those below 0.5
 * % of the total. Returns 0, -ECANCELED or -ENOMEM. */
PA_AGENT int pa_top_write(const struct pa_snapshot *snapshot, uint32_t value, uint32_t rows,
	const struct pa_sink *sink);

#endif
