/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot_take.h"

#include "allocators.h"
#include "contention.h"
#include "../core/core.h"
#include "cpu.h"
#include "goroutine.h"
#include "heap.h"
#include "mailbox.h"
#include "../stacks/passing_stacks.h"
#include "tables_lock.h"
#include "threadcreate.h"
#include "custom_table.h"

struct pa_snapshot *pa_snapshot_take(const struct pa_profile_ops *kind, bool detail)
{
	const struct pa_mailbox_request request = { PA_MAILBOX_COPY, kind, { 0 } };
	struct pa_snapshot *snapshot = NULL;
	if (kind->scaled)
		pa_allocators_look();
	if (kind->take)
		return kind->take(kind, detail);
	if (pa_mailbox_ask(&request, &snapshot) != 0)
		return NULL;
	return snapshot;
}

void pa_snapshot_sync(void)
{
	const struct pa_mailbox_request request = { .op = PA_MAILBOX_SYNC };
	/* On an error the counts may be slightly old. */
	(void)pa_mailbox_ask(&request, NULL);
}

size_t pa_snapshot_count(const struct pa_profile_ops *kind)
{
	return kind->count ? kind->count(kind) : 0;
}

struct pa_profile_stats pa_profile_stats(void)
{
	pa_tables_lock();
	struct pa_heap_stats heap = pa_heap_stats_locked();
	struct pa_cpu_totals cpu = pa_cpu_totals();
	struct pa_contention_stats block = pa_contention_stats(&pa_block_profile);
	struct pa_contention_stats mutex = pa_contention_stats(&pa_mutex_profile);
	struct pa_threadcreate_stats threads = pa_threadcreate_stats();
	struct pa_custom_table_stats values = pa_custom_table_stats();
	struct pa_passing_stacks_stats passing = pa_passing_stacks_stats();
	struct pa_profile_stats stats = {
		.events_read = pa_tables_events.read,
		.events_bad = pa_tables_events.bad,
		.frees_unknown = heap.frees_unknown,
		.frees_missed = heap.frees_missed,
		.revives_unknown = heap.revives_unknown,
		.live_objects = heap.live_objects,
		.live_bytes = heap.live_bytes,
		.live_dropped = heap.live_dropped,
		.allocs_dropped = heap.dropped_objects,
		.ticks_dropped = cpu.ticks_dropped,
		.contentions_dropped =
			block.dropped + mutex.dropped + mutex.wakes_dropped + mutex.wakes_unknown,
		.creations_dropped = threads.dropped,
		.values_dropped = values.dropped,
		.block_records = pa_contention_count(&pa_block_profile),
		.mutex_records = pa_contention_count(&pa_mutex_profile),
		.create_records = pa_threadcreate_count(),
		.heap_buckets = pa_heap_count(),
		.values = values.values,
		.stack_table = pa_stack_table_stats(),
	};
	/* block.table_bytes covers both kinds of contention. */
	stats.table_bytes = heap.table_bytes + cpu.table_bytes + block.table_bytes +
		threads.table_bytes + pa_goroutine_bytes() + values.table_bytes +
		stats.stack_table.bytes + passing.bytes;
	pa_tables_unlock();
	stats.stack_table.stacks += passing.stacks;
	return stats;
}
