/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_map.h"

#include <errno.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "perf_map_file.h"
#include "symbols_names.h"

/* One look at the clock per so many names found: lines may contain each other. */
#define FOUND_PER_LOOK 1024

/* ---------------------------------------------------------------- lines */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 'a' ^ 'A';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A number with or without 0x, and the blanks behind it. NULL: none, or more than 64 bits. */
static const char *take_hex(const char *at, const char *end, uint64_t *number)
{
	int digit;

	if (end - at > 2 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X'))
		at += 2;
	const char *first = at;
	for (*number = 0; at < end && (digit = hex_digit(*at)) >= 0; at++) {
		if (*number >> 60)
			return NULL;
		*number = *number << 4 | (uint64_t)digit;
	}
	if (at == first || at == end || *at != ' ')
		return NULL;
	while (at < end && *at == ' ')
		at++;
	return at;
}

PA_AGENT bool pa_perf_map_parse(struct pa_perf_map_line *line, const char *text, size_t bytes)
{
	const char *end = text + bytes;
	uint64_t size;

	text = take_hex(text, end, &line->start);
	if (text)
		text = take_hex(text, end, &size);
	if (!text || text == end || size == 0 || size > UINT64_MAX - line->start)
		return false;
	line->limit = line->start + size;
	line->name = text;
	line->name_bytes = (size_t)(end - text);
	return true;
}

/* ---------------------------------------------------------------- one file */

struct scan {
	struct pa_perf_map_wanted *wanted;
	uint32_t count;
	uint32_t left;  /* without a final name */
	bool dated;     /* the offsets in until are of this file */
	uint32_t found; /* since the last look at the clock */
	int64_t deadline_ns;
	bool late;
};

/* The first one at i or behind it that has no final name; count: none. Halves the path to it. */
static uint32_t next_open(struct scan *scan, uint32_t i)
{
	struct pa_perf_map_wanted *wanted = scan->wanted;

	while (i < scan->count && wanted[i].next != i) {
		if (wanted[i].next < scan->count)
			wanted[i].next = wanted[wanted[i].next].next;
		i = wanted[i].next;
	}
	return i;
}

static uint32_t first_at(const struct scan *scan, uint64_t start)
{
	uint32_t low = 0, high = scan->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (scan->wanted[middle].pc < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void look_at_clock(struct scan *scan)
{
	scan->found = 0;
	scan->late = pa_clock_thread_cpu_ns() >= scan->deadline_ns;
}

static struct pa_function *function_of_line(const struct pa_perf_map_line *line)
{
	const struct pa_symbols_function function = {
		.system_name = line->name,
		.system_name_bytes = line->name_bytes,
		.plain = true,
		.entry = line->start,
	};

	return pa_symbols_names_function(&function);
}

static void take_map_line(struct scan *scan, const char *text, size_t bytes, uint64_t offset)
{
	struct pa_function *function = NULL;
	struct pa_perf_map_line line;

	if (!pa_perf_map_parse(&line, text, bytes))
		return;
	for (uint32_t i = next_open(scan, first_at(scan, line.start));
		i < scan->count && scan->wanted[i].pc < line.limit && !scan->late;
		i = next_open(scan, i + 1)) {
		struct pa_perf_map_wanted *wanted = &scan->wanted[i];

		if (!function)
			function = function_of_line(&line);
		if (!function)
			return;
		wanted->function = function;
		if (!scan->dated || !wanted->until || offset < wanted->until) {
			wanted->next = i + 1;
			scan->left--;
		}
		if (++scan->found == FOUND_PER_LOOK)
			look_at_clock(scan);
	}
}

/*
 * Takes the lines of a block that was read from offset, the last one first. Returns the offset at
 * which the first of them begins; what is before it belongs to a line of the block before.
 */
static uint64_t take_map_block(struct scan *scan, const char *block, size_t bytes, uint64_t offset)
{
	size_t end = bytes; /* of the lines that are left, their newline included */

	while (end > 0 && scan->left && !scan->late) {
		const char *newline = memrchr(block, '\n', end - 1);

		if (!newline && offset > 0)
			break;
		size_t start = newline ? (size_t)(newline - block) + 1 : 0;
		take_map_line(scan, block + start, end - 1 - start, offset + start);
		end = start;
	}
	return offset + end;
}

/* Reads the last block of [0, end), which ends behind a newline. Returns the new end. */
static uint64_t scan_block(struct scan *scan, const struct pa_perf_map_file *file, char *block,
	uint64_t end)
{
	uint64_t offset = end > PA_PERF_MAP_BLOCK_BYTES ? end - PA_PERF_MAP_BLOCK_BYTES : 0;
	size_t bytes = pa_perf_map_file_read(file, block, offset, end - offset);

	look_at_clock(scan);
	/* The file was truncated meanwhile: what is there now is not what was measured. */
	if (bytes != end - offset)
		return 0;
	/* The last line may be half written; and a line may be longer than the block. */
	const char *newline = memrchr(block, '\n', bytes);
	if (!newline)
		return offset;
	return take_map_block(scan, block, (size_t)(newline - block) + 1, offset);
}

static void scan_file(struct scan *scan, const struct pa_perf_map_file *file, char *block)
{
	/* Ends: a block without a whole line is skipped. */
	for (uint64_t end = file->bytes; end > 0 && scan->left && !scan->late;) {
		uint64_t begin = scan_block(scan, file, block, end);

		end = begin < end ? begin : end - 1;
	}
}

/* Those without any name: to be looked up in the next file. */
static void reopen_unnamed(struct scan *scan)
{
	scan->left = 0;
	for (uint32_t i = 0; i < scan->count; i++) {
		bool open = !scan->wanted[i].function;

		scan->wanted[i].next = open ? i : i + 1;
		scan->left += open;
	}
}

PA_AGENT bool pa_perf_map_name(struct pa_perf_map_wanted *wanted, uint32_t count,
	int64_t deadline_ns)
{
	struct scan scan = { .wanted = wanted, .count = count, .deadline_ns = deadline_ns };
	struct pa_perf_map_file file;
	char *block = pa_map(PA_PERF_MAP_BLOCK_BYTES);
	int error = 0;

	for (unsigned ancestor = 0; block && !scan.late; ancestor++) {
		reopen_unnamed(&scan);
		error = scan.left ? pa_perf_map_file_open(&file, ancestor) : -ESRCH;
		if (error == -ESRCH)
			break;
		if (error)
			continue;
		scan.dated = ancestor == 0;
		scan_file(&scan, &file, block);
		pa_perf_map_file_close(&file);
	}
	if (block)
		pa_unmap(block, PA_PERF_MAP_BLOCK_BYTES);
	return block && !scan.late;
}
