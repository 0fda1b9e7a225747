/* SPDX-License-Identifier: Apache-2.0 */
#include "collector.h"

#include <string.h>
#include <sys/mman.h>

#include "../arch/arch.h"
#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/thread_slot.h"
#include "../core/core.h"
#include "allocator_hooks.h"
#include "allocators.h"
#include "event_check.h"
#include "heap.h"
#include "jit_code.h"
#include "last_thread.h"
#include "../modules/held_files.h"
#include "../modules/modules.h"
#include "../record/tasks.h"
#include "mailbox.h"
#include "profile_list.h"
#include "recording.h"
#include "requests.h"
#include "../stacks/passing_stacks.h"
#include "tables_lock.h"
#include "trace_queue.h"
#include "../symbols/symbols_section.h"
#include "../symbols/symbols_unloaded.h"
#include "../unwind/unwind.h"

#define STACK_TABLE_BYTES ((size_t)10 << 20)

/*
 * Limits of a batch, in which the tables are locked: fork() may have to wait for one. A batch that
 * it waits for ends after a few events.
 */
#define BATCH_EVENTS 512
#define BATCH_NS (2 * PA_NS_PER_MS)
#define CLOCK_EVENTS 16
#define BATCH_URGENT_EVENTS 64

#define IDLE_NS PA_NS_PER_S
/* Sleep while a request waits for an unpublished slot. */
#define PENDING_NS (5 * PA_NS_PER_MS)
/* Interval of heap sizes in a trace. */
#define TRACE_NS (10 * PA_NS_PER_MS)

/* The largest: pcs, and a copy of a stack. */
#define RECORD_BYTES (PA_COPY_SIZE_MAX_BYTES + ((size_t)16 << 10))
#define DEPTH_LIMIT PA_STACK_TABLE_DEPTH

static struct {
	bool ready;
	uintptr_t pcs[DEPTH_LIMIT]; /* of the current record */
} state;

/* The current record. Whole pages, because they are excluded from core dumps (MADV_DONTDUMP). */
static union {
	struct pa_event event;
	char bytes[RECORD_BYTES];
} record_copy __attribute__((aligned(PA_PAGE_BYTES)));

/* ---- stacks ---- */

/* The first page is never mapped: such a pc means that the walk failed. */
static uint32_t cut_astray(const uintptr_t *pcs, uint32_t depth, enum pa_pseudo_pc *tail)
{
	for (uint32_t i = 0; i < depth; i++) {
		if (pcs[i] < PA_PAGE_BYTES) {
			*tail = PA_PSEUDO_BROKEN;
			return i;
		}
	}
	return depth;
}

static uint32_t depth_limit(void)
{
	uint32_t limit = pa_core_bridge->settings->stack_depth;
	return limit && limit < DEPTH_LIMIT ? limit : DEPTH_LIMIT;
}

static enum pa_pseudo_pc tail_of(bool cut, bool broken)
{
	return cut ? PA_PSEUDO_CUT : broken ? PA_PSEUDO_BROKEN : PA_PSEUDO_NONE;
}

/* Fills state.pcs. Returns the depth. */
static uint32_t collect_pcs(const struct pa_event *event, enum pa_pseudo_pc *tail)
{
	if (!(event->flags & PA_EVENT_DEFERRED)) {
		memcpy(state.pcs, pa_event_pcs(event), event->depth * sizeof(*state.pcs));
		*tail = tail_of(event->flags & PA_EVENT_CUT, event->flags & PA_EVENT_BROKEN);
		return event->depth;
	}
	pa_add_relaxed(&pa_core_bridge->counters->deferred_stacks, 1);
	struct pa_unwind_result result =
		pa_unwind_finish(event, pa_core_bridge->frames, state.pcs, depth_limit());
	if (result.unmapped && pa_modules_find(result.unmapped))
		result = pa_unwind_finish(event, pa_core_bridge->frames, state.pcs, depth_limit());
	if (result.stack_bytes)
		pa_copy_size_learn(pa_core_bridge->copy_sizes, pa_event_deferred(event)->own_stack,
			result.stack_bytes);
	if (result.late)
		pa_add_relaxed(&pa_core_bridge->counters->unwind_tables_late, 1);
	*tail = result.is_short ? PA_PSEUDO_SHORT : tail_of(result.cut, !result.complete);
	return result.depth < DEPTH_LIMIT ? result.depth : DEPTH_LIMIT;
}

