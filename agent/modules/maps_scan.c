/* SPDX-License-Identifier: Apache-2.0 */
#include "maps_scan.h"

#include <errno.h>
#include <string.h>

#include "../base/arena.h"
#include "../arch/arch.h"
#include "maps_image.h"

/*
 * The current run of lines, which belong to one image. It becomes a draft with its first executable
 * line; until then its slot is drafts[draft_count].
 */
struct run {
	struct pa_maps_draft *draft;
	bool open;
	bool tried; /* read the ELF header only when needed: most runs are data files */
	struct pa_maps_image image;
};

static bool same_file(const struct pa_maps_line *a, const struct pa_maps_line *b)
{
	return a->device == b->device && a->inode == b->inode && a->path_bytes == b->path_bytes &&
		memcmp(a->path, b->path, a->path_bytes) == 0;
}

static bool may_be_image(const struct pa_maps_line *line)
{
	return pa_maps_text_path_starts(line, "/") || pa_maps_text_path_starts(line, "[vdso]");
}

/* Files that only serve to share memory: code in them is a JIT's unless it is an ELF image. */
static bool is_memory_file(const struct pa_maps_line *line)
{
	static const char *const prefixes[] = { "/memfd:", "/dev/zero", "/dev/shm/", "/SYSV",
		"/anon_hugepage", "/dev/hugepages" };

	for (size_t i = 0; i < PA_COUNT(prefixes); i++) {
		if (pa_maps_text_path_starts(line, prefixes[i]))
			return true;
	}
	return false;
}

static void read_image(struct run *run)
{
	struct pa_maps_draft *draft = run->draft;

	run->tried = true;
	if (draft->line.offset != 0 || !pa_maps_image_read(&run->image, draft->start))
		return;
	draft->is_elf = true;
	draft->bias = run->image.bias;
	draft->limit = run->image.limit;
}

/*
 * An ELF image includes everything between its ends: programs move their code to huge pages, which
 * are anonymous or of another file. Any other run ends with its file.
 */
static bool is_inside_run(struct run *run, const struct pa_maps_line *line)
{
	if (!run->open)
		return false;
	bool same = same_file(&run->draft->line, line);
	if (!run->tried && (line->executable || same))
		read_image(run);
	if (run->draft->is_elf)
		return line->start < run->draft->limit &&
			(same || !may_be_image(line) || is_memory_file(line));
	return same && line->start == run->draft->limit;
}

static void open_run(struct pa_maps_scan *scan, struct run *run, const struct pa_maps_line *line)
{
	run->open = may_be_image(line);
	if (!run->open)
		return;
	run->tried = false;
	run->draft = &scan->drafts[scan->draft_count];
	memset(run->draft, 0, sizeof(*run->draft));
	run->draft->line = *line;
	run->draft->start = line->start;
	run->draft->limit = line->limit;
}

static void add_loose(struct pa_maps_scan *scan, const struct pa_maps_line *line)
{
	scan->loose[scan->loose_count++] = (struct pa_maps_range){ line->start, line->limit };
}

/* Adjacent pieces (mprotect splits mappings) are one segment; excess segments extend the last
 * one. */
static void add_segment(struct pa_maps_draft *draft, const struct pa_maps_line *line,
	uint64_t offset)
{
	struct pa_segment *last =
		draft->segment_count ? &draft->segments[draft->segment_count - 1] : NULL;

	if (last &&
		((last->limit == line->start &&
			 last->offset + (last->limit - last->start) == offset) ||
			draft->segment_count == PA_MODULE_SEGMENTS))
		last->limit = line->limit;
	else
		draft->segments[draft->segment_count++] =
			(struct pa_segment){ line->start, line->limit, offset };
}

static void add_code(struct pa_maps_scan *scan, struct run *run, const struct pa_maps_line *line)
{
	struct pa_maps_draft *draft = run->draft;
	uint64_t offset = line->offset;

	if (!draft->is_elf && is_memory_file(&draft->line)) {
		add_loose(scan, line);
		return;
	}
	if (draft->is_elf && !same_file(&draft->line, line))
		offset = pa_maps_image_offset(&run->image, line->start);
	if (draft->segment_count == 0) {
		scan->draft_count++;
		if (draft->is_elf)
			draft->build_id_bytes =
				pa_maps_image_build_id(&run->image, draft->build_id);
	}
	add_segment(draft, line, offset);
}

