/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols_inflate.h"

#include <string.h>
#include <zlib.h>

#include "../base/arena.h"
#include "../base/atomic.h"
#include "../base/clock.h"

#define BUFFER_BYTES 32768
/* Discarded buffers between two checks of the clock. */
#define CHECK_EVERY 16

/* Where a decompression stands. Not to be moved: zlib's state points to its z_stream. */
struct position {
	z_stream z;
	uint64_t packed_at, out_at; /* bytes read, and bytes decompressed */
};

struct pa_symbols_inflate {
	struct position now;
	const struct pa_symbols_elf *file;
	uint64_t offset, bytes; /* of the compressed stream in the file */
	bool bad;
	uint32_t saved_count;
	uint64_t apart;                                   /* distance of the saved positions */
	struct position *saved[PA_SYMBOLS_INFLATE_SAVED]; /* ascending; free places follow */
	struct position places[PA_SYMBOLS_INFLATE_SAVED]; /* of saved */
	uint8_t packed[BUFFER_BYTES], unwanted[BUFFER_BYTES];
};

static struct {
	PA_ATOMIC(uint64_t) total; /* relaxed: statistics only */
} state;

PA_AGENT uint64_t pa_symbols_inflate_total(void)
{
	return pa_load_relaxed(&state.total);
}

static bool begin_position(struct position *position)
{
	memset(position, 0, sizeof(*position));
	if (inflateInit(&position->z) != Z_OK)
		return false;
	inflateValidate(&position->z, 0);
	return true;
}

PA_AGENT struct pa_symbols_inflate *pa_symbols_inflate_open(const struct pa_symbols_elf *file,
	uint64_t offset, uint64_t bytes)
{
	struct pa_symbols_inflate *stream = pa_map(sizeof(*stream));

	if (!stream)
		return NULL;
	stream->file = file;
	stream->offset = offset;
	stream->bytes = bytes;
	stream->apart = PA_SYMBOLS_INFLATE_APART;
	for (size_t i = 0; i < PA_COUNT(stream->saved); i++)
		stream->saved[i] = &stream->places[i];
	if (begin_position(&stream->now))
		return stream;
	pa_unmap(stream, sizeof(*stream));
	return NULL;
}

/* ---------------------------------------------------------------- saved positions */

/* to has no state of zlib, nor on failure. */
static bool copy_position(struct position *to, struct position *from)
{
	memset(to, 0, sizeof(*to));
	if (inflateCopy(&to->z, &from->z) != Z_OK)
		return false;
	/* The input buffer has been overwritten when the copy is used. */
	to->packed_at = from->packed_at - from->z.avail_in;
	to->z.avail_in = 0;
	to->out_at = from->out_at;
	return true;
}

/* Frees the saved positions with even numbers. */
static void thin_out_saved(struct pa_symbols_inflate *stream)
{
	struct position *freed[PA_SYMBOLS_INFLATE_SAVED] = { NULL };
	uint32_t kept = 0, count = 0;

	for (uint32_t i = 0; i < stream->saved_count; i++) {
		if (i % 2) {
			stream->saved[kept++] = stream->saved[i];
		} else {
			inflateEnd(&stream->saved[i]->z);
			freed[count++] = stream->saved[i];
		}
	}
	memcpy(stream->saved + kept, freed, count * sizeof(*freed));
	stream->saved_count = kept;
	stream->apart *= 2;
}

/* Without memory nothing is saved. */
static void save_position(struct pa_symbols_inflate *stream)
{
	uint64_t last = stream->saved_count ? stream->saved[stream->saved_count - 1]->out_at : 0;

	if (stream->bad || stream->now.out_at < last + stream->apart)
		return;
	if (stream->saved_count == PA_COUNT(stream->saved))
		thin_out_saved(stream);
	else if (copy_position(stream->saved[stream->saved_count], &stream->now))
		stream->saved_count++;
}

/* Moves to the nearest position at or before at. */
static bool move_near(struct pa_symbols_inflate *stream, uint64_t at)
{
	struct position *nearest = NULL;

	for (uint32_t i = 0; i < stream->saved_count && stream->saved[i]->out_at <= at; i++)
		nearest = stream->saved[i];
	if (!stream->bad && stream->now.out_at <= at &&
		(!nearest || nearest->out_at <= stream->now.out_at))
		return true;
	inflateEnd(&stream->now.z);
	stream->bad =
		!(nearest && copy_position(&stream->now, nearest)) && !begin_position(&stream->now);
	return !stream->bad;
}

/* ---------------------------------------------------------------- decompression */

static bool refill_packed(struct pa_symbols_inflate *stream)
{
	uint64_t left = stream->bytes - stream->now.packed_at;
	size_t part = left < BUFFER_BYTES ? left : BUFFER_BYTES;

	if (part == 0 ||
		!pa_symbols_elf_read(stream->file, stream->packed,
			stream->offset + stream->now.packed_at, part))
		return false;
	stream->now.packed_at += part;
	stream->now.z.next_in = stream->packed;
	stream->now.z.avail_in = (uInt)part;
	return true;
}

static bool unpack_next(struct pa_symbols_inflate *stream, void *to, size_t bytes)
{
	z_stream *z = &stream->now.z;

	z->next_out = to;
	z->avail_out = (uInt)bytes;
	while (z->avail_out && !stream->bad) {
		if (z->avail_in == 0 && !refill_packed(stream))
			stream->bad = true;
		else if (inflate(z, Z_NO_FLUSH) != Z_OK && z->avail_out)
			stream->bad = true;
	}
	bytes -= z->avail_out;
	stream->now.out_at += bytes;
	pa_add_relaxed(&state.total, bytes);
	save_position(stream);
	return !stream->bad;
}

static bool skip_to(struct pa_symbols_inflate *stream, uint64_t at, int64_t deadline_ns)
{
	for (unsigned n = 1; stream->now.out_at < at; n++) {
		uint64_t left = at - stream->now.out_at;

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
	return move_near(stream, at) && skip_to(stream, at, deadline_ns) &&
		unpack_next(stream, to, bytes);
}

PA_AGENT void pa_symbols_inflate_close(struct pa_symbols_inflate *stream)
{
	for (uint32_t i = 0; i < stream->saved_count; i++)
		inflateEnd(&stream->saved[i]->z);
	inflateEnd(&stream->now.z);
	pa_unmap(stream, sizeof(*stream));
}
