/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes and writes one profile of a kind, for every destination: client, program, file.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). The caller frees the snapshot.
 */
#ifndef PA_RENDER_H
#define PA_RENDER_H

#include "../../proto/encode.h"
#include "../base/env.h"

enum pa_render_format { PA_RENDER_PPROF, PA_RENDER_FOLDED, PA_RENDER_TOP };

/* How a profile is written. */
struct pa_render_form {
	enum pa_render_format format;
	int64_t debug;  /* format PPROF: value of ?debug; 0: the proto */
	uint32_t value; /* FOLDED, TOP: index of the sample type */
	uint32_t rows;  /* TOP: at most so many; 0: all */
	enum pa_env_thread_label threads;
};

/* Takes the snapshot that debug needs: debug=2 of threads has more detail per thread. NULL: as
 * pa_snapshot_take. */
PA_AGENT struct pa_snapshot *pa_render_take(const struct pa_profile_ops *kind, int64_t debug);

/* Returns 0 or the encoder's error. */
PA_AGENT int pa_render_write(const struct pa_snapshot *snapshot, const struct pa_render_form *form,
	const struct pa_sink *sink);

#endif
