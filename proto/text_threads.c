/* SPDX-License-Identifier: Apache-2.0 */
#include "text_forms.h"

#include <inttypes.h>
#include <string.h>

#include "tags.h"
#include "text_state.h"

/* For a sample without thread data. */
static const struct pa_thread_info nothing_known = { .answered = true, .syscall = -1 };

static bool is_pseudo(const struct pa_loc *loc)
{
	return loc->pc > PA_PSEUDO_NONE && loc->pc < PA_PSEUDO_LIMIT;
}

/* ---------------------------------------------------------------- frames */

/* Address for addr2line with the module's file: the address for which the file was linked. In
 * memory that is not an ELF file, the offset from the module's start. */
static uintptr_t place_in_module(const struct pa_loc *loc)
{
	if (!loc->module)
		return loc->pc;
	return loc->pc - (loc->module->is_elf ? loc->module->bias : loc->module->start);
}

/* frame NULL: no name. */
static void put_frame_name(struct pa_text_writer *writer, const struct pa_loc *loc,
	const struct pa_frame *frame)
{
	if (frame)
		pa_text_writer_clean(writer, frame->function->name);
	else
		pa_text_writer_format(writer, "0x%" PRIxPTR, loc->pc);
}

static void put_place(struct pa_text_writer *writer, const struct pa_loc *loc,
	const struct pa_frame *frame, uintptr_t offset)
{
	bool known = frame && *frame->function->file;

	pa_text_writer_put(writer, "\t", 1);
	if (known)
		pa_text_writer_clean(writer, frame->function->file);
	else
		pa_text_writer_clean(writer, loc->module ? loc->module->path : "?");
	pa_text_writer_format(writer, ":%" PRIu32 " +0x%" PRIxPTR "\n", known ? frame->line : 0,
		frame ? offset : place_in_module(loc));
}

static void put_frame(struct pa_text_writer *writer, const struct pa_loc *loc,
	const struct pa_frame *frame, uintptr_t offset)
{
	put_frame_name(writer, loc, frame);
	if (is_pseudo(loc)) {
		pa_text_writer_put(writer, "\n", 1);
		return;
	}
	pa_text_writer_format(writer, "(...)\n");
	put_place(writer, loc, frame, offset);
}

static void put_frames(struct pa_text *text, uint32_t loc_id)
{
	const struct pa_loc *loc = pa_stack_table_loc(loc_id);
	struct pa_text_frames frames;
	uint32_t i;

	if (!pa_text_stack_frames(&text->stacks, loc_id, &frames))
		return;
	if (!frames.count)
		put_frame(&text->writer, loc, NULL, 0);
	for (i = 0; i < frames.count; i++)
		put_frame(&text->writer, loc, &frames.at[i], frames.offset);
}

/* The innermost frame: the line of the call, and its function. */
static void put_creator(struct pa_text *text, const struct pa_thread_info *info)
{
	struct pa_text_writer *writer = &text->writer;
	const struct pa_frame *frame;
	const struct pa_loc *loc;
	struct pa_text_frames frames;

	if (!info->creator || !info->creator->depth ||
		!pa_text_stack_frames(&text->stacks, info->creator->locs[0], &frames))
		return;
	loc = pa_stack_table_loc(info->creator->locs[0]);
	frame = frames.count ? &frames.at[0] : NULL;
	pa_text_writer_format(writer, "created by ");
	put_frame_name(writer, loc, frame);
	if (info->creator_tid)
		pa_text_writer_format(writer, " in goroutine %" PRId32, info->creator_tid);
	pa_text_writer_put(writer, "\n", 1);
	if (!is_pseudo(loc))
		put_place(writer, loc, frame, frames.offset);
}

/* ---------------------------------------------------------------- threads */

struct names {
	const char *at[PA_TEXT_STATE_NAMES];
	size_t count;
	char files[PA_TEXT_STATE_NAMES][PA_FUTEX_KIND_FILE_BYTES];
};

static void add_frame_names(struct names *names, const struct pa_loc *loc,
	const struct pa_text_frames *frames)
{
	uint32_t i;

	if (!frames->count && names->count < PA_TEXT_STATE_NAMES) {
		names->at[names->count] = pa_futex_kind_file(loc, names->files[names->count]);
		names->count++;
	}
	for (i = 0; i < frames->count && names->count < PA_TEXT_STATE_NAMES; i++)
		names->at[names->count++] = frames->at[i].function->name;
}

/* The first functions of a stack. */
static void innermost_names(struct pa_text *text, const struct pa_stack *stack, struct names *names)
{
	struct pa_text_frames frames;
	uint32_t i;

	names->count = 0;
	for (i = 0; i < stack->depth && names->count < PA_TEXT_STATE_NAMES; i++) {
		const struct pa_loc *loc = pa_stack_table_loc(stack->locs[i]);
		if (is_pseudo(loc))
			continue;
		if (!pa_text_stack_frames(&text->stacks, stack->locs[i], &frames))
			break;
		add_frame_names(names, loc, &frames);
	}
}

static void put_thread_head(struct pa_text *text, const struct pa_sample *sample,
	const struct pa_thread_info *info)
{
	struct names names;

	innermost_names(text, sample->stack, &names);
	pa_text_writer_format(&text->writer, "goroutine %" PRId32 " [", sample->tid);
	pa_text_state_put(&text->writer, info, names.at, names.count);
	pa_text_writer_put(&text->writer, "]", 1);
	pa_tags_put_thread(&text->writer, info->name, sample->labels);
	pa_text_writer_put(&text->writer, ":\n", 2);
}

static void put_thread(struct pa_text *text, const struct pa_sample *sample)
{
	const struct pa_thread_info *info = sample->info ? sample->info : &nothing_known;
	uint32_t i;

	/* An empty line between blocks, as in Go, not after the last. */
	if (sample != text->snapshot->samples)
		pa_text_writer_put(&text->writer, "\n", 1);
	put_thread_head(text, sample, info);
	for (i = 0; i < sample->stack->depth; i++)
		put_frames(text, sample->stack->locs[i]);
	put_creator(text, info);
}

/* Bytes that put_thread will write. Names are looked up only once, so this costs the formatting. */
static size_t measure_thread(struct pa_text *text, const struct pa_sample *sample)
{
	size_t before = text->writer.total, bytes;

	text->writer.muted = true;
	put_thread(text, sample);
	text->writer.muted = false;
	bytes = text->writer.total - before;
	text->writer.total = before;
	return bytes;
}

PA_AGENT void pa_text_threads(struct pa_text *text, size_t limit_bytes)
{
	const struct pa_snapshot *snapshot = text->snapshot;
	size_t i;

	for (i = 0; i < snapshot->sample_count && !text->writer.error; i++) {
		if (measure_thread(text, &snapshot->samples[i]) > limit_bytes - text->writer.total)
			break;
		put_thread(text, &snapshot->samples[i]);
	}
}
