#include "drain.h"

#include <string.h>
#include <sys/mman.h>

#include "../base/clock.h"
#include "../base/lock.h"
#include "../base/seat.h"
#include "contention.h"
#include "copy.h"
#include "core.h"
#include "cpu.h"
#include "heap.h"
#include "last.h"
#include "modules.h"
#include "requests.h"
#include "threads.h"
#include "tracer.h"
#include "unwind.h"
#include "values.h"

#define SITES_BYTES ((size_t)10 << 20)

/* Bounds of a batch: what fork may have to wait for. */
#define BATCH_EVENTS 512
#define BATCH_NS (2 * PA_NS_PER_MS)
/* How long the collector keeps off the lock when somebody else wants it, and how often. */
#define YIELD_NS (1 * PA_NS_PER_MS)
#define YIELD_TURNS 8

#define IDLE_NS PA_NS_PER_S
/* With a request that waits for a slot to be published. */
#define PENDING_NS (5 * PA_NS_PER_MS)
/* While a trace is taken: how often it is told of the heap. */
#define TRACE_NS (10 * PA_NS_PER_MS)

#define RECORD_BYTES ((size_t)64 << 10)
#define DEPTH_LIMIT PA_SITES_DEPTH
#define TICKS_LIMIT ((uint64_t)1 << 32)
#define DELAY_LIMIT_NS ((uint64_t)1 << 62)
#define CONTENTIONS_LIMIT 1e15

static struct {
	struct pa_lock lock;
	PA_ATOMIC(uint32_t) wanted; /* threads that wait for the lock; acq_rel, futex of yield */
	bool ready;
	struct pa_drain_stats stats;
	uintptr_t pcs[DEPTH_LIMIT]; /* of the record being handled */
} state;

/* The record being handled. Whole pages: they are kept out of core dumps. */
static union {
	struct pa_event event;
	char bytes[RECORD_BYTES];
} record_copy __attribute__((aligned(PA_PAGE_BYTES)));

/* ---- the lock ---- */

static void want(void)
{
	pa_add_acq_rel(&state.wanted, 1);
}

static void unwant(void)
{
	pa_add_acq_rel(&state.wanted, -1u);
	pa_futex_wake(&state.wanted, 1);
}

void pa_drain_lock(void)
{
	want();
	pa_lock(&state.lock);
	unwant();
}

void pa_drain_unlock(void)
{
	pa_unlock(&state.lock);
}

/* The lock is not fair: under load the collector would take it back before a waiter wakes. */
static void lock_for_batch(void)
{
	uint32_t wanted;
	for (int i = 0; i < YIELD_TURNS && (wanted = pa_load_acquire(&state.wanted)); i++)
		pa_futex_wait(&state.wanted, wanted, YIELD_NS);
	pa_lock(&state.lock);
}

/* ---- stacks ---- */

/* Nothing is mapped in the first page: such a pc is a walk that went astray. */
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
	if (!(event->flags & PA_EVENT_COLD)) {
		memcpy(state.pcs, pa_event_pcs(event), event->depth * sizeof(*state.pcs));
		*tail = tail_of(event->flags & PA_EVENT_CUT, event->flags & PA_EVENT_BROKEN);
		return event->depth;
	}
	pa_add_relaxed(&pa_core_bridge->counters->cold_stacks, 1);
	struct pa_unwind_result result =
		pa_unwind_finish(event, pa_core_bridge->frames, state.pcs, depth_limit());
	if (result.unmapped && pa_modules_find(result.unmapped))
		result = pa_unwind_finish(event, pa_core_bridge->frames, state.pcs, depth_limit());
	*tail = tail_of(result.cut, !result.complete);
	return result.depth < DEPTH_LIMIT ? result.depth : DEPTH_LIMIT;
}

/* The first pc is the interrupted instruction: also when the walker had no pc of its own at all. */
static bool has_leaf(const struct pa_event *event)
{
	if (event->depth)
		return event->flags & PA_EVENT_LEAF;
	const struct pa_cold *cold = pa_event_cold(event);
	return cold && cold->leaf;
}

