/* SPDX-License-Identifier: Apache-2.0 */
#include "test/lib/c/trace_order.h"

#include <stdio.h>
#include <stdlib.h>

struct trace_stream {
	size_t next, end; /* of the events */
	uint64_t running;
	bool started;
};

/* ---------------------------------------------------------------- one P */

/* Samples are a stream of their own, by their real time. */
static int trace_compare_places(const void *x, const void *y)
{
	const struct trace_event *a = x, *b = y;
	bool sample_a = a->type == TRACE_CPU_SAMPLE, sample_b = b->type == TRACE_CPU_SAMPLE;

	if (sample_a != sample_b)
		return sample_a ? 1 : -1;
	return sample_a ? trace_compare(a->ts, b->ts, a->offset, b->offset) :
			  trace_compare(a->p, b->p, a->offset, b->offset);
}

static bool trace_stops_running(enum trace_type type)
{
	return type == TRACE_GO_END || (type >= TRACE_GO_SCHED && type <= TRACE_GO_BLOCK) ||
		(type >= TRACE_GO_BLOCK_SEND && type <= TRACE_GO_BLOCK_NET) ||
		type == TRACE_GO_SYS_BLOCK;
}

static bool trace_step_start(struct trace *t, struct trace_stream *s, struct trace_event *e)
{
	if (s->running)
		return trace_fail(t, e->offset, e->type, "p %lu is already running g %lu", e->p,
			s->running);
	if (!s->started)
		return trace_fail(t, e->offset, e->type, "p %lu is not started", e->p);
	s->running = e->by = e->g = e->args[0];
	return true;
}

static bool trace_step_proc(struct trace *t, struct trace_stream *s, const struct trace_event *e)
{
	bool start = e->type == TRACE_PROC_START;

	if (s->running)
		return trace_fail(t, e->offset, e->type, "p %lu is running g %lu", e->p,
			s->running);
	if (s->started == start)
		return trace_fail(t, e->offset, e->type, "p %lu is %s", e->p,
			start ? "already started" : "not started");
	s->started = start;
	return true;
}

/* Applies an event to its P, which tells the goroutine that did it. */
static bool trace_step(struct trace *t, struct trace_stream *s, struct trace_event *e)
{
	bool stops = trace_stops_running(e->type);

	e->by = e->g = s->running;
	if (!s->running && (stops || e->type == TRACE_GO_SYS_CALL || e->type == TRACE_REGION))
		return trace_fail(t, e->offset, e->type, "no g runs on p %lu", e->p);
	if (e->type == TRACE_LOG && (e->by || e->p || e->stack) && !trace_check_user_stack(t, e))
		return false;
	if (e->type == TRACE_GO_START || e->type == TRACE_GO_START_LABEL)
		return trace_step_start(t, s, e);
	if (e->type == TRACE_PROC_START || e->type == TRACE_PROC_STOP)
		return trace_step_proc(t, s, e);
	if (e->type == TRACE_GO_CREATE || e->type == TRACE_GO_UNBLOCK)
		e->g = e->args[0];
	if (e->type == TRACE_GO_SYS_EXIT || e->type == TRACE_GO_WAITING)
		e->by = e->g = e->args[0];
	if (stops)
		s->running = 0;
	return true;
}

static bool trace_walk_p(struct trace *t, struct trace_stream *s)
{
	struct trace_event *first = t->events + s->next, *end = t->events + s->end;
	const struct trace_event *start = NULL;

	for (struct trace_event *e = first; e < end; e++) {
		if (e > first && e->ts < e[-1].ts)
			return trace_fail(t, e->offset, e->type,
				"time runs backwards on p %lu, %lu"
				" after %lu",
				e->p, e->ts, e[-1].ts);
		if (!trace_step(t, s, e))
			return false;
		if (e->type == TRACE_GO_SYS_BLOCK && (e + 1 == end || e[1].type != TRACE_PROC_STOP))
			return trace_fail(t, e->offset, e->type, "no ProcStop of p %lu follows",
				e->p);
		if (e->type == TRACE_GO_START || e->type == TRACE_GO_START_LABEL)
			start = e;
	}
	if (s->running)
		return trace_fail(t, start->offset, start->type,
			"g %lu is still running at the"
			" end",
			s->running);
	return true;
}

/* Makes a list of the streams, each of it walked; NULL when one is wrong. */
static struct trace_stream *trace_make_streams(struct trace *t, size_t *count)
{
	struct trace_stream *streams = NULL;

	TRACE_SORT(t->events, t->event_count, trace_compare_places);
	*count = 0;
	for (size_t i = 0; i < t->event_count; (*count)++) {
		struct trace_stream *s;
		bool samples = t->events[i].type == TRACE_CPU_SAMPLE;

		streams = trace_grow(streams, *count, sizeof(*streams));
		s = &streams[*count];
		*s = (struct trace_stream){ .next = i };
		for (; i < t->event_count; i++) {
			struct trace_event *e = &t->events[i];

			if (samples)
				e->by = e->g = e->args[2];
			else if (e->type == TRACE_CPU_SAMPLE || e->p != t->events[s->next].p)
				break;
		}
		s->end = i;
		if (!samples && !trace_walk_p(t, s)) {
			free(streams);
			return NULL;
		}
	}
	return streams;
}

