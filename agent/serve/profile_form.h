/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters that say how a profile is written: format, type, n, thread.
 *
 * Context: PA_AGENT, the worker of the request.
 */
#ifndef PA_PROFILE_FORM_H
#define PA_PROFILE_FORM_H

#include "../profile/profile_ops.h"
#include "render.h"

#define PA_PROFILE_FORM_WHY_BYTES 1024

/*
 * Reads ?format=pprof (default), folded or top; ?type=NAME, a sample type (pprof's default); ?n=N
 * rows of top (40; 0: all); ?thread=name, pool or off (the setting). Fills all of *form but debug.
 * Returns NULL, or the text of the error 400, which may be in why.
 */
PA_AGENT const char *pa_profile_form_read(const char *query, const struct pa_profile_ops *kind,
	struct pa_render_form *form, char why[PA_PROFILE_FORM_WHY_BYTES]);

#endif
