/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folded stacks, the input of flame graphs: one line "outermost;...;innermost NUMBER" per stack,
 * summed over threads.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). Memory: one table of the stacks, freed
 * on return.
 */
#ifndef PA_FOLDED_H
#define PA_FOLDED_H

#include "../../proto/encode.h"

/*
 * The second value of the profile must be nanoseconds; NUMBER is microseconds. Stacks below 1 us
 * are left out; stacks that differ only in addresses get separate lines. Returns 0, -ECANCELED or
 * -ENOMEM.
 */
PA_AGENT int pa_folded_write(const struct pa_snapshot *snapshot, const struct pa_sink *sink);

#endif
