/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_tables.h"

#include <stdlib.h>
#include <string.h>

/* How many of the sorted list have an id up to that one: the last of them may be it. */
#define TRACE_UP_TO(list, count, wanted)                         \
	({                                                       \
		size_t low_ = 0, high_ = (count);                \
		while (low_ < high_) {                           \
			size_t mid_ = low_ + (high_ - low_) / 2; \
			if ((list)[mid_].id <= (wanted))         \
				low_ = mid_ + 1;                 \
			else                                     \
				high_ = mid_;                    \
		}                                                \
		low_;                                            \
	})

int trace_compare(uint64_t a, uint64_t b, size_t offset_a, size_t offset_b)
{
	if (a != b)
		return a < b ? -1 : 1;
	return offset_a < offset_b ? -1 : offset_a > offset_b;
}

static int trace_compare_strings(const void *x, const void *y)
{
	const struct trace_string *a = x, *b = y;

	return trace_compare(a->id, b->id, a->offset, b->offset);
}

static int trace_compare_stacks(const void *x, const void *y)
{
	const struct trace_stack *a = x, *b = y;

	return trace_compare(a->id, b->id, a->offset, b->offset);
}

static int trace_compare_goroutines(const void *x, const void *y)
{
	const struct trace_goroutine *a = x, *b = y;

	return trace_compare(a->id, b->id, a->offset, b->offset);
}

/* Frames of one Stack lie behind each other in the memory. */
static int trace_compare_frames(const void *x, const void *y)
{
	const struct trace_frame *const *a = x, *const *b = y;

	return trace_compare((*a)->pc, (*b)->pc, (size_t)*a, (size_t)*b);
}

const struct trace_string *trace_find_string(const struct trace *t, uint64_t id)
{
	size_t n = TRACE_UP_TO(t->strings, t->string_count, id);

	return n && t->strings[n - 1].id == id ? &t->strings[n - 1] : NULL;
}

const struct trace_stack *trace_find_stack(const struct trace *t, uint64_t id)
{
	size_t n = TRACE_UP_TO(t->stacks, t->stack_count, id);

	return n && t->stacks[n - 1].id == id ? &t->stacks[n - 1] : NULL;
}

struct trace_goroutine *trace_find_goroutine(const struct trace *t, uint64_t id)
{
	size_t n = TRACE_UP_TO(t->goroutines, t->goroutine_count, id);

	return n && t->goroutines[n - 1].id == id ? &t->goroutines[n - 1] : NULL;
}

static bool trace_index_strings(struct trace *t)
{
	TRACE_SORT(t->strings, t->string_count, trace_compare_strings);
	for (size_t i = 1; i < t->string_count; i++)
		if (t->strings[i].id == t->strings[i - 1].id)
			return trace_fail(t, t->strings[i].offset, TRACE_STRING,
				"string id %lu is not unique", t->strings[i].id);
	return true;
}

static bool trace_index_goroutines(struct trace *t)
{
	for (const struct trace_event *e = t->events; e < t->events + t->event_count; e++) {
		if (e->type != TRACE_GO_CREATE)
			continue;
		t->goroutines =
			trace_grow(t->goroutines, t->goroutine_count, sizeof(*t->goroutines));
		t->goroutines[t->goroutine_count++] = (struct trace_goroutine){
			.id = e->args[0], .offset = e->offset, .created_ts = e->ts
		};
	}
	TRACE_SORT(t->goroutines, t->goroutine_count, trace_compare_goroutines);
	for (size_t i = 1; i < t->goroutine_count; i++)
		if (t->goroutines[i].id == t->goroutines[i - 1].id)
			return trace_fail(t, t->goroutines[i].offset, TRACE_GO_CREATE,
				"g %lu is created twice", t->goroutines[i].id);
	return true;
}

static bool trace_check_string(struct trace *t, size_t offset, unsigned type, uint64_t id)
{
	if (!id || trace_find_string(t, id))
		return true;
	return trace_fail(t, offset, type, "string id %lu is not defined", id);
}

const char *trace_name_of(const struct trace *t, const struct trace_frame *frame)
{
	const struct trace_string *name = trace_find_string(t, frame->function);

	return name ? t->text + name->text : "";
}

