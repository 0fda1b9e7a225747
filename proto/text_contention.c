/* SPDX-License-Identifier: Apache-2.0 */
#include "text_forms.h"

#include <inttypes.h>

enum { CONTENTIONS, DELAY_NS };

/* Longest delay first; equal ones in the order of the snapshot. */
static int compare_contention(const void *a, const void *b, void *arg)
{
	const struct pa_sample *samples = arg;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	int64_t x = samples[i].values[DELAY_NS], y = samples[j].values[DELAY_NS];

	if (x != y)
		return x > y ? -1 : 1;
	return i < j ? -1 : i > j;
}

/* Readers recognise the kind by the first line, and divide cycles by the rate in the second. */
static void put_contention_header(struct pa_text *text)
{
	bool mutex = text->snapshot->kind->text == PA_PROFILE_OPS_TEXT_MUTEX;

	pa_text_writer_format(&text->writer, "--- %s:\ncycles/second=%lld\n",
		mutex ? "mutex" : "contention", PA_NS_PER_S);
	if (mutex)
		pa_text_writer_format(&text->writer, "sampling period=%" PRId64 "\n",
			text->snapshot->fraction);
}

static void put_contention_record(struct pa_text *text, const struct pa_sample *sample)
{
	pa_text_writer_format(&text->writer, "%" PRId64 " %" PRId64 " @", sample->values[DELAY_NS],
		sample->values[CONTENTIONS]);
	pa_text_stack_put(&text->stacks, sample->stack);
}

PA_AGENT void pa_text_contention(struct pa_text *text)
{
	const uint32_t *order = pa_text_order(text, compare_contention);
	size_t i;

	if (!order)
		return;
	put_contention_header(text);
	for (i = 0; i < text->snapshot->sample_count && !text->writer.error; i++)
		put_contention_record(text, &text->snapshot->samples[order[i]]);
	pa_text_comments(text);
}