/* first: pcs[0] is no return address. */
static bool is_ours(uintptr_t pc, bool first)
{
	uintptr_t at = first ? pc : pc - 1;
	return at >= pa_core_bridge->text_lo && at < pa_core_bridge->text_hi;
}

/*
 * A thread that is asked stands in the program's code or in what the program called: our hooks on
 * the way there are not worth showing. What is first after one of them was called, and is no leaf.
 */
static uint32_t cut_ours(uintptr_t *pcs, uint32_t depth, bool *leaf)
{
	bool first = *leaf;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < depth; i++, first = false) {
		if (!is_ours(pcs[i], first))
			pcs[kept++] = pcs[i];
		else if (first)
			*leaf = false;
	}
	return kept;
}

/* What the program does not want to see of its stack. Nothing left: it said too much, as in Go. */
static const struct pa_stack *intern_skipped(uint32_t skip, uint32_t depth, enum pa_pseudo_pc tail)
{
	if (skip >= depth)
		return pa_sites_overflow();
	return pa_sites_intern(state.pcs + skip, depth - skip, false, tail);
}

static const struct pa_stack *stack_of(const struct pa_event *event)
{
	enum pa_pseudo_pc tail;
	bool leaf = has_leaf(event);
	uint32_t depth = collect_pcs(event, &tail);
	depth = cut_astray(state.pcs, depth, &tail);
	if (event->kind == PA_EVENT_ROLL)
		depth = cut_ours(state.pcs, depth, &leaf);
	if (tail == PA_PSEUDO_BROKEN)
		pa_add_relaxed(&pa_core_bridge->counters->broken_stacks, 1);
	if (tail == PA_PSEUDO_CUT)
		pa_add_relaxed(&pa_core_bridge->counters->cut_stacks, 1);
	if (event->kind == PA_EVENT_ADD)
		return intern_skipped(event->skip, depth, tail);
	return pa_sites_intern(state.pcs, depth, leaf, tail);
}

/* ---- events ---- */

static bool is_cold_good(const struct pa_event *event, size_t bytes)
{
	size_t before = sizeof(*event) + event->depth * sizeof(uintptr_t);
	const struct pa_cold *cold = pa_event_cold(event);
	if (!cold)
		return true;
	return bytes - before >= sizeof(*cold) &&
		cold->stack_bytes <= bytes - before - sizeof(*cold) &&
		cold->stack_bytes % sizeof(uintptr_t) == 0 &&
		cold->stack_at % sizeof(uintptr_t) == 0 &&
		cold->stack_at <= PA_ADDRESS_LIMIT - cold->stack_bytes;
}

static bool is_stack_good(const struct pa_event *event, size_t bytes)
{
	return event->depth <= DEPTH_LIMIT &&
		event->depth * sizeof(uintptr_t) <= bytes - sizeof(*event) &&
		is_cold_good(event, bytes);
}

static bool is_object_good(const struct pa_event *event)
{
	return event->object && event->object < PA_ADDRESS_LIMIT;
}

static double contentions_of(const struct pa_event *event)
{
	return (double)event->contentions.count / (double)event->contentions.of;
}

static bool is_contention_good(const struct pa_event *event)
{
	return event->value[0] < DELAY_LIMIT_NS && event->contentions.count &&
		event->contentions.of && contentions_of(event) < CONTENTIONS_LIMIT;
}

static bool is_tracing_good(const struct pa_event *event)
{
	enum pa_tracing_op op = pa_tracing_op_of(event->skip);
	return op > PA_TRACING_NONE && op < PA_TRACING_OPS &&
		pa_tracing_wait_of(event->skip) < PA_TRACING_WAIT_COUNT;
}

