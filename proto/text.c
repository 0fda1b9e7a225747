#include "text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../agent/profile/symbols.h"
#include "grow.h"
#include "memstats.h"
#include "../agent/base/utf8.h"

#define BUFFER_BYTES 4096
/* For numbers only: texts of any length do not pass through it. */
#define FORMAT_BYTES 256
#define TAB_WIDTH 8
/* Some pprofs read a header with equal halves as one that has only the first. */
#define HEADER_NUDGE 1

enum { ALLOC_OBJECTS, ALLOC_BYTES, INUSE_OBJECTS, INUSE_BYTES };

/* The frames of one location, looked up once however many stacks it is in. */
struct named {
	uint32_t first;
	uint32_t known_count; /* number of frames, plus 1; 0: not looked up yet */
};

/* One "#" line. */
struct row {
	uintptr_t pc, offset;
	struct pa_frame frame; /* function NULL: no name */
};

struct text {
	const struct pa_snapshot *snapshot;
	const struct pa_sink *sink;
	int error; /* the first one: nothing is written after it */
	struct pa_grow order;  /* uint32_t: samples as they are printed */
	struct pa_grow named;  /* struct named, by location id */
	struct pa_grow frames; /* struct pa_frame */
	uint32_t frame_count;
	struct pa_grow rows;   /* struct row: of one record */
	uint32_t row_count;
	size_t used;
	char buffer[BUFFER_BYTES];
};

/* ---------------------------------------------------------------- bytes */

static void flush(struct text *text)
{
	size_t used = text->used;

	text->used = 0;
	if (used && !text->error && !text->sink->write(text->sink->arg, text->buffer, used))
		text->error = -ECANCELED;
}

static void put(struct text *text, const char *bytes, size_t count)
{
	while (count && !text->error) {
		size_t room = sizeof(text->buffer) - text->used;
		size_t part = count < room ? count : room;

		memcpy(text->buffer + text->used, bytes, part);
		text->used += part;
		bytes += part;
		count -= part;
		if (text->used == sizeof(text->buffer))
			flush(text);
	}
}

static void put_format(struct text *text, const char *format, ...) PA_PRINTF(2, 3);
static void put_format(struct text *text, const char *format, ...)
{
	char line[FORMAT_BYTES];
	va_list args;
	int count;

	va_start(args, format);
	count = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (count > 0)
		put(text, line, (size_t)count < sizeof(line) ? (size_t)count : sizeof(line) - 1);
}

/* A text without what would break its line: a tab in a name would be a column. */
static void put_clean(struct text *text, const char *name)
{
	struct pa_utf8_piece piece;

	while ((piece = pa_utf8_piece(name, SIZE_MAX, true)).source) {
		put(text, piece.bytes, piece.count);
		name += piece.source;
	}
}

/* Characters that put_clean writes. */
static size_t clean_width(const char *name)
{
	struct pa_utf8_piece piece;
	size_t width = 0;

	while ((piece = pa_utf8_piece(name, SIZE_MAX, true)).source) {
		width += piece.runes;
		name += piece.source;
	}
	return width;
}

/* ---------------------------------------------------------------- columns */

static size_t hex_width(uintptr_t number)
{
	return sizeof("0x") - 1 + (size_t)(67 - __builtin_clzll(number | 1)) / 4;
}

static size_t name_width(const struct row *row)
{
	return clean_width(row->frame.function->name) + sizeof("+") - 1 + hex_width(row->offset);
}

/* Tabs from the end of a cell to the end of its column, which has room for widest and one more. */
static void put_tabs(struct text *text, size_t width, size_t widest)
{
	size_t column = (widest + 1 + TAB_WIDTH - 1) / TAB_WIDTH * TAB_WIDTH;

	for (; width < column; width += TAB_WIDTH)
		put(text, "\t", 1);
}

/* Lines that follow each other and have the same columns are aligned. */
static void put_named_rows(struct text *text, const struct row *rows, size_t count)
{
	size_t i, width, widest_pc = 0, widest_name = 0;

	for (i = 0; i < count; i++) {
		width = hex_width(rows[i].pc);
		widest_pc = width > widest_pc ? width : widest_pc;
		width = name_width(&rows[i]);
		widest_name = width > widest_name ? width : widest_name;
	}
	for (i = 0; i < count; i++) {
		put_format(text, "#\t0x%" PRIxPTR, rows[i].pc);
		put_tabs(text, hex_width(rows[i].pc), widest_pc);
		put_clean(text, rows[i].frame.function->name);
		put_format(text, "+0x%" PRIxPTR, rows[i].offset);
		put_tabs(text, name_width(&rows[i]), widest_name);
		put_clean(text, rows[i].frame.function->file);
		put_format(text, ":%" PRIu32 "\n", rows[i].frame.line);
	}
}

