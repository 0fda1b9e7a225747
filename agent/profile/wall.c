/* SPDX-License-Identifier: Apache-2.0 */
#include "wall.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../base/assert.h"
#include "../base/arena.h"
#include "../base/atomic.h"
#include "../base/clock.h"
#include "goroutine.h"
#include "bucket_table.h"

/* Thread dumps take at most 1/SHARE of the time. */
#define SHARE 10
/* Pause after a failed dump: the collector does not answer, or there is no memory. */
#define FAILED_PAUSE_NS PA_NS_PER_S

#define COMMENT_BYTES 96
#define OWN_COMMENTS 2

typedef char name_of_thread[PA_THREAD_INFO_NAME_BYTES];

/* Mapped during a profile; untouched pages cost no memory. */
struct dictionary {
	name_of_thread names[PA_WALL_THREADS];
	const struct pa_labels *labels[PA_LABELS_SETS]; /* by id */
};

static struct {
	PA_ATOMIC(uint32_t) busy; /* acq_rel by CAS in begin, release in end: guards the other
				   * fields */
	struct pa_bucket_table
		records; /* key: id of labels << 32 | tid; in_use: dumps, count: ns */
	struct pa_bucket_table threads; /* key: tid; the index is that of its name */
	struct dictionary *dictionary;
	struct pa_snapshot *last; /* last dump, for its comments */
	int64_t start_wall_ns, start_ns;
	int64_t until_ns; /* time is accounted for until here */
	uint32_t dumps;
	uint64_t dropped, dropped_ns; /* samples without a record */
	uint64_t names_dropped;
} state;

/* ---- begin, end ---- */

static void forget_state(void)
{
	state.dictionary = NULL;
	state.last = NULL;
	state.dumps = 0;
	state.dropped = state.dropped_ns = state.names_dropped = 0;
}

bool pa_wall_is_taken(void)
{
	return pa_load_acquire(&state.busy);
}

int pa_wall_begin(void)
{
	uint32_t expected = 0;

	if (!pa_cas_acq_rel(&state.busy, &expected, 1))
		return -EBUSY;
	state.dictionary = pa_map(sizeof(*state.dictionary));
	if (!state.dictionary) {
		pa_store_release(&state.busy, 0);
		return -ENOMEM;
	}
	state.records.max = PA_WALL_RECORDS;
	state.threads.max = PA_WALL_THREADS;
	state.start_wall_ns = pa_clock_wall_ns();
	state.start_ns = state.until_ns = pa_clock_mono_ns();
	return 0;
}

static void release_tables(void)
{
	PA_ASSERT(pa_wall_is_taken() && state.dictionary);
	pa_bucket_table_free(&state.records);
	pa_bucket_table_free(&state.threads);
	pa_unmap(state.dictionary, sizeof(*state.dictionary));
	pa_snapshot_free(state.last);
	forget_state();
	pa_store_release(&state.busy, 0);
}

/* ---- dumps ---- */

/* The last name of a thread is used: most threads set theirs just after they begin. */
static void note_name(const struct pa_sample *sample)
{
	uint32_t index = pa_bucket_table_index(&state.threads, NULL, (uint32_t)sample->tid);

	if (!sample->thread || !sample->thread[0])
		return;
	if (index == PA_BUCKET_TABLE_NONE)
		state.names_dropped++;
	else
		snprintf(state.dictionary->names[index], sizeof(name_of_thread), "%s",
			sample->thread);
}

static uint64_t wall_key_of(const struct pa_sample *sample)
{
	PA_ASSERT(state.dictionary);
	uint32_t id =
		sample->labels && sample->labels->id < PA_LABELS_SETS ? sample->labels->id : 0;
	if (id)
		state.dictionary->labels[id] = sample->labels;
	return (uint64_t)id << 32 | (uint32_t)sample->tid;
}

static void add_wall_sample(const struct pa_sample *sample, uint64_t ns)
{
	PA_ASSERT(pa_wall_is_taken());
	uint32_t index = pa_bucket_table_index(&state.records, sample->stack, wall_key_of(sample));

	note_name(sample);
	if (index == PA_BUCKET_TABLE_NONE) {
		state.dropped++;
		state.dropped_ns = pa_bucket_table_plus(state.dropped_ns, ns);
		return;
	}
	struct pa_bucket *bucket = pa_bucket_table_at(&state.records, index);
	bucket->in_use++;
	bucket->count = pa_bucket_table_plus(bucket->count, ns);
}

int64_t pa_wall_dump(void)
{
	PA_ASSERT(pa_wall_is_taken() && state.dictionary);
	int64_t start_ns = pa_clock_mono_ns();
	struct pa_snapshot *dump = pa_goroutine_take(false);

	if (!dump)
		return FAILED_PAUSE_NS;
	for (size_t i = 0; i < dump->sample_count; i++)
		add_wall_sample(&dump->samples[i], (uint64_t)(start_ns - state.until_ns));
	state.until_ns = start_ns;
	state.dumps++;
	pa_snapshot_free(state.last);
	state.last = dump;
	int64_t took_ns = pa_clock_mono_ns() - start_ns;
	/* Waiting for a thread that does not answer costs no processor time. */
	int64_t cost_ns = took_ns > dump->waited_ns ? took_ns - dump->waited_ns : 0;
	int64_t turn_ns = cost_ns * SHARE > PA_WALL_PERIOD_NS ? cost_ns * SHARE : PA_WALL_PERIOD_NS;
	return turn_ns > took_ns ? turn_ns - took_ns : 0;
}

