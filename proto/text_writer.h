/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffered output of a text form.
 *
 * Context: PA_AGENT, one thread. No lock, no allocation. After the first error nothing is written,
 * so a form need not check each step; its loops should check error. To be zeroed except for the
 * sink.
 */
#ifndef PA_TEXT_WRITER_H
#define PA_TEXT_WRITER_H

#include "encode.h"

#define PA_TEXT_WRITER_BYTES 4096

struct pa_text_writer {
	const struct pa_sink *sink;
	int error;    /* the first error */
	bool muted;   /* bytes are only counted */
	size_t total; /* bytes so far */
	size_t used;
	char buffer[PA_TEXT_WRITER_BYTES];
};

/* Sets the error; always returns false, for callers that return it. */
PA_AGENT bool pa_text_writer_fail(struct pa_text_writer *writer, int error);

/* Writes the buffer to the sink; a failure becomes -ECANCELED. */
PA_AGENT void pa_text_writer_flush(struct pa_text_writer *writer);

PA_AGENT void pa_text_writer_put(struct pa_text_writer *writer, const char *bytes, size_t count);

/* For numbers and constants only: truncated after 255 bytes. */
PA_AGENT void pa_text_writer_format(struct pa_text_writer *writer, const char *format, ...)
	PA_PRINTF(2, 3);

/*
 * Writes a text without characters that would break its line: a tab in a name would begin a column.
 */
PA_AGENT void pa_text_writer_clean(struct pa_text_writer *writer, const char *text);

/* Number of characters that pa_text_writer_clean writes. */
PA_AGENT size_t pa_text_writer_clean_width(const char *text);

/* Writes a quoted text as Go's strconv.Quote, except that all characters above ASCII stay as they
 * are. */
PA_AGENT void pa_text_writer_quoted(struct pa_text_writer *writer, const char *text);

#endif
