#include "threads.h"

#include <errno.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "../record/tasks.h"
#include "core.h"
#include "names.h"
#include "tally.h"

_Static_assert(PA_ROLL_NAME_BYTES == PA_THREAD_NAME_BYTES, "one way to clean them");

struct answer {
	const struct pa_stack *stack;   /* NULL: none came */
	const struct pa_labels *labels;
};

static struct {
	struct pa_tally_table creators; /* count: threads created */
	struct pa_threads_stats stats;
	/* The rollcall being taken; generation 0: none. */
	struct pa_roll roll;
	const struct pa_about *details;
	struct answer *answers; /* by index of the entry */
} state = { .creators.max = PA_THREADS_RECORDS };

/* ---- threadcreate ---- */

void pa_threads_created(const struct pa_stack *stack)
{
	state.stats.created++;
	uint32_t index = pa_tally_index(&state.creators, stack, 0);
	if (index == PA_TALLY_NONE)
		state.stats.dropped++;
	else
		pa_tally_at(&state.creators, index)->count++;
}

size_t pa_threads_create_count(void)
{
	return state.creators.count;
}

void pa_threads_create_samples(struct pa_sample *out)
{
	for (uint32_t i = 0; i < state.creators.count; i++) {
		const struct pa_tally *tally = pa_tally_at(&state.creators, i);
		out[i] = (struct pa_sample){
			.stack = tally->stack,
			.values = { pa_tally_times(tally->count, 1) },
			.bytes_label = -1,
		};
	}
}

/* ---- goroutine ---- */

static size_t answers_bytes(void)
{
	return state.roll.count * sizeof(*state.answers);
}

int pa_threads_roll_begin(const struct pa_roll *roll, const struct pa_about *details)
{
	pa_threads_roll_end();
	if (roll->count) {
		state.answers = pa_map(roll->count * sizeof(*state.answers));
		if (!state.answers)
			return -ENOMEM;
	}
	state.roll = *roll;
	state.details = details;
	return 0;
}

void pa_threads_roll_answer(uint32_t generation, uint32_t index, const struct pa_stack *stack,
	uint32_t labels)
{
	if (generation && generation == state.roll.generation && index < state.roll.count)
		state.answers[index] = (struct answer){
			.stack = stack,
			.labels = labels ? pa_core_bridge->labels(labels) : NULL,
		};
}

static bool is_shown(const struct pa_roll_entry *entry)
{
	return pa_load_acquire(&entry->state) != PA_ROLL_GONE;
}

size_t pa_threads_roll_count(void)
{
	size_t count = 0;
	for (uint32_t i = 0; i < state.roll.count; i++)
		count += is_shown(&state.roll.entries[i]);
	return count;
}

/* NULL when there is no room for it. */
static const struct pa_stack *creator_of(const struct pa_roll_entry *entry)
{
	if (entry->creator_pc < PA_PAGE_BYTES)
		return NULL;
	const struct pa_stack *stack =
		pa_sites_intern(&entry->creator_pc, 1, false, PA_PSEUDO_NONE);
	return stack == pa_sites_overflow() ? NULL : stack;
}

static int64_t waited_ns(const struct pa_roll_entry *entry, int64_t now_ns)
{
	if (!entry->since_ns)
		return 0;
	return entry->since_ns < now_ns ? now_ns - entry->since_ns : 1;
}

/* What the thread itself wrote. */
static void add_own_words(struct pa_about *about, const struct pa_roll_entry *entry,
	int64_t now_ns)
{
	about->wait = entry->wait < PA_WAIT_KINDS ? (enum pa_wait_kind)entry->wait : PA_WAIT_NONE;
	about->object = entry->object;
	about->waited_ns = waited_ns(entry, now_ns);
	about->creator_tid = entry->creator_tid;
	about->creator = creator_of(entry);
	pa_names_clean(about->name, sizeof(about->name), entry->name);
}

static struct pa_about about_of(uint32_t i, int64_t now_ns)
{
	const struct pa_roll_entry *entry = &state.roll.entries[i];
	struct pa_about about = { .syscall = -1 };
	if (state.details)
		about = state.details[i];
	about.answered = false;
	if (pa_load_acquire(&entry->state) == PA_ROLL_ANSWERED) {
		about.answered = state.answers[i].stack != NULL;
		add_own_words(&about, entry, now_ns);
	}
	return about;
}

void pa_threads_roll_samples(struct pa_sample *out, struct pa_about *about)
{
	int64_t now_ns = pa_clock_mono_ns();
	const struct pa_stack *silent = pa_sites_intern(NULL, 0, false, PA_PSEUDO_NO_ANSWER);
	for (uint32_t i = 0; i < state.roll.count; i++) {
		if (!is_shown(&state.roll.entries[i]))
			continue;
		*about = about_of(i, now_ns);
		*out++ = (struct pa_sample){
			.stack = about->answered ? state.answers[i].stack : silent,
			.values = { 1 },
			.bytes_label = -1,
			.tid = state.roll.entries[i].tid,
			.thread = about->name,
			.labels = about->answered ? state.answers[i].labels : NULL,
			.about = about,
		};
		about++;
	}
}

void pa_threads_roll_end(void)
{
	pa_unmap(state.answers, answers_bytes());
	state.answers = NULL;
	state.roll = (struct pa_roll){ 0 };
	state.details = NULL;
}

static void count_task(void *count, int32_t tid)
{
	*(size_t *)count += !pa_core_bridge->is_agent_thread(tid);
}

size_t pa_threads_now(void)
{
	size_t count = 0;
	pa_core_bridge->await_agent_threads(PA_ROLL_PATIENCE_NS);
	return pa_tasks_each(count_task, &count) == 0 ? count : 0;
}

/* ---- both ---- */

struct pa_threads_stats pa_threads_stats(void)
{
	struct pa_threads_stats stats = state.stats;
	stats.table_bytes = state.creators.bytes + answers_bytes();
	return stats;
}

void pa_threads_atfork_child(bool abandon)
{
	if (abandon) {
		pa_tally_abandon(&state.creators);
		state.answers = NULL;
		state.roll.count = 0;
	} else {
		pa_tally_free(&state.creators);
	}
	pa_threads_roll_end();
	state.stats = (struct pa_threads_stats){ 0 };
}
