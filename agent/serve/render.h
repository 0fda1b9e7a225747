/*
 * One profile by its kind and debug, wherever it goes: to a client, to the program, to a file.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes).
 */
#ifndef PA_RENDER_H
#define PA_RENDER_H

#include "../../proto/encode.h"

/* The snapshot that debug asks for: that of threads has more detail where each is printed. NULL: as
 * pa_snapshot_take. */
PA_AGENT struct pa_snapshot *pa_render_take(const struct pa_kind *kind, int64_t debug);

/* Writes it as text or as proto. 0 or what the encoder said. */
PA_AGENT int pa_render_write(const struct pa_snapshot *snapshot, int64_t debug,
	const struct pa_sink *sink);

#endif
