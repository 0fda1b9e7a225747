/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of code made at run time, from perf maps (perf_map_file.h): lines "START SIZE NAME", START
 * and SIZE in hexadecimal.
 *
 * A JIT engine appends a line when it makes code, also at the address of older code: the last line
 * that contains an address names it. So the file is read from its end, a block at a time, until all
 * wanted addresses have a name: new code, which is wanted most, is there. Nothing is kept in memory
 * but the names of wanted code.
 *
 * Context: PA_AGENT, the render thread only; pa_perf_map_parse anywhere. Memory: one block during a
 * call. Without memory or time: the rest stays without name.
 */
#ifndef PA_PERF_MAP_H
#define PA_PERF_MAP_H

#include "symbols.h"

/* A longer line is skipped. */
#define PA_PERF_MAP_BLOCK_BYTES ((size_t)128 << 10)

struct pa_perf_map_line {
	uint64_t start, limit; /* [start, limit) */
	const char *name;      /* points into the text, not terminated */
	size_t name_bytes;
};

/* Parses one line of that many bytes, without its newline. False: it names no code. */
PA_AGENT bool pa_perf_map_parse(struct pa_perf_map_line *line, const char *text, size_t bytes);

struct pa_perf_map_wanted {
	uintptr_t pc;
	const struct pa_loc *loc;     /* not used here */
	struct pa_function *function; /* result; NULL: no name */
	uint32_t until;               /* lines from this offset on are of later code; 0: none */
	uint32_t next;                /* used inside */
};

/*
 * Names the wanted addresses, which are sorted by pc and have no function yet. An address that only
 * lines of later code contain gets the first of these: the engine wrote the line late.
 * deadline_ns: of the thread's CPU time. False: the time or memory was up before all lines were
 * read.
 */
PA_AGENT bool pa_perf_map_name(struct pa_perf_map_wanted *wanted, uint32_t count,
	int64_t deadline_ns);

#endif