/* ---- the profile ---- */

static size_t comments_of(const struct pa_snapshot *dump)
{
	return dump->comment_count + OWN_COMMENTS;
}

/* Memory behind the snapshot: samples, thread names, comments. */
static struct pa_snapshot *new_snapshot(void)
{
	PA_ASSERT(state.last && state.dumps);
	int64_t duration_ns = state.until_ns - state.start_ns;
	size_t samples_bytes = (state.records.count + 1) * sizeof(struct pa_sample);
	size_t names_bytes = state.threads.count * sizeof(name_of_thread);
	size_t bytes = sizeof(struct pa_snapshot) + samples_bytes + names_bytes +
		comments_of(state.last) * (sizeof(char *) + COMMENT_BYTES);
	struct pa_snapshot *snapshot = pa_snapshot_new(bytes);

	if (!snapshot)
		return NULL;
	*snapshot = (struct pa_snapshot){
		.kind = &pa_wall_profile,
		.time_ns = state.start_wall_ns,
		.duration_ns = duration_ns,
		.period = duration_ns > state.dumps ? duration_ns / state.dumps : 1,
		.samples = (struct pa_sample *)(snapshot + 1),
		.bytes = bytes,
	};
	char *names = (char *)snapshot->samples + samples_bytes;
	memcpy(names, state.dictionary->names, names_bytes);
	snapshot->comments = (char **)(names + names_bytes);
	return snapshot;
}

static void add_comment(struct pa_snapshot *snapshot, const char *text)
{
	PA_ASSERT(snapshot->comment_count < comments_of(state.last));
	char *texts = (char *)(snapshot->comments + comments_of(state.last));
	char *to = texts + snapshot->comment_count * COMMENT_BYTES;

	snprintf(to, COMMENT_BYTES, "%s", text);
	snapshot->comments[snapshot->comment_count++] = to;
}

static void add_loss(struct pa_snapshot *snapshot, uint64_t count, const char *what)
{
	PA_ASSERT(snapshot->comments);
	char text[COMMENT_BYTES];

	if (!count)
		return;
	snprintf(text, sizeof(text), "dropped %llu: %s", (unsigned long long)count, what);
	add_comment(snapshot, text);
}

static const char *name_in(const struct pa_snapshot *snapshot, int32_t tid)
{
	uint32_t count = state.threads.count;
	uint32_t index = pa_bucket_table_index(&state.threads, NULL, (uint32_t)tid);
	const char *names = (const char *)(snapshot->samples + state.records.count + 1);

	return index < count ? names + index * sizeof(name_of_thread) : NULL;
}

static void add_samples(struct pa_snapshot *snapshot)
{
	PA_ASSERT(snapshot->sample_count == 0);
	for (uint32_t i = 0; i < state.records.count; i++) {
		const struct pa_bucket *bucket = pa_bucket_table_at(&state.records, i);
		snapshot->samples[snapshot->sample_count++] = (struct pa_sample){
			.stack = bucket->stack,
			.values = { bucket->in_use, pa_bucket_table_times(bucket->count, 1) },
			.bytes_label = -1,
			.tid = (int32_t)bucket->key,
			.thread = name_in(snapshot, (int32_t)bucket->key),
			.labels = state.dictionary->labels[bucket->key >> 32],
		};
	}
	if (!state.dropped)
		return;
	snapshot->samples[snapshot->sample_count++] = (struct pa_sample){
		.stack = pa_stack_table_overflow(),
		.values = { pa_bucket_table_times(state.dropped, 1),
			pa_bucket_table_times(state.dropped_ns, 1) },
		.bytes_label = -1,
	};
}

struct pa_snapshot *pa_wall_end(void)
{
	PA_ASSERT(pa_wall_is_taken());
	struct pa_snapshot *snapshot = state.dumps ? new_snapshot() : NULL;

	if (snapshot) {
		add_samples(snapshot);
		for (size_t i = 0; i < state.last->comment_count; i++)
			add_comment(snapshot, state.last->comments[i]);
		add_loss(snapshot, state.dropped, "samples of threads dropped: sample table full");
		add_loss(snapshot, state.names_dropped, "samples without a name of their thread");
	}
	release_tables();
	return snapshot;
}

/* ---- the kind ---- */

/* The thread that took the profile does not exist any more. Its memory is lost: a table may be half
 * changed. */
static void abandon_wall(const struct pa_profile_ops *kind)
{
	(void)kind;
	pa_bucket_table_abandon(&state.records);
	pa_bucket_table_abandon(&state.threads);
	forget_state();
	pa_store_relaxed(&state.busy, 0);
}

static PA_BOOT void wall_atfork_child(const struct pa_profile_ops *kind, bool kept)
{
	(void)kept;
	abandon_wall(kind);
}

/* Not in the index, and copied by pa_wall_end alone. */
const struct pa_profile_ops pa_wall_profile = {
	.name = "fgprof",
	.value_count = 2,
	.values = { { "samples", "count" }, { "time", "nanoseconds" } },
	.period_type = { "wallclock", "nanoseconds" },
	.atfork_child = wall_atfork_child,
	.suspended = abandon_wall,
};
