/* SPDX-License-Identifier: Apache-2.0 */
#include "folded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../agent/base/utf8.h"
#include "look_up.h"
#include "sample_values.h"
#include "tags.h"
#include "text_stack.h"

struct line {
	const struct pa_stack *stack;
	const char *thread; /* "": none */
	int64_t value;
};

struct folded {
	struct pa_text_writer writer;
	struct pa_text_stack stacks;
	struct line *lines;
	size_t count;
};

static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	uint32_t left = x->stack->id, right = y->stack->id;

	return left != right ? (left > right ? 1 : -1) : strcmp(x->thread, y->thread);
}

/* The text of the label "thread", which may be the program's. */
static const char *thread_of_sample(const struct pa_profile_ops *kind,
	const struct pa_sample *sample)
{
	struct pa_tag tags[PA_TAGS_MAX];
	size_t count = pa_tags_of(kind, sample, tags);

	for (size_t i = 0; i < count; i++)
		if (tags[i].text && strcmp(tags[i].key, "thread") == 0)
			return tags[i].text;
	return "";
}

static struct line line_of_sample(const struct pa_snapshot *snapshot,
	const struct pa_sample *sample, uint32_t value)
{
	int64_t values[PA_PROFILE_OPS_VALUES];

	pa_sample_values_of(snapshot, sample, values);
	return (struct line){ sample->stack, thread_of_sample(snapshot->kind, sample),
		values[value] };
}

/* Fills one line per stack and thread name, with the sum of its samples. */
static void fill_folded_lines(struct folded *folded, const struct pa_snapshot *snapshot,
	uint32_t value)
{
	for (size_t i = 0; i < snapshot->sample_count; i++)
		folded->lines[i] = line_of_sample(snapshot, &snapshot->samples[i], value);
	qsort(folded->lines, snapshot->sample_count, sizeof(struct line), compare_lines);
	for (size_t i = 0; i < snapshot->sample_count; i++) {
		struct line *last = folded->count ? &folded->lines[folded->count - 1] : NULL;
		if (last && compare_lines(last, &folded->lines[i]) == 0)
			last->value =
				(int64_t)((uint64_t)last->value + (uint64_t)folded->lines[i].value);
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

/* As perf's stackcollapse: the file, which is the same in each run, or else the address. */
static void put_nameless_location(struct folded *folded, const struct pa_loc *loc)
{
	const char *file = pa_text_stack_file(loc);

	if (!file) {
		pa_text_writer_format(&folded->writer, "0x%" PRIxPTR, loc->pc);
		return;
	}
	pa_text_writer_put(&folded->writer, "[", 1);
	put_folded_name(folded, file);
	pa_text_writer_put(&folded->writer, "]", 1);
}

static void put_folded_location(struct folded *folded, uint32_t loc_id)
{
	struct pa_text_frames frames;

	if (!pa_text_stack_frames(&folded->stacks, loc_id, &frames))
		return;
	if (!frames.count)
		put_nameless_location(folded, pa_stack_table_loc(loc_id));
	for (uint32_t i = frames.count; i-- > 0;) {
		put_folded_name(folded, frames.at[i].function->name);
		if (i)
			pa_text_writer_put(&folded->writer, ";", 1);
	}
}

static void put_line(struct folded *folded, const struct line *line)
{
	uint32_t depth = line->stack->depth;

	if (line->value <= 0)
		return;
	put_folded_name(folded, line->thread);
	if (*line->thread && depth)
		pa_text_writer_put(&folded->writer, ";", 1);
	for (uint32_t i = depth; i-- > 0 && !folded->writer.error;) {
		put_folded_location(folded, line->stack->locs[i]);
		if (i)
			pa_text_writer_put(&folded->writer, ";", 1);
	}
	if (!depth && !*line->thread)
		pa_text_writer_format(&folded->writer, "[unknown]");
	pa_text_writer_format(&folded->writer, " %" PRId64 "\n", line->value);
}

PA_AGENT int pa_folded_write(const struct pa_snapshot *snapshot, uint32_t value,
	const struct pa_sink *sink)
{
	struct folded folded = { .writer = { .sink = sink } };

	if (!snapshot->sample_count)
		return 0;
	folded.stacks.writer = &folded.writer;
	folded.lines = malloc(snapshot->sample_count * sizeof(struct line));
	if (!folded.lines)
		return -ENOMEM;
	fill_folded_lines(&folded, snapshot, value);
	if (pa_look_up_snapshot(snapshot, sink) < 0)
		pa_text_writer_fail(&folded.writer, -ENOMEM);
	for (size_t i = 0; i < folded.count && !folded.writer.error; i++)
		put_line(&folded, &folded.lines[i]);
	pa_text_writer_flush(&folded.writer);
	pa_text_stack_free(&folded.stacks);
	free(folded.lines);
	return folded.writer.error;
}
