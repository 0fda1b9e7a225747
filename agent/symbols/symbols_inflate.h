/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random access to a compressed section of a file. Data before the requested position is
 * decompressed and discarded: reading forwards costs one pass. On the way the state of zlib is
 * saved at regular distances, and reading elsewhere continues from the nearest saved state.
 *
 * The checksum at the end of a stream is not verified: a stream is rarely read to its end, and the
 * readers of its contents accept damage.
 *
 * Context: PA_AGENT; a stream is used by one thread. No lock. Memory until
 * pa_symbols_inflate_close: 72 KiB of buffers, and about 40 KiB of zlib's for each of at most
 * PA_SYMBOLS_INFLATE_SAVED + 1 states.
 */
#ifndef PA_SYMBOLS_INFLATE_H
#define PA_SYMBOLS_INFLATE_H

#include "symbols_elf.h"

struct pa_symbols_inflate;

/* Saved states of one stream. They are at least PA_SYMBOLS_INFLATE_APART bytes of contents apart;
 * when there are too many, every second one is freed and the distance doubles. */
#define PA_SYMBOLS_INFLATE_SAVED 32
#define PA_SYMBOLS_INFLATE_APART ((uint64_t)1 << 20)

/*
 * Opens the stream at [offset, offset + bytes) of the file, which must stay open. NULL: no memory.
 */
PA_AGENT struct pa_symbols_inflate *pa_symbols_inflate_open(const struct pa_symbols_elf *file,
	uint64_t offset, uint64_t bytes);

/* Reads the uncompressed bytes [at, at + bytes), at most some MiB. False: damaged, too short, or
 * the thread's CPU time reached deadline_ns before at; a later call continues there. */
PA_AGENT bool pa_symbols_inflate_read(struct pa_symbols_inflate *stream, uint64_t at, void *to,
	size_t bytes, int64_t deadline_ns);

PA_AGENT void pa_symbols_inflate_close(struct pa_symbols_inflate *stream);

/* Bytes that all streams of the process have decompressed, discarded ones too. Statistics only. */
PA_AGENT uint64_t pa_symbols_inflate_total(void);

#endif
