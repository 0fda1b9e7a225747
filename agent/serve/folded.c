/* SPDX-License-Identifier: Apache-2.0 */
#include "folded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../../proto/look_up.h"
#include "../../proto/text_stack.h"
#include "../base/utf8.h"

#define VALUE 1 /* index of the nanoseconds */
#define NS_PER_US 1000

struct line {
	const struct pa_stack *stack;
	uint64_t ns;
};

struct folded {
	struct pa_text_writer writer;
	struct pa_text_stack stacks;
	struct line *lines;
	size_t count;
};

static int compare_lines(const void *a, const void *b)
{
	uint32_t left = ((const struct line *)a)->stack->id;
	uint32_t right = ((const struct line *)b)->stack->id;

	return (left > right) - (left < right);
}

/* Fills one line per stack, with the sum of its samples. */
static void fill_folded_lines(struct folded *folded, const struct pa_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->sample_count; i++)
		folded->lines[i] = (struct line){ snapshot->samples[i].stack,
			(uint64_t)snapshot->samples[i].values[VALUE] };
	qsort(folded->lines, snapshot->sample_count, sizeof(struct line), compare_lines);
	for (size_t i = 0; i < snapshot->sample_count; i++) {
		struct line *last = folded->count ? &folded->lines[folded->count - 1] : NULL;
		if (last && last->stack == folded->lines[i].stack)
			last->ns += folded->lines[i].ns;
		else
			folded->lines[folded->count++] = folded->lines[i];
	}
}

/* Replaces semicolons, which separate frames: Rust names such as [u8; 4] contain them. */
static void put_folded_name(struct folded *folded, const char *name)
{
	struct pa_utf8_piece piece;

	while ((piece = pa_utf8_piece(name, SIZE_MAX, true)).source) {
		const char *end = memchr(piece.bytes, ';', piece.count);
		size_t count = end ? (size_t)(end - piece.bytes) : piece.count;
		pa_text_writer_put(&folded->writer, piece.bytes, count);
		if (end)
			pa_text_writer_put(&folded->writer, ":", 1);
		name += end ? count + 1 : piece.source;
	}
}

static void put_folded_location(struct folded *folded, uint32_t loc_id)
{
	struct pa_text_frames frames;

	if (!pa_text_stack_frames(&folded->stacks, loc_id, &frames))
		return;
	if (!frames.count)
		pa_text_writer_format(&folded->writer, "0x%" PRIxPTR,
			pa_stack_table_loc(loc_id)->pc);
	for (uint32_t i = frames.count; i-- > 0;) {
		put_folded_name(folded, frames.at[i].function->name);
		if (i)
			pa_text_writer_put(&folded->writer, ";", 1);
	}
}

static void put_line(struct folded *folded, const struct line *line)
{
	if (line->ns < NS_PER_US)
		return;
	for (uint32_t i = line->stack->depth; i-- > 0 && !folded->writer.error;) {
		put_folded_location(folded, line->stack->locs[i]);
		if (i)
			pa_text_writer_put(&folded->writer, ";", 1);
	}
	pa_text_writer_format(&folded->writer, " %" PRIu64 "\n", line->ns / NS_PER_US);
}

int pa_folded_write(const struct pa_snapshot *snapshot, const struct pa_sink *sink)
{
	struct folded folded = { .writer = { .sink = sink } };

	if (!snapshot->sample_count)
		return 0;
	folded.stacks.writer = &folded.writer;
	folded.lines = malloc(snapshot->sample_count * sizeof(struct line));
	if (!folded.lines)
		return -ENOMEM;
	fill_folded_lines(&folded, snapshot);
	if (pa_look_up_snapshot(snapshot, sink) < 0)
		pa_text_writer_fail(&folded.writer, -ENOMEM);
	for (size_t i = 0; i < folded.count && !folded.writer.error; i++)
		put_line(&folded, &folded.lines[i]);
	pa_text_writer_flush(&folded.writer);
	pa_text_stack_free(&folded.stacks);
	free(folded.lines);
	return folded.writer.error;
}
