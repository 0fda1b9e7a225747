/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages on stderr: "pprofagent: ..." lines, one write(2) each.
 *
 * Context: PA_BOOT, and PA_AGENT during start-up; not later, since descriptor 2 may by then be the
 * program's data. No stdio, no allocation. A line is cut at 512 bytes and always ends in a newline.
 * errno kept.
 */
#ifndef PA_LOG_H
#define PA_LOG_H

#include "base.h"

PA_BOOT void pa_log(const char *format, ...) PA_PRINTF(1, 2);

/*
 * Escapes text for display: control bytes and invalid UTF-8 as \xNN, cut at 64 input bytes. Writes
 * at most size bytes with NUL, returns out. PA_LOG_QUOTED_BYTES always suffice.
 */
#define PA_LOG_QUOTED_BYTES (64 * 4 + 1)
PA_BOOT char *pa_log_quote(char *out, size_t size, const char *text);

/* The same as far as size allows: for paths, which are copied from the line. */
PA_BOOT char *pa_log_quote_all(char *out, size_t size, const char *text);

#endif
