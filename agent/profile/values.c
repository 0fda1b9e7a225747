#include "values.h"

#include <string.h>

#include "../base/pairmap.h"
#include "../record/custom.h"
#include "tally.h"

/* As on the recording side: no map takes long to grow. */
#define SHARD_BITS 4
#define SHARDS (1u << SHARD_BITS)

static struct {
	struct pa_pairmap maps[SHARDS]; /* group: id of the profile, number: index of the record */
	struct pa_tally_table records;  /* key: id of the profile, in_use: values */
	uint32_t lost[PA_CUSTOM_MAX];   /* values in the profile without a record */
	size_t values;
	uint64_t dropped;
} state = { .records.max = PA_VALUES_RECORDS };

static struct pa_pairmap *map_of(uint32_t id, uintptr_t value)
{
	return &state.maps[pa_pairmap_hash(id, value) >> (64 - SHARD_BITS)];
}

void pa_values_add(uint32_t id, uintptr_t value, const struct pa_stack *stack)
{
	struct pa_pairmap *map = map_of(id, value);
	uint32_t old, index = pa_tally_index(&state.records, stack, id);
	/* There already: the event of its removal was lost. */
	if (pa_pairmap_take(map, id, value, &old)) {
		pa_tally_at(&state.records, old)->in_use--;
		state.values--;
	}
	if (index == PA_TALLY_NONE || !pa_pairmap_put(map, id, value, index)) {
		state.lost[id]++;
		state.dropped++;
		return;
	}
	pa_tally_at(&state.records, index)->in_use++;
	state.values++;
}

void pa_values_remove(uint32_t id, uintptr_t value)
{
	uint32_t index;
	if (pa_pairmap_take(map_of(id, value), id, value, &index)) {
		pa_tally_at(&state.records, index)->in_use--;
		state.values--;
	} else if (state.lost[id]) {
		state.lost[id]--;
	}
}

static bool has_values(const struct pa_tally *tally, uint32_t id)
{
	return tally->key == id && tally->in_use;
}

size_t pa_values_count(uint32_t id)
{
	size_t count = state.lost[id] != 0;
	for (uint32_t i = 0; i < state.records.count; i++)
		count += has_values(pa_tally_at(&state.records, i), id);
	return count;
}

static struct pa_sample sample_of(const struct pa_stack *stack, uint32_t values)
{
	return (struct pa_sample){ .stack = stack, .values = { values }, .bytes_label = -1 };
}

size_t pa_values_samples(uint32_t id, struct pa_sample *out)
{
	size_t written = 0;
	for (uint32_t i = 0; i < state.records.count; i++) {
		const struct pa_tally *tally = pa_tally_at(&state.records, i);
		if (has_values(tally, id))
			out[written++] = sample_of(tally->stack, tally->in_use);
	}
	if (state.lost[id])
		out[written++] = sample_of(pa_sites_overflow(), state.lost[id]);
	return written;
}

struct pa_values_stats pa_values_stats(void)
{
	struct pa_values_stats stats = {
		.values = state.values,
		.dropped = state.dropped,
		.table_bytes = state.records.bytes,
	};
	for (uint32_t i = 0; i < SHARDS; i++)
		stats.table_bytes += pa_pairmap_bytes(&state.maps[i]);
	return stats;
}

void pa_values_abandon(void)
{
	pa_tally_abandon(&state.records);
	memset(state.maps, 0, sizeof(state.maps));
	memset(state.lost, 0, sizeof(state.lost));
	state.values = 0;
	state.dropped = 0;
}
