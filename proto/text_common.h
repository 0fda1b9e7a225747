/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Common parts of the text forms: writer, order of samples, comments.
 *
 * Context: PA_AGENT, the render thread only. No lock. pa_text_close frees the memory.
 */
#ifndef PA_TEXT_COMMON_H
#define PA_TEXT_COMMON_H

#include "text_stack.h"

struct pa_text {
	const struct pa_snapshot *snapshot;
	struct pa_text_writer writer;
	struct pa_text_stack stacks;
	struct pa_scratch order;  /* uint32_t: samples in the order of the output */
	struct pa_scratch groups; /* of text_count.c */
	int64_t lacking;          /* locations without lines */
};

/* pa_text_close flushes and frees. Returns 0 or the first error. */
PA_AGENT void pa_text_open(struct pa_text *text, const struct pa_snapshot *snapshot,
	const struct pa_sink *sink);
PA_AGENT int pa_text_close(struct pa_text *text);

/* Returns the indexes of the snapshot's samples sorted by compare (as for qsort_r() over uint32_t
 * indexes, with the samples as its argument); NULL: out of memory. They belong to text->order. */
PA_AGENT const uint32_t *pa_text_order(struct pa_text *text,
	int (*compare)(const void *a, const void *b, void *samples));

/* Writes the losses as "#" lines, which readers take as comments. */
PA_AGENT void pa_text_comments(struct pa_text *text);

#endif
