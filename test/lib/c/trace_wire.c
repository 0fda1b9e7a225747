/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
const struct trace_shape trace_shapes[TRACE_TYPES] = {
	[TRACE_BATCH] = { "Batch", 2, false, false },
	[TRACE_FREQUENCY] = { "Frequency", 1, false, false },
	[TRACE_STACK] = { "Stack", 4, false, false }, /* 4 or more */
	[TRACE_GOMAXPROCS] = { "Gomaxprocs", 3, true, true },
	[TRACE_PROC_START] = { "ProcStart", 2, true, false },
	[TRACE_PROC_STOP] = { "ProcStop", 1, true, false },
	[TRACE_GO_CREATE] = { "GoCreate", 4, true, true },
	[TRACE_GO_START] = { "GoStart", 3, true, false },
	[TRACE_GO_END] = { "GoEnd", 1, true, false },
	[TRACE_GO_SCHED] = { "GoSched", 2, true, true },
	[TRACE_GO_PREEMPT] = { "GoPreempt", 2, true, true },
	[TRACE_GO_SLEEP] = { "GoSleep", 2, true, true },
	[TRACE_GO_BLOCK] = { "GoBlock", 2, true, true },
	[TRACE_GO_UNBLOCK] = { "GoUnblock", 4, true, true },
	[TRACE_GO_BLOCK_SEND] = { "GoBlockSend", 2, true, true },
	[TRACE_GO_BLOCK_RECV] = { "GoBlockRecv", 2, true, true },
	[TRACE_GO_BLOCK_SELECT] = { "GoBlockSelect", 2, true, true },
	[TRACE_GO_BLOCK_SYNC] = { "GoBlockSync", 2, true, true },
	[TRACE_GO_BLOCK_COND] = { "GoBlockCond", 2, true, true },
	[TRACE_GO_BLOCK_NET] = { "GoBlockNet", 2, true, true },
	[TRACE_GO_SYS_CALL] = { "GoSysCall", 2, true, true },
	[TRACE_GO_SYS_EXIT] = { "GoSysExit", 4, true, false },
	[TRACE_GO_SYS_BLOCK] = { "GoSysBlock", 1, true, false },
	[TRACE_GO_WAITING] = { "GoWaiting", 2, true, false },
	[TRACE_HEAP_ALLOC] = { "HeapAlloc", 2, true, false },
	[TRACE_HEAP_GOAL] = { "HeapGoal", 2, true, false },
	[TRACE_TIMER_GOROUTINE] = { "TimerGoroutine", 1, false, false },
	[TRACE_STRING] = { "String", 1, false, false },
	[TRACE_GO_START_LABEL] = { "GoStartLabel", 4, true, false },
	[TRACE_TASK_CREATE] = { "UserTaskCreate", 5, true, true },
	[TRACE_TASK_END] = { "UserTaskEnd", 3, true, true },
	[TRACE_REGION] = { "UserRegion", 5, true, true },
	[TRACE_LOG] = { "UserLog", 4, true, true },
	[TRACE_CPU_SAMPLE] = { "CPUSample", 5, true, true },
};
/* clang-format on */

bool trace_fail(struct trace *t, size_t offset, unsigned type, const char *format, ...)
{
	size_t used = 0;
	va_list list;

	if (t->error[0])
		return false;
	used = (size_t)snprintf(t->error, sizeof(t->error), "offset %zu: %s: ", offset,
		type < TRACE_TYPES && trace_shapes[type].name ? trace_shapes[type].name : "trace");
	va_start(list, format);
	vsnprintf(t->error + used, sizeof(t->error) - used, format, list);
	va_end(list);
	return false;
}

void *trace_memory(void *old, size_t bytes)
{
	void *memory = realloc(old, bytes);

	if (!memory)
		abort();
	return memory;
}

void *trace_grow(void *list, size_t count, size_t size)
{
	if (count && count & (count - 1))
		return list;
	return trace_memory(list, (count ? count * 2 : 1) * size);
}

static size_t trace_keep_text(struct trace *t, size_t bytes)
{
	size_t at = t->text_bytes;

	if (t->text_room < at + bytes + 1) {
		t->text_room = (at + bytes + 1) * 2;
		t->text = trace_memory(t->text, t->text_room);
	}
	memcpy(t->text + at, t->bytes + t->at, bytes);
	t->text[at + bytes] = '\0';
	t->text_bytes += bytes + 1;
	t->at += bytes;
	return at;
}

