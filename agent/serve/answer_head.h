/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats the header of an HTTP response. Names and values come from constants, numbers and the
 * date only, never from the request.
 *
 * Context: PA_AGENT, any worker. Pure except for the clock. Writes into the caller's memory.
 */
#ifndef PA_ANSWER_HEAD_H
#define PA_ANSWER_HEAD_H

#include "http.h"

struct pa_answer_head {
	const char *reason; /* reason phrase of the status */
	bool one_one;       /* HTTP/1.1 */
	bool chunked;
};

/*
 * Returns the length of the header including the empty line. A field that does not fit is left out.
 */
PA_AGENT size_t pa_answer_head_write(const struct pa_http_head *head,
	const struct pa_answer_head *answer, char *out, size_t size);

#endif
