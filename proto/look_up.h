/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbolizes all locations of some stacks in the cheapest order (pa_symbols_prepare), before they
 * are written one by one.
 *
 * Context: PA_AGENT, the render thread only. No lock.
 */
#ifndef PA_LOOK_UP_H
#define PA_LOOK_UP_H

#include "encode.h"
#include "id_table.h"

/*
 * Symbolizes the locations numbered by ids. Stops when the sink fails. Returns the number of
 * locations without lines.
 */
PA_AGENT uint32_t pa_look_up_ids(const struct pa_id_table *ids, const struct pa_sink *sink);

/* The same for count stacks; stack_of returns each (NULL: none). Returns the number, or -ENOMEM. */
PA_AGENT int64_t pa_look_up_stacks(const struct pa_stack *(*stack_of)(const void *arg, size_t i),
	const void *arg, size_t count, const struct pa_sink *sink);

/* The same for the stacks of a snapshot. */
PA_AGENT int64_t pa_look_up_snapshot(const struct pa_snapshot *snapshot,
	const struct pa_sink *sink);

#define PA_LOOK_UP_COMMENT_BYTES 128

/* Writes the comment about this many locations without lines to out; NULL: there are none. */
PA_AGENT char *pa_look_up_comment(char out[PA_LOOK_UP_COMMENT_BYTES], int64_t lacking);

#endif
