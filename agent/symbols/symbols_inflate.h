/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random access to a compressed section of a file. Data before the requested position is
 * decompressed and discarded, so reading forwards costs one pass and reading backwards restarts.
 *
 * Context: PA_AGENT; a stream is used by one thread. No lock. Memory until
 * pa_symbols_inflate_close: one page of state, 64 KiB of buffers and about 40 KiB of zlib's.
 */
#ifndef PA_SYMBOLS_INFLATE_H
#define PA_SYMBOLS_INFLATE_H

#include "symbols_elf.h"

struct pa_symbols_inflate;

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

#endif
