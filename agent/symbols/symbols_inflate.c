/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_inflate.h"

#include <string.h>
#include <zlib.h>

#include "../base/arena.h"
#include "../base/clock.h"

#define BUFFER_BYTES 32768
/* Discarded buffers between two checks of the clock. */
#define CHECK_EVERY 16

struct pa_symbols_inflate {
	z_stream z;
	const struct pa_symbols_elf *file;
	uint64_t offset, bytes;     /* of the compressed stream in the file */
	uint64_t packed_at, out_at; /* bytes read, and bytes decompressed */
	bool bad;
	uint8_t packed[BUFFER_BYTES], unwanted[BUFFER_BYTES];
};

PA_AGENT struct pa_symbols_inflate *pa_symbols_inflate_open(const struct pa_symbols_elf *file,
	uint64_t offset, uint64_t bytes)
{
	struct pa_symbols_inflate *stream = pa_map(sizeof(*stream));

	if (!stream)
		return NULL;
	stream->file = file;
	stream->offset = offset;
	stream->bytes = bytes;
	if (inflateInit(&stream->z) == Z_OK)
		return stream;
	pa_unmap(stream, sizeof(*stream));
	return NULL;
}

static bool refill_packed(struct pa_symbols_inflate *stream)
{
	uint64_t left = stream->bytes - stream->packed_at;
	size_t part = left < BUFFER_BYTES ? left : BUFFER_BYTES;

	if (part == 0 ||
		!pa_symbols_elf_read(stream->file, stream->packed,
			stream->offset + stream->packed_at, part))
		return false;
	stream->packed_at += part;
	stream->z.next_in = stream->packed;
	stream->z.avail_in = (uInt)part;
	return true;
}

static bool unpack_next(struct pa_symbols_inflate *stream, void *to, size_t bytes)
{
	stream->z.next_out = to;
	stream->z.avail_out = (uInt)bytes;
	while (stream->z.avail_out && !stream->bad) {
		if (stream->z.avail_in == 0 && !refill_packed(stream))
			stream->bad = true;
		else if (inflate(&stream->z, Z_NO_FLUSH) != Z_OK && stream->z.avail_out)
			stream->bad = true;
	}
	stream->out_at += bytes - stream->z.avail_out;
	return !stream->bad;
}

static bool rewind_to_start(struct pa_symbols_inflate *stream)
{
	stream->packed_at = stream->out_at = 0;
	stream->z.avail_in = 0;
	stream->bad = inflateReset(&stream->z) != Z_OK;
	return !stream->bad;
}

static bool skip_to(struct pa_symbols_inflate *stream, uint64_t at, int64_t deadline_ns)
{
	for (unsigned n = 1; stream->out_at < at; n++) {
		uint64_t left = at - stream->out_at;

		if (n % CHECK_EVERY == 0 && pa_clock_thread_cpu_ns() > deadline_ns)
			return false;
		if (!unpack_next(stream, stream->unwanted,
			    left < BUFFER_BYTES ? left : BUFFER_BYTES))
			return false;
	}
	return true;
}

PA_AGENT bool pa_symbols_inflate_read(struct pa_symbols_inflate *stream, uint64_t at, void *to,
	size_t bytes, int64_t deadline_ns)
{
	if ((at < stream->out_at || stream->bad) && !rewind_to_start(stream))
		return false;
	return skip_to(stream, at, deadline_ns) && unpack_next(stream, to, bytes);
}

PA_AGENT void pa_symbols_inflate_close(struct pa_symbols_inflate *stream)
{
	inflateEnd(&stream->z);
	pa_unmap(stream, sizeof(*stream));
}
