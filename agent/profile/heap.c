#include "heap.h"

#include <string.h>

#include "core.h"
#include "live.h"
#include "scale.h"
#include "tally.h"

#define LIMBO 64

/* Where a freed object came from; PA_TALLY_NONE: nobody knew it. */
struct limbo {
	uintptr_t object;
	uint32_t bucket;
};

static struct {
	struct pa_tally_table buckets;
	struct limbo limbo[LIMBO];
	unsigned limbo_next;
	struct pa_heap_stats stats;
} state = { .buckets.max = PA_HEAP_BUCKETS };

static uint64_t estimate_of(uint64_t size)
{
	int64_t count, bytes;
	pa_scale_heap(1, (int64_t)size, (int64_t)pa_core_bridge->settings->heap_rate_bytes,
		&count, &bytes);
	return (uint64_t)bytes;
}

static void enter_use(uint32_t bucket)
{
	struct pa_tally *tally = pa_tally_at(&state.buckets, bucket);
	tally->in_use++;
	state.stats.live_bytes += tally->key;
	state.stats.live_estimate_bytes += estimate_of(tally->key);
}

static void leave_use(uint32_t bucket)
{
	struct pa_tally *tally = pa_tally_at(&state.buckets, bucket);
	tally->in_use--;
	state.stats.live_bytes -= tally->key;
	state.stats.live_estimate_bytes -= estimate_of(tally->key);
}

static void miss_free(uint32_t bucket)
{
	leave_use(bucket);
	state.stats.frees_missed++;
}

static void keep_live(uintptr_t object, uint32_t bucket)
{
	uint32_t old;
	switch (pa_live_put(object, bucket, &old)) {
	case PA_LIVE_FULL:
		state.stats.live_dropped++;
		return;
	case PA_LIVE_REPLACED:
		miss_free(old);
		break;
	case PA_LIVE_ADDED:
		break;
	}
	enter_use(bucket);
}

void pa_heap_alloc(const struct pa_stack *stack, uint64_t size, uintptr_t object)
{
	uint32_t bucket = pa_tally_index(&state.buckets, stack, size);
	uint32_t old;

	state.stats.objects++;
	state.stats.bytes += size;
	if (bucket != PA_TALLY_NONE) {
		pa_tally_at(&state.buckets, bucket)->count++;
		keep_live(object, bucket);
		return;
	}
	state.stats.dropped_objects++;
	state.stats.dropped_bytes += size;
	if (pa_live_take(object, &old))
		miss_free(old);
}

void pa_heap_free(uintptr_t object)
{
	uint32_t bucket = PA_TALLY_NONE;
	if (pa_live_take(object, &bucket))
		leave_use(bucket);
	else
		state.stats.frees_unknown++;
	/* The unknown ones too: else a revival would find an older object of the same address. */
	state.limbo[state.limbo_next++ % LIMBO] = (struct limbo){ object, bucket };
}

static struct limbo *find_limbo(uintptr_t object)
{
	for (unsigned age = 1; age <= LIMBO; age++) {
		struct limbo *limbo = &state.limbo[(state.limbo_next - age) % LIMBO];
		if (limbo->object == object)
			return limbo;
	}
	return NULL;
}

void pa_heap_revive(uintptr_t object)
{
	/* The record of the free was lost: then nothing was taken away. */
	if (pa_live_has(object))
		return;
	struct limbo *limbo = find_limbo(object);
	if (!limbo || limbo->bucket == PA_TALLY_NONE) {
		state.stats.revives_unknown++;
		return;
	}
	keep_live(object, limbo->bucket);
	limbo->object = 0;
}

size_t pa_heap_count(void)
{
	return state.buckets.count;
}

size_t pa_heap_samples(struct pa_sample *out)
{
	size_t written = 0;
	for (uint32_t i = 0; i < state.buckets.count; i++) {
		const struct pa_tally *tally = pa_tally_at(&state.buckets, i);
		if (!tally->count && !tally->in_use)
			continue;
		out[written++] = (struct pa_sample){
			.stack = tally->stack,
			.values = {
				(int64_t)tally->count, pa_tally_times(tally->count, tally->key),
				tally->in_use, pa_tally_times(tally->in_use, tally->key),
			},
			.bytes_label = (int64_t)tally->key,
		};
	}
	return written;
}

struct pa_heap_stats pa_heap_stats(void)
{
	struct pa_heap_stats stats = state.stats;
	stats.table_bytes = state.buckets.bytes + pa_live_stats().bytes;
	return stats;
}

void pa_heap_abandon(void)
{
	pa_tally_abandon(&state.buckets);
	memset(state.limbo, 0, sizeof(state.limbo));
	state.stats = (struct pa_heap_stats){ 0 };
	pa_live_abandon();
}
