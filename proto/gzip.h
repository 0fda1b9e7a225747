/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sink that compresses into another sink. gzip.c is the only file that uses zlib's deflate.
 *
 * Context: PA_AGENT, one thread. No lock. Memory while open: 25 KiB, and a deflate
 * state of about 270 KiB for a stream of more than 8 KiB, else of 50 KiB at its end.
 */
#ifndef PA_GZIP_H
#define PA_GZIP_H

#include "encode.h"

struct pa_gzip;

/* Level 1, as Go. NULL: out of memory (a deflate state that finds none later fails a write). */
PA_AGENT struct pa_gzip *pa_gzip_open(const struct pa_sink *to);
/* False: the other sink or zlib failed. */
PA_AGENT bool pa_gzip_write(struct pa_gzip *gzip, const void *bytes, size_t count);
/* Ends the stream (unless it failed) and frees it. Returns 0, -ECANCELED, -ENOMEM
 * or -EIO. */
PA_AGENT int pa_gzip_close(struct pa_gzip *gzip);

#endif