static bool is_good(const struct pa_event *event, size_t bytes)
{
	switch (event->kind) {
	case PA_EVENT_ALLOC:
		return is_object_good(event) && event->value[0] < PA_ADDRESS_LIMIT &&
			is_stack_good(event, bytes);
	case PA_EVENT_FREE:
	case PA_EVENT_REVIVE:
		return is_object_good(event);
	case PA_EVENT_CPU:
		return event->value[0] && event->value[0] < TICKS_LIMIT &&
			is_stack_good(event, bytes);
	case PA_EVENT_BLOCK:
	case PA_EVENT_MUTEX:
		return is_contention_good(event) && is_stack_good(event, bytes);
	case PA_EVENT_CREATE:
	case PA_EVENT_ROLL:
		return is_stack_good(event, bytes);
	case PA_EVENT_ADD:
		return event->value[0] < PA_CUSTOM_MAX && is_stack_good(event, bytes);
	case PA_EVENT_REMOVE:
		return event->value[0] < PA_CUSTOM_MAX;
	case PA_EVENT_TRACE:
		return is_tracing_good(event) && is_stack_good(event, bytes);
	case PA_EVENT_MODULES:
		return true;
	default:
		return false;
	}
}

static void handle_contention(const struct pa_event *event, enum pa_kind_id kind)
{
	pa_contention_add(kind, stack_of(event), contentions_of(event), event->value[0]);
}

static void handle_roll(const struct pa_event *event)
{
	uint32_t generation = (uint32_t)(event->value[0] >> 32);
	pa_threads_roll_answer(generation, (uint32_t)event->value[0], stack_of(event),
		event->labels);
}

static void handle_tick(const struct pa_event *event)
{
	const struct pa_stack *stack = stack_of(event);
	if (pa_cpu_running())
		pa_cpu_add(stack, event->tid, event->name, event->labels, event->value[0]);
	if (pa_tracer_is_on())
		pa_tracer_tick(event, stack);
}

/* What has no stack: its words are something else, or there are none. */
static void handle_tracing(const struct pa_event *event)
{
	bool plain = pa_tracing_op_of(event->skip) == PA_TRACING_TEXT ||
		(!event->depth && !(event->flags & (PA_EVENT_COLD | PA_EVENT_BROKEN)));
	if (pa_tracer_is_on())
		pa_tracer_record(event, plain ? NULL : stack_of(event));
}

/* It was still in the ring when this process was forked. */
static bool is_of_parent(const struct pa_event *event)
{
	return pa_core_bridge->forked && event->time_ns < pa_core_bridge->start_mono_ns;
}

/* What is asked of threads or happens to them: ours are not shown, nor those of the parent. */
static void handle_of_thread(const struct pa_event *event)
{
	if (pa_core_bridge->is_agent_thread(event->tid) || is_of_parent(event))
		return;
	switch (event->kind) {
	case PA_EVENT_CPU:
		handle_tick(event);
		break;
	case PA_EVENT_TRACE:
		handle_tracing(event);
		break;
	case PA_EVENT_BLOCK:
		handle_contention(event, PA_KIND_BLOCK);
		break;
	case PA_EVENT_MUTEX:
		handle_contention(event, PA_KIND_MUTEX);
		break;
	case PA_EVENT_CREATE:
		pa_threads_created(stack_of(event));
		break;
	case PA_EVENT_ROLL:
		handle_roll(event);
		break;
	}
}

static void handle(const struct pa_event *event)
{
	pa_modules_event(event->time_ns);
	switch (event->kind) {
	case PA_EVENT_ALLOC:
		pa_heap_alloc(stack_of(event), event->value[0], event->object);
		break;
	case PA_EVENT_FREE:
		pa_heap_free(event->object);
		break;
	case PA_EVENT_REVIVE:
		pa_heap_revive(event->object);
		break;
	case PA_EVENT_ADD:
		pa_values_add((uint32_t)event->value[0], event->object, stack_of(event));
		break;
	case PA_EVENT_REMOVE:
		pa_values_remove((uint32_t)event->value[0], event->object);
		break;
	case PA_EVENT_MODULES:
		pa_modules_changed(event->time_ns);
		break;
	default:
		handle_of_thread(event);
		break;
	}
}

/* Copies the record out, since a writer that was given up may still scribble on it. */
static bool copy_record(const void *record, size_t bytes)
{
	if (bytes < sizeof(struct pa_event) || bytes > RECORD_BYTES)
		return false;
	memcpy(&record_copy, record, bytes);
	return is_good(&record_copy.event, bytes);
}

