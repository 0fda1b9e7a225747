/*
 * The bytes of a text form, collected into few writes of the sink.
 *
 * Context: PA_AGENT, one thread. After the first error nothing is written, so that a form need not
 * look at each step; its loops should look at error. A zeroed writer with a sink is ready.
 */
#ifndef PA_TEXT_WRITER_H
#define PA_TEXT_WRITER_H

#include "encode.h"

#define PA_TEXT_WRITER_BYTES 4096

struct pa_text_writer {
	const struct pa_sink *sink;
	int error;    /* the first one */
	bool muted;   /* bytes are counted only */
	size_t total; /* bytes that were put */
	size_t used;
	char buffer[PA_TEXT_WRITER_BYTES];
};

/* Always false, for callers that return it. */
PA_AGENT bool pa_text_writer_fail(struct pa_text_writer *writer, int error);

/* What is in the buffer goes to the sink, which may say -ECANCELED. */
PA_AGENT void pa_text_writer_flush(struct pa_text_writer *writer);

PA_AGENT void pa_text_writer_put(struct pa_text_writer *writer, const char *bytes, size_t count);

/* For numbers and constants only: cut after 255 bytes. */
PA_AGENT void pa_text_writer_format(struct pa_text_writer *writer, const char *format, ...)
	PA_PRINTF(2, 3);

/* A text without what would break its line: a tab in a name would be a column. */
PA_AGENT void pa_text_writer_clean(struct pa_text_writer *writer, const char *text);

/* Characters that pa_text_writer_clean writes. */
PA_AGENT size_t pa_text_writer_clean_width(const char *text);

/* In quotes, as Go's strconv.Quote, but that all of Unicode above ASCII stays as it is. */
PA_AGENT void pa_text_writer_quoted(struct pa_text_writer *writer, const char *text);

#endif