static void put_rows(struct text *text)
{
	const struct row *rows = text->rows.at;
	size_t i = 0, end;

	while (i < text->row_count) {
		for (end = i; end < text->row_count && rows[end].frame.function; end++)
			;
		put_named_rows(text, rows + i, end - i);
		for (i = end; i < text->row_count && !rows[i].frame.function; i++)
			put_format(text, "#\t0x%" PRIxPTR "\n", rows[i].pc);
	}
	/* Go has a line even for a stack without frames. */
	if (!text->row_count)
		put_format(text, "#\t0x0\n");
	put(text, "\n", 1);
}

/* ---------------------------------------------------------------- names */

static bool fail(struct text *text, int error)
{
	if (!text->error)
		text->error = error;
	return false;
}

static bool look_up(struct text *text, const struct pa_loc *loc, struct named *out)
{
	struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
	uint32_t count = pa_symbols_lookup(loc, frames, PA_SYMBOLS_INLINE_MAX);
	size_t end = text->frame_count + (size_t)count;

	if (!pa_grow(&text->frames, end * sizeof(frames[0])))
		return fail(text, -ENOMEM);
	if (count)
		memcpy((struct pa_frame *)text->frames.at + text->frame_count, frames,
			count * sizeof(frames[0]));
	*out = (struct named){ .first = text->frame_count, .known_count = count + 1 };
	text->frame_count = (uint32_t)end;
	return true;
}

static bool add_row(struct text *text, const struct row *row)
{
	if (!pa_grow(&text->rows, (text->row_count + (size_t)1) * sizeof(*row)))
		return fail(text, -ENOMEM);
	((struct row *)text->rows.at)[text->row_count++] = *row;
	return true;
}

/* Distance from the start of the function that has the code, also for what was inlined into it. */
static uintptr_t offset_of(const struct pa_loc *loc, const struct pa_function *function)
{
	if (loc->pc < PA_PSEUDO_LIMIT)
		return 0;
	/* As Go: with an unknown start, the whole address. */
	return function->entry <= loc->pc ? loc->pc - function->entry : loc->pc;
}

