#include "copy.h"

#include <stdio.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "core.h"
#include "cpu.h"
#include "drain.h"
#include "heap.h"

#define COMMENTS 32
#define COMMENT_BYTES 96

static size_t table_count(enum pa_kind_id kind)
{
	return kind == PA_KIND_CPU ? pa_cpu_count() : pa_heap_count();
}

struct pa_snapshot *pa_copy_new(enum pa_kind_id kind)
{
	/* One more: what was lost. */
	size_t samples_bytes = (table_count(kind) + 1) * sizeof(struct pa_sample);
	size_t comments_bytes = COMMENTS * (sizeof(char *) + COMMENT_BYTES);
	size_t bytes = sizeof(struct pa_snapshot) + samples_bytes + comments_bytes;
	struct pa_snapshot *snapshot = pa_map(bytes);
	if (!snapshot)
		return NULL;
	snapshot->kind = &pa_kinds[kind];
	snapshot->bytes = bytes;
	snapshot->samples = (struct pa_sample *)(snapshot + 1);
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

/* Those of PA_COUNTERS that are no loss: what was seen, and what shows in the stacks themselves. */
static bool is_loss(const char *name)
{
	return strncmp(name, "lost_", strlen("lost_")) == 0 || strcmp(name, "timers_failed") == 0;
}

static void comment_recording(struct pa_snapshot *snapshot)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
#define X(name, text)                                                                             \
	if (is_loss(#name))                                                                       \
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
	comment(snapshot, pa_drain_stats().events_bad, "events dropped: damaged");
	comment(snapshot, heap.dropped_objects, "allocations dropped: bucket table full");
	comment(snapshot, heap.live_dropped, "allocations not seen in use: live-object table full");
	comment(snapshot, heap.frees_missed, "frees dropped: found when the address came again");
	comment(snapshot, heap.revives_unknown, "objects taken for freed: realloc failed");
	comment(snapshot, cpu.all_ticks_dropped, "CPU ticks dropped: sample table full");
	comment(snapshot, cpu.names_dropped, "thread names dropped: name table full");
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

void pa_copy_fill(struct pa_snapshot *snapshot, int64_t end_ns)
{
	if (snapshot->kind->id == PA_KIND_CPU)
		fill_cpu(snapshot, end_ns);
	else
		fill_heap(snapshot);
	comment_recording(snapshot);
	comment_collecting(snapshot);
}
