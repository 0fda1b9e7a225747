/*
 * Folded stacks, the text that flame graphs are drawn from: a line "outermost;...;innermost NUMBER"
 * for each stack, its threads together.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes).
 */
#ifndef PA_FOLDED_H
#define PA_FOLDED_H

#include "../../proto/encode.h"

/*
 * Of a profile whose second value is nanoseconds: microseconds. Stacks of less are left out, and
 * those that differ in addresses only have lines of their own. 0, -ECANCELED, -ENOMEM.
 */
PA_AGENT int pa_folded_write(const struct pa_snapshot *snapshot, const struct pa_sink *sink);

#endif
