/*
 * Text that grows: how pages are put together before their length is known.
 *
 * Context: PA_AGENT, one thread at a time. Memory is malloc's (the next allocator after our hooks).
 * When full (PA_BUFFER_MAX reached, or no memory): failed is set, what was added so far stays, and
 * everything added later is dropped. The owner calls pa_buffer_free.
 */
#ifndef PA_BUFFER_H
#define PA_BUFFER_H

#include "../base/base.h"

#define PA_BUFFER_MAX ((size_t)8 << 20)

struct pa_buffer {
	char *bytes; /* NUL behind the last one; NULL while nothing was added */
	size_t length, size;
	bool failed;
};

PA_AGENT void pa_buffer_add(struct pa_buffer *buffer, const void *bytes, size_t count);
PA_AGENT void pa_buffer_text(struct pa_buffer *buffer, const char *text);
PA_AGENT void pa_buffer_format(struct pa_buffer *buffer, const char *format, ...) PA_PRINTF(2, 3);

/* text with the five characters of HTML that mean something escaped, as Go's html package does. */
PA_AGENT void pa_buffer_html(struct pa_buffer *buffer, const char *text);

/* text as a JSON string with its quotes: RFC 8259; bytes that are not UTF-8 become U+FFFD. */
PA_AGENT void pa_buffer_json(struct pa_buffer *buffer, const char *text);

PA_AGENT void pa_buffer_free(struct pa_buffer *buffer);

#endif
