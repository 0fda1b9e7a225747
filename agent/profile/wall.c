#include "wall.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/atomic.h"
#include "../base/clock.h"
#include "../record/rollcall.h"
#include "tally.h"

/* Rolls take one part in so many of the time. */
#define SHARE 10
/* After a roll that failed: the collector does not answer, or there is no memory. */
#define FAILED_PAUSE_NS PA_NS_PER_S

#define COMMENT_BYTES 96
#define OWN_COMMENTS 2

typedef char name_of_thread[PA_ABOUT_NAME_BYTES];

/* Mapped while a profile is being taken; only what is touched costs memory. */
struct dictionary {
	name_of_thread names[PA_WALL_THREADS];
	const struct pa_labels *labels[PA_LABELS_SETS]; /* by id */
};

const struct pa_kind pa_wall_kind = {
	.id = PA_KIND_WALL,
	.name = "fgprof",
	.description = "Wall-clock profile of all threads, on a processor or not",
	.value_count = 2,
	.values = { { "samples", "count" }, { "time", "nanoseconds" } },
	.period_type = { "wallclock", "nanoseconds" },
};

static struct {
	PA_ATOMIC(uint32_t) busy; /* acq_rel by CAS in begin, release in end: guards the rest */
	struct pa_tally_table records; /* key: id of labels << 32 | tid; in_use: rolls, count: ns */
	struct pa_tally_table threads; /* key: tid; the index is that of its name */
	struct dictionary *dictionary;
	struct pa_snapshot *last; /* roll: for its comments */
	int64_t start_wall_ns, start_ns;
	int64_t until_ns;         /* so far time is accounted for */
	uint32_t rolls;
	uint64_t dropped, dropped_ns; /* samples without a record */
	uint64_t names_dropped;
} state;

/* ---- begin, end ---- */

