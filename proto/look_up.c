/* SPDX-License-Identifier: Apache-2.0 */
#include "look_up.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static bool is_wanted(void *arg)
{
	const struct pa_sink *sink = arg;

	return sink->write(sink->arg, "", 0);
}

PA_AGENT uint32_t pa_look_up_ids(const struct pa_id_table *ids, const struct pa_sink *sink)
{
	return pa_symbols_prepare(ids->order.at, ids->loc_count, is_wanted, (void *)sink);
}

PA_AGENT int64_t pa_look_up_stacks(const struct pa_stack *(*stack_of)(const void *arg, size_t i),
	const void *arg, size_t count, const struct pa_sink *sink)
{
	struct pa_id_table ids = { 0 };
	bool good = pa_id_table_init(&ids) == 0;

	for (size_t i = 0; good && i < count; i++) {
		const struct pa_stack *stack = stack_of(arg, i);

		good = !stack || pa_id_table_stack(&ids, stack) == 0;
	}
	int64_t lacking = good ? (int64_t)pa_look_up_ids(&ids, sink) : -ENOMEM;
	pa_id_table_free(&ids);
	return lacking;
}

static const struct pa_stack *stack_of_sample(const void *arg, size_t i)
{
	return ((const struct pa_snapshot *)arg)->samples[i].stack;
}

PA_AGENT int64_t pa_look_up_snapshot(const struct pa_snapshot *snapshot, const struct pa_sink *sink)
{
	return pa_look_up_stacks(stack_of_sample, snapshot, snapshot->sample_count, sink);
}

PA_AGENT char *pa_look_up_comment(char out[PA_LOOK_UP_COMMENT_BYTES], int64_t lacking)
{
	if (lacking <= 0)
		return NULL;
	snprintf(out, PA_LOOK_UP_COMMENT_BYTES,
		"lines not read yet: %" PRIi64
		" locations have names only; the next profile has more",
		lacking);
	return out;
}