/* Readers look a frame up by its pc alone. */
static bool trace_check_pcs(struct trace *t)
{
	struct trace_frame **by_pc = trace_memory(NULL, (t->frame_count + 1) * sizeof(*by_pc));
	bool ok = true;

	for (size_t i = 0; i < t->frame_count; i++)
		by_pc[i] = &t->frames[i];
	TRACE_SORT(by_pc, t->frame_count, trace_compare_frames);
	for (size_t i = 1; ok && i < t->frame_count; i++) {
		const char *name = trace_name_of(t, by_pc[i]);
		const char *other = trace_name_of(t, by_pc[i - 1]);

		if (by_pc[i]->pc == by_pc[i - 1]->pc && strcmp(name, other))
			ok = trace_fail(t, by_pc[i]->offset, TRACE_STACK,
				"pc 0x%lx is in two functions: %.40s and %.40s", by_pc[i]->pc,
				other, name);
	}
	free(by_pc);
	return ok;
}

static bool trace_check_frames(struct trace *t)
{
	for (const struct trace_frame *f = t->frames; f < t->frames + t->frame_count; f++)
		if (!trace_check_string(t, f->offset, TRACE_STACK, f->function) ||
			!trace_check_string(t, f->offset, TRACE_STACK, f->file))
			return false;
	return trace_check_pcs(t);
}

static bool trace_check_newstack(struct trace *t, const struct trace_event *e)
{
	const struct trace_stack *stack = trace_find_stack(t, e->args[1]);

	if (!stack)
		return trace_fail(t, e->offset, e->type, "newstack %lu is not defined", e->args[1]);
	if (!stack->frame_count)
		return trace_fail(t, e->offset, e->type, "newstack %lu is empty", stack->id);
	if (!t->frames[stack->first].pc)
		return trace_fail(t, e->offset, e->type, "newstack %lu begins with pc 0",
			stack->id);
	return true;
}

bool trace_check_user_stack(struct trace *t, const struct trace_event *e)
{
	const struct trace_stack *stack = trace_find_stack(t, e->stack);

	if (!stack || !stack->frame_count)
		return trace_fail(t, e->offset, e->type, "it has no stack");
	return true;
}

/*
 * At the same time the reader may put either first, and Go 1.19 takes a sample of a goroutine that
 * is not there yet for its creation.
 */
static bool trace_check_sample(struct trace *t, const struct trace_event *e)
{
	const struct trace_goroutine *g = trace_find_goroutine(t, e->args[2]);

	if (!e->args[2])
		return true;
	if (!g)
		return trace_fail(t, e->offset, e->type, "g %lu is never created", e->args[2]);
	if (e->ts <= g->created_ts)
		return trace_fail(t, e->offset, e->type,
			"its time %lu is not after g %lu was"
			" created, at %lu",
			e->ts, g->id, g->created_ts);
	return true;
}

static bool trace_check_references(struct trace *t, const struct trace_event *e)
{
	switch (e->type) {
	case TRACE_GO_CREATE: return trace_check_newstack(t, e);
	case TRACE_GO_START_LABEL: return trace_check_string(t, e->offset, e->type, e->args[2]);
	case TRACE_TASK_CREATE:
	case TRACE_REGION:
		return trace_check_string(t, e->offset, e->type, e->args[2]) &&
			trace_check_user_stack(t, e);
	case TRACE_TASK_END: return trace_check_user_stack(t, e);
	case TRACE_LOG: return trace_check_string(t, e->offset, e->type, e->args[1]);
	case TRACE_CPU_SAMPLE: return trace_check_sample(t, e);
	default: return true;
	}
}

bool trace_index(struct trace *t)
{
	TRACE_SORT(t->stacks, t->stack_count, trace_compare_stacks);
	if (!trace_index_strings(t) || !trace_index_goroutines(t) || !trace_check_frames(t))
		return false;
	for (const struct trace_event *e = t->events; e < t->events + t->event_count; e++) {
		if (!trace_check_references(t, e))
			return false;
		t->undefined_stacks += e->stack && !trace_find_stack(t, e->stack);
	}
	return true;
}
