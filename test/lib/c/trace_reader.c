/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trace_walk {
	const struct trace_event *procs; /* the first Gomaxprocs: what is before was there before */
	uint64_t *tasks;                 /* that have not ended */
	size_t task_count;
};

/* ---------------------------------------------------------------- lives */

/* Of two Ps at the same time either may come first. */
static bool trace_before_procs(const struct trace_walk *w, const struct trace_event *e)
{
	return e->ts < w->procs->ts || (e->p == w->procs->p && e->offset < w->procs->offset);
}

static bool trace_after_procs(const struct trace_walk *w, const struct trace_event *e)
{
	return e->ts > w->procs->ts || (e->p == w->procs->p && e->offset > w->procs->offset);
}

/*
 * What was there at the start: it may have been started once, or wait. A label there is a panic in
 * Go 1.26, which then takes the goroutine for runnable.
 */
static bool trace_live_start(struct trace *t, const struct trace_walk *w,
	const struct trace_event *e)
{
	struct trace_goroutine *g = trace_find_goroutine(t, e->g);
	bool start = e->type == TRACE_GO_START || e->type == TRACE_GO_START_LABEL;

	if (e->type == TRACE_GO_WAITING && !trace_before_procs(w, e))
		return trace_fail(t, e->offset, e->type, "it is not before Gomaxprocs");
	if (e->type == TRACE_GO_START_LABEL && !trace_after_procs(w, e))
		return trace_fail(t, e->offset, e->type, "it is not after Gomaxprocs");
	if (start && g->starts++ && !trace_after_procs(w, e))
		return trace_fail(t, e->offset, e->type,
			"a second start of g %lu that is not after"
			" Gomaxprocs",
			g->id);
	return true;
}

/* A blocked call is what its GoSysCall is followed by, and only GoSysExit ends it. */
static bool trace_live_call(struct trace *t, const struct trace_event *e)
{
	struct trace_goroutine *g = trace_find_goroutine(t, e->g);

	if (e->type == TRACE_GO_SYS_BLOCK && g->last != TRACE_GO_SYS_CALL)
		return trace_fail(t, e->offset, e->type, "the last event of g %lu is no GoSysCall",
			g->id);
	if (e->type == TRACE_GO_SYS_EXIT && !g->in_call)
		return trace_fail(t, e->offset, e->type, "g %lu is in no system call", g->id);
	if (e->type == TRACE_GO_UNBLOCK && g->in_call)
		return trace_fail(t, e->offset, e->type, "g %lu is in a system call", g->id);
	if (e->type == TRACE_GO_SYS_BLOCK || e->type == TRACE_GO_SYS_EXIT)
		g->in_call = e->type == TRACE_GO_SYS_BLOCK;
	return true;
}

static bool trace_live_region(struct trace *t, struct trace_event *e)
{
	struct trace_goroutine *g = trace_find_goroutine(t, e->g);
	const struct trace_event *start;

	if (!e->args[1]) {
		e->outer = g->region;
		g->region = (size_t)(e - t->events) + 1;
		return true;
	}
	if (!g->region)
		return trace_fail(t, e->offset, e->type, "the end of a region that did not start");
	start = &t->events[g->region - 1];
	if (start->args[0] != e->args[0] || start->args[2] != e->args[2])
		return trace_fail(t, e->offset, e->type,
			"misuse of region: it ends task %lu string"
			" %lu, the innermost is task %lu string %lu",
			e->args[0], e->args[2], start->args[0], start->args[2]);
	g->region = start->outer;
	return true;
}

static bool trace_live_task(struct trace *t, struct trace_walk *w, const struct trace_event *e)
{
	size_t at = 0;

	while (at < w->task_count && w->tasks[at] != e->args[0])
		at++;
	if (e->type == TRACE_TASK_END) {
		if (at < w->task_count)
			w->tasks[at] = w->tasks[--w->task_count];
		return true;
	}
	if (!e->args[0])
		return trace_fail(t, e->offset, e->type, "task 0");
	if (at < w->task_count)
		return trace_fail(t, e->offset, e->type, "task %lu is already there", e->args[0]);
	w->tasks = trace_grow(w->tasks, w->task_count, sizeof(*w->tasks));
	w->tasks[w->task_count++] = e->args[0];
	return true;
}

static bool trace_live(struct trace *t, struct trace_walk *w, struct trace_event *e)
{
	struct trace_goroutine *by = trace_find_goroutine(t, e->by);

	if (e->ts == t->events[0].ts && e->type != TRACE_GO_CREATE)
		return trace_fail(t, e->offset, e->type, "only GoCreate may be at the first time");
	if (!trace_live_start(t, w, e) || !trace_live_call(t, e))
		return false;
	if (e->type == TRACE_REGION && !trace_live_region(t, e))
		return false;
	if ((e->type == TRACE_TASK_CREATE || e->type == TRACE_TASK_END) &&
		!trace_live_task(t, w, e))
		return false;
	if (by && e->type != TRACE_CPU_SAMPLE)
		by->last = e->type;
	return true;
}

static bool trace_live_all(struct trace *t)
{
	struct trace_walk w = { 0 };
	bool ok = true;

	for (w.procs = t->events; w.procs->type != TRACE_GOMAXPROCS;)
		w.procs++;
	for (size_t i = 0; ok && i < t->event_count; i++)
		ok = trace_live(t, &w, &t->events[i]);
	free(w.tasks);
	return ok;
}

/* ---------------------------------------------------------------- to call */

bool trace_read(struct trace *t, const void *bytes, size_t count)
{
	memset(t, 0, sizeof(*t));
	t->ok = trace_parse(t, bytes, count) && trace_index(t) && trace_merge(t) &&
		trace_live_all(t);
	t->bytes = NULL;
	return t->ok;
}

void trace_free(struct trace *t)
{
	free(t->events);
	free(t->strings);
	free(t->stacks);
	free(t->frames);
	free(t->goroutines);
	free(t->text);
	memset(t, 0, sizeof(*t));
}

const char *trace_string(const struct trace *t, uint64_t id)
{
	const struct trace_string *string = trace_find_string(t, id);

	return string ? t->text + string->text : id ? NULL : "";
}

size_t trace_depth(const struct trace *t, uint64_t stack)
{
	const struct trace_stack *found = trace_find_stack(t, stack);

	return found ? found->frame_count : 0;
}

const struct trace_frame *trace_frame(const struct trace *t, uint64_t stack, size_t n)
{
	const struct trace_stack *found = trace_find_stack(t, stack);

	return found && n < found->frame_count ? &t->frames[found->first + n] : NULL;
}

const char *trace_function(const struct trace *t, uint64_t stack, size_t n)
{
	const struct trace_frame *frame = trace_frame(t, stack, n);

	return frame ? trace_name_of(t, frame) : NULL;
}

const struct trace_event *trace_event_of(const struct trace *t, uint64_t g, unsigned type, size_t n)
{
	for (const struct trace_event *e = t->events; e < t->events + t->event_count; e++)
		if (e->g == g && (!type || e->type == type) && !n--)
			return e;
	return NULL;
}

const char *trace_life(const struct trace *t, uint64_t g)
{
	static char text[4096];
	size_t used = 0;

	text[0] = '\0';
	for (const struct trace_event *e = t->events; e < t->events + t->event_count; e++)
		if (e->g == g && used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
				used ? " " : "", trace_shapes[e->type].name);
	return text;
}
