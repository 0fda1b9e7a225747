/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text forms by kind of profile, one file each (text_NAME.c).
 *
 * Context: PA_AGENT, the render thread only. No lock. A form writes to text->writer and leaves its
 * errors there; text_common.h flushes and frees.
 */
#ifndef PA_TEXT_FORMS_H
#define PA_TEXT_FORMS_H

#include "text_common.h"

/* Go's limit of the dump of all goroutines. */
#define PA_TEXT_DUMP_MAX_BYTES ((size_t)64 << 20)

/* heap and allocs. */
PA_AGENT void pa_text_heap(struct pa_text *text);
/* block and mutex. */
PA_AGENT void pa_text_contention(struct pa_text *text);
/* goroutine with debug=1, and threadcreate: sums values[0] of equal stacks and labels. */
PA_AGENT void pa_text_count(struct pa_text *text);
/* goroutine with debug=2. Blocks beyond limit_bytes are left out. */
PA_AGENT void pa_text_threads(struct pa_text *text, size_t limit_bytes);

#endif
