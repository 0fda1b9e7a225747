/*
 * The forms of the text, one file each (text_NAME.c), and what text.c has for all of them.
 *
 * Context: PA_AGENT, the render thread only. A form writes to text->writer and leaves its errors
 * there; text.c flushes and frees.
 */
#ifndef PA_TEXT_FORMS_H
#define PA_TEXT_FORMS_H

#include "text_stack.h"

/* Go's cap on the dump of all threads. */
#define PA_TEXT_THREADS_BYTES ((size_t)64 << 20)

struct pa_text {
	const struct pa_snapshot *snapshot;
	struct pa_text_writer writer;
	struct pa_text_stack stacks;
	struct pa_grow order;  /* uint32_t: samples as they are printed */
	struct pa_grow groups; /* of text_count.c */
};

/* pa_text_close: flushes and frees. 0, or the first error. */
PA_AGENT void pa_text_open(struct pa_text *text, const struct pa_snapshot *snapshot,
	const struct pa_sink *sink);
PA_AGENT int pa_text_close(struct pa_text *text);

/*
 * The indexes of the snapshot's samples as compare (qsort_r's, over uint32_t indexes, with the
 * samples as its argument) orders them; NULL: out of memory. They live in text->order.
 */
PA_AGENT const uint32_t *pa_text_order(struct pa_text *text,
	int (*compare)(const void *a, const void *b, void *samples));

/* What was dropped must be seen in the text too; readers take "#" lines for comments. */
PA_AGENT void pa_text_comments(struct pa_text *text);

/* heap and allocs. */
PA_AGENT void pa_text_heap(struct pa_text *text);
/* block and mutex. */
PA_AGENT void pa_text_contention(struct pa_text *text);
/* goroutine with debug=1 and threadcreate: values[0] of equal stacks and labels is summed up. */
PA_AGENT void pa_text_count(struct pa_text *text);
/* goroutine with debug=2. What would exceed limit_bytes is left out, from the first such block. */
PA_AGENT void pa_text_threads(struct pa_text *text, size_t limit_bytes);

#endif
