#include "trace_look.h"

#include <string.h>

#include "../agent/base/arena.h"

/* Places of releases by number, of waits by thread: the later one stays. */
#define LINKS 4096u
#define WAITS 4096u

struct link {
	uint64_t number;
	uint64_t at; /* position of the release; that of the first event is 1 */
	uintptr_t object;
	const struct pa_stack *stack;
	int32_t tid;
};

struct wait {
	uint64_t at;
	uintptr_t object;
	int32_t tid;
};

struct pa_trace_look {
	uint64_t head, tail; /* positions: next out, next in */
	struct link links[LINKS];
	struct wait waits[WAITS];
	struct pa_trace_step steps[PA_TRACE_WINDOW];
};

struct pa_trace_look *pa_trace_look_new(void)
{
	struct pa_trace_look *look = pa_map(sizeof(*look));
	if (look)
		look->head = look->tail = 1;
	return look;
}

void pa_trace_look_free(struct pa_trace_look *look)
{
	pa_unmap(look, sizeof(*look));
}

static struct pa_trace_step *step_at(struct pa_trace_look *look, uint64_t at)
{
	return &look->steps[at % PA_TRACE_WINDOW];
}

static bool is_inside(const struct pa_trace_look *look, uint64_t at)
{
	return at >= look->head && at < look->tail;
}

/* ---- what is remembered ---- */

static void note_release(struct pa_trace_look *look, uint64_t at)
{
	const struct pa_tracer_item *item = &step_at(look, at)->item;
	if (item->link)
		look->links[item->link % LINKS] =
			(struct link){ item->link, at, item->object, item->stack, item->tid };
}

static void note_wait(struct pa_trace_look *look, uint64_t at)
{
	const struct pa_tracer_item *item = &step_at(look, at)->item;
	look->waits[(uint32_t)item->tid % WAITS] = (struct wait){ at, item->object, item->tid };
}

static const struct link *find_link(const struct pa_trace_look *look, uint64_t number)
{
	const struct link *link = &look->links[number % LINKS];
	return number && link->number == number ? link : NULL;
}

static const struct wait *find_wait(const struct pa_trace_look *look, int32_t tid)
{
	const struct wait *wait = &look->waits[(uint32_t)tid % WAITS];
	return wait->at && wait->tid == tid ? wait : NULL;
}

/* ---- what is found ---- */

/* Not for a condition, where an old release only means that this wake-up had another reason. */
static void drop_pair(struct pa_trace_look *look, const struct wait *wait, uint64_t woke_at)
{
	if (!is_inside(look, wait->at))
		return;
	struct pa_trace_step *block = step_at(look, wait->at);
	if (block->item.wait == PA_TRACING_IN_COND)
		return;
	block->dropped = true;
	step_at(look, woke_at)->dropped = true;
}

static void mark_waker(struct pa_trace_look *look, const struct link *link, int32_t tid,
	struct pa_trace_step *woke)
{
	woke->woken_by = link->tid;
	woke->release = link->stack;
	/* One release can wake many: the others find it by woken_by. */
	if (is_inside(look, link->at) && !step_at(look, link->at)->wakes)
		step_at(look, link->at)->wakes = tid;
}

static void look_back(struct pa_trace_look *look, uint64_t at)
{
	struct pa_trace_step *woke = step_at(look, at);
	int32_t tid = woke->item.tid;
	const struct link *link = find_link(look, woke->item.link);
	const struct wait *wait = find_wait(look, tid);
	if (!link || !wait || link->object != wait->object)
		return;
	if (link->at <= wait->at)
		drop_pair(look, wait, at);
	else
		mark_waker(look, link, tid, woke);
}

static void note(struct pa_trace_look *look, uint64_t at)
{
	switch (step_at(look, at)->item.op) {
	case PA_TRACING_RELEASE:
	case PA_TRACING_END:
		note_release(look, at);
		break;
	case PA_TRACING_BLOCK:
		note_release(look, at);
		note_wait(look, at);
		break;
	case PA_TRACING_WOKE:
		look_back(look, at);
		break;
	default:
		break;
	}
}

/* ---- in and out ---- */

static void enter(struct pa_trace_look *look, const struct pa_tracer_item *items)
{
	struct pa_trace_step *step = step_at(look, look->tail);
	size_t bytes = items->text_bytes;
	if (bytes > PA_TRACING_TEXT_BYTES)
		bytes = PA_TRACING_TEXT_BYTES;
	step->item = *items;
	step->dropped = false;
	step->wakes = step->woken_by = 0;
	step->release = NULL;
	memcpy(step->text, items + 1, bytes);
	step->text[bytes] = '\0';
	look->tail++;
	note(look, look->tail - 1);
}

const struct pa_trace_step *pa_trace_look_push(struct pa_trace_look *look,
	const struct pa_tracer_item *items)
{
	const struct pa_trace_step *out = NULL;
	enter(look, items);
	if (look->tail - look->head == PA_TRACE_WINDOW)
		out = step_at(look, look->head++);
	return out;
}

const struct pa_trace_step *pa_trace_look_pop(struct pa_trace_look *look)
{
	return look->head < look->tail ? step_at(look, look->head++) : NULL;
}