static bool trace_varint(struct trace *t, uint64_t *value)
{
	size_t start = t->at;

	*value = 0;
	for (int shift = 0; shift < 70; shift += 7) {
		unsigned char byte;

		if (t->at == t->end)
			return trace_fail(t, start, 0, "the trace ends inside a record");
		byte = t->bytes[t->at++];
		if (shift == 63 && byte > 1)
			break;
		*value |= (uint64_t)(byte & 127) << shift;
		if (!(byte & 128))
			return true;
	}
	return trace_fail(t, start, 0, "a varint has more than 64 bits");
}

/* Moves the bytes of a text of at least min bytes to trace.text. */
static bool trace_text(struct trace *t, size_t offset, unsigned type, uint64_t min, size_t *text,
	size_t *bytes)
{
	uint64_t count;

	if (!trace_varint(t, &count))
		return false;
	if (count < min || count > TRACE_STRING_MAX)
		return trace_fail(t, offset, type, "a text of %lu bytes", count);
	if (count > t->end - t->at)
		return trace_fail(t, offset, type, "the trace ends inside a record");
	*bytes = count;
	*text = trace_keep_text(t, count);
	return true;
}

static bool trace_parse_string(struct trace *t, size_t offset)
{
	struct trace_string string = { .offset = offset };

	if (!trace_varint(t, &string.id))
		return false;
	if (!string.id)
		return trace_fail(t, offset, TRACE_STRING, "string id 0");
	if (!trace_text(t, offset, TRACE_STRING, 1, &string.text, &string.bytes))
		return false;
	t->strings = trace_grow(t->strings, t->string_count, sizeof(string));
	t->strings[t->string_count++] = string;
	return true;
}

/* The arguments of all but String, to trace.args. */
static bool trace_parse_args(struct trace *t, size_t offset, unsigned type)
{
	size_t wanted = trace_shapes[type].args, start;
	uint64_t bytes = 0;

	t->arg_count = 0;
	if (wanted < 4) {
		while (t->arg_count < wanted)
			if (!trace_varint(t, &t->args[t->arg_count++]))
				return false;
		return true;
	}
	if (!trace_varint(t, &bytes))
		return false;
	if (bytes > TRACE_STACK_BYTES_MAX)
		return trace_fail(t, offset, type, "%lu bytes of arguments, at most %d", bytes,
			TRACE_STACK_BYTES_MAX);
	for (start = t->at; t->at - start < bytes;)
		if (!trace_varint(t, &t->args[t->arg_count++]))
			return false;
	if (t->at - start != bytes)
		return trace_fail(t, offset, type, "wrong length: %lu said, %zu taken", bytes,
			t->at - start);
	if (type == TRACE_STACK ? t->arg_count < 2 : t->arg_count != wanted)
		return trace_fail(t, offset, type, "wrong number of arguments: %zu, not %zu",
			t->arg_count, wanted);
	return true;
}

static bool trace_add_stack(struct trace *t, size_t offset)
{
	struct trace_stack stack = { .id = t->args[0], .offset = offset, .first = t->frame_count };

	if (!stack.id || stack.id > UINT32_MAX)
		return trace_fail(t, offset, TRACE_STACK, "stack id %lu", stack.id);
	if (t->args[1] > TRACE_FRAMES_MAX)
		return trace_fail(t, offset, TRACE_STACK, "%lu frames, at most %d", t->args[1],
			TRACE_FRAMES_MAX);
	stack.frame_count = t->args[1];
	if (t->arg_count != 2 + 4 * stack.frame_count)
		return trace_fail(t, offset, TRACE_STACK,
			"wrong number of arguments: %zu for %zu"
			" frames",
			t->arg_count, stack.frame_count);
	for (uint64_t *arg = t->args + 2; arg < t->args + t->arg_count; arg += 4) {
		t->frames = trace_grow(t->frames, t->frame_count, sizeof(*t->frames));
		t->frames[t->frame_count++] =
			(struct trace_frame){ arg[0], arg[1], arg[2], arg[3], offset };
	}
	t->stacks = trace_grow(t->stacks, t->stack_count, sizeof(stack));
	t->stacks[t->stack_count++] = stack;
	return true;
}

/* Numbers that are too big for JSON, or that the viewer uses for rows of its own. */
static bool trace_is_goid(uint64_t g)
{
	return g && g < (uint64_t)1 << 53 && (g < 1000000 || g > 1000010);
}

