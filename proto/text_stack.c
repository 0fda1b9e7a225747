/* SPDX-License-Identifier: Apache-2.0 */
#include "text_stack.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TAB_WIDTH 8

/* Frames of one location, looked up once. */
struct named {
	uint32_t first;
	uint32_t known_count; /* number of frames plus 1; 0: not looked up */
};

/* One "#" line. */
struct row {
	uintptr_t pc, offset;
	struct pa_frame frame; /* function NULL: no name */
};

/* ---------------------------------------------------------------- names */

static bool look_up_location(struct pa_text_stack *stacks, const struct pa_loc *loc,
	struct named *out)
{
	struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
	uint32_t count = pa_symbols_lookup(loc, frames, PA_SYMBOLS_INLINE_MAX);
	size_t end = stacks->frame_count + (size_t)count;

	if (!pa_scratch(&stacks->frames, end * sizeof(frames[0])))
		return pa_text_writer_fail(stacks->writer, -ENOMEM);
	if (count)
		memcpy((struct pa_frame *)stacks->frames.at + stacks->frame_count, frames,
			count * sizeof(frames[0]));
	*out = (struct named){ .first = stacks->frame_count, .known_count = count + 1 };
	stacks->frame_count = (uint32_t)end;
	return true;
}

static uintptr_t offset_of(const struct pa_loc *loc, const struct pa_function *function)
{
	if (loc->pc < PA_PSEUDO_LIMIT)
		return 0;
	return function->entry <= loc->pc ? loc->pc - function->entry : loc->pc;
}

PA_AGENT bool pa_text_stack_frames(struct pa_text_stack *stacks, uint32_t loc_id,
	struct pa_text_frames *out)
{
	const struct pa_loc *loc = pa_stack_table_loc(loc_id);
	struct named *named;

	if (!pa_scratch(&stacks->named, (loc_id + (size_t)1) * sizeof(*named)))
		return pa_text_writer_fail(stacks->writer, -ENOMEM);
	named = (struct named *)stacks->named.at + loc_id;
	if (!named->known_count && !look_up_location(stacks, loc, named))
		return false;
	*out = (struct pa_text_frames){ .count = named->known_count - 1 };
	if (!out->count)
		return true;
	out->at = (const struct pa_frame *)stacks->frames.at + named->first;
	out->offset = offset_of(loc, out->at[out->count - 1].function);
	return true;
}

PA_AGENT const char *pa_text_stack_file(const struct pa_loc *loc)
{
	const char *path = loc->module ? loc->module->path : NULL;
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

/* ---------------------------------------------------------------- columns */

static size_t hex_width(uintptr_t number)
{
	return sizeof("0x") - 1 + (size_t)(67 - __builtin_clzll(number | 1)) / 4;
}

static size_t name_width(const struct row *row)
{
	return pa_text_writer_clean_width(row->frame.function->name) + sizeof("+") - 1 +
		hex_width(row->offset);
}

/* Tabs from the end of a cell to the end of its column, which has room for widest plus one. */
static void put_tabs(struct pa_text_writer *writer, size_t width, size_t widest)
{
	size_t column = (widest + 1 + TAB_WIDTH - 1) / TAB_WIDTH * TAB_WIDTH;

	for (; width < column; width += TAB_WIDTH)
		pa_text_writer_put(writer, "\t", 1);
}

/* Aligns consecutive lines with the same columns. */
static void put_named_rows(struct pa_text_writer *writer, const struct row *rows, size_t count)
{
	size_t i, width, widest_pc = 0, widest_name = 0;

	for (i = 0; i < count; i++) {
		width = hex_width(rows[i].pc);
		widest_pc = width > widest_pc ? width : widest_pc;
		width = name_width(&rows[i]);
		widest_name = width > widest_name ? width : widest_name;
	}
	for (i = 0; i < count; i++) {
		pa_text_writer_format(writer, "#\t0x%" PRIxPTR, rows[i].pc);
		put_tabs(writer, hex_width(rows[i].pc), widest_pc);
		pa_text_writer_clean(writer, rows[i].frame.function->name);
		pa_text_writer_format(writer, "+0x%" PRIxPTR, rows[i].offset);
		put_tabs(writer, name_width(&rows[i]), widest_name);
		pa_text_writer_clean(writer, rows[i].frame.function->file);
		pa_text_writer_format(writer, ":%" PRIu32 "\n", rows[i].frame.line);
	}
}

static void put_rows(const struct pa_text_stack *stacks)
{
	struct pa_text_writer *writer = stacks->writer;
	const struct row *rows = stacks->rows.at;
	size_t i = 0, end;

	while (i < stacks->row_count) {
		for (end = i; end < stacks->row_count && rows[end].frame.function; end++)
			;
		put_named_rows(writer, rows + i, end - i);
		for (i = end; i < stacks->row_count && !rows[i].frame.function; i++)
			pa_text_writer_format(writer, "#\t0x%" PRIxPTR "\n", rows[i].pc);
	}
	/* Go writes a line even for an empty stack. */
	if (!stacks->row_count)
		pa_text_writer_format(writer, "#\t0x0\n");
	pa_text_writer_put(writer, "\n", 1);
}

/* ---------------------------------------------------------------- stacks */

static bool add_stack_row(struct pa_text_stack *stacks, const struct row *row)
{
	if (!pa_scratch(&stacks->rows, (stacks->row_count + (size_t)1) * sizeof(*row)))
		return pa_text_writer_fail(stacks->writer, -ENOMEM);
	((struct row *)stacks->rows.at)[stacks->row_count++] = *row;
	return true;
}

static bool add_rows(struct pa_text_stack *stacks, uint32_t loc_id)
{
	struct row row = { .pc = pa_stack_table_loc(loc_id)->pc };
	struct pa_text_frames frames;
	uint32_t i;

	if (!pa_text_stack_frames(stacks, loc_id, &frames))
		return false;
	if (!frames.count)
		return add_stack_row(stacks, &row);
	row.offset = frames.offset;
	for (i = 0; i < frames.count; i++) {
		row.frame = frames.at[i];
		if (!add_stack_row(stacks, &row))
			return false;
	}
	return true;
}

PA_AGENT void pa_text_stack_list(struct pa_text_stack *stacks, const struct pa_stack *stack)
{
	uint32_t i;

	for (i = 0; i < stack->depth; i++)
		pa_text_writer_format(stacks->writer, " 0x%" PRIxPTR,
			pa_stack_table_loc(stack->locs[i])->raw_pc);
	pa_text_writer_put(stacks->writer, "\n", 1);
}

PA_AGENT void pa_text_stack_names(struct pa_text_stack *stacks, const struct pa_stack *stack)
{
	uint32_t i;

	stacks->row_count = 0;
	for (i = 0; i < stack->depth; i++)
		if (!add_rows(stacks, stack->locs[i]))
			return;
	put_rows(stacks);
}

PA_AGENT void pa_text_stack_put(struct pa_text_stack *stacks, const struct pa_stack *stack)
{
	pa_text_stack_list(stacks, stack);
	pa_text_stack_names(stacks, stack);
}

PA_AGENT void pa_text_stack_free(struct pa_text_stack *stacks)
{
	pa_scratch_free(&stacks->named);
	pa_scratch_free(&stacks->frames);
	pa_scratch_free(&stacks->rows);
}
