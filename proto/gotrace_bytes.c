/* SPDX-License-Identifier: Apache-2.0 */
#include "gotrace_bytes.h"

#include <errno.h>
#include <string.h>

#define HEADER "go 1.19 trace\0\0"

#define COUNT_SHIFT 6
#define COUNT_MANY 3

/* Largest record: a stack with its length and type, or a string. */
#define RECORD_BYTES 2100

_Static_assert(sizeof(HEADER) == 16, "the last NUL is the literal's");

static void put_byte(struct pa_gotrace_bytes *bytes, uint8_t byte)
{
	bytes->buffer[bytes->used++] = byte;
}

static void put_number(struct pa_gotrace_bytes *bytes, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		put_byte(bytes, (uint8_t)(number | 0x80));
	put_byte(bytes, (uint8_t)number);
}

static void put_trace_text(struct pa_gotrace_bytes *bytes, const char *text, size_t length)
{
	put_number(bytes, length);
	memcpy(bytes->buffer + bytes->used, text, length);
	bytes->used += length;
}

size_t pa_gotrace_bytes_width(uint64_t number)
{
	size_t width = 1;
	while (number >>= 7)
		width++;
	return width;
}

int pa_gotrace_bytes_flush(struct pa_gotrace_bytes *bytes)
{
	if (!bytes->failed && bytes->used)
		bytes->failed = !bytes->sink->write(bytes->sink->arg, bytes->buffer, bytes->used);
	bytes->used = 0;
	return bytes->failed ? -ECANCELED : 0;
}

/* Called between two records. */
static void make_record_room(struct pa_gotrace_bytes *bytes)
{
	if (bytes->used > sizeof(bytes->buffer) - RECORD_BYTES)
		pa_gotrace_bytes_flush(bytes);
}

static void count_record(struct pa_gotrace_bytes *bytes, size_t used_before)
{
	bytes->total += bytes->used - used_before;
	bytes->records++;
}

void pa_gotrace_bytes_begin(struct pa_gotrace_bytes *bytes, const struct pa_sink *sink)
{
	bytes->sink = sink;
	memcpy(bytes->buffer, HEADER, sizeof(HEADER));
	bytes->used = bytes->total = sizeof(HEADER);
}

static void put_trace_record(struct pa_gotrace_bytes *bytes, enum pa_gotrace_type type,
	const uint64_t *arguments, size_t count)
{
	bool many = count > COUNT_MANY;
	put_byte(bytes, (uint8_t)((unsigned)type | (many ? COUNT_MANY : count - 1) << COUNT_SHIFT));
	if (many) {
		size_t width = 0;
		for (size_t i = 0; i < count; i++)
			width += pa_gotrace_bytes_width(arguments[i]);
		put_number(bytes, width);
	}
	for (size_t i = 0; i < count; i++)
		put_number(bytes, arguments[i]);
}

void pa_gotrace_bytes_record(struct pa_gotrace_bytes *bytes, enum pa_gotrace_type type,
	const uint64_t *arguments, size_t count)
{
	make_record_room(bytes);
	size_t before = bytes->used;
	put_trace_record(bytes, type, arguments, count);
	count_record(bytes, before);
}

static void enter_batch(struct pa_gotrace_bytes *bytes, uint64_t p, uint64_t ts)
{
	if (bytes->in_batch && bytes->p == p)
		return;
	pa_gotrace_bytes_record(bytes, PA_GOTRACE_BATCH, (const uint64_t[]){ p, ts }, 2);
	bytes->in_batch = true;
	bytes->p = p;
	bytes->ts = ts;
}

/* Returns the number of arguments including the time. */
static size_t prepend_time(struct pa_gotrace_bytes *bytes, uint64_t p, uint64_t ts,
	const uint64_t *arguments, size_t count, uint64_t all[PA_GOTRACE_ARGUMENTS])
{
	enter_batch(bytes, p, ts);
	all[0] = ts - bytes->ts;
	bytes->ts = ts;
	if (count)
		memcpy(all + 1, arguments, count * sizeof(*all));
	return count + 1;
}

void pa_gotrace_bytes_event(struct pa_gotrace_bytes *bytes, uint64_t p, uint64_t ts,
	enum pa_gotrace_type type, const uint64_t *arguments, size_t count)
{
	uint64_t all[PA_GOTRACE_ARGUMENTS];
	size_t all_count = prepend_time(bytes, p, ts, arguments, count, all);
	pa_gotrace_bytes_record(bytes, type, all, all_count);
}

void pa_gotrace_bytes_sample(struct pa_gotrace_bytes *bytes, const uint64_t *arguments,
	size_t count)
{
	pa_gotrace_bytes_event(bytes, bytes->p, bytes->ts, PA_GOTRACE_CPU_SAMPLE, arguments, count);
}

void pa_gotrace_bytes_string(struct pa_gotrace_bytes *bytes, uint64_t id, const char *text)
{
	make_record_room(bytes);
	size_t before = bytes->used;
	put_byte(bytes, PA_GOTRACE_STRING);
	put_number(bytes, id);
	put_trace_text(bytes, text, strnlen(text, PA_GOTRACE_STRING_BYTES));
	count_record(bytes, before);
}

void pa_gotrace_bytes_log(struct pa_gotrace_bytes *bytes, uint64_t p, uint64_t ts, uint64_t task,
	uint64_t category, uint64_t stack, const char *message)
{
	uint64_t all[PA_GOTRACE_ARGUMENTS];
	size_t count =
		prepend_time(bytes, p, ts, (const uint64_t[]){ task, category, stack }, 3, all);
	make_record_room(bytes);
	size_t before = bytes->used;
	put_trace_record(bytes, PA_GOTRACE_USER_LOG, all, count);
	put_trace_text(bytes, message, strnlen(message, PA_GOTRACE_STRING_BYTES));
	count_record(bytes, before);
}
