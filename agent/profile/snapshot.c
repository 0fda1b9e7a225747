#include "snapshot.h"

#include <errno.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "contention.h"
#include "core.h"
#include "cpu.h"
#include "drain.h"
#include "heap.h"
#include "live.h"
#include "requests.h"
#include "snapshot_record.h"
#include "threads.h"
#include "values.h"

static struct {
	/* A CPU profile is being taken, or is about to; acq_rel by CAS. */
	PA_ATOMIC(uint32_t) cpu_busy;
	bool cpu_of_program; /* it is no request's; written by the one who is busy */
} state;

struct pa_snapshot *pa_snapshot_take(enum pa_kind_id kind)
{
	struct pa_snapshot *snapshot = NULL;
	if (kind == PA_KIND_GOROUTINE)
		return pa_snapshot_threads(false);
	if (pa_requests_ask(PA_REQUEST_COPY, kind, 0, &snapshot) != 0)
		return NULL;
	return snapshot;
}

struct pa_snapshot *pa_snapshot_take_custom(uint32_t id)
{
	struct pa_snapshot *snapshot = NULL;
	if (pa_requests_ask(PA_REQUEST_COPY, PA_KIND_CUSTOM, id, &snapshot) != 0)
		return NULL;
	return snapshot;
}

void pa_snapshot_free(struct pa_snapshot *snapshot)
{
	if (snapshot)
		pa_unmap(snapshot, snapshot->bytes);
}

static struct pa_snapshot *end_cpu(void)
{
	struct pa_snapshot *snapshot = NULL;
	int64_t end_ns = pa_clock_mono_ns();
	if (pa_requests_ask(PA_REQUEST_CPU_END, PA_KIND_CPU, end_ns, &snapshot) != 0)
		return NULL;
	return snapshot;
}

static int begin_cpu(unsigned rate_hz)
{
	int error = pa_requests_ask(PA_REQUEST_CPU_BEGIN, PA_KIND_CPU, PA_NS_PER_S / rate_hz, NULL);
	if (error)
		return error;
	error = pa_core_bridge->tick_start(rate_hz);
	if (error)
		pa_snapshot_free(end_cpu());
	return error;
}

int pa_snapshot_cpu_start(unsigned rate_hz)
{
	uint32_t expected = 0;
	if (rate_hz == 0 || rate_hz > PA_NS_PER_S)
		return -EINVAL;
	if (!pa_cas_acq_rel(&state.cpu_busy, &expected, 1))
		return -EBUSY;
	state.cpu_of_program = pa_core_bridge->cpu_from_start ||
		(pa_core_bridge->seat && !pa_core_bridge->seat());
	int error = begin_cpu(rate_hz);
	if (error)
		pa_store_release(&state.cpu_busy, 0);
	return error;
}

struct pa_snapshot *pa_snapshot_cpu_stop(void)
{
	pa_core_bridge->tick_stop();
	struct pa_snapshot *snapshot = end_cpu();
	pa_store_release(&state.cpu_busy, 0);
	return snapshot;
}

void pa_snapshot_aside(void)
{
	if (!state.cpu_of_program && pa_load_acquire(&state.cpu_busy)) {
		pa_core_bridge->tick_stop();
		pa_cpu_end();
		pa_store_release(&state.cpu_busy, 0);
	}
	pa_snapshot_record_aside();
}

void pa_snapshot_atfork_child(void)
{
	pa_store_relaxed(&state.cpu_busy, 0);
	pa_snapshot_record_atfork_child();
}

static size_t count_locked(enum pa_kind_id kind)
{
	switch (kind) {
	case PA_KIND_BLOCK:
	case PA_KIND_MUTEX:
		return pa_contention_count(kind);
	case PA_KIND_THREADCREATE:
		return pa_threads_stats().created;
	default:
		return pa_heap_count();
	}
}

void pa_snapshot_sync(void)
{
	/* An error means that it is not at rest now: then the counts are what they are. */
	(void)pa_requests_ask(PA_REQUEST_SYNC, PA_KIND_HEAP, 0, NULL);
}

size_t pa_snapshot_count(enum pa_kind_id kind)
{
	if (kind == PA_KIND_CPU)
		return 0;
	if (kind == PA_KIND_GOROUTINE)
		return pa_threads_now();
	pa_drain_lock();
	size_t count = count_locked(kind);
	pa_drain_unlock();
	return count;
}

size_t pa_snapshot_count_custom(uint32_t id)
{
	const struct pa_custom *custom = pa_core_bridge->custom(id);
	return custom ? pa_load_relaxed(&custom->count) : 0;
}

struct pa_profile_stats pa_profile_stats(void)
{
	pa_drain_lock();
	struct pa_drain_stats drain = pa_drain_stats();
	struct pa_heap_stats heap = pa_heap_stats();
	struct pa_cpu_stats cpu = pa_cpu_stats();
	struct pa_contention_stats block = pa_contention_stats(PA_KIND_BLOCK);
	struct pa_contention_stats mutex = pa_contention_stats(PA_KIND_MUTEX);
	struct pa_threads_stats threads = pa_threads_stats();
	struct pa_values_stats values = pa_values_stats();
	struct pa_profile_stats stats = {
		.events_read = drain.events_read,
		.events_bad = drain.events_bad,
		.frees_unknown = heap.frees_unknown,
		.frees_missed = heap.frees_missed,
		.revives_unknown = heap.revives_unknown,
		.live_objects = pa_live_stats().objects,
		.live_bytes = heap.live_bytes,
		.live_dropped = heap.live_dropped,
		.allocs_dropped = heap.dropped_objects,
		.ticks_dropped = cpu.all_ticks_dropped,
		.contentions_dropped = block.dropped + mutex.dropped,
		.creations_dropped = threads.dropped,
		.values_dropped = values.dropped,
		.block_records = pa_contention_count(PA_KIND_BLOCK),
		.mutex_records = pa_contention_count(PA_KIND_MUTEX),
		.create_records = pa_threads_create_count(),
		.heap_buckets = pa_heap_count(),
		.values = values.values,
		.sites = pa_sites_stats(),
	};
	/* block has the bytes of both kinds of contention. */
	stats.table_bytes = heap.table_bytes + cpu.table_bytes + block.table_bytes +
		threads.table_bytes + values.table_bytes + stats.sites.bytes;
	pa_drain_unlock();
	return stats;
}
