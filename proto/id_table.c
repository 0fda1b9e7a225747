/* SPDX-License-Identifier: Apache-2.0 */
#include "id_table.h"

#include <errno.h>

PA_AGENT int pa_id_table_init(struct pa_id_table *numbering)
{
	/* Locations created from now on are in no existing snapshot. */
	size_t bytes = (pa_stack_table_loc_count() + (size_t)1) * sizeof(uint32_t);

	return pa_scratch(&numbering->ids, bytes) ? 0 : -ENOMEM;
}

PA_AGENT void pa_id_table_free(struct pa_id_table *numbering)
{
	struct pa_function *const *functions = numbering->functions.at;
	uint32_t i;

	for (i = 0; i < numbering->function_count; i++)
		functions[i]->mark = 0;
	pa_scratch_free(&numbering->ids);
	pa_scratch_free(&numbering->order);
	pa_scratch_free(&numbering->functions);
	*numbering = (struct pa_id_table){ 0 };
}

PA_AGENT int pa_id_table_stack(struct pa_id_table *numbering, const struct pa_stack *stack)
{
	uint32_t i;

	for (i = 0; i < stack->depth; i++) {
		size_t loc_id = stack->locs[i], next = numbering->loc_count;

		if (!pa_scratch(&numbering->ids, (loc_id + 1) * sizeof(uint32_t)))
			return -ENOMEM;
		if (((uint32_t *)numbering->ids.at)[loc_id])
			continue;
		if (!pa_scratch(&numbering->order, (next + 1) * sizeof(uint32_t)))
			return -ENOMEM;
		((uint32_t *)numbering->order.at)[next] = (uint32_t)loc_id;
		((uint32_t *)numbering->ids.at)[loc_id] = ++numbering->loc_count;
	}
	return 0;
}

PA_AGENT const uint32_t *pa_id_table_ids(const struct pa_id_table *numbering)
{
	return numbering->ids.at;
}

PA_AGENT const struct pa_loc *pa_id_table_loc(const struct pa_id_table *numbering, uint32_t id)
{
	return pa_stack_table_loc(((const uint32_t *)numbering->order.at)[id - 1]);
}

PA_AGENT int pa_id_table_function(struct pa_id_table *numbering, struct pa_function *function)
{
	size_t next = numbering->function_count;

	if (function->mark)
		return 0;
	if (!pa_scratch(&numbering->functions, (next + 1) * sizeof(function)))
		return -ENOMEM;
	((struct pa_function **)numbering->functions.at)[next] = function;
	function->mark = ++numbering->function_count;
	return 0;
}

PA_AGENT const struct pa_function *pa_id_table_get(const struct pa_id_table *numbering, uint32_t id)
{
	return ((struct pa_function *const *)numbering->functions.at)[id - 1];
}