/* ---------------------------------------------------------------- all of them */

static const char *trace_state_name(enum trace_state state)
{
	static const char *const names[] = { "not created", "runnable", "running", "waiting",
		"ended" };

	return names[state];
}

static bool trace_has_seq(enum trace_type type)
{
	return type == TRACE_GO_START || type == TRACE_GO_START_LABEL || type == TRACE_GO_UNBLOCK ||
		type == TRACE_GO_SYS_EXIT;
}

/* False when the event leaves its goroutine as it is. */
static bool trace_moves(const struct trace_event *e, enum trace_state *from, enum trace_state *to)
{
	*from = TRACE_RUNNING;
	*to = TRACE_WAITING;
	if (e->type == TRACE_GO_CREATE)
		*from = TRACE_NEW, *to = TRACE_RUNNABLE;
	else if (e->type == TRACE_GO_START || e->type == TRACE_GO_START_LABEL)
		*from = TRACE_RUNNABLE, *to = TRACE_RUNNING;
	else if (e->type == TRACE_GO_UNBLOCK || e->type == TRACE_GO_SYS_EXIT)
		*from = TRACE_WAITING, *to = TRACE_RUNNABLE;
	else if (e->type == TRACE_GO_WAITING)
		*from = TRACE_RUNNABLE;
	else if (e->type == TRACE_GO_SCHED || e->type == TRACE_GO_PREEMPT)
		*to = TRACE_RUNNABLE;
	else if (e->type == TRACE_GO_END)
		*to = TRACE_ENDED;
	else
		return trace_stops_running(e->type);
	return true;
}

static bool trace_is_ready(const struct trace *t, const struct trace_event *e)
{
	const struct trace_goroutine *g;
	enum trace_state from, to;

	if (!trace_moves(e, &from, &to))
		return true;
	g = trace_find_goroutine(t, e->g);
	if (!g || g->state != from)
		return false;
	if (e->type == TRACE_GO_WAITING)
		return g->seq == 1;
	return !trace_has_seq(e->type) || g->seq == e->args[1];
}

static void trace_move(struct trace *t, const struct trace_event *e)
{
	struct trace_goroutine *g;
	enum trace_state from, to;

	if (!trace_moves(e, &from, &to))
		return;
	g = trace_find_goroutine(t, e->g);
	g->state = to;
	g->seq +=
		e->type == TRACE_GO_CREATE || e->type == TRACE_GO_WAITING || trace_has_seq(e->type);
}

/* Every stream waits for another one. Complains about the earliest event. */
static bool trace_fail_order(struct trace *t, const struct trace_event *e)
{
	const struct trace_goroutine *g = trace_find_goroutine(t, e->g);
	enum trace_state from, to;
	char seq[32] = "";

	trace_moves(e, &from, &to);
	if (trace_has_seq(e->type))
		snprintf(seq, sizeof(seq), " with seq %lu", e->args[1]);
	return trace_fail(t, e->offset, e->type,
		"no consistent order: at %lu it wants g %lu %s%s,"
		" which is %s with seq %lu",
		e->ts, e->g, trace_state_name(from), seq,
		trace_state_name(g ? g->state : TRACE_NEW), g ? g->seq : 0);
}

static bool trace_is_before(const struct trace_event *a, const struct trace_event *b)
{
	return !b || a->ts < b->ts || (a->ts == b->ts && a->offset < b->offset);
}

/* The stream whose next event comes next; NULL after a complaint. */
static struct trace_stream *trace_next_stream(struct trace *t, struct trace_stream *streams,
	size_t count)
{
	const struct trace_event *best = NULL, *stuck = NULL;
	struct trace_stream *found = NULL;

	for (struct trace_stream *s = streams; s < streams + count; s++) {
		const struct trace_event *e = &t->events[s->next];

		if (s->next == s->end)
			continue;
		if (!trace_is_before(e, best))
			continue;
		if (trace_is_ready(t, e)) {
			best = e;
			found = s;
		} else if (trace_is_before(e, stuck)) {
			stuck = e;
		}
	}
	if (!found)
		trace_fail_order(t, stuck);
	return found;
}

bool trace_merge(struct trace *t)
{
	size_t count;
	struct trace_stream *streams = trace_make_streams(t, &count), *s;
	struct trace_event *sorted, *out;
	bool ok = streams;

	if (!ok)
		return false;
	out = sorted = trace_memory(NULL, t->event_count * sizeof(*sorted));
	for (; ok && out < sorted + t->event_count; out++) {
		s = trace_next_stream(t, streams, count);
		ok = s;
		if (!ok)
			break;
		*out = t->events[s->next++];
		trace_move(t, out);
		if (out > sorted && out->ts < out[-1].ts)
			ok = trace_fail(t, out->offset, out->type,
				"time stamps out of order: it is"
				" at %lu and possible only after %lu",
				out->ts, out[-1].ts);
	}
	free(streams);
	free(t->events);
	t->events = sorted;
	t->event_count = (size_t)(out - sorted);
	return ok;
}
