/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks the header of a request before civetweb parses it.
 *
 * civetweb 1.15 is more lenient than RFC 9112: at a line that is not a field it stops reading
 * fields without an error, so checks of later fields would be bypassed; of two lengths it takes the
 * first. Such requests are rejected here.
 *
 * Context: PA_AGENT, any thread; pure.
 */
#ifndef PA_REQUEST_HEAD_H
#define PA_REQUEST_HEAD_H

#include "../base/base.h"

#define PA_REQUEST_HEAD_BYTES 8192 /* the longest header that is accepted */

enum pa_request_head_verdict {
	PA_REQUEST_HEAD_MORE,    /* incomplete */
	PA_REQUEST_HEAD_PASS,    /* complete, or bad in a way that civetweb rejects */
	PA_REQUEST_HEAD_BAD,     /* 400 */
	PA_REQUEST_HEAD_FOREIGN, /* the target is not a path: 403 */
	PA_REQUEST_HEAD_TOO_LONG /* 431 */
};

/* Verdict on a header of which these are the first bytes. */
PA_AGENT enum pa_request_head_verdict pa_request_head_judge(const char *bytes, size_t count);

/* Length of the header including its empty line; 0: incomplete. civetweb ends a header at a control
 * character: then the length is count. */
PA_AGENT size_t pa_request_head_length(const char *bytes, size_t count);

#endif