/*
 * The kernel generates the text in chunks: mappings changed in between may appear twice (proc(5)).
 * A line counts only from the end of the previous one. False: nothing is left.
 */
static bool is_behind(struct pa_maps_line *line, uintptr_t *end)
{
	if (line->start < *end) {
		line->offset += *end - line->start;
		line->start = *end;
	}
	if (line->start >= line->limit)
		return false;
	*end = line->limit;
	return true;
}

static void take_line(struct pa_maps_scan *scan, struct run *run, struct pa_maps_line *line)
{
	if (line->limit > PA_ADDRESS_LIMIT || !is_behind(line, &scan->end))
		return;
	if (!is_inside_run(run, line)) {
		open_run(scan, run, line);
		if (run->open && line->executable)
			read_image(run);
	}
	/* A mapping merged with an image's bss may extend far beyond the image. */
	if (run->open && line->limit > run->draft->limit &&
		(line->executable || !run->draft->is_elf))
		run->draft->limit = line->limit;
	if (!line->executable)
		return;
	if (run->open)
		add_code(scan, run, line);
	else
		add_loose(scan, line);
}

/* Adds the piece [start, limit), inside one unit, to a draft; file: the first file behind it. */
static void draft_piece(struct pa_maps_scan *scan, size_t file, uintptr_t start, uintptr_t limit)
{
	uintptr_t unit = start & ~(PA_MAPS_SCAN_UNIT - 1), unit_limit = unit + PA_MAPS_SCAN_UNIT;
	struct pa_maps_draft *last =
		scan->draft_count > scan->file_count ? &scan->drafts[scan->draft_count - 1] : NULL;

	if (last && start < last->limit) {
		last->segments[0].limit = limit;
		return;
	}
	if (scan->draft_count == scan->capacity)
		return;
	last = &scan->drafts[scan->draft_count++];
	memset(last, 0, sizeof(*last));
	last->start = unit;
	last->limit = unit_limit;
	if (file > 0 && scan->drafts[file - 1].limit > unit)
		last->start = scan->drafts[file - 1].limit;
	if (file < scan->file_count && scan->drafts[file].start < unit_limit)
		last->limit = scan->drafts[file].start;
	last->segment_count = 1;
	last->segments[0] = (struct pa_segment){ start, limit, 0 };
}

static void draft_loose(struct pa_maps_scan *scan)
{
	size_t file = 0;

	scan->file_count = scan->draft_count;
	for (size_t i = 0; i < scan->loose_count; i++) {
		uintptr_t at = scan->loose[i].start, limit = scan->loose[i].limit;

		while (file < scan->file_count && scan->drafts[file].start <= at)
			file++;
		/* An invalid header may claim more than its image. */
		if (file > 0 && at < scan->drafts[file - 1].limit)
			at = scan->drafts[file - 1].limit;
		while (at < limit) {
			uintptr_t next = (at & ~(PA_MAPS_SCAN_UNIT - 1)) + PA_MAPS_SCAN_UNIT;

			if (next > limit)
				next = limit;
			draft_piece(scan, file, at, next);
			at = next;
		}
	}
}

static size_t count_lines(const char *text, const char *end)
{
	size_t count = 0;

	for (const char *at = text; at < end; count++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		at = newline ? newline + 1 : end;
	}
	return count;
}

PA_AGENT int pa_maps_scan(struct pa_maps_scan *scan, const char *text, size_t bytes)
{
	const char *end = text + bytes;
	struct pa_maps_line line;
	struct run run = { .open = false };

	memset(scan, 0, sizeof(*scan));
	/* Each line yields at most one of either, plus drafts of loose code. Unused pages cost
	 * nothing. */
	scan->capacity = 2 * count_lines(text, end) + 1;
	scan->drafts = pa_map(scan->capacity * sizeof(*scan->drafts));
	scan->loose = pa_map(scan->capacity * sizeof(*scan->loose));
	if (!scan->drafts || !scan->loose) {
		pa_maps_scan_free(scan);
		return -ENOMEM;
	}
	while ((text = pa_maps_text_line(text, end, &line)))
		take_line(scan, &run, &line);
	draft_loose(scan);
	return 0;
}

PA_AGENT void pa_maps_scan_free(struct pa_maps_scan *scan)
{
	if (scan->drafts)
		pa_unmap(scan->drafts, scan->capacity * sizeof(*scan->drafts));
	if (scan->loose)
		pa_unmap(scan->loose, scan->capacity * sizeof(*scan->loose));
	memset(scan, 0, sizeof(*scan));
}
