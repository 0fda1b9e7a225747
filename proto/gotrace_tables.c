/* SPDX-License-Identifier: Apache-2.0 */
#include "gotrace_tables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "look_up.h"
#include "../agent/symbols/symbols.h"
#include "../agent/record/trace_events.h"

#define TEXT_BYTES_MAX ((size_t)4 << 20)

/* Readers have room for 128 frames, and one of them fails beyond. */
#define FRAMES 120
#define FRAME_WORDS 4

/* Outermost frames searched for the start of the program's code: libc has at most four frames
 * there. */
#define ENTRY_LOCS 8

/* Readers map one pc to one function. Frames without a pc (inlined and added ones) get one outside
 * the address space of programs. */
#define MADE_UP_PC ((uint64_t)1 << 47)
#define INLINED_PC ((uint64_t)1 << 48)

struct frame {
	uint64_t pc;
	const char *name, *file;
	uint32_t line;
};

/* Innermost first. */
struct frames {
	size_t count;
	struct frame at[FRAMES];
};

int pa_gotrace_tables_init(struct pa_gotrace_tables *tables, struct pa_gotrace_bytes *bytes)
{
	tables->bytes = bytes;
	tables->texts = (struct pa_arena)PA_ARENA_INIT("texts of a trace", TEXT_BYTES_MAX);
	return pa_strtab_init(&tables->strings);
}

void pa_gotrace_tables_free(struct pa_gotrace_tables *tables)
{
	pa_pair_map_free(&tables->numbers);
	pa_scratch_free(&tables->keys);
	pa_strtab_free(&tables->strings);
	pa_arena_free(&tables->texts);
}

static bool add_stack_key(struct pa_gotrace_tables *tables, const struct pa_stack *stack,
	uint32_t how)
{
	size_t need = (tables->key_count + (size_t)1) * sizeof(struct pa_gotrace_key);
	if (!pa_scratch(&tables->keys, need))
		return false;
	((struct pa_gotrace_key *)tables->keys.at)[tables->key_count++] =
		(struct pa_gotrace_key){ stack, how };
	return true;
}

uint64_t pa_gotrace_tables_stack(struct pa_gotrace_tables *tables, const struct pa_stack *stack,
	uint32_t how)
{
	if (!stack)
		return 0;
	uint32_t next = tables->key_count + 1;
	uint32_t *number = pa_pair_map_put(&tables->numbers, how, stack->id, next);
	if (!number || (*number == next && !add_stack_key(tables, stack, how))) {
		tables->failed = true;
		return 0;
	}
	return *number;
}

uint64_t pa_gotrace_tables_reserve(struct pa_gotrace_tables *tables)
{
	if (!add_stack_key(tables, NULL, PA_GOTRACE_ENTRY)) {
		tables->failed = true;
		return 0;
	}
	return tables->key_count;
}

void pa_gotrace_tables_bind(struct pa_gotrace_tables *tables, uint64_t number,
	const struct pa_stack *stack)
{
	((struct pa_gotrace_key *)tables->keys.at)[number - 1].stack = stack;
}

/* text must be a constant, or live as long as the tables. */
static uint64_t number_of(struct pa_gotrace_tables *tables, const char *text)
{
	uint32_t before = tables->strings.count;
	int64_t number = pa_strtab_index(&tables->strings, text);
	if (number < 0) {
		tables->failed = true;
		return 0;
	}
	if (tables->strings.count != before)
		pa_gotrace_bytes_string(tables->bytes, (uint64_t)number, text);
	return (uint64_t)number;
}

uint64_t pa_gotrace_tables_text(struct pa_gotrace_tables *tables, const char *text)
{
	int64_t known = pa_strtab_find(&tables->strings, text);
	if (known >= 0)
		return (uint64_t)known;
	const char *kept = pa_arena_strndup(&tables->texts, text, strlen(text));
	return kept ? number_of(tables, kept) : 0;
}

/* ---- frames ---- */

static void add_frame(struct frames *frames, uint64_t pc, const char *name, const char *file,
	uint32_t line)
{
	if (frames->count < FRAMES)
		frames->at[frames->count++] = (struct frame){ pc, name, file, line };
}

/*
 * Name of a location without a symbol: its address. Stored once, so it is the same in all stacks.
 */
static const char *name_nameless(struct pa_gotrace_tables *tables, const struct pa_loc *loc)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "0x%jx", (uintmax_t)loc->pc);
	int64_t known = pa_strtab_find(&tables->strings, text);
	if (known >= 0)
		return pa_strtab_text(&tables->strings, (uint32_t)known);
	const char *kept = pa_arena_strndup(&tables->texts, text, (size_t)length);
	return kept ? kept : "[unknown]";
}

