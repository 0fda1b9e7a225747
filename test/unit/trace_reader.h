/*
 * A strict reader of Go execution traces, format v1 with the header "go 1.19 trace": it refuses
 * what any of the readers from Go 1.19 to 1.27 refuses, panics on or shows wrongly, so that a test
 * of a writer needs no Go.
 *
 *	struct trace trace;
 *
 *	if (!trace_read(&trace, bytes, count))
 *		fail_msg("%s", trace.error);
 *	assert_int_equal(trace.counts[TRACE_GO_BLOCK_SYNC], 2);
 *	assert_string_equal(trace_life(&trace, 7), "GoCreate GoStart GoBlockSync ...");
 *	trace_free(&trace);
 *
 * The error says at which byte the record begins, its type and the rule. Only the first one is
 * said: first those of single records (trace_wire.h), in the order of the file, then those of ids
 * (trace_tables.h), of single Ps and of the order (trace_order.h), at last those of lives, here.
 *
 * Stricter than all of the readers: types that they know and no writer of ours should use; the end
 * of a region that did not start; task 0; a sample of a goroutine that is never created; GoSysBlock
 * without GoSysCall, GoUnblock out of a system call; GoWaiting after Gomaxprocs and a second start
 * before it. As lenient as they are: a stack id that is not defined means no stack (but they are
 * counted, undefined_stacks), and of two stacks with the same id the last counts.
 *
 * What it returns lives until trace_free, which also ends a trace that was refused.
 */
#ifndef TEST_TRACE_READER_H
#define TEST_TRACE_READER_H

#include "trace_order.h"

/* ---------------------------------------------------------------- lives */

struct trace_walk {
	const struct trace_event *procs; /* the first Gomaxprocs: what is before was there before */
	uint64_t *tasks;                 /* that have not ended */
	size_t task_count;
};

/* Of two Ps at the same time either may come first. */
static inline bool trace_before_procs(const struct trace_walk *w, const struct trace_event *e)
{
	return e->ts < w->procs->ts || (e->p == w->procs->p && e->offset < w->procs->offset);
}

static inline bool trace_after_procs(const struct trace_walk *w, const struct trace_event *e)
{
	return e->ts > w->procs->ts || (e->p == w->procs->p && e->offset > w->procs->offset);
}

/*
 * What was there at the start: it may have been started once, or wait. A label there is a panic in
 * Go 1.26, which then takes the goroutine for runnable.
 */
static inline bool trace_live_start(struct trace *t, const struct trace_walk *w,
	const struct trace_event *e)
{
	struct trace_goroutine *g = trace_find_goroutine(t, e->g);
	bool start = e->type == TRACE_GO_START || e->type == TRACE_GO_START_LABEL;

	if (e->type == TRACE_GO_WAITING && !trace_before_procs(w, e))
		return trace_fail(t, e->offset, e->type, "it is not before Gomaxprocs");
	if (e->type == TRACE_GO_START_LABEL && !trace_after_procs(w, e))
		return trace_fail(t, e->offset, e->type, "it is not after Gomaxprocs");
	if (start && g->starts++ && !trace_after_procs(w, e))
		return trace_fail(t, e->offset, e->type, "a second start of g %lu that is not after"
			" Gomaxprocs", g->id);
	return true;
}

/* A blocked call is what its GoSysCall is followed by, and only GoSysExit ends it. */
static inline bool trace_live_call(struct trace *t, const struct trace_event *e)
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

static inline bool trace_live_region(struct trace *t, struct trace_event *e)
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
		return trace_fail(t, e->offset, e->type, "misuse of region: it ends task %lu string"
			" %lu, the innermost is task %lu string %lu", e->args[0], e->args[2],
			start->args[0], start->args[2]);
	g->region = start->outer;
	return true;
}

static inline bool trace_live_task(struct trace *t, struct trace_walk *w,
	const struct trace_event *e)
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

static inline bool trace_live(struct trace *t, struct trace_walk *w, struct trace_event *e)
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

static inline bool trace_live_all(struct trace *t)
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

/* True when the bytes are a trace that every reader takes; else trace.error says why not. */
static inline bool trace_read(struct trace *t, const void *bytes, size_t count)
{
	memset(t, 0, sizeof(*t));
	t->ok = trace_parse(t, bytes, count) && trace_index(t) && trace_merge(t) &&
		trace_live_all(t);
	t->bytes = NULL;
	return t->ok;
}

static inline void trace_free(struct trace *t)
{
	free(t->events);
	free(t->strings);
	free(t->stacks);
	free(t->frames);
	free(t->goroutines);
	free(t->text);
	memset(t, 0, sizeof(*t));
}

/* "" for 0; NULL when there is none with that id. */
static inline const char *trace_string(const struct trace *t, uint64_t id)
{
	const struct trace_string *string = trace_find_string(t, id);

	return string ? t->text + string->text : id ? NULL : "";
}

/* How many frames the stack has; 0 also for a stack that is not there. */
static inline size_t trace_depth(const struct trace *t, uint64_t stack)
{
	const struct trace_stack *found = trace_find_stack(t, stack);

	return found ? found->frame_count : 0;
}

/* The n-th frame, from the innermost, 0; NULL when there are fewer. */
static inline const struct trace_frame *trace_frame(const struct trace *t, uint64_t stack, size_t n)
{
	const struct trace_stack *found = trace_find_stack(t, stack);

	return found && n < found->frame_count ? &t->frames[found->first + n] : NULL;
}

/* The function's name of the n-th frame; NULL when there are fewer. */
static inline const char *trace_function(const struct trace *t, uint64_t stack, size_t n)
{
	const struct trace_frame *frame = trace_frame(t, stack, n);

	return frame ? trace_name_of(t, frame) : NULL;
}

/*
 * The n-th event of that type (0: of any), in order, in the life of a goroutine: those done by it,
 * and that it was created, started or woken (where event.by says by whom). What it did to others is
 * in their lives. NULL when there are fewer. Goroutine 0 has what nobody did, and no life.
 */
static inline const struct trace_event *trace_event_of(const struct trace *t, uint64_t g,
	unsigned type, size_t n)
{
	for (const struct trace_event *e = t->events; e < t->events + t->event_count; e++)
		if (e->g == g && (!type || e->type == type) && !n--)
			return e;
	return NULL;
}

/* The names of all events of trace_event_of, with blanks between; valid until the next call. */
static inline const char *trace_life(const struct trace *t, uint64_t g)
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

#endif
