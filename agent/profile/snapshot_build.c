/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot_build.h"

#include <stdio.h>
#include <string.h>

#include "../base/thread_slot.h"
#include "../arch/arch.h"
#include "../base/arena.h"
#include "../base/clock.h"
#include "../core/core.h"
#include "../stacks/passing_holders.h"
#include "profile_list.h"
#include "tables_lock.h"

#define COMMENTS 32
#define COMMENT_BYTES 320

/* Memory behind the snapshot: thread data, samples, comments. */
struct pa_snapshot *pa_snapshot_build_new(const struct pa_profile_ops *kind)
{
	PA_ASSERT_AGENT();
	size_t count = kind->room(kind);
	size_t threads = kind->has_threads ? count : 0;
	/* One more, for the losses. */
	size_t samples_bytes = (count + 1) * sizeof(struct pa_sample);
	size_t comments_bytes = COMMENTS * (sizeof(char *) + COMMENT_BYTES);
	size_t bytes = PA_ALIGN_UP(sizeof(struct pa_snapshot) +
			threads * sizeof(struct pa_thread_info) + samples_bytes + comments_bytes,
		PA_PAGE_BYTES);
	struct pa_snapshot *snapshot = pa_snapshot_new(bytes);
	if (!snapshot)
		return NULL;
	snapshot->kind = kind;
	snapshot->holds_passing = kind->passing;
	if (kind->passing)
		pa_passing_holders_hold();
	snapshot->samples = (struct pa_sample *)((struct pa_thread_info *)(snapshot + 1) + threads);
	snapshot->comments = (char **)((char *)snapshot->samples + samples_bytes);
	return snapshot;
}

/* ---- comments ---- */

/* Room for the next comment; NULL: there is none. */
static char *next_comment(struct pa_snapshot *snapshot)
{
	PA_ASSERT(snapshot->comment_count <= COMMENTS);
	if (snapshot->comment_count >= COMMENTS)
		return NULL;
	char *texts = (char *)(snapshot->comments + COMMENTS);
	char *text = texts + snapshot->comment_count * COMMENT_BYTES;
	snapshot->comments[snapshot->comment_count++] = text;
	return text;
}

static void add_note(void *snapshot, const char *text)
{
	char *to = next_comment(snapshot);
	if (to)
		snprintf(to, COMMENT_BYTES, "%s", text);
}

static void add_text_comment(struct pa_snapshot *snapshot, uint64_t count, const char *text)
{
	char *to = count ? next_comment(snapshot) : NULL;
	if (to)
		snprintf(to, COMMENT_BYTES, "dropped %llu: %s", (unsigned long long)count, text);
}

static void comment_recording(struct pa_snapshot *snapshot)
{
	const struct pa_counters *counters = pa_core_bridge->counters;
#define X(name, text)                   \
	if (pa_counters_is_loss(#name)) \
		add_text_comment(snapshot, pa_load_relaxed(&counters->name), text);
	PA_COUNTERS(X)
#undef X
	add_text_comment(snapshot, pa_ring_stats(pa_core_bridge->ring).skipped,
		"events dropped: begun and never finished");
}

static void say_drop(void *snapshot, uint64_t count, const char *text)
{
	add_text_comment(snapshot, count, text);
}

static void comment_collecting(struct pa_snapshot *snapshot)
{
	add_text_comment(snapshot, pa_tables_events.bad, "events dropped: damaged");
	for (size_t i = 0; pa_profile_list[i]; i++)
		if (pa_profile_list[i]->drops)
			pa_profile_list[i]->drops(pa_profile_list[i], say_drop, snapshot);
	add_text_comment(snapshot, pa_stack_table_stats().overflowed,
		"stacks dropped: stack table full");
}

/* ---- samples ---- */

static int64_t to_value(uint64_t number)
{
	return number < INT64_MAX ? (int64_t)number : INT64_MAX;
}

static void add_lost(struct pa_snapshot *snapshot)
{
	const struct pa_profile_ops *kind = snapshot->kind;
	if (!kind->lost)
		return;
	struct pa_profile_ops_loss loss = kind->lost(kind);
	uint64_t count = loss.events ? loss.events : loss.in_use;
	uint64_t bytes = loss.events ? loss.amount : loss.in_use_bytes;
	if (!count)
		return;
	PA_ASSERT(&snapshot->samples[snapshot->sample_count + 1] <=
		(struct pa_sample *)snapshot->comments);
	snapshot->samples[snapshot->sample_count++] = (struct pa_sample){
		.stack = pa_stack_table_overflow(),
		.values = { to_value(loss.events), to_value(loss.amount), to_value(loss.in_use),
			to_value(loss.in_use_bytes) },
		.bytes_label = loss.sized ? (int64_t)(bytes / count) : -1,
	};
}

void pa_snapshot_build_fill(struct pa_snapshot *snapshot, int64_t end_ns)
{
	PA_ASSERT_AGENT();
	PA_ASSERT(snapshot->kind && snapshot->samples);
	const struct pa_profile_ops *kind = snapshot->kind;
	snapshot->time_ns = pa_clock_wall_ns();
	snapshot->period = 1;
	if (kind->head)
		kind->head(kind, snapshot, end_ns);
	snapshot->sample_count =
		kind->samples(kind, snapshot->samples, (struct pa_thread_info *)(snapshot + 1));
	add_lost(snapshot);
	if (kind->notes)
		kind->notes(kind, add_note, snapshot);
	comment_recording(snapshot);
	comment_collecting(snapshot);
}