static void add_trace_loc(struct pa_gotrace_tables *tables, struct frames *frames, uint32_t id)
{
	const struct pa_loc *loc = pa_stack_table_loc(id);
	struct pa_frame named[PA_SYMBOLS_INLINE_MAX];
	uint32_t count = pa_symbols_lookup(loc, named, PA_SYMBOLS_INLINE_MAX);
	/* Pseudo locations have a small number as pc. */
	uint64_t pc = loc->pc < PA_PSEUDO_LIMIT ?
		MADE_UP_PC + PA_TRACE_EVENTS_WAIT_COUNT + loc->pc :
		loc->pc;
	if (!count)
		add_frame(frames, pc, name_nameless(tables, loc), "", 0);
	for (uint32_t i = 0; i < count; i++) {
		bool inlined = i + 1 < count;
		add_frame(frames,
			inlined ? INLINED_PC + (uint64_t)id * PA_SYMBOLS_INLINE_MAX + i : pc,
			named[i].function->name, named[i].function->file, named[i].line);
	}
}

/* Functions of libc below main and below a thread's start routine: the frame above them names the
 * goroutine. */
static bool is_below_start(const char *name)
{
	static const char *const names[] = { "clone", "clone3", "__clone", "__clone3",
		"start_thread", "_start", "__libc_start_main", "__libc_start_call_main" };
	for (size_t i = 0; i < PA_COUNT(names); i++) {
		size_t length = strlen(names[i]);
		if (strncmp(name, names[i], length) == 0 &&
			(name[length] == '\0' || name[length] == '@'))
			return true;
	}
	return strncmp(name, "__libc_start_main_", strlen("__libc_start_main_")) == 0;
}

static const char *text_of_wait(uint32_t wait)
{
	static const char *const texts[PA_TRACE_EVENTS_WAIT_COUNT] = {
#define X(name, text, class) [PA_TRACE_EVENTS_IN_##name] = text,
		PA_TRACE_EVENTS_WAITS(X)
#undef X
	};
	return wait < PA_TRACE_EVENTS_WAIT_COUNT ? texts[wait] : "";
}

static void collect_frames(struct pa_gotrace_tables *tables, const struct pa_gotrace_key *key,
	struct frames *frames)
{
	frames->count = 0;
	const char *wait = text_of_wait(key->how);
	if (*wait)
		add_frame(frames, MADE_UP_PC + key->how, wait, "", 0);
	uint32_t depth = key->stack ? key->stack->depth : 0;
	uint32_t first =
		key->how == PA_GOTRACE_ENTRY && depth > ENTRY_LOCS ? depth - ENTRY_LOCS : 0;
	for (uint32_t i = first; i < depth; i++)
		add_trace_loc(tables, frames, key->stack->locs[i]);
	while (frames->count > 1 && is_below_start(frames->at[frames->count - 1].name))
		frames->count--;
	if (!frames->count)
		add_frame(frames, MADE_UP_PC, "[unknown]", "", 0);
	if (key->how == PA_GOTRACE_ENTRY) {
		frames->at[0] = frames->at[frames->count - 1];
		frames->count = 1;
	}
}

static size_t words_of(struct pa_gotrace_tables *tables, const struct frame *frame, uint64_t *words)
{
	words[0] = frame->pc;
	words[1] = number_of(tables, frame->name);
	words[2] = number_of(tables, frame->file);
	words[3] = frame->line;
	size_t width = 0;
	for (size_t i = 0; i < FRAME_WORDS; i++)
		width += pa_gotrace_bytes_width(words[i]);
	return width;
}

/* The outermost frames are left out if the stack is too long. */
static void write_trace_stack(struct pa_gotrace_tables *tables, uint64_t number,
	const struct frames *frames)
{
	uint64_t words[2 + FRAMES * FRAME_WORDS] = { number };
	size_t count = 0, width = pa_gotrace_bytes_width(number) + 2;
	for (; count < frames->count; count++) {
		width += words_of(tables, &frames->at[count], words + 2 + count * FRAME_WORDS);
		if (width > PA_GOTRACE_STACK_BYTES)
			break;
	}
	words[1] = count;
	pa_gotrace_bytes_record(tables->bytes, PA_GOTRACE_STACK, words, 2 + count * FRAME_WORDS);
}

static const struct pa_stack *stack_of_key(const void *arg, size_t i)
{
	const struct pa_gotrace_tables *tables = arg;

	return ((const struct pa_gotrace_key *)tables->keys.at)[i].stack;
}

int pa_gotrace_tables_write(struct pa_gotrace_tables *tables)
{
	const struct pa_gotrace_key *keys = tables->keys.at;
	struct frames frames;

	if (pa_look_up_stacks(stack_of_key, tables, tables->key_count, tables->bytes->sink) < 0)
		tables->failed = true;
	for (uint32_t i = 0; i < tables->key_count && !tables->bytes->failed; i++) {
		collect_frames(tables, &keys[i], &frames);
		write_trace_stack(tables, i + 1, &frames);
	}
	pa_symbols_end_request();
	if (tables->failed)
		return -ENOMEM;
	return pa_gotrace_bytes_flush(tables->bytes);
}
