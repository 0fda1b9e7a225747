#include "contention.h"

#include "tally.h"

struct profile {
	struct pa_tally_table records; /* count: ns, weight: contentions */
	uint64_t dropped, dropped_ns;
};

static struct {
	struct profile block, mutex;
} state = {
	.block.records.max = PA_CONTENTION_RECORDS,
	.mutex.records.max = PA_CONTENTION_RECORDS,
};

static struct profile *profile_of(enum pa_kind_id kind)
{
	return kind == PA_KIND_MUTEX ? &state.mutex : &state.block;
}

void pa_contention_add(enum pa_kind_id kind, const struct pa_stack *stack, double contentions,
	uint64_t delay_ns)
{
	struct profile *profile = profile_of(kind);
	uint32_t index = pa_tally_index(&profile->records, stack, 0);
	if (index == PA_TALLY_NONE) {
		profile->dropped++;
		profile->dropped_ns = pa_tally_plus(profile->dropped_ns, delay_ns);
		return;
	}
	struct pa_tally *tally = pa_tally_at(&profile->records, index);
	tally->weight += contentions;
	tally->count = pa_tally_plus(tally->count, delay_ns);
}

size_t pa_contention_count(enum pa_kind_id kind)
{
	return profile_of(kind)->records.count;
}

static int64_t whole(double contentions)
{
	return contentions >= 0x1p63 ? INT64_MAX : (int64_t)contentions;
}

void pa_contention_samples(enum pa_kind_id kind, struct pa_sample *out)
{
	const struct pa_tally_table *records = &profile_of(kind)->records;
	for (uint32_t i = 0; i < records->count; i++) {
		const struct pa_tally *tally = pa_tally_at(records, i);
		out[i] = (struct pa_sample){
			.stack = tally->stack,
			.values = { whole(tally->weight), pa_tally_times(tally->count, 1) },
			.bytes_label = -1,
		};
	}
}

struct pa_contention_stats pa_contention_stats(enum pa_kind_id kind)
{
	const struct profile *profile = profile_of(kind);
	return (struct pa_contention_stats){
		.dropped = profile->dropped,
		.dropped_ns = profile->dropped_ns,
		.table_bytes = state.block.records.bytes + state.mutex.records.bytes,
	};
}

static void forget(struct profile *profile, bool abandon)
{
	if (abandon)
		pa_tally_abandon(&profile->records);
	else
		pa_tally_free(&profile->records);
	profile->dropped = profile->dropped_ns = 0;
}

void pa_contention_atfork_child(bool abandon)
{
	forget(&state.block, abandon);
	forget(&state.mutex, abandon);
}