/* Where the copy of a stack begins in the record; its end when there is none. */
static size_t secret_at(bool good, size_t bytes)
{
	const struct pa_event *event = &record_copy.event;
	if (!good)
		return 0;
	if (!(event->flags & PA_EVENT_COLD))
		return bytes;
	return sizeof(*event) + event->depth * sizeof(uintptr_t);
}

/* False when there is nothing to read. */
static bool drain_one(void)
{
	size_t bytes;
	const void *record = pa_ring_read(pa_core_bridge->ring, &bytes);
	if (!record)
		return false;
	bool good = copy_record(record, bytes);
	size_t secret = secret_at(good, bytes);
	pa_ring_wipe(pa_core_bridge->ring, secret);
	/* Before it is handled: unwinding may take long, and writers wait for the room. */
	pa_ring_release(pa_core_bridge->ring);
	state.stats.events_read++;
	if (good)
		handle(&record_copy.event);
	else
		state.stats.events_bad++;
	if (secret < bytes && bytes <= RECORD_BYTES)
		explicit_bzero(record_copy.bytes + secret, bytes - secret);
	return true;
}

/* False when it came to the end of the ring. */
static bool drain_batch(void)
{
	bool more = true;
	lock_for_batch();
	pa_modules_batch();
	int64_t end_ns = pa_clock_mono_ns() + BATCH_NS;
	for (int i = 0; i < BATCH_EVENTS && more; i++)
		if (more = drain_one(), pa_clock_mono_ns() >= end_ns)
			break;
	/* What is still in the ring is older than now, and would be pushed behind it. */
	if (!more && pa_tracer_is_on())
		pa_tracer_heap(pa_clock_mono_ns(), pa_heap_stats().live_estimate_bytes);
	pa_unlock(&state.lock);
	pa_ring_done(pa_core_bridge->ring);
	return more;
}

static int64_t sleep_ns(bool pending)
{
	return pending ? PENDING_NS : pa_tracer_is_taken() ? TRACE_NS : IDLE_NS;
}

void pa_drain_run(void)
{
	for (;;) {
		pa_ring_reader(pa_core_bridge->ring, true);
		for (; drain_batch(); pa_requests_answer())
			pa_seat_mind(); /* a ring that is filled all the time leaves no wait */
		pa_last_look();
		pa_ring_wait_data(pa_core_bridge->ring, sleep_ns(pa_requests_answer()));
	}
}

struct pa_drain_stats pa_drain_stats(void)
{
	return state.stats;
}

/* ---- fork ---- */

static bool atfork_prepare(int64_t timeout_ns)
{
	want();
	bool held = pa_lock_timed(&state.lock, timeout_ns);
	unwant();
	return held;
}

static void atfork_parent(void)
{
	pa_unlock(&state.lock);
}

/* Nothing is unmapped here: a pointer and its size may not belong together. */
static void abandon_tables(void)
{
	pa_heap_abandon();
	pa_values_abandon();
	pa_sites_reset();
	pa_modules_abandon();
	memset(&state.stats, 0, sizeof(state.stats));
	state.ready = false;
}

static void atfork_child(bool held)
{
	pa_lock_reset(&state.lock);
	pa_store_relaxed(&state.wanted, 0);
	pa_requests_atfork_child();
	pa_snapshot_atfork_child();
	pa_unwind_reset();
	pa_maps_reset();
	pa_cpu_atfork_child(!held);
	pa_contention_atfork_child(!held);
	pa_threads_atfork_child(!held);
	pa_tracer_atfork_child();
	pa_copy_atfork_child();
	if (!held)
		abandon_tables();
}

int pa_drain_init(void)
{
	pa_core_bridge->atfork.prepare = atfork_prepare;
	pa_core_bridge->atfork.parent = atfork_parent;
	pa_core_bridge->atfork.child = atfork_child;
	state.lock.rank = PA_LOCK_TABLES;
	/* Without it cold stacks stay short, and say so. */
	(void)pa_unwind_init();
	madvise(&record_copy, sizeof(record_copy), MADV_DONTDUMP);
	pa_tracer_flight_boot(pa_core_bridge->settings->flight_bytes);
	if (state.ready)
		return 0;
	int error = pa_sites_init(SITES_BYTES);
	if (!error)
		pa_modules_init();
	state.ready = !error;
	return error;
}
