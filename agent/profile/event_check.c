/* SPDX-License-Identifier: Apache-2.0 */
#include "event_check.h"

#include "../record/custom_set.h"
#include "../record/trace_events.h"
#include "../stacks/stack_table.h"

/* Rules for the events of one kind; a kind without a rule is rejected. */
struct event_rule {
	bool (*is_good)(const struct pa_event *event); /* checks all but the stack; NULL: no check
						        */
	bool known, has_stack, of_thread;
};

static bool is_deferred_valid(const struct pa_event *event, size_t bytes)
{
	size_t before = sizeof(*event) + event->depth * sizeof(uintptr_t);
	const struct pa_deferred *deferred = pa_event_deferred(event);
	if (!deferred)
		return true;
	return bytes - before >= sizeof(*deferred) &&
		deferred->stack_bytes <= bytes - before - sizeof(*deferred) &&
		deferred->stack_bytes % sizeof(uintptr_t) == 0 &&
		deferred->stack_at % sizeof(uintptr_t) == 0 &&
		deferred->stack_at <= PA_ADDRESS_LIMIT - deferred->stack_bytes;
}

static bool is_stack_good(const struct pa_event *event, size_t bytes)
{
	return event->depth <= PA_STACK_TABLE_DEPTH &&
		event->depth * sizeof(uintptr_t) <= bytes - sizeof(*event) &&
		is_deferred_valid(event, bytes);
}

static bool is_object_good(const struct pa_event *event)
{
	return event->object && event->object < PA_ADDRESS_LIMIT;
}

static bool is_contention_good(const struct pa_event *event)
{
	return event->value[0] < PA_EVENT_CHECK_DELAY_NS && event->contentions.count &&
		event->contentions.of &&
		(double)event->contentions.count / (double)event->contentions.of <
		PA_EVENT_CHECK_CONTENTIONS;
}

static bool is_tracing_good(const struct pa_event *event)
{
	enum pa_trace_events_op op = pa_trace_events_op_of(event->skip);
	return op > PA_TRACE_EVENTS_NONE && op < PA_TRACE_EVENTS_OPS &&
		pa_trace_events_wait_of(event->skip) < PA_TRACE_EVENTS_WAIT_COUNT;
}

static bool is_alloc_good(const struct pa_event *event)
{
	return event->object < PA_ADDRESS_LIMIT && event->value[0] < PA_ADDRESS_LIMIT;
}

static bool is_tick_good(const struct pa_event *event)
{
	return event->value[0] && event->value[0] < PA_EVENT_CHECK_TICKS;
}

static bool is_custom_good(const struct pa_event *event)
{
	return event->value[0] < PA_CUSTOM_SET_MAX;
}

static const struct event_rule event_rules[PA_EVENT_KINDS] = {
	[PA_EVENT_ALLOC] = { is_alloc_good, true, true, false },
	[PA_EVENT_FREE] = { is_object_good, true, false, false },
	[PA_EVENT_REVIVE] = { is_object_good, true, false, false },
	[PA_EVENT_CPU] = { is_tick_good, true, true, true },
	[PA_EVENT_MODULES] = { NULL, true, true, false }, /* a path in place of the stack */
	[PA_EVENT_BLOCK] = { is_contention_good, true, true, true },
	[PA_EVENT_MUTEX] = { is_contention_good, true, true, true },
	[PA_EVENT_CREATE] = { NULL, true, true, true },
	[PA_EVENT_DUMP] = { NULL, true, true, true },
	[PA_EVENT_ADD] = { is_custom_good, true, true, false },
	[PA_EVENT_REMOVE] = { is_custom_good, true, false, false },
	[PA_EVENT_TRACE] = { is_tracing_good, true, true, true },
	[PA_EVENT_WAITER] = { NULL, true, true, true },
	[PA_EVENT_WAKE] = { is_contention_good, true, true, true },
};

bool pa_event_check(const struct pa_event *event, size_t bytes)
{
	if (event->kind >= PA_EVENT_KINDS || !event_rules[event->kind].known)
		return false;
	const struct event_rule *rule = &event_rules[event->kind];
	return (!rule->is_good || rule->is_good(event)) &&
		(!rule->has_stack || is_stack_good(event, bytes));
}

bool pa_event_check_has_stack(const struct pa_event *event)
{
	return event_rules[event->kind].has_stack;
}

bool pa_event_check_is_of_thread(const struct pa_event *event)
{
	return event_rules[event->kind].of_thread;
}
