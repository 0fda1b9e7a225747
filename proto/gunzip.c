/* SPDX-License-Identifier: Apache-2.0 */
#include "gunzip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define WINDOW_BITS (15 + 16) /* + 16: gzip's header and trailer instead of zlib's */
/* Readers ask for single bytes. */
#define READ_BYTES ((size_t)16 << 10)

struct pa_gunzip {
	z_stream stream;
	unsigned char *bytes;
	size_t count;
	bool over;         /* nothing more can be read */
	bool whole;        /* the trailer is right */
	size_t used, held; /* of buffer */
	unsigned char buffer[READ_BYTES];
};

PA_AGENT struct pa_gunzip *pa_gunzip_open(const void *bytes, size_t count)
{
	struct pa_gunzip *gunzip = count <= UINT_MAX ? malloc(sizeof(*gunzip)) : NULL;

	if (!gunzip)
		return NULL;
	gunzip->stream = (z_stream){ 0 };
	/* zlib does not write to its input; the cast is for zlib without ZLIB_CONST. */
	gunzip->bytes = (unsigned char *)bytes;
	gunzip->count = count;
	if (inflateInit2(&gunzip->stream, WINDOW_BITS) != Z_OK) {
		free(gunzip);
		return NULL;
	}
	pa_gunzip_rewind(gunzip);
	return gunzip;
}

PA_AGENT void pa_gunzip_rewind(struct pa_gunzip *gunzip)
{
	gunzip->over = inflateReset(&gunzip->stream) != Z_OK;
	gunzip->whole = false;
	gunzip->used = gunzip->held = 0;
	gunzip->stream.next_in = gunzip->bytes;
	gunzip->stream.avail_in = (uInt)gunzip->count;
}

/* Bytes behind the end belong to no profile: the file is not whole then. */
static void refill_buffer(struct pa_gunzip *gunzip)
{
	gunzip->stream.next_out = gunzip->buffer;
	gunzip->stream.avail_out = READ_BYTES;
	int result = inflate(&gunzip->stream, Z_NO_FLUSH);
	gunzip->used = 0;
	gunzip->held = READ_BYTES - gunzip->stream.avail_out;
	gunzip->whole = result == Z_STREAM_END && gunzip->stream.avail_in == 0;
	/* Without output and without an end there is no progress: the input is over. */
	gunzip->over = result != Z_OK || gunzip->held == 0;
}

PA_AGENT size_t pa_gunzip_read(struct pa_gunzip *gunzip, void *to, size_t count)
{
	unsigned char *at = to;
	size_t left = count;

	while (left) {
		size_t held = gunzip->held - gunzip->used, part = left < held ? left : held;
		if (!part && gunzip->over)
			break;
		memcpy(at, gunzip->buffer + gunzip->used, part);
		gunzip->used += part;
		at += part;
		left -= part;
		if (left && !gunzip->over)
			refill_buffer(gunzip);
	}
	return count - left;
}

PA_AGENT bool pa_gunzip_is_whole(const struct pa_gunzip *gunzip)
{
	return gunzip->whole && gunzip->used == gunzip->held;
}

PA_AGENT void pa_gunzip_close(struct pa_gunzip *gunzip)
{
	inflateEnd(&gunzip->stream);
	free(gunzip);
}
