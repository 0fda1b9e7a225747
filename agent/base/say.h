/*
 * Lines on stderr, "pprofagent: ..." each in one write(2).
 *
 * Context: PA_BOOT, and PA_AGENT until start-up is over; never later, since by then descriptor 2
 * may be the program's data. No stdio, no allocation. A line is cut at 512 bytes; it always ends in
 * a newline. errno kept.
 */
#ifndef PA_SAY_H
#define PA_SAY_H

#include "base.h"

PA_BOOT void pa_say(const char *format, ...) PA_PRINTF(1, 2);

/*
 * text as it may be shown: control bytes and bytes that are not UTF-8 as \xNN, cut at 64 input
 * bytes. Writes at most size bytes with NUL, returns out. PA_SAY_QUOTED_BYTES always fit.
 */
#define PA_SAY_QUOTED_BYTES (64 * 4 + 1)
PA_BOOT char *pa_say_quote(char *out, size_t size, const char *text);

#endif
