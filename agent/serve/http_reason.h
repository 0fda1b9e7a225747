/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reason phrases of the statuses that are answered.
 *
 * Context: PA_AGENT; pure.
 */
#ifndef PA_HTTP_REASON_H
#define PA_HTTP_REASON_H

#include "../base/base.h"

/* Reason phrase of a status: "Not Found". */
PA_AGENT const char *pa_http_reason(int status);

#endif
