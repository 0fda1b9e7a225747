/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads what a gzip file in memory holds, in pieces. gunzip.c is the only file that uses zlib's
 * inflate for profiles.
 *
 * Context: PA_AGENT, one thread. No lock. Memory until pa_gunzip_close: about 60 KiB, however much
 * the file holds. The file is the caller's and may be of any origin.
 */
#ifndef PA_GUNZIP_H
#define PA_GUNZIP_H

#include "../agent/base/base.h"

struct pa_gunzip;

/* NULL: out of memory. bytes must stay until the close. */
PA_AGENT struct pa_gunzip *pa_gunzip_open(const void *bytes, size_t count);

/* Returns the number of bytes read: less than count at the end, or where the file is damaged. */
PA_AGENT size_t pa_gunzip_read(struct pa_gunzip *gunzip, void *to, size_t count);

/* True if everything was read, its checksum is right, and nothing follows. */
PA_AGENT bool pa_gunzip_is_whole(const struct pa_gunzip *gunzip);

/* The next read is from the beginning again. */
PA_AGENT void pa_gunzip_rewind(struct pa_gunzip *gunzip);

PA_AGENT void pa_gunzip_close(struct pa_gunzip *gunzip);

#endif
