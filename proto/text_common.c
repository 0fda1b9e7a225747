/* SPDX-License-Identifier: Apache-2.0 */
#include "text_common.h"

#include <errno.h>
#include <stdlib.h>

#include "look_up.h"

PA_AGENT void pa_text_open(struct pa_text *text, const struct pa_snapshot *snapshot,
	const struct pa_sink *sink)
{
	*text = (struct pa_text){ .snapshot = snapshot, .writer = { .sink = sink } };
	text->stacks.writer = &text->writer;
}

PA_AGENT int pa_text_close(struct pa_text *text)
{
	pa_text_writer_flush(&text->writer);
	pa_text_stack_free(&text->stacks);
	pa_scratch_free(&text->order);
	pa_scratch_free(&text->groups);
	return text->writer.error;
}

PA_AGENT const uint32_t *pa_text_order(struct pa_text *text,
	int (*compare)(const void *a, const void *b, void *samples))
{
	size_t i, count = text->snapshot->sample_count;
	uint32_t *order;

	/* One more, so that there is memory even without samples. */
	if (!pa_scratch(&text->order, (count + 1) * sizeof(*order))) {
		pa_text_writer_fail(&text->writer, -ENOMEM);
		return NULL;
	}
	order = text->order.at;
	for (i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	if (count)
		qsort_r(order, count, sizeof(*order), compare, text->snapshot->samples);
	return order;
}

PA_AGENT void pa_text_comments(struct pa_text *text)
{
	struct pa_text_writer *writer = &text->writer;
	char lacking[PA_LOOK_UP_COMMENT_BYTES];
	size_t i;

	if (text->snapshot->comment_count || text->lacking)
		pa_text_writer_put(writer, "\n", 1);
	for (i = 0; i < text->snapshot->comment_count; i++) {
		pa_text_writer_put(writer, "# ", 2);
		pa_text_writer_clean(writer, text->snapshot->comments[i]);
		pa_text_writer_put(writer, "\n", 1);
	}
	if (pa_look_up_comment(lacking, text->lacking))
		pa_text_writer_format(writer, "# %s\n", lacking);
}
