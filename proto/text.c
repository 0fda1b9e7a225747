#include "text.h"

#include <errno.h>
#include <stdlib.h>

#include "text_forms.h"

/* From here on debug asks for all threads one by one, and not for groups of them. */
#define DEBUG_THREADS 2

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
	pa_grow_free(&text->order);
	pa_grow_free(&text->groups);
	return text->writer.error;
}

PA_AGENT const uint32_t *pa_text_order(struct pa_text *text,
	int (*compare)(const void *a, const void *b, void *samples))
{
	size_t i, count = text->snapshot->sample_count;
	uint32_t *order;

	/* One more: there is memory then even for no samples. */
	if (!pa_grow(&text->order, (count + 1) * sizeof(*order))) {
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
	size_t i;

	if (text->snapshot->comment_count)
		pa_text_writer_put(writer, "\n", 1);
	for (i = 0; i < text->snapshot->comment_count; i++) {
		pa_text_writer_put(writer, "# ", 2);
		pa_text_writer_clean(writer, text->snapshot->comments[i]);
		pa_text_writer_put(writer, "\n", 1);
	}
}

static void put_form(struct pa_text *text, int64_t debug)
{
	switch (text->snapshot->kind->id) {
	case PA_KIND_ALLOCS:
	case PA_KIND_HEAP:
		pa_text_heap(text);
		break;
	case PA_KIND_BLOCK:
	case PA_KIND_MUTEX:
		pa_text_contention(text);
		break;
	case PA_KIND_GOROUTINE:
		if (debug >= DEBUG_THREADS)
			pa_text_threads(text, PA_TEXT_THREADS_BYTES);
		else
			pa_text_count(text);
		break;
	case PA_KIND_THREADCREATE:
	case PA_KIND_CUSTOM:
		pa_text_count(text);
		break;
	default:
		pa_text_writer_fail(&text->writer, -EINVAL);
	}
}

PA_AGENT int pa_text_profile(const struct pa_snapshot *snapshot, int64_t debug,
	const struct pa_sink *sink)
{
	struct pa_text text;

	pa_text_open(&text, snapshot, sink);
	put_form(&text, debug);
	return pa_text_close(&text);
}
