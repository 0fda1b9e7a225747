/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_events.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "../arch/arch.h"
#include "../base/clock.h"
#include "registry.h"
#include "sample.h"
#include "sandbox.h"

#include "../base/banned.h"

_Static_assert(PA_TRACE_EVENTS_PLACES == 1u << (64 - 52),
	"as pa_trace_events_place_of takes the hash");
_Static_assert((int)PA_TRACE_EVENTS_IN_MUTEX == PA_WAIT_MUTEX &&
		(int)PA_TRACE_EVENTS_IN_FUTEX_PI == PA_WAIT_FUTEX_PI &&
		(int)PA_TRACE_EVENTS_IN_POLL == PA_WAIT_KINDS,
	"the first are those of contention");

PA_WIPED struct pa_trace_events_place pa_trace_events_places[PA_TRACE_EVENTS_PLACES]
	__attribute__((aligned(PA_PAGE_BYTES)));

static struct {
	PA_ATOMIC(uint64_t) releases; /* last number given; relaxed */
	PA_ATOMIC(uint64_t) serials;  /* of threads; relaxed */
	PA_ATOMIC(uint64_t) tasks;    /* relaxed */
} state;

void pa_trace_events_switch(bool on)
{
	pa_store_relaxed(&pa_switches->trace, on);
}

/* ---- events ---- */

static bool is_thread_wanted(struct pa_thread *thread)
{
	if (!pa_trace_events_is_on() || thread->depth || thread->role == PA_ROLE_AGENT)
		return false;
	if (pa_unlikely(!thread->registered))
		pa_registry_add(thread);
	return true;
}

static struct pa_event trace_event_of(const struct pa_thread *thread, uint32_t word,
	const void *object, uint64_t value)
{
	return (struct pa_event){
		.kind = PA_EVENT_TRACE,
		.tid = thread->tid,
		.time_ns = pa_clock_mono_ns(),
		.value = { value },
		.object = (uintptr_t)object,
		.skip = word,
	};
}

static void count_event(bool kept)
{
	if (kept)
		PA_COUNT_EVENT(trace_events);
	else
		PA_COUNT_EVENT(lost_trace_ring);
}

static void record_stack(struct pa_thread *thread, const struct pa_event *event,
	struct pa_cursor caller)
{
	PA_ASSERT(thread->registered && !thread->depth);
	int saved_errno = errno;
	thread->depth++;
	count_event(pa_sample_stack(event, thread, caller, NULL, false));
	thread->depth--;
	errno = saved_errno;
}

static void record_trace_plain(const struct pa_event *event, const uintptr_t *words,
	uint32_t words_count)
{
	PA_ASSERT(event->kind == PA_EVENT_TRACE);
	count_event(pa_sample_plain(event, words, words_count));
}

static uint64_t next_release(void)
{
	return pa_add_relaxed(&state.releases, 1) + 1;
}

static void publish_release(const void *object, uint64_t number)
{
	pa_store_release(&pa_trace_events_place_of(object)->release, number);
}

/* A waiter arrives or leaves: the next release is a new one, whichever thread makes it. */
static void forget_release(struct pa_trace_events_place *place)
{
	if (pa_load_relaxed(&place->releaser))
		pa_store_relaxed(&place->releaser, 0);
}

/* The last recorded release represents this one. */
static bool is_again(struct pa_trace_events_place *place, int32_t tid, const void *object)
{
	return pa_load_relaxed(&place->releaser) == tid &&
		pa_load_relaxed(&place->object) == (uintptr_t)object &&
		pa_clock_mono_ns() - pa_load_relaxed(&place->release_ns) < PA_TRACE_EVENTS_AGAIN_NS;
}

static void note_releaser(struct pa_trace_events_place *place, const struct pa_event *event)
{
	pa_store_relaxed(&place->object, event->object);
	pa_store_relaxed(&place->release_ns, event->time_ns);
	pa_store_relaxed(&place->releaser, event->tid);
}

/* ---- waits ---- */

static void leave_place(struct pa_thread *thread)
{
	PA_ASSERT(!thread->trace_place || pa_load_relaxed(&thread->trace_place->waiters));
	if (thread->trace_place)
		pa_sub_relaxed(&thread->trace_place->waiters, 1);
	thread->trace_place = NULL;
	thread->trace_frame = 0;
}

bool pa_trace_events_block(struct pa_thread *thread, enum pa_trace_events_wait wait,
	const void *object, uintptr_t frame, struct pa_cursor caller)
{
	if (!is_thread_wanted(thread))
		return false;
	/* A wait inside a signal handler that interrupted a wait; else the frame of the earlier
	 * wait is gone. */
	if (thread->trace_frame && thread->trace_frame > frame)
		return false;
	leave_place(thread);
	bool barrier = wait == PA_TRACE_EVENTS_IN_BARRIER;
	uint64_t number = barrier ? next_release() : 0;
	if (object) {
		thread->trace_place = pa_trace_events_place_of(object);
		pa_add_relaxed(&thread->trace_place->waiters, 1);
		forget_release(thread->trace_place);
	}
	thread->trace_frame = frame;
	struct pa_event event = trace_event_of(thread,
		pa_trace_events_word(PA_TRACE_EVENTS_BLOCK, wait), object, number);
	if (pa_sandbox_begin(thread, PA_CALLS_IDENTITY)) {
		pa_arch_syscall(SYS_prctl, PR_GET_NAME, (long)event.name, 0, 0);
		pa_sandbox_end();
	}
	record_stack(thread, &event, caller);
	if (barrier)
		publish_release(object, number);
	return true;
}

