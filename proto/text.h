/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text forms (debug=1, 2 ...) of profiles, as Go's runtime/pprof writes them.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). No lock.
 */
#ifndef PA_TEXT_H
#define PA_TEXT_H

#include "encode.h"

/*
 * debug: as in the request, not 0. All legacy forms have sorted records, "#" lines with names, and
 * comments about losses at the end:
 *
 *   heap, allocs   totals, one record per bucket (unscaled, by in-use bytes), runtime.MemStats
 *   block, mutex   one record per stack, by delay; cycles are ns
 *   threadcreate   one record per stack, by count
 *   goroutine      the same; with debug >= 2 one block per thread, at most 64 MiB
 *
 * Returns 0, -ECANCELED, -ENOMEM or -EINVAL (the kind has no text form; nothing was written).
 */
PA_AGENT int pa_text_profile(const struct pa_snapshot *snapshot, int64_t debug,
	const struct pa_sink *sink);

#endif
