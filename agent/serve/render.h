/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes and writes one profile of a kind, for every destination: client, program, file.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). The caller frees the snapshot.
 */
#ifndef PA_RENDER_H
#define PA_RENDER_H

#include "../../proto/encode.h"

/* Takes the snapshot that debug needs: debug=2 of threads has more detail per thread. NULL: as
 * pa_snapshot_take. */
PA_AGENT struct pa_snapshot *pa_render_take(const struct pa_profile_ops *kind, int64_t debug);

/* Writes it as text or as proto. Returns 0 or the encoder's error. */
PA_AGENT int pa_render_write(const struct pa_snapshot *snapshot, int64_t debug,
	const struct pa_sink *sink);

#endif