/* The first pc is the interrupted instruction, even if the walker found no pc. */
static bool has_leaf(const struct pa_event *event)
{
	if (event->depth)
		return event->flags & PA_EVENT_LEAF;
	const struct pa_deferred *deferred = pa_event_deferred(event);
	return deferred && deferred->leaf;
}

/* first: pcs[0] is not a return address. */
static bool is_agent_code(uintptr_t pc, bool first)
{
	uintptr_t at = first ? pc : pc - 1;
	return at >= pa_core_bridge->text_lo && at < pa_core_bridge->text_hi;
}

/* Removes our hooks at the top of the stack of a thread in a thread dump. The frame below a hook is
 * a caller, not a leaf. */
static uint32_t cut_ours(uintptr_t *pcs, uint32_t depth, bool *leaf)
{
	bool first = *leaf;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < depth; i++, first = false) {
		if (!is_agent_code(pcs[i], first))
			pcs[kept++] = pcs[i];
		else if (first)
			*leaf = false;
	}
	return kept;
}

/* Removes our functions that are called by libc and call the program's: wrapped destructors. Ours
 * at the top stay, which is where the time of a CPU sample goes. */
static uint32_t cut_wrappers(uint32_t depth, bool leaf)
{
	uint32_t top = 0;
	while (top < depth && is_agent_code(state.pcs[top], leaf && !top))
		top++;
	leaf &= !top;
	return top + cut_ours(state.pcs + top, depth - top, &leaf);
}

/* Removes the hook, and the allocator that called it. */
static uint32_t cut_inner(uint32_t depth)
{
	uint32_t first = 0;
	while (first + 1 < depth && is_agent_code(state.pcs[first], false))
		first++;
	first += pa_allocators_cut(state.pcs + first, depth - first);
	PA_ASSERT(!depth || first < depth);
	memmove(state.pcs, state.pcs + first, (depth - first) * sizeof(*state.pcs));
	return depth - first;
}

/* Removes the frames that the program asked to skip. As in Go, a larger number than the depth
 * leaves an empty stack. */
static const struct pa_stack *intern_skipped(uint32_t skip, uint32_t depth, enum pa_pseudo_pc tail)
{
	if (skip >= depth)
		return pa_stack_table_overflow();
	return pa_stack_table_intern_locked(state.pcs + skip, depth - skip, false, tail);
}

/* Of a waiter, whatever more was walked. */
static const struct pa_stack *intern_innermost(uint32_t depth)
{
	depth = depth < PA_WAITER_DEPTH ? depth : PA_WAITER_DEPTH;
	return pa_stack_table_intern_locked(state.pcs, depth, false, PA_PSEUDO_NONE);
}

/* passing: nothing needs the stack after the CPU profiles that it is in. */
static const struct pa_stack *stack_of(const struct pa_event *event, bool passing)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	enum pa_pseudo_pc tail;
	bool leaf = has_leaf(event);
	if (event->flags & (PA_EVENT_EXIT | PA_EVENT_REST))
		return pa_stack_table_intern_rest_locked(event->flags & PA_EVENT_EXIT ?
				PA_PSEUDO_EXIT :
				PA_PSEUDO_REST,
			pa_event_pcs(event)[0]);
	uint32_t depth = collect_pcs(event, &tail);
	depth = cut_astray(state.pcs, depth, &tail);
	if (event->kind == PA_EVENT_WAITER)
		return intern_innermost(depth);
	if (event->kind == PA_EVENT_DUMP)
		depth = cut_ours(state.pcs, depth, &leaf);
	else
		depth = cut_wrappers(depth, leaf);
	if (event->kind == PA_EVENT_ALLOC && event->object & PA_INNER_ALLOC_MARK)
		depth = cut_inner(depth);
	if (tail == PA_PSEUDO_BROKEN || tail == PA_PSEUDO_SHORT)
		pa_add_relaxed(&pa_core_bridge->counters->broken_stacks, 1);
	if (tail == PA_PSEUDO_CUT)
		pa_add_relaxed(&pa_core_bridge->counters->cut_stacks, 1);
	if (event->kind == PA_EVENT_ADD)
		return intern_skipped(event->skip, depth, tail);
	if (passing)
		return pa_passing_stacks_intern_locked(state.pcs, depth, leaf, tail);
	return pa_stack_table_intern_locked(state.pcs, depth, leaf, tail);
}

/* ---- events ---- */

