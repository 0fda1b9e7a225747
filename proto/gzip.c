/* SPDX-License-Identifier: Apache-2.0 */
#include "gzip.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#define LEVEL 1
#define WINDOW_BITS (15 + 16) /* + 16: gzip's header and trailer instead of zlib's */
#define MEMORY_LEVEL 8
/* Bytes passed on at once; small, so that the first bytes of a profile leave early. */
#define OUT_BYTES ((size_t)16 << 10)

struct pa_gzip {
	z_stream stream;
	struct pa_sink to;
	int error; /* the first error: nothing is written after it */
	unsigned char out[OUT_BYTES];
};

PA_AGENT struct pa_gzip *pa_gzip_open(const struct pa_sink *to)
{
	struct pa_gzip *gzip = malloc(sizeof(*gzip));

	if (!gzip)
		return NULL;
	/* Without an allocator of its own zlib calls malloc, which libc_malloc.c replaces. */
	gzip->stream = (z_stream){ .next_out = gzip->out, .avail_out = sizeof(gzip->out) };
	gzip->to = *to;
	gzip->error = 0;
	if (deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
		    Z_DEFAULT_STRATEGY) != Z_OK) {
		free(gzip);
		return NULL;
	}
	return gzip;
}

static bool fail_gzip(struct pa_gzip *gzip, int error)
{
	gzip->error = error;
	return false;
}

static bool hand_on(struct pa_gzip *gzip)
{
	size_t count = sizeof(gzip->out) - gzip->stream.avail_out;

	if (count && !gzip->to.write(gzip->to.arg, gzip->out, count))
		return fail_gzip(gzip, -ECANCELED);
	gzip->stream.next_out = gzip->out;
	gzip->stream.avail_out = sizeof(gzip->out);
	return true;
}

/* Compresses all of the input; with Z_FINISH also ends the stream. deflate() is called again while
 * it fills the output buffer, because it may hold more. */
static bool run_deflate(struct pa_gzip *gzip, int flush)
{
	int result;

	do {
		if (gzip->stream.avail_out == 0 && !hand_on(gzip))
			return false;
		result = deflate(&gzip->stream, flush);
		if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
			return fail_gzip(gzip, -EIO);
	} while (flush == Z_FINISH ? result != Z_STREAM_END : gzip->stream.avail_out == 0);
	return true;
}

PA_AGENT bool pa_gzip_write(struct pa_gzip *gzip, const void *bytes, size_t count)
{
	const unsigned char *next = bytes;

	while (count && !gzip->error) {
		uInt part = count < UINT_MAX ? (uInt)count : UINT_MAX;

		/* zlib does not write to its input; the cast is for zlib without ZLIB_CONST. */
		gzip->stream.next_in = (unsigned char *)next;
		gzip->stream.avail_in = part;
		run_deflate(gzip, Z_NO_FLUSH);
		next += part;
		count -= part;
	}
	return !gzip->error;
}

PA_AGENT int pa_gzip_close(struct pa_gzip *gzip)
{
	int error;

	gzip->stream.avail_in = 0;
	if (!gzip->error && run_deflate(gzip, Z_FINISH))
		hand_on(gzip);
	error = gzip->error;
	deflateEnd(&gzip->stream);
	free(gzip);
	return error;
}
