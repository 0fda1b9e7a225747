/* SPDX-License-Identifier: Apache-2.0 */
#include "gotrace_look.h"

#include <string.h>

#include "../agent/base/arena.h"

/* Hash tables of releases by number and of waits by thread: the later entry replaces the earlier
 * one. */
#define LINKS 4096u
#define WAITS 4096u

struct link {
	uint64_t number;
	uint64_t at; /* position of the release; the first event has 1 */
	uintptr_t object;
	const struct pa_stack *stack;
	int32_t tid;
};

struct wait {
	uint64_t at;
	uintptr_t object;
	int32_t tid;
};

struct pa_gotrace_look {
	uint64_t head, tail; /* positions: next out, next in */
	struct link links[LINKS];
	struct wait waits[WAITS];
	struct pa_gotrace_step steps[PA_GOTRACE_WINDOW];
};

struct pa_gotrace_look *pa_gotrace_look_new(void)
{
	struct pa_gotrace_look *look = pa_map(sizeof(*look));
	if (look)
		look->head = look->tail = 1;
	return look;
}

void pa_gotrace_look_free(struct pa_gotrace_look *look)
{
	pa_unmap(look, sizeof(*look));
}

size_t pa_gotrace_look_bytes(void)
{
	return sizeof(struct pa_gotrace_look);
}

static struct pa_gotrace_step *step_at(struct pa_gotrace_look *look, uint64_t at)
{
	return &look->steps[at % PA_GOTRACE_WINDOW];
}

static bool is_inside_window(const struct pa_gotrace_look *look, uint64_t at)
{
	return at >= look->head && at < look->tail;
}

/* ---- what is remembered ---- */

static void note_release(struct pa_gotrace_look *look, uint64_t at)
{
	const struct pa_trace_queue_item *item = &step_at(look, at)->item;
	if (item->link)
		look->links[item->link % LINKS] =
			(struct link){ item->link, at, item->object, item->stack, item->tid };
}

static void note_wait(struct pa_gotrace_look *look, uint64_t at)
{
	const struct pa_trace_queue_item *item = &step_at(look, at)->item;
	look->waits[(uint32_t)item->tid % WAITS] = (struct wait){ at, item->object, item->tid };
}

static const struct link *find_link(const struct pa_gotrace_look *look, uint64_t number)
{
	const struct link *link = &look->links[number % LINKS];
	return number && link->number == number ? link : NULL;
}

/* Reads the whole table. */
static const struct link *find_last_link(const struct pa_gotrace_look *look, uintptr_t object)
{
	const struct link *last = NULL;
	for (size_t i = 0; i < LINKS; i++) {
		const struct link *link = &look->links[i];
		if (link->at && link->object == object && (!last || link->at > last->at))
			last = link;
	}
	return last;
}

/* The release that number names to a thread that waited for object. Another object's release in
 * the same place may have replaced the number. */
static const struct link *find_release(const struct pa_gotrace_look *look, uint64_t number,
	uintptr_t object)
{
	const struct link *link = find_link(look, number);
	return link && link->object != object ? find_last_link(look, object) : link;
}

static const struct wait *find_wait(const struct pa_gotrace_look *look, int32_t tid)
{
	const struct wait *wait = &look->waits[(uint32_t)tid % WAITS];
	return wait->at && wait->tid == tid ? wait : NULL;
}

/* ---- what is found ---- */

static void drop_pair(struct pa_gotrace_look *look, const struct wait *wait, uint64_t woke_at)
{
	if (!is_inside_window(look, wait->at))
		return;
	step_at(look, wait->at)->dropped = true;
	step_at(look, woke_at)->dropped = true;
}

/* Of a condition or a futex an old release only means that this wake-up had another reason. */
static void drop_short(struct pa_gotrace_look *look, const struct wait *wait, uint64_t woke_at)
{
	if (!is_inside_window(look, wait->at))
		return;
	switch (step_at(look, wait->at)->item.wait) {
	case PA_TRACE_EVENTS_IN_COND:
	case PA_TRACE_EVENTS_IN_FUTEX:
	case PA_TRACE_EVENTS_IN_FUTEX_PI: break;
	default: drop_pair(look, wait, woke_at); break;
	}
}

static void mark_waker(struct pa_gotrace_look *look, const struct link *link, int32_t tid,
	struct pa_gotrace_step *woke)
{
	woke->woken_by = link->tid;
	woke->release = link->stack;
	/* One release can wake many threads: the others refer to it by woken_by. */
	if (is_inside_window(look, link->at) && !step_at(look, link->at)->wakes)
		step_at(look, link->at)->wakes = tid;
}

static void look_back(struct pa_gotrace_look *look, uint64_t at)
{
	struct pa_gotrace_step *woke = step_at(look, at);
	int32_t tid = woke->item.tid;
	const struct wait *wait = find_wait(look, tid);
	if (!wait)
		return;
	if (woke->item.link == PA_TRACE_EVENTS_NO_WAIT)
		drop_pair(look, wait, at);
	const struct link *link = find_release(look, woke->item.link, wait->object);
	if (!link)
		return;
	if (link->at <= wait->at)
		drop_short(look, wait, at);
	else
		mark_waker(look, link, tid, woke);
}

static void note_step(struct pa_gotrace_look *look, uint64_t at)
{
	switch (step_at(look, at)->item.op) {
	case PA_TRACE_EVENTS_RELEASE:
	case PA_TRACE_EVENTS_END: note_release(look, at); break;
	case PA_TRACE_EVENTS_BLOCK:
		note_release(look, at);
		note_wait(look, at);
		break;
	case PA_TRACE_EVENTS_WOKE: look_back(look, at); break;
	default: break;
	}
}

/* ---- in and out ---- */

static void enter_step(struct pa_gotrace_look *look, const struct pa_trace_queue_item *items)
{
	struct pa_gotrace_step *step = step_at(look, look->tail);
	size_t bytes = items->text_bytes;
	if (bytes > PA_TRACE_EVENTS_TEXT_BYTES)
		bytes = PA_TRACE_EVENTS_TEXT_BYTES;
	step->item = *items;
	step->dropped = false;
	step->wakes = step->woken_by = 0;
	step->release = NULL;
	memcpy(step->text, items + 1, bytes);
	step->text[bytes] = '\0';
	look->tail++;
	note_step(look, look->tail - 1);
}

const struct pa_gotrace_step *pa_gotrace_look_push(struct pa_gotrace_look *look,
	const struct pa_trace_queue_item *items)
{
	const struct pa_gotrace_step *out = NULL;
	enter_step(look, items);
	if (look->tail - look->head == PA_GOTRACE_WINDOW)
		out = step_at(look, look->head++);
	return out;
}

const struct pa_gotrace_step *pa_gotrace_look_pop(struct pa_gotrace_look *look)
{
	return look->head < look->tail ? step_at(look, look->head++) : NULL;
}
