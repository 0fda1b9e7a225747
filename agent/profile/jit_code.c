/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_code.h"

#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/assert.h"
#include "../base/clock.h"
#include "../core/core.h"
#include "../stacks/stack_table.h"
#include "../symbols/perf_map.h"
#include "../symbols/perf_map_file.h"
#include "tables_lock.h"

#define LOOK_NS (100 * PA_NS_PER_MS)
/* Read by one look; the rest by the next ones. */
#define LOOK_BYTES ((size_t)256 << 10)
/* The shortest useful line is "0 1 x\n". */
#define RANGES_MAX (LOOK_BYTES / 6 + 1)
#define TAIL_BYTES 64

static struct {
	int64_t looked_ns;
	bool known; /* a map was seen */
	uint64_t device, inode;
	uint64_t position;     /* lines before it are followed; behind a newline */
	char tail[TAIL_BYTES]; /* the bytes before it */
	size_t tail_bytes;
} state;

static void note_tail(const struct pa_perf_map_file *file)
{
	uint64_t from = state.position > TAIL_BYTES ? state.position - TAIL_BYTES : 0;

	state.tail_bytes = pa_perf_map_file_read(file, state.tail, from, state.position - from);
}

/* Without the lines that are there already: locations interned by now are of any of them. */
static void begin_at_end(const struct pa_perf_map_file *file)
{
	char block[1024];
	uint64_t from = file->bytes > sizeof(block) ? file->bytes - sizeof(block) : 0;
	size_t bytes = pa_perf_map_file_read(file, block, from, sizeof(block));
	const char *newline = memrchr(block, '\n', bytes);

	state.known = true;
	state.device = file->device;
	state.inode = file->inode;
	state.position = newline ? from + (uint64_t)(newline - block) + 1 : file->bytes;
	note_tail(file);
}

/* Java's jcmd Compiler.perfmap writes the whole map again, to the same file. */
static bool is_written_anew(const struct pa_perf_map_file *file)
{
	char tail[TAIL_BYTES];

	PA_ASSERT(state.known && state.tail_bytes <= TAIL_BYTES);
	if (file->device != state.device || file->inode != state.inode ||
		file->bytes < state.position)
		return true;
	return pa_perf_map_file_read(file, tail, state.position - state.tail_bytes,
		       state.tail_bytes) != state.tail_bytes ||
		memcmp(tail, state.tail, state.tail_bytes) != 0;
}

static void renew_code(const struct pa_stack_table_code *ranges, size_t count, uint64_t offset)
{
	pa_tables_lock_yielding();
	bool done = pa_stack_table_renew_code_locked(ranges, count, offset ? (uint32_t)offset : 1);
	pa_tables_unlock();
	if (!done)
		pa_add_relaxed(&pa_core_bridge->counters->perf_maps_unfollowed, 1);
}

static int by_start(const void *left, const void *right)
{
	const struct pa_stack_table_code *a = left, *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/* Sorts and merges. Returns the new number. */
static size_t merge_ranges(struct pa_stack_table_code *ranges, size_t count)
{
	size_t merged = 0;

	qsort(ranges, count, sizeof(*ranges), by_start);
	for (size_t i = 0; i < count; i++) {
		struct pa_stack_table_code *last = merged ? &ranges[merged - 1] : NULL;

		if (last && ranges[i].start <= last->limit)
			last->limit = ranges[i].limit > last->limit ? ranges[i].limit : last->limit;
		else
			ranges[merged++] = ranges[i];
	}
	return merged;
}

/* Returns the number of ranges, and the bytes of whole lines in *used. */
static size_t ranges_of(const char *text, size_t bytes, struct pa_stack_table_code *ranges,
	size_t *used)
{
	struct pa_perf_map_line line;
	const char *newline;
	size_t count = 0;

	for (*used = 0; (newline = memchr(text + *used, '\n', bytes - *used));
		*used = (size_t)(newline - text) + 1) {
		const char *at = text + *used;

		PA_ASSERT(count < RANGES_MAX);
		if (pa_perf_map_parse(&line, at, (size_t)(newline - at)))
			ranges[count++] = (struct pa_stack_table_code){ line.start, line.limit };
	}
	return count;
}

static void follow_map(const struct pa_perf_map_file *file)
{
	const size_t ranges_bytes = RANGES_MAX * sizeof(struct pa_stack_table_code);
	char *memory = pa_map(LOOK_BYTES + ranges_bytes);
	size_t used;

	if (!memory)
		return;
	struct pa_stack_table_code *ranges = (void *)(memory + LOOK_BYTES);
	size_t bytes = pa_perf_map_file_read(file, memory, state.position, LOOK_BYTES);
	size_t count = merge_ranges(ranges, ranges_of(memory, bytes, ranges, &used));
	if (count)
		renew_code(ranges, count, state.position);
	/* A line longer than the block names nothing. */
	state.position += used ? used : bytes == LOOK_BYTES ? bytes : 0;
	note_tail(file);
	pa_unmap(memory, LOOK_BYTES + ranges_bytes);
}

static void look_at(const struct pa_perf_map_file *file)
{
	static const struct pa_stack_table_code all = { 0, UINTPTR_MAX };

	if (!state.known) {
		begin_at_end(file);
	} else if (is_written_anew(file)) {
		renew_code(&all, 1, 0);
		begin_at_end(file);
	} else if (file->bytes > state.position) {
		follow_map(file);
	}
}

void pa_jit_code_look(void)
{
	struct pa_perf_map_file file;

	PA_ASSERT_AGENT();
	if (!pa_stack_table_has_code_unlocked())
		return;
	int64_t now_ns = pa_clock_mono_ns();
	if (now_ns - state.looked_ns < LOOK_NS)
		return;
	state.looked_ns = now_ns;
	if (pa_perf_map_file_open(&file, 0) != 0)
		return;
	look_at(&file);
	pa_perf_map_file_close(&file);
}

void pa_jit_code_atfork_child(void)
{
	memset(&state, 0, sizeof(state));
}
