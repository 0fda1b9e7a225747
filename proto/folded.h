/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folded stacks, the input of flamegraph.pl, inferno and speedscope: one line
 * "thread;outermost;...;innermost NUMBER" per stack and thread name. Inlined frames are frames of
 * their own; the thread is there in profiles that have its label.
 *
 * Context: PA_AGENT, the render thread only (it symbolizes). Memory: one table of the samples and
 * the names of their locations, freed on return.
 */
#ifndef PA_FOLDED_H
#define PA_FOLDED_H

#include "encode.h"

/*
 * NUMBER is the value of that index, in the unit of its type. Stacks whose sum is not positive are
 * left out: the readers take no other numbers. Stacks that differ only in addresses get separate
 * lines. Returns 0, -ECANCELED or -ENOMEM.
 */
PA_AGENT int pa_folded_write(const struct pa_snapshot *snapshot, uint32_t value,
	const struct pa_sink *sink);

#endif
