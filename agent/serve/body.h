/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assembles the body of a request from the bytes as they arrive: with a known length, or chunked
 * (RFC 9112, 7.1; chunk extensions and trailers are ignored).
 *
 * Context: PA_AGENT, one thread at a time. No lock. Memory: one mapping for max bytes, freed by
 * pa_body_free; its pages are populated as bytes arrive. When full: the state becomes
 * PA_BODY_TOO_LONG and further bytes are ignored.
 */
#ifndef PA_BODY_H
#define PA_BODY_H

#include "../base/base.h"

enum pa_body_state {
	PA_BODY_MORE,
	PA_BODY_WHOLE,
	PA_BODY_TOO_LONG,
	PA_BODY_BAD /* the chunked framing is wrong, or the connection ended early */
};

struct pa_body {
	enum pa_body_state state;
	size_t count; /* body bytes in bytes[], without framing */
	size_t max;
	/* parser state: an enum part of body.c */
	int part;
	uint64_t left;   /* bytes missing from the body or the chunk */
	uint32_t digits; /* digits of the chunk length read so far; in a trailer: the line is not
			  * empty */
	char bytes[];
};

/* length -1: chunked. NULL: no memory. */
PA_AGENT struct pa_body *pa_body_new(int64_t length, size_t max);
PA_AGENT void pa_body_free(struct pa_body *body);

/* Consumes the next bytes. Bytes after the end of the body are ignored. */
PA_AGENT void pa_body_feed(struct pa_body *body, const char *bytes, size_t count);

/* Reads what the socket has received, a bounded amount per call. False: the connection ended or
 * failed, no more bytes will come. */
PA_AGENT bool pa_body_receive(struct pa_body *body, int fd);

#endif