/* What says how a wait ended. */
static uint64_t link_of(const struct pa_trace_events_place *place, enum pa_wait_end end)
{
	if (end == PA_WAIT_REFUSED)
		return PA_TRACE_EVENTS_NO_WAIT;
	return end == PA_WAIT_GOT && place ? pa_load_acquire(&place->release) : 0;
}

void pa_trace_events_woke(struct pa_thread *thread, uintptr_t frame, enum pa_wait_end end)
{
	if (thread->trace_frame != frame)
		return;
	struct pa_trace_events_place *place = thread->trace_place;
	uint64_t link = link_of(place, end);
	if (place)
		forget_release(place);
	leave_place(thread);
	if (!pa_trace_events_is_on())
		return;
	struct pa_event event =
		trace_event_of(thread, pa_trace_events_word(PA_TRACE_EVENTS_WOKE, 0), NULL, link);
	record_trace_plain(&event, NULL, 0);
}

void pa_trace_events_release(struct pa_thread *thread, const void *object, struct pa_cursor caller)
{
	if (!is_thread_wanted(thread))
		return;
	struct pa_trace_events_place *place = pa_trace_events_place_of(object);
	if (is_again(place, thread->tid, object))
		return;
	uint64_t number = next_release();
	struct pa_event event = trace_event_of(thread,
		pa_trace_events_word(PA_TRACE_EVENTS_RELEASE, 0), object, number);
	record_stack(thread, &event, caller);
	publish_release(object, number);
	note_releaser(place, &event);
}

/* ---- threads ---- */

uint64_t pa_trace_events_create(struct pa_thread *thread, const void *start_routine,
	struct pa_cursor caller)
{
	if (!is_thread_wanted(thread))
		return 0;
	uint64_t serial = pa_add_relaxed(&state.serials, 1) + 1;
	struct pa_event event = trace_event_of(thread,
		pa_trace_events_word(PA_TRACE_EVENTS_CREATE, 0), start_routine, serial);
	record_stack(thread, &event, caller);
	return serial;
}

void pa_trace_events_start(struct pa_thread *thread, uint64_t serial)
{
	if (!is_thread_wanted(thread))
		return;
	struct pa_event event =
		trace_event_of(thread, pa_trace_events_word(PA_TRACE_EVENTS_START, 0),
			(const void *)thread->start_routine, serial);
	record_trace_plain(&event, NULL, 0);
}

void pa_trace_events_end(struct pa_thread *thread, const void *object)
{
	leave_place(thread);
	if (!is_thread_wanted(thread))
		return;
	uint64_t number = next_release();
	struct pa_event event = trace_event_of(thread, pa_trace_events_word(PA_TRACE_EVENTS_END, 0),
		object, number);
	record_trace_plain(&event, NULL, 0);
	publish_release(object, number);
}

/* ---- tasks, regions, logs ---- */

static void record_text(const struct pa_thread *thread, const char *first, const char *second)
{
	uintptr_t words[PA_TRACE_EVENTS_TEXT_BYTES / sizeof(uintptr_t)] = { 0 };
	char *text = (char *)words;
	size_t max = sizeof(words) - 1, used = strnlen(first, max);
	memcpy(text, first, used);
	if (second && used + 1 < max) {
		used++;
		size_t more = strnlen(second, max - used);
		memcpy(text + used, second, more);
		used += more;
	}
	struct pa_event event =
		trace_event_of(thread, pa_trace_events_word(PA_TRACE_EVENTS_TEXT, 0), NULL, used);
	record_trace_plain(&event, words, (uint32_t)(used / sizeof(*words) + 1));
}

void pa_trace_events_annotate(struct pa_thread *thread, enum pa_trace_events_op op, uint64_t id,
	uint64_t parent, const char *first, const char *second, struct pa_cursor caller)
{
	if (!is_thread_wanted(thread))
		return;
	if (first)
		record_text(thread, first, second);
	struct pa_event event = trace_event_of(thread, pa_trace_events_word(op, 0),
		(const void *)(uintptr_t)parent, id);
	record_stack(thread, &event, caller);
}

uint64_t pa_trace_events_new_task(void)
{
	return pa_add_relaxed(&state.tasks, 1) + 1;
}

void pa_trace_events_atfork_child(void)
{
	pa_thread_self.trace_place = NULL;
	pa_thread_self.trace_frame = 0;
}
