/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids of a profile's locations and functions: 1, 2, ... in order of first use.
 *
 * Context: PA_AGENT, the render thread only (it owns the marks of functions). No lock. Memory: 8
 * bytes per location and function, independent of the number of samples.
 */
#ifndef PA_ID_TABLE_H
#define PA_ID_TABLE_H

#include "../agent/stacks/stack_table.h"
#include "../agent/symbols/symbols.h"
#include "scratch.h"

struct pa_id_table {
	struct pa_scratch ids;   /* uint32_t: id in the profile, by id of stack_table.h; 0: none */
	struct pa_scratch order; /* uint32_t: the reverse, by id in the profile - 1 */
	uint32_t loc_count;
	struct pa_scratch functions; /* struct pa_function *, by id - 1 */
	uint32_t function_count;
};

/* Returns 0 or -ENOMEM. *numbering must be zeroed. */
PA_AGENT int pa_id_table_init(struct pa_id_table *numbering);

/* Also clears the marks of the functions. */
PA_AGENT void pa_id_table_free(struct pa_id_table *numbering);

/* Numbers the locations of stack that have no id yet, in order. Returns 0 or -ENOMEM. */
PA_AGENT int pa_id_table_stack(struct pa_id_table *numbering, const struct pa_stack *stack);

/* Ids in the profile, by location id; valid for locations of numbered stacks. */
PA_AGENT const uint32_t *pa_id_table_ids(const struct pa_id_table *numbering);

/* Location with that id in the profile. */
PA_AGENT const struct pa_loc *pa_id_table_loc(const struct pa_id_table *numbering, uint32_t id);

/* Sets the function's mark to its id. Returns 0 or -ENOMEM. */
PA_AGENT int pa_id_table_function(struct pa_id_table *numbering, struct pa_function *function);

PA_AGENT const struct pa_function *pa_id_table_get(const struct pa_id_table *numbering,
	uint32_t id);

#endif