/* Events without a stack: their words have another meaning, or there are none. */
static void handle_tracing(const struct pa_event *event)
{
	bool plain = pa_trace_events_op_of(event->skip) == PA_TRACE_EVENTS_TEXT ||
		(!event->depth && !(event->flags & (PA_EVENT_DEFERRED | PA_EVENT_BROKEN)));
	if (pa_trace_queue_is_on())
		pa_trace_queue_record_locked(event, plain ? NULL : stack_of(event, false));
}

/* The event was in the ring when this process was forked. */
static bool is_of_parent(const struct pa_event *event)
{
	return pa_core_bridge->forked && event->time_ns < pa_core_bridge->start_mono_ns;
}

static void deliver_event(const struct pa_event *event, const struct pa_stack *stack)
{
	for (size_t i = 0; pa_profile_list[i]; i++)
		if (pa_profile_list[i]->events & PA_PROFILE_OPS_EVENT(event->kind))
			pa_profile_list[i]->add(pa_profile_list[i], event, stack);
}

static void handle_for_profiles(const struct pa_event *event)
{
	bool tick = event->kind == PA_EVENT_CPU && !(event->flags & PA_EVENT_REST);
	bool traced = tick && pa_trace_queue_is_on();
	const struct pa_stack *stack =
		pa_event_check_has_stack(event) ? stack_of(event, tick && !traced) : NULL;
	deliver_event(event, stack);
	if (traced)
		pa_trace_queue_tick(event, stack);
}

static void handle_modules(const struct pa_event *event)
{
	const char *path = (const char *)pa_event_pcs(event);
	size_t bytes = event->depth * sizeof(uintptr_t);
	if (bytes && strnlen(path, bytes) < bytes)
		pa_held_files_announce(path, event->time_ns);
	pa_modules_changed(event->time_ns);
}

/* Events about threads: those of our threads and of the parent are ignored. */
static bool is_to_be_shown(const struct pa_event *event)
{
	return !pa_event_check_is_of_thread(event) ||
		!(pa_core_bridge->is_agent_thread(event->tid) || is_of_parent(event));
}

static void handle_event(const struct pa_event *event)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(event == &record_copy.event);
	if (event->time_ns)
		pa_modules_event(event->time_ns);
	if (event->kind == PA_EVENT_MODULES)
		handle_modules(event);
	else if (!is_to_be_shown(event))
		return;
	else if (event->kind == PA_EVENT_TRACE)
		handle_tracing(event);
	else
		handle_for_profiles(event);
}

/* Copies the record, because a writer that was given up may still write to it. */
static bool copy_record(const void *record, size_t bytes)
{
	if (bytes < sizeof(struct pa_event) || bytes > RECORD_BYTES)
		return false;
	memcpy(&record_copy, record, bytes);
	return pa_event_check(&record_copy.event, bytes);
}

/* Offset of the stack copy in the record; the record's end if there is none. */
static size_t secret_at(bool good, size_t bytes)
{
	const struct pa_event *event = &record_copy.event;
	if (!good)
		return 0;
	if (!(event->flags & PA_EVENT_DEFERRED))
		return bytes;
	return sizeof(*event) + event->depth * sizeof(uintptr_t);
}

/* False: the ring is empty. */
static bool drain_one(void)
{
	size_t bytes;
	const void *record = pa_ring_read(pa_core_bridge->ring, &bytes);
	if (!record)
		return false;
	bool good = copy_record(record, bytes);
	size_t secret = secret_at(good, bytes);
	pa_ring_wipe(pa_core_bridge->ring, secret);
	/* Released before it is handled: unwinding may take long, and writers wait for the room. */
	pa_ring_release(pa_core_bridge->ring);
	pa_tables_events.read++;
	if (good)
		handle_event(&record_copy.event);
	else
		pa_tables_events.bad++;
	if (secret < bytes && bytes <= RECORD_BYTES)
		explicit_bzero(record_copy.bytes + secret, bytes - secret);
	return true;
}

/* After the event of that number, with so many locations before it. Only some take long: those that
 * unwind, and those that look for mappings. Reading the clock takes as long as a free. */
static bool is_clock_due(int number, uint32_t locs)
{
	const struct pa_event *event = &record_copy.event;
	return number % CLOCK_EVENTS == CLOCK_EVENTS - 1 || event->flags & PA_EVENT_DEFERRED ||
		event->kind == PA_EVENT_MODULES || pa_stack_table_loc_count() != locs;
}

