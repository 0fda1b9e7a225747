/*
 * A sink that compresses into another sink. The only file behind it that knows zlib.
 * Context: PA_AGENT. Memory: one deflate state (about 270 KiB) while open.
 */
#ifndef PA_GZIP_H
#define PA_GZIP_H

#include "encode.h"

struct pa_gzip;

/* Level 1, as Go. NULL: out of memory. */
PA_AGENT struct pa_gzip *pa_gzip_open(const struct pa_sink *to);
/* False when the sink behind said stop, or zlib failed. */
PA_AGENT bool pa_gzip_write(struct pa_gzip *gzip, const void *bytes, size_t count);
/* Ends the stream (unless it failed before) and frees it. 0, -ECANCELED, -EIO. */
PA_AGENT int pa_gzip_close(struct pa_gzip *gzip);

#endif
