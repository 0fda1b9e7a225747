/*
 * The text forms (debug=1, 2 ...) of profiles, as Go's runtime/pprof writes them.
 * Context: PA_AGENT, the render thread only (it symbolizes).
 */
#ifndef PA_TEXT_H
#define PA_TEXT_H

#include "encode.h"

/*
 * debug: as in the request, not 0. All legacy forms have records sorted, "#" lines with names and
 * comments on what was dropped at the end:
 *
 *   heap, allocs   totals, one record a bucket (unscaled, by in-use bytes), runtime.MemStats
 *   block, mutex   one record a stack, by delay; cycles are ns
 *   threadcreate   one record a stack, by count
 *   goroutine      the same; with debug >= 2 a dump of each thread, at most 64 MiB of them
 *
 * 0, -ECANCELED, -ENOMEM, -EINVAL (a kind that has no text form; nothing was written).
 */
PA_AGENT int pa_text_profile(const struct pa_snapshot *snapshot, int64_t debug,
	const struct pa_sink *sink);

#endif
