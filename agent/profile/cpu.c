#include "cpu.h"

#include <string.h>

#include "../base/arena.h"
#include "../base/clock.h"
#include "core.h"
#include "names.h"
#include "tally.h"

#define NAME_SLOTS (PA_CPU_NAMES * 2)
#define NAMES_BYTES ((size_t)PA_CPU_NAMES * 64 + 4 * PA_PAGE_BYTES)

/* Names that need no memory of ours. */
enum { NAME_EMPTY, NAME_OTHER, NAME_FIRST };

static struct {
	struct pa_tally_table records; /* key: see key_of; count: ticks */
	struct pa_cpu_stats stats;
	struct pa_arena arena;            /* of the names */
	const char *names[PA_CPU_NAMES];  /* by id, from NAME_FIRST */
	uint16_t slots[NAME_SLOTS];       /* by hash: id, 0 = free; open addressing */
	uint16_t name_count;
} state;

static uint32_t hash_name(const char *name, size_t length)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

static bool is_name(uint16_t id, const char *name, size_t length)
{
	return strncmp(state.names[id], name, length) == 0 && !state.names[id][length];
}

static uint16_t add_name(const char *name, size_t length)
{
	const char *copy = NULL;
	if (state.name_count < PA_CPU_NAMES)
		copy = pa_arena_strndup(&state.arena, name, length);
	if (!copy) {
		state.stats.names_dropped++;
		return NAME_OTHER;
	}
	state.names[state.name_count] = copy;
	return state.name_count++;
}

static uint16_t intern_name(const char *raw)
{
	char name[PA_NAMES_BYTES];
	size_t length = pa_names_clean(name, sizeof(name), raw);
	if (!length)
		return NAME_EMPTY;
	uint32_t i = hash_name(name, length) % NAME_SLOTS;
	/* Ends: there are twice as many slots as names. */
	for (; state.slots[i]; i = (i + 1) % NAME_SLOTS) {
		if (is_name(state.slots[i], name, length))
			return state.slots[i];
	}
	uint16_t id = add_name(name, length);
	if (id != NAME_OTHER)
		state.slots[i] = id;
	return id;
}

static const char *name_of(uint64_t id)
{
	switch (id) {
	case NAME_EMPTY:
		return "";
	case NAME_OTHER:
		return PA_CPU_OTHER;
	default:
		return state.names[id];
	}
}

/* ---- keys: name, labels and tid of a record ---- */

#define TID_BITS 23 /* the kernel's largest is 1 << 22 */
#define LABELS_BITS 13
_Static_assert(PA_LABELS_SETS == 1u << LABELS_BITS, "ids of labels are below");
_Static_assert(PA_CPU_NAMES <= UINT16_MAX, "ids of names have 16 bits");

static uint64_t key_of(uint16_t name, uint32_t labels, int32_t tid)
{
	uint64_t set = labels < PA_LABELS_SETS ? labels : 0;
	uint64_t thread = (uint32_t)tid & ((1u << TID_BITS) - 1);
	return ((uint64_t)name << LABELS_BITS | set) << TID_BITS | thread;
}

static int32_t tid_of(uint64_t key)
{
	return (int32_t)(key & ((1u << TID_BITS) - 1));
}

static const struct pa_labels *labels_of(uint64_t key)
{
	uint32_t id = key >> TID_BITS & (PA_LABELS_SETS - 1);
	return id ? pa_core_bridge->labels(id) : NULL;
}

/* ---- the profile ---- */

static void forget_names(void)
{
	state.arena = (struct pa_arena)PA_ARENA_INIT("thread names", NAMES_BYTES);
	memset(state.slots, 0, sizeof(state.slots));
	state.name_count = NAME_FIRST;
}

void pa_cpu_begin(int64_t period_ns, uint64_t lost_ticks)
{
	if (!state.name_count)
		forget_names();
	pa_cpu_end();
	state.records.max = PA_CPU_RECORDS;
	state.stats.period_ns = period_ns;
	state.stats.lost_before = lost_ticks;
	state.stats.start_wall_ns = pa_clock_wall_ns();
	state.stats.start_mono_ns = pa_clock_mono_ns();
}

static void forget_profile(void)
{
	state.stats.period_ns = 0;
	state.stats.lost_before = 0;
	state.stats.ticks_dropped = 0;
	state.stats.start_wall_ns = 0;
	state.stats.start_mono_ns = 0;
}

void pa_cpu_end(void)
{
	pa_tally_free(&state.records);
	forget_profile();
}

bool pa_cpu_running(void)
{
	return state.stats.period_ns != 0;
}

void pa_cpu_add(const struct pa_stack *stack, int32_t tid, const char name[PA_THREAD_NAME_BYTES],
	uint32_t labels, uint64_t ticks)
{
	if (!pa_cpu_running())
		return;
	uint64_t key = key_of(intern_name(name), labels, tid);
	uint32_t index = pa_tally_index(&state.records, stack, key);
	if (index != PA_TALLY_NONE) {
		pa_tally_at(&state.records, index)->count += ticks;
		return;
	}
	state.stats.ticks_dropped += ticks;
	state.stats.all_ticks_dropped += ticks;
}

size_t pa_cpu_count(void)
{
	return state.records.count;
}

void pa_cpu_samples(struct pa_sample *out)
{
	for (uint32_t i = 0; i < state.records.count; i++) {
		const struct pa_tally *tally = pa_tally_at(&state.records, i);
		out[i] = (struct pa_sample){
			.stack = tally->stack,
			.values = {
				pa_tally_times(tally->count, 1),
				pa_tally_times(tally->count, (uint64_t)state.stats.period_ns),
			},
			.bytes_label = -1,
			.tid = tid_of(tally->key),
			.thread = name_of(tally->key >> (TID_BITS + LABELS_BITS)),
			.labels = labels_of(tally->key),
		};
	}
}

struct pa_cpu_stats pa_cpu_stats(void)
{
	struct pa_cpu_stats stats = state.stats;
	stats.table_bytes = state.records.bytes + state.arena.mapped_bytes;
	return stats;
}

void pa_cpu_atfork_child(bool abandon)
{
	if (!abandon) {
		pa_cpu_end();
		return;
	}
	pa_tally_abandon(&state.records);
	forget_profile();
	forget_names();
}
