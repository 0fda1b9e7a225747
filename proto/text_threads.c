#include "text_forms.h"

#include <inttypes.h>
#include <string.h>

#include "tags.h"
#include "text_state.h"

/* Of a sample that comes without a word on its thread. */
static const struct pa_about nothing_known = { .answered = true, .syscall = -1 };

static bool is_pseudo(const struct pa_loc *loc)
{
	return loc->pc > PA_PSEUDO_NONE && loc->pc < PA_PSEUDO_LIMIT;
}

/* ---------------------------------------------------------------- frames */

/*
 * What addr2line takes together with the module's file: the address that the file was linked for.
 * In memory that is no ELF file it is how far from the start of the module.
 */
static uintptr_t place_in_module(const struct pa_loc *loc)
{
	if (!loc->module)
		return loc->pc;
	return loc->pc - (loc->module->is_elf ? loc->module->bias : loc->module->start);
}

/* frame NULL: it has no name. */
static void put_name(struct pa_text_writer *writer, const struct pa_loc *loc,
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
	put_name(writer, loc, frame);
	if (is_pseudo(loc)) {
		pa_text_writer_put(writer, "\n", 1);
		return;
	}
	pa_text_writer_format(writer, "(...)\n");
	put_place(writer, loc, frame, offset);
}

static void put_frames(struct pa_text *text, uint32_t loc_id)
{
	const struct pa_loc *loc = pa_sites_loc(loc_id);
	struct pa_text_frames frames;
	uint32_t i;

	if (!pa_text_stack_frames(&text->stacks, loc_id, &frames))
		return;
	if (!frames.count)
		put_frame(&text->writer, loc, NULL, 0);
	for (i = 0; i < frames.count; i++)
		put_frame(&text->writer, loc, &frames.at[i], frames.offset);
}

/* The innermost frame: the line with the call, and the function that the line is in. */
static void put_creator(struct pa_text *text, const struct pa_about *about)
{
	struct pa_text_writer *writer = &text->writer;
	const struct pa_frame *frame;
	const struct pa_loc *loc;
	struct pa_text_frames frames;

	if (!about->creator || !about->creator->depth
		|| !pa_text_stack_frames(&text->stacks, about->creator->locs[0], &frames))
		return;
	loc = pa_sites_loc(about->creator->locs[0]);
	frame = frames.count ? &frames.at[0] : NULL;
	pa_text_writer_format(writer, "created by ");
	put_name(writer, loc, frame);
	if (about->creator_tid)
		pa_text_writer_format(writer, " in goroutine %" PRId32, about->creator_tid);
	pa_text_writer_put(writer, "\n", 1);
	if (!is_pseudo(loc))
		put_place(writer, loc, frame, frames.offset);
}

/* ---------------------------------------------------------------- threads */

/* The first functions of a stack as in symbol tables. Returns how many. */
static size_t innermost(struct pa_text *text, const struct pa_stack *stack, const char **names)
{
	struct pa_text_frames frames;
	size_t count = 0;
	uint32_t i, j;

	for (i = 0; i < stack->depth && count < PA_TEXT_STATE_NAMES; i++) {
		if (is_pseudo(pa_sites_loc(stack->locs[i])))
			continue;
		if (!pa_text_stack_frames(&text->stacks, stack->locs[i], &frames))
			break;
		for (j = 0; j < frames.count && count < PA_TEXT_STATE_NAMES; j++)
			names[count++] = frames.at[j].function->system_name;
	}
	return count;
}

static void put_head(struct pa_text *text, const struct pa_sample *sample,
	const struct pa_about *about)
{
	const char *names[PA_TEXT_STATE_NAMES];
	size_t count = innermost(text, sample->stack, names);

	pa_text_writer_format(&text->writer, "goroutine %" PRId32 " [", sample->tid);
	pa_text_state_put(&text->writer, about, names, count);
	pa_text_writer_put(&text->writer, "]", 1);
	pa_tags_put_thread(&text->writer, about->name, sample->labels);
	pa_text_writer_put(&text->writer, ":\n", 2);
}

static void put_thread(struct pa_text *text, const struct pa_sample *sample)
{
	const struct pa_about *about = sample->about ? sample->about : &nothing_known;
	uint32_t i;

	/* Between the blocks, as Go has it: none behind the last. */
	if (sample != text->snapshot->samples)
		pa_text_writer_put(&text->writer, "\n", 1);
	put_head(text, sample, about);
	for (i = 0; i < sample->stack->depth; i++)
		put_frames(text, sample->stack->locs[i]);
	put_creator(text, about);
}

/* Bytes that put_thread will write. Names are looked up only once, so this costs the formatting. */
static size_t measure(struct pa_text *text, const struct pa_sample *sample)
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
		if (measure(text, &snapshot->samples[i]) > limit_bytes - text->writer.total)
			break;
		put_thread(text, &snapshot->samples[i]);
	}
}
