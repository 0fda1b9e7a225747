/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing text buffer, for pages whose length is not known in advance.
 *
 * Context: PA_AGENT, one thread at a time. No lock. Memory: malloc (the next allocator behind our
 * hooks); the owner calls pa_buffer_free. When full (PA_BUFFER_MAX reached, or no memory): failed
 * is set, the text so far stays, later additions are dropped.
 */
#ifndef PA_BUFFER_H
#define PA_BUFFER_H

#include "../base/base.h"

#define PA_BUFFER_MAX ((size_t)8 << 20)

struct pa_buffer {
	char *bytes; /* terminated by NUL; NULL while empty */
	size_t length, size;
	bool failed;
};

PA_AGENT void pa_buffer_add(struct pa_buffer *buffer, const void *bytes, size_t count);
PA_AGENT void pa_buffer_text(struct pa_buffer *buffer, const char *text);
PA_AGENT void pa_buffer_format(struct pa_buffer *buffer, const char *format, ...) PA_PRINTF(2, 3);

/* Adds text for a reader: control characters and bytes that are not UTF-8 as \xNN, so that it is
 * one line and changes no terminal. */
PA_AGENT void pa_buffer_line(struct pa_buffer *buffer, const char *text);

/* Adds text with the five special characters of HTML escaped as by Go's html.EscapeString. */
PA_AGENT void pa_buffer_html(struct pa_buffer *buffer, const char *text);

/* Adds text as a quoted JSON string (RFC 8259). Bytes that are not UTF-8 become U+FFFD. */
PA_AGENT void pa_buffer_json(struct pa_buffer *buffer, const char *text);

/* Adds a time as "2026-01-31T23:59:59Z". */
PA_AGENT void pa_buffer_time(struct pa_buffer *buffer, int64_t wall_ns);

PA_AGENT void pa_buffer_free(struct pa_buffer *buffer);

#endif
