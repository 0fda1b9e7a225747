/* SPDX-License-Identifier: Apache-2.0 */
#include "gzip.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../agent/base/kept_pages.h"

#define LEVEL 1
#define GZIP_FORMAT 16 /* on top of the window's bits: gzip's header and trailer, not zlib's */
/*
 * A stream that ends within SMALL_BYTES gets a deflate state that covers just that: zlib writes to
 * all of its window and hash table first, 128 KiB of the large one, which costs more than to
 * compress a small profile.
 */
#define SMALL_BYTES ((size_t)1 << SMALL_WINDOW_BITS)
#define SMALL_WINDOW_BITS 13
#define SMALL_MEMORY_LEVEL 5
#define WINDOW_BITS 15
#define MEMORY_LEVEL 8
/* Bytes passed on at once; small, so that the first bytes of a profile leave early. */
#define OUT_BYTES ((size_t)16 << 10)

struct pa_gzip {
	z_stream stream;
	struct pa_sink to;
	int error;    /* the first error: nothing is written after it */
	bool begun;   /* stream is in use */
	size_t count; /* bytes in first, until then */
	unsigned char first[SMALL_BYTES];
	unsigned char out[OUT_BYTES];
};

PA_AGENT struct pa_gzip *pa_gzip_open(const struct pa_sink *to)
{
	struct pa_gzip *gzip = pa_kept_pages_map(sizeof(*gzip));

	if (!gzip)
		return NULL;
	gzip->to = *to;
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

static void deflate_bytes(struct pa_gzip *gzip, const unsigned char *next, size_t count)
{
	while (count && !gzip->error) {
		uInt part = count < UINT_MAX ? (uInt)count : UINT_MAX;

		/* zlib does not write to its input; the cast is for zlib without ZLIB_CONST. */
		gzip->stream.next_in = (unsigned char *)next;
		gzip->stream.avail_in = part;
		run_deflate(gzip, Z_NO_FLUSH);
		next += part;
		count -= part;
	}
}

/* Begins the stream with the bytes held back. small: nothing follows. */
static bool begin_stream(struct pa_gzip *gzip, bool small)
{
	/* Without an allocator of its own zlib calls malloc, which libc_malloc.c replaces. */
	gzip->stream = (z_stream){ .next_out = gzip->out, .avail_out = sizeof(gzip->out) };
	if (deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED,
		    GZIP_FORMAT + (small ? SMALL_WINDOW_BITS : WINDOW_BITS),
		    small ? SMALL_MEMORY_LEVEL : MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return fail_gzip(gzip, -ENOMEM);
	gzip->begun = true;
	deflate_bytes(gzip, gzip->first, gzip->count);
	return !gzip->error;
}

PA_AGENT bool pa_gzip_write(struct pa_gzip *gzip, const void *bytes, size_t count)
{
	if (gzip->error)
		return false;
	if (!gzip->begun && count <= sizeof(gzip->first) - gzip->count) {
		memcpy(gzip->first + gzip->count, bytes, count);
		gzip->count += count;
		return true;
	}
	if (gzip->begun || begin_stream(gzip, false))
		deflate_bytes(gzip, bytes, count);
	return !gzip->error;
}

PA_AGENT int pa_gzip_close(struct pa_gzip *gzip)
{
	int error;

	if (!gzip->begun && !gzip->error)
		begin_stream(gzip, true);
	gzip->stream.avail_in = 0;
	if (!gzip->error && run_deflate(gzip, Z_FINISH))
		hand_on(gzip);
	error = gzip->error;
	if (gzip->begun)
		deflateEnd(&gzip->stream);
	pa_kept_pages_unmap(gzip, sizeof(*gzip));
	return error;
}