static void forget(void)
{
	state.dictionary = NULL;
	state.last = NULL;
	state.rolls = 0;
	state.dropped = state.dropped_ns = state.names_dropped = 0;
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

static void release(void)
{
	pa_tally_free(&state.records);
	pa_tally_free(&state.threads);
	pa_unmap(state.dictionary, sizeof(*state.dictionary));
	pa_snapshot_free(state.last);
	forget();
	pa_store_release(&state.busy, 0);
}

void pa_wall_reset(void)
{
	pa_tally_abandon(&state.records);
	pa_tally_abandon(&state.threads);
	forget();
	pa_store_relaxed(&state.busy, 0);
}

/* ---- rolls ---- */

/* The last name that a thread had is its name: most get theirs just after they begin. */
static void note_name(const struct pa_sample *sample)
{
	uint32_t index = pa_tally_index(&state.threads, NULL, (uint32_t)sample->tid);

	if (!sample->thread || !sample->thread[0])
		return;
	if (index == PA_TALLY_NONE)
		state.names_dropped++;
	else
		snprintf(state.dictionary->names[index], sizeof(name_of_thread), "%s",
			sample->thread);
}

static uint64_t key_of(const struct pa_sample *sample)
{
	uint32_t id = sample->labels && sample->labels->id < PA_LABELS_SETS ? sample->labels->id
									    : 0;
	if (id)
		state.dictionary->labels[id] = sample->labels;
	return (uint64_t)id << 32 | (uint32_t)sample->tid;
}

static void add(const struct pa_sample *sample, uint64_t ns)
{
	uint32_t index = pa_tally_index(&state.records, sample->stack, key_of(sample));

	note_name(sample);
	if (index == PA_TALLY_NONE) {
		state.dropped++;
		state.dropped_ns = pa_tally_plus(state.dropped_ns, ns);
		return;
	}
	struct pa_tally *tally = pa_tally_at(&state.records, index);
	tally->in_use++;
	tally->count = pa_tally_plus(tally->count, ns);
}

static bool is_silent(const struct pa_sample *sample)
{
	return sample->about && !sample->about->answered;
}

/* True when all threads have answered. */
static bool add_all(const struct pa_snapshot *roll, uint64_t ns)
{
	bool whole = true;

	for (size_t i = 0; i < roll->sample_count; i++) {
		add(&roll->samples[i], ns);
		whole = whole && !is_silent(&roll->samples[i]);
	}
	return whole;
}

int64_t pa_wall_roll(void)
{
	int64_t start_ns = pa_clock_mono_ns();
	struct pa_snapshot *roll = pa_snapshot_threads(false);

	if (!roll)
		return FAILED_PAUSE_NS;
	bool whole = add_all(roll, (uint64_t)(start_ns - state.until_ns));
	state.until_ns = start_ns;
	state.rolls++;
	pa_snapshot_free(state.last);
	state.last = roll;
	int64_t took_ns = pa_clock_mono_ns() - start_ns;
	int64_t cost_ns = took_ns;
	/* To wait for who does not answer costs nobody anything. */
	if (!whole && cost_ns > PA_ROLL_PATIENCE_NS)
		cost_ns -= PA_ROLL_PATIENCE_NS;
	int64_t turn_ns = cost_ns * SHARE > PA_WALL_PERIOD_NS ? cost_ns * SHARE : PA_WALL_PERIOD_NS;
	return turn_ns > took_ns ? turn_ns - took_ns : 0;
}

/* ---- the profile ---- */

static size_t comments_of(const struct pa_snapshot *roll)
{
	return roll->comment_count + OWN_COMMENTS;
}

/* Behind the snapshot: its samples, names of threads, comments. */
static struct pa_snapshot *new_snapshot(void)
{
	int64_t duration_ns = state.until_ns - state.start_ns;
	size_t samples_bytes = (state.records.count + 1) * sizeof(struct pa_sample);
	size_t names_bytes = state.threads.count * sizeof(name_of_thread);
	size_t bytes = sizeof(struct pa_snapshot) + samples_bytes + names_bytes +
		comments_of(state.last) * (sizeof(char *) + COMMENT_BYTES);
	struct pa_snapshot *snapshot = pa_map(bytes);

	if (!snapshot)
		return NULL;
	*snapshot = (struct pa_snapshot){
		.kind = &pa_wall_kind,
		.time_ns = state.start_wall_ns,
		.duration_ns = duration_ns,
		.period = duration_ns > state.rolls ? duration_ns / state.rolls : 1,
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
	char *texts = (char *)(snapshot->comments + comments_of(state.last));
	char *to = texts + snapshot->comment_count * COMMENT_BYTES;

	snprintf(to, COMMENT_BYTES, "%s", text);
	snapshot->comments[snapshot->comment_count++] = to;
}

static void add_loss(struct pa_snapshot *snapshot, uint64_t count, const char *what)
{
	char text[COMMENT_BYTES];

	if (!count)
		return;
	snprintf(text, sizeof(text), "dropped %llu: %s", (unsigned long long)count, what);
	add_comment(snapshot, text);
}

static const char *name_in(const struct pa_snapshot *snapshot, int32_t tid)
{
	uint32_t count = state.threads.count;
	uint32_t index = pa_tally_index(&state.threads, NULL, (uint32_t)tid);
	const char *names = (const char *)(snapshot->samples + state.records.count + 1);

	return index < count ? names + index * sizeof(name_of_thread) : NULL;
}

static void add_samples(struct pa_snapshot *snapshot)
{
	for (uint32_t i = 0; i < state.records.count; i++) {
		const struct pa_tally *tally = pa_tally_at(&state.records, i);
		snapshot->samples[snapshot->sample_count++] = (struct pa_sample){
			.stack = tally->stack,
			.values = { tally->in_use, pa_tally_times(tally->count, 1) },
			.bytes_label = -1,
			.tid = (int32_t)tally->key,
			.thread = name_in(snapshot, (int32_t)tally->key),
			.labels = state.dictionary->labels[tally->key >> 32],
		};
	}
	if (!state.dropped)
		return;
	snapshot->samples[snapshot->sample_count++] = (struct pa_sample){
		.stack = pa_sites_overflow(),
		.values = { pa_tally_times(state.dropped, 1), pa_tally_times(state.dropped_ns, 1) },
		.bytes_label = -1,
	};
}

struct pa_snapshot *pa_wall_end(void)
{
	struct pa_snapshot *snapshot = state.rolls ? new_snapshot() : NULL;

	if (snapshot) {
		add_samples(snapshot);
		for (size_t i = 0; i < state.last->comment_count; i++)
			add_comment(snapshot, state.last->comments[i]);
		add_loss(snapshot, state.dropped, "samples of threads dropped: sample table full");
		add_loss(snapshot, state.names_dropped, "samples without a name of their thread");
	}
	release();
	return snapshot;
}