static bool is_batch_over(int number, uint32_t locs, int64_t end_ns)
{
	bool urgent = number % BATCH_URGENT_EVENTS == BATCH_URGENT_EVENTS - 1 &&
		pa_tables_lock_is_urgent();
	return urgent || (is_clock_due(number, locs) && pa_clock_mono_ns() >= end_ns);
}

/* Events still in the ring are older than now, and must come first: at the end of the ring. The
 * time first, because events that come while the statistics are made are later. */
static void trace_heap(void)
{
	int64_t now_ns = pa_clock_mono_ns();
	pa_trace_queue_heap(now_ns, pa_heap_stats_locked().live_estimate_bytes);
}

/* False: the end of the ring was reached. */
static bool drain_batch(void)
{
	PA_ASSERT_AGENT();
	bool more = true;
	pa_tables_lock_yielding();
	pa_modules_batch();
	pa_unwind_follow_tables(pa_core_bridge->frames);
	int64_t end_ns = pa_clock_mono_ns() + BATCH_NS;
	for (int i = 0; i < BATCH_EVENTS && more; i++) {
		uint32_t locs = pa_stack_table_loc_count();
		more = drain_one();
		if (is_batch_over(i, locs, end_ns))
			break;
	}
	if (!more)
		pa_modules_batch();
	if (!more && pa_trace_queue_is_on())
		trace_heap();
	pa_tables_unlock();
	pa_ring_done(pa_core_bridge->ring);
	return more;
}

static int64_t sleep_ns(bool pending)
{
	return pending ? PENDING_NS : pa_trace_queue_is_taken() ? TRACE_NS : IDLE_NS;
}

void pa_collector_run(void)
{
	PA_ASSERT_AGENT();
	PA_ASSERT(state.ready);
	for (;;) {
		pa_ring_reader(pa_core_bridge->ring, true);
		pa_jit_code_look();
		/* With a full ring there is no wait in which the thread could leave. */
		for (; drain_batch(); pa_mailbox_answer(pa_requests_perform)) {
			pa_thread_slot_checkpoint();
			pa_jit_code_look();
		}
		pa_last_thread_look();
		pa_symbols_unloaded_look();
		pa_ring_wait_data(pa_core_bridge->ring,
			sleep_ns(pa_mailbox_answer(pa_requests_perform)));
		pa_core_bridge->after_wait();
	}
}

/* ---- fork ---- */

/* Unmaps nothing: a pointer and its size may be inconsistent. */
static void abandon_tables(void)
{
	pa_stack_table_reset();
	pa_modules_abandon();
	pa_tables_events = (struct pa_tables_events){ 0 };
	state.ready = false;
}

static PA_BOOT void atfork_child(bool held)
{
	pa_tables_lock_atfork_child();
	pa_mailbox_atfork_child();
	pa_recording_atfork_child();
	pa_unwind_reset();
	pa_jit_code_atfork_child();
	pa_maps_reset();
	pa_tasks_atfork_child();
	for (size_t i = 0; pa_profile_list[i]; i++)
		if (pa_profile_list[i]->atfork_child)
			pa_profile_list[i]->atfork_child(pa_profile_list[i], held);
	pa_trace_queue_atfork_child();
	pa_allocators_atfork_child();
	pa_allocator_hooks_atfork_child();
	pa_passing_stacks_atfork_child(held);
	if (!held)
		abandon_tables();
}

static void module_forgotten(const struct pa_module *module)
{
	pa_stack_table_listener.forgotten(module);
	pa_heap_module_forgotten();
}

static void modules_added(void)
{
	pa_stack_table_listener.added();
}

static const struct pa_modules_listener modules_listener = {
	.forgotten = module_forgotten,
	.added = modules_added,
};

int pa_collector_init(void)
{
	pa_core_bridge->atfork.prepare = pa_tables_lock_timed;
	pa_core_bridge->atfork.parent = pa_tables_unlock;
	pa_core_bridge->atfork.child = atfork_child;
	pa_tables_lock_init();
	/* On failure deferred stacks stay truncated, and are marked so. */
	pa_cfi_file_init(pa_symbols_section_load);
	(void)pa_unwind_init();
	pa_allocator_hooks_init(pa_heap_hooked);
	madvise(&record_copy, sizeof(record_copy), MADV_DONTDUMP);
	pa_trace_queue_flight_boot(pa_core_bridge->settings->flight_bytes);
	if (state.ready)
		return 0;
	int error = pa_stack_table_init(STACK_TABLE_BYTES);
	if (!error)
		pa_modules_init(&modules_listener);
	state.ready = !error;
	return error;
}