static bool add_rows(struct text *text, uint32_t loc_id)
{
	const struct pa_loc *loc = pa_sites_loc(loc_id);
	struct row row = { .pc = loc->pc };
	const struct pa_frame *frames;
	struct named *named;
	uint32_t i, count;

	if (!pa_grow(&text->named, (loc_id + (size_t)1) * sizeof(*named)))
		return fail(text, -ENOMEM);
	named = (struct named *)text->named.at + loc_id;
	if (!named->known_count && !look_up(text, loc, named))
		return false;
	frames = (const struct pa_frame *)text->frames.at + named->first;
	count = named->known_count - 1;
	if (!count)
		return add_row(text, &row);
	row.offset = offset_of(loc, frames[count - 1].function);
	for (i = 0; i < count; i++) {
		row.frame = frames[i];
		if (!add_row(text, &row))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- records */

static void put_record(struct text *text, const struct pa_sample *sample)
{
	const struct pa_stack *stack = sample->stack;
	uint32_t i;

	put_format(text, "%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @",
		sample->values[INUSE_OBJECTS], sample->values[INUSE_BYTES],
		sample->values[ALLOC_OBJECTS], sample->values[ALLOC_BYTES]);
	for (i = 0; i < stack->depth; i++)
		put_format(text, " 0x%" PRIxPTR, pa_sites_loc(stack->locs[i])->raw_pc);
	put(text, "\n", 1);
	text->row_count = 0;
	for (i = 0; i < stack->depth; i++)
		if (!add_rows(text, stack->locs[i]))
			return;
	put_rows(text);
}

/* Most in use first; equal ones as in the snapshot, so that the order is always the same. */
static int compare(const void *a, const void *b, void *arg)
{
	const struct pa_sample *samples = arg;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	int64_t x = samples[i].values[INUSE_BYTES], y = samples[j].values[INUSE_BYTES];

	if (x != y)
		return x > y ? -1 : 1;
	return i < j ? -1 : i > j;
}

static bool sort_samples(struct text *text)
{
	size_t i, count = text->snapshot->sample_count;
	uint32_t *order;

	if (!pa_grow(&text->order, count * sizeof(*order)))
		return fail(text, -ENOMEM);
	order = text->order.at;
	for (i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	if (count)
		qsort_r(order, count, sizeof(*order), compare, text->snapshot->samples);
	return true;
}

static void put_header(struct text *text)
{
	const struct pa_snapshot *snapshot = text->snapshot;
	int64_t total[PA_KIND_VALUES] = { 0 };
	size_t i, j;

	for (i = 0; i < snapshot->sample_count; i++)
		for (j = 0; j < PA_KIND_VALUES; j++)
			total[j] += snapshot->samples[i].values[j];
	if (total[ALLOC_BYTES] == total[INUSE_BYTES])
		total[ALLOC_BYTES] += HEADER_NUDGE;
	/* The first heap profilers in C++ wrote twice the rate, and readers halve it. */
	put_format(text,
		"heap profile: %" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @ heap/%" PRId64
		"\n",
		total[INUSE_OBJECTS], total[INUSE_BYTES], total[ALLOC_OBJECTS], total[ALLOC_BYTES],
		snapshot->period * 2);
}

/* ---------------------------------------------------------------- tail */

static void put_stat(struct text *text, const char *name, uint64_t value)
{
	put_format(text, "# %s = %" PRIu64 "\n", name, value);
}

/* What the samples stand for: the process counts nothing itself. */
static void estimate(const struct pa_snapshot *snapshot, int64_t *total)
{
	size_t i;

	for (i = 0; i < snapshot->sample_count; i++) {
		const int64_t *values = snapshot->samples[i].values;
		int64_t scaled[PA_KIND_VALUES];
		size_t j;

		pa_snapshot_scale_heap(values[ALLOC_OBJECTS], values[ALLOC_BYTES],
			snapshot->period, &scaled[ALLOC_OBJECTS], &scaled[ALLOC_BYTES]);
		pa_snapshot_scale_heap(values[INUSE_OBJECTS], values[INUSE_BYTES],
			snapshot->period, &scaled[INUSE_OBJECTS], &scaled[INUSE_BYTES]);
		for (j = 0; j < PA_KIND_VALUES; j++)
			total[j] += scaled[j];
	}
}

/*
 * Go's names in Go's order, where they mean something here. HeapReleased: glibc takes what it gives
 * back out of its own count, so of heap_sys nothing was released that it knows of.
 */
static void put_memstats(struct text *text, const struct pa_memstats *stats)
{
	int64_t total[PA_KIND_VALUES] = { 0 };
	uint64_t in_use, other = stats->heap_sys + stats->profiler;

	estimate(text->snapshot, total);
	in_use = stats->heap_known ? stats->heap_sys - stats->heap_idle
				   : (uint64_t)total[INUSE_BYTES];
	put_format(text, "\n# runtime.MemStats\n");
	put_stat(text, "Alloc", in_use);
	put_stat(text, "TotalAlloc", (uint64_t)total[ALLOC_BYTES]);
	put_stat(text, "Sys", stats->sys);
	put_stat(text, "Mallocs", (uint64_t)total[ALLOC_OBJECTS]);
	put_stat(text, "Frees", (uint64_t)(total[ALLOC_OBJECTS] - total[INUSE_OBJECTS]));
	put_stat(text, "HeapAlloc", in_use);
	if (stats->heap_known) {
		put_stat(text, "HeapSys", stats->heap_sys);
		put_stat(text, "HeapIdle", stats->heap_idle);
		put_stat(text, "HeapInuse", in_use);
		put_stat(text, "HeapReleased", 0);
	}
	put_stat(text, "HeapObjects", (uint64_t)total[INUSE_OBJECTS]);
	put_stat(text, "BuckHashSys", stats->profiler);
	put_stat(text, "OtherSys", stats->sys > other ? stats->sys - other : 0);
	/* There is no collector that could have run. */
	put_stat(text, "NumGC", 0);
	put_stat(text, "NumForcedGC", 0);
	put_stat(text, "GCCPUFraction", 0);
	put_format(text, "# DebugGC = false\n");
	put_stat(text, "RSS", stats->rss);
	put_stat(text, "MaxRSS", stats->max_rss);
}

/* What was dropped must be seen in this form too; readers take "#" lines for comments. */
static void put_comments(struct text *text)
{
	size_t i;

	if (text->snapshot->comment_count)
		put(text, "\n", 1);
	for (i = 0; i < text->snapshot->comment_count; i++) {
		put(text, "# ", 2);
		put_clean(text, text->snapshot->comments[i]);
		put(text, "\n", 1);
	}
}

static void put_profile(struct text *text)
{
	const uint32_t *order;
	struct pa_memstats stats;
	size_t i;

	/* Before our own tables grow. */
	pa_memstats_read(&stats);
	if (!sort_samples(text))
		return;
	order = text->order.at;
	put_header(text);
	for (i = 0; i < text->snapshot->sample_count && !text->error; i++)
		put_record(text, &text->snapshot->samples[order[i]]);
	put_comments(text);
	put_memstats(text, &stats);
	flush(text);
}

PA_AGENT int pa_text_profile(const struct pa_snapshot *snapshot, const struct pa_sink *sink)
{
	struct text text = { .snapshot = snapshot, .sink = sink };

	if (snapshot->kind->id != PA_KIND_HEAP && snapshot->kind->id != PA_KIND_ALLOCS)
		return -EINVAL;
	put_profile(&text);
	pa_grow_free(&text.order);
	pa_grow_free(&text.named);
	pa_grow_free(&text.frames);
	pa_grow_free(&text.rows);
	return text.error;
}
