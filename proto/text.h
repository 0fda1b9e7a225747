/*
 * The legacy text forms (debug=1) of profiles, byte for byte as Go's runtime/pprof writes them.
 * Context: PA_AGENT, the render thread only (it symbolizes).
 */
#ifndef PA_TEXT_H
#define PA_TEXT_H

#include "encode.h"

/*
 * heap and allocs: header with totals, one record a bucket (unscaled, by in-use bytes descending),
 * "#" lines with names, then the runtime.MemStats tail. 0, -ECANCELED, -ENOMEM, -EINVAL (a kind
 * that has no text form).
 */
PA_AGENT int pa_text_profile(const struct pa_snapshot *snapshot, const struct pa_sink *sink);

#endif