static bool trace_check_args(struct trace *t, const struct trace_event *e)
{
	const uint64_t *args = e->args;
	bool sample = e->type == TRACE_CPU_SAMPLE;

	if (e->ts >> 63 || e->ts < t->clock)
		return trace_fail(t, e->offset, e->type, "time %lu is too big", e->ts);
	if (e->stack > UINT32_MAX)
		return trace_fail(t, e->offset, e->type, "stack id %lu", e->stack);
	if (e->type == TRACE_GO_CREATE && !trace_is_goid(args[0]))
		return trace_fail(t, e->offset, e->type, "g %lu is no possible goid", args[0]);
	if (e->type == TRACE_GO_SYS_EXIT && args[2])
		return trace_fail(t, e->offset, e->type, "its third argument is %lu, not 0",
			args[2]);
	if (e->type == TRACE_REGION && args[1] > 1)
		return trace_fail(t, e->offset, e->type, "mode %lu", args[1]);
	if (sample && e->ts != t->clock)
		return trace_fail(t, e->offset, e->type, "its delta is not 0");
	if (sample && args[0] >> 63)
		return trace_fail(t, e->offset, e->type, "time %lu is too big", args[0]);
	if (sample && args[1] >= TRACE_P_MAX && args[1] != TRACE_NO_P)
		return trace_fail(t, e->offset, e->type, "p %lu is too big", args[1]);
	return true;
}

static bool trace_add_event(struct trace *t, size_t offset, unsigned type)
{
	struct trace_event e = {
		.offset = offset, .type = type, .ts = t->clock + t->args[0], .p = t->p
	};
	size_t args = t->arg_count - 1 - trace_shapes[type].stack, ignored;

	memcpy(e.args, t->args + 1, args * sizeof(*e.args));
	if (trace_shapes[type].stack)
		e.stack = t->args[t->arg_count - 1];
	if (!trace_check_args(t, &e))
		return false;
	if (type == TRACE_LOG && !trace_text(t, offset, type, 0, &e.text, &ignored))
		return false;
	t->clock = e.ts;
	if (type == TRACE_CPU_SAMPLE) {
		e.ts = e.args[0];
		e.p = e.args[1];
	}
	t->events = trace_grow(t->events, t->event_count, sizeof(e));
	t->events[t->event_count++] = e;
	return true;
}

static bool trace_add_structure(struct trace *t, size_t offset, unsigned type)
{
	if (type == TRACE_STACK)
		return trace_add_stack(t, offset);
	if (type == TRACE_FREQUENCY && t->counts[type] > 1)
		return trace_fail(t, offset, type, "a second one");
	if (type == TRACE_FREQUENCY && (!t->args[0] || t->args[0] >> 63))
		return trace_fail(t, offset, type, "%lu ticks a second", t->args[0]);
	if (type == TRACE_BATCH) {
		if (t->args[0] >= TRACE_P_MAX)
			return trace_fail(t, offset, type, "p %lu is too big", t->args[0]);
		t->p = t->args[0];
		t->clock = t->args[1];
		if (t->clock >> 63)
			return trace_fail(t, offset, type, "time %lu is too big", t->clock);
	}
	return true;
}

static bool trace_parse_record(struct trace *t)
{
	size_t offset = t->at;
	unsigned head = t->bytes[t->at++], type = head & 63, form;

	if (type >= TRACE_TYPES || !trace_shapes[type].args)
		return trace_fail(t, offset, type, "type %u may not be used", type);
	if (type != TRACE_BATCH && !t->counts[TRACE_BATCH])
		return trace_fail(t, offset, type, "the first record is no Batch");
	form = trace_shapes[type].args < 4 ? trace_shapes[type].args - 1u : 3;
	if (head >> 6 != form)
		return trace_fail(t, offset, type, "its first byte is 0x%02x, not 0x%02x", head,
			form << 6 | type);
	t->counts[type]++;
	if (type == TRACE_STRING)
		return trace_parse_string(t, offset);
	if (!trace_parse_args(t, offset, type))
		return false;
	return trace_shapes[type].timed ? trace_add_event(t, offset, type) :
					  trace_add_structure(t, offset, type);
}

bool trace_parse(struct trace *t, const void *bytes, size_t count)
{
	t->bytes = bytes;
	t->end = count;
	if (count < TRACE_HEADER_BYTES || memcmp(bytes, TRACE_HEADER, TRACE_HEADER_BYTES))
		return trace_fail(t, 0, 0, "not the header of a trace");
	for (t->at = TRACE_HEADER_BYTES; t->at < t->end;)
		if (!trace_parse_record(t))
			return false;
	if (!t->counts[TRACE_FREQUENCY])
		return trace_fail(t, t->end, TRACE_FREQUENCY, "there is none");
	if (!t->counts[TRACE_GOMAXPROCS])
		return trace_fail(t, t->end, TRACE_GOMAXPROCS, "there is none");
	return true;
}
