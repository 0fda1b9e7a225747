#include "copy.h"

#include <stdio.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "contention.h"
#include "core.h"
#include "cpu.h"
#include "drain.h"
#include "heap.h"
#include "snapshot_record.h"
#include "tally.h"
#include "threads.h"
#include "values.h"

#define COMMENTS 32
#define COMMENT_BYTES 96

/* Events that came to nothing, and the time that they stand for. */
struct loss {
	uint64_t events, ns;
};

static struct {
	/* By kind, of those that a forked child begins anew: what its parent had lost. */
	struct loss before[PA_KIND_COUNT];
} state;

static size_t table_count(const struct pa_kind *kind)
{
	switch (kind->id) {
	case PA_KIND_BLOCK:
	case PA_KIND_MUTEX:
		return pa_contention_count(kind->id);
	case PA_KIND_CUSTOM:
		return pa_values_count(kind->custom);
	case PA_KIND_GOROUTINE:
		return pa_threads_roll_count();
	case PA_KIND_CPU:
		return pa_cpu_count();
	case PA_KIND_THREADCREATE:
		return pa_threads_create_count();
	default:
		return pa_heap_count();
	}
}

/* Behind the snapshot: what is known of its threads, its samples, its comments. */
struct pa_snapshot *pa_copy_new(const struct pa_kind *kind)
{
	size_t count = table_count(kind);
	size_t abouts = kind->id == PA_KIND_GOROUTINE ? count : 0;
	/* One more: what was lost. */
	size_t samples_bytes = (count + 1) * sizeof(struct pa_sample);
	size_t comments_bytes = COMMENTS * (sizeof(char *) + COMMENT_BYTES);
	size_t bytes = sizeof(struct pa_snapshot) + abouts * sizeof(struct pa_about) +
		samples_bytes + comments_bytes;
	struct pa_snapshot *snapshot = pa_map(bytes);
	if (!snapshot)
		return NULL;
	snapshot->kind = kind;
	snapshot->bytes = bytes;
	snapshot->samples = (struct pa_sample *)((struct pa_about *)(snapshot + 1) + abouts);
	snapshot->comments = (char **)((char *)snapshot->samples + samples_bytes);
	return snapshot;
}

/* ---- comments ---- */

static void comment(struct pa_snapshot *snapshot, uint64_t count, const char *text)
{
	if (!count || snapshot->comment_count >= COMMENTS)
		return;
	char *texts = (char *)(snapshot->comments + COMMENTS);
	char *to = texts + snapshot->comment_count * COMMENT_BYTES;
	snprintf(to, COMMENT_BYTES, "dropped %llu: %s", (unsigned long long)count, text);
	snapshot->comments[snapshot->comment_count++] = to;
}

static void comment_recording(struct pa_snapshot *snapshot)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
#define X(name, text)                                                                             \
	if (pa_counter_is_loss(#name))                                                            \
		comment(snapshot, pa_load_relaxed(&counters->name), text);
	PA_COUNTERS(X)
#undef X
	comment(snapshot, pa_ring_stats(pa_core_bridge->ring).skipped,
		"events dropped: begun and never finished");
}

static void comment_collecting(struct pa_snapshot *snapshot)
{
	struct pa_heap_stats heap = pa_heap_stats();
	struct pa_cpu_stats cpu = pa_cpu_stats();
	uint64_t blocks = pa_contention_stats(PA_KIND_BLOCK).dropped;
	uint64_t mutexes = pa_contention_stats(PA_KIND_MUTEX).dropped;
	comment(snapshot, pa_drain_stats().events_bad, "events dropped: damaged");
	comment(snapshot, heap.dropped_objects, "allocations dropped: bucket table full");
	comment(snapshot, heap.live_dropped, "allocations not seen in use: live-object table full");
	comment(snapshot, heap.frees_missed, "frees dropped: found when the address came again");
	comment(snapshot, heap.revives_unknown, "objects taken for freed: realloc failed");
	comment(snapshot, cpu.all_ticks_dropped, "CPU ticks dropped: sample table full");
	comment(snapshot, cpu.names_dropped, "thread names dropped: name table full");
	comment(snapshot, blocks, "waits dropped: sample table full");
	comment(snapshot, mutexes, "contended critical sections dropped: sample table full");
	comment(snapshot, pa_threads_stats().dropped,
		"creations of threads dropped: sample table full");
	comment(snapshot, pa_values_stats().dropped,
		"stacks of the program's profiles dropped: table full");
	comment(snapshot, pa_sites_stats().overflowed, "stacks dropped: stack table full");
}

/* ---- samples ---- */

/*
 * Allocations that have no bucket. Of those that a bucket was missing for the size is known; the
 * others are taken at the mean size of all that were seen: without a size they would vanish when
 * the encoder scales them.
 */
static void add_lost_heap(struct pa_snapshot *snapshot)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
	struct pa_heap_stats heap = pa_heap_stats();
	uint64_t unseen = pa_load_relaxed(&counters->lost_alloc_ring) +
		pa_load_relaxed(&counters->lost_alloc_live);
	uint64_t mean = heap.objects ? heap.bytes / heap.objects : (uint64_t)snapshot->period;
	uint64_t objects = heap.dropped_objects + unseen;
	if (!objects)
		return;
	uint64_t bytes = heap.dropped_bytes + unseen * mean;
	snapshot->samples[snapshot->sample_count++] = (struct pa_sample){
		.stack = pa_sites_overflow(),
		.values = { (int64_t)objects, (int64_t)bytes },
		.bytes_label = (int64_t)(bytes / objects),
	};
}

static void fill_heap(struct pa_snapshot *snapshot)
{
	snapshot->time_ns = pa_clock_wall_ns();
	snapshot->period = (int64_t)pa_core_bridge->settings->heap_rate_bytes;
	snapshot->sample_count = pa_heap_samples(snapshot->samples);
	add_lost_heap(snapshot);
}

static void add_lost_cpu(struct pa_snapshot *snapshot, const struct pa_cpu_stats *cpu)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
	uint64_t ticks = pa_load_relaxed(&counters->lost_cpu_ring) +
		pa_load_relaxed(&counters->lost_cpu_thread) - cpu->lost_before + cpu->ticks_dropped;
	if (!ticks)
		return;
	snapshot->samples[snapshot->sample_count++] = (struct pa_sample){
		.stack = pa_sites_overflow(),
		.values = { (int64_t)ticks, (int64_t)ticks * cpu->period_ns },
		.bytes_label = -1,
	};
}

static void fill_cpu(struct pa_snapshot *snapshot, int64_t end_ns)
{
	struct pa_cpu_stats cpu = pa_cpu_stats();
	if (!pa_cpu_running()) {
		snapshot->time_ns = pa_clock_wall_ns();
		return;
	}
	snapshot->time_ns = cpu.start_wall_ns;
	snapshot->duration_ns = end_ns - cpu.start_mono_ns;
	snapshot->period = cpu.period_ns;
	snapshot->sample_count = pa_cpu_count();
	pa_cpu_samples(snapshot->samples);
	add_lost_cpu(snapshot, &cpu);
}

/* By the recording side, since the start of the program. */
static struct loss lost_by(const struct pa_counters *counters, enum pa_kind_id kind)
{
	switch (kind) {
	case PA_KIND_BLOCK:
		return (struct loss){ pa_load_relaxed(&counters->lost_block_ring),
			pa_load_relaxed(&counters->ns_of_lost_blocks) };
	case PA_KIND_MUTEX:
		return (struct loss){ pa_load_relaxed(&counters->lost_mutex_ring),
			pa_load_relaxed(&counters->ns_of_lost_mutexes) };
	case PA_KIND_THREADCREATE:
		return (struct loss){ .events = pa_load_relaxed(&counters->lost_create_ring) };
	default:
		return (struct loss){ 0 };
	}
}

/* dropped: by the table, which was full. */
static void add_lost(struct pa_snapshot *snapshot, struct loss dropped)
{
	struct loss before = state.before[snapshot->kind->id];
	struct loss lost = lost_by(pa_core_bridge->counters, snapshot->kind->id);
	uint64_t events = lost.events - before.events + dropped.events;
	uint64_t ns = pa_tally_plus(lost.ns - before.ns, dropped.ns);
	if (!events)
		return;
	snapshot->samples[snapshot->sample_count++] = (struct pa_sample){
		.stack = pa_sites_overflow(),
		.values = { pa_tally_times(events, 1), pa_tally_times(ns, 1) },
		.bytes_label = -1,
	};
}

static void fill_contention(struct pa_snapshot *snapshot)
{
	enum pa_kind_id kind = snapshot->kind->id;
	struct pa_contention_stats stats = pa_contention_stats(kind);
	if (kind == PA_KIND_MUTEX)
		snapshot->fraction = pa_tally_times(pa_snapshot_record_fraction(), 1);
	snapshot->sample_count = pa_contention_count(kind);
	pa_contention_samples(kind, snapshot->samples);
	add_lost(snapshot, (struct loss){ stats.dropped, stats.dropped_ns });
}

static void fill_creations(struct pa_snapshot *snapshot)
{
	snapshot->sample_count = pa_threads_create_count();
	pa_threads_create_samples(snapshot->samples);
	add_lost(snapshot, (struct loss){ .events = pa_threads_stats().dropped });
}

/* Under the lock: it interns who created the threads. */
static void fill_threads(struct pa_snapshot *snapshot)
{
	pa_drain_lock();
	snapshot->sample_count = pa_threads_roll_count();
	pa_threads_roll_samples(snapshot->samples, (struct pa_about *)(snapshot + 1));
	pa_drain_unlock();
}

static void fill_counts(struct pa_snapshot *snapshot)
{
	snapshot->time_ns = pa_clock_wall_ns();
	snapshot->period = 1;
	switch (snapshot->kind->id) {
	case PA_KIND_GOROUTINE:
		fill_threads(snapshot);
		break;
	case PA_KIND_THREADCREATE:
		fill_creations(snapshot);
		break;
	case PA_KIND_CUSTOM:
		snapshot->sample_count =
			pa_values_samples(snapshot->kind->custom, snapshot->samples);
		break;
	default:
		fill_contention(snapshot);
		break;
	}
}

void pa_copy_fill(struct pa_snapshot *snapshot, int64_t end_ns)
{
	switch (snapshot->kind->id) {
	case PA_KIND_CPU:
		fill_cpu(snapshot, end_ns);
		break;
	case PA_KIND_ALLOCS:
	case PA_KIND_HEAP:
		fill_heap(snapshot);
		break;
	default:
		fill_counts(snapshot);
		break;
	}
	comment_recording(snapshot);
	comment_collecting(snapshot);
}

void pa_copy_atfork_child(void)
{
	for (int kind = 0; kind < PA_KIND_COUNT; kind++)
		state.before[kind] = lost_by(&pa_core_bridge->inherited,
			(enum pa_kind_id)kind);
}
