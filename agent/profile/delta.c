/* SPDX-License-Identifier: Apache-2.0 */
#include "delta.h"

#include <string.h>

#include "../base/lock.h"
#include "../base/hash_table.h"

/* The samples of the result by what is equal in two samples that are one. */
struct index {
	struct pa_hash_table slots; /* numbers */
	struct pa_snapshot *result;
};

static uint64_t hash_of_sample(const struct pa_sample *sample)
{
	uint64_t hash = pa_hash_table_mix(sample->stack->hash, (uint64_t)sample->bytes_label);
	hash = pa_hash_table_mix(hash, (uint64_t)sample->tid);
	hash = pa_hash_table_mix(hash, sample->labels ? sample->labels->hash : 0);
	return pa_hash_table_mix(hash, sample->waiter ? sample->waiter->hash : 0);
}

static struct pa_sample *sample_of_slot(const struct pa_hash_table *slots, const void *slot)
{
	const char *index = (const char *)slots - offsetof(struct index, slots);
	const struct pa_snapshot *result = ((const struct index *)index)->result;
	return &result->samples[pa_hash_table_number(*(const uint32_t *)slot)];
}

static bool is_same_sample(const struct pa_hash_table *slots, const void *slot, const void *key)
{
	const struct pa_sample *a = sample_of_slot(slots, slot), *b = key;
	return a->stack == b->stack && a->bytes_label == b->bytes_label && a->tid == b->tid &&
		a->labels == b->labels && a->waiter == b->waiter;
}

static uint64_t hash_of_sample_slot(const struct pa_hash_table *slots, const void *slot)
{
	return hash_of_sample(sample_of_slot(slots, slot));
}

static const struct pa_hash_table_kind sample_kind = {
	.slot_bytes = sizeof(uint32_t),
	.has_key = is_same_sample,
	.hash = hash_of_sample_slot,
};

/* Returns the result's sample of that key; a new sample has zero values. */
static struct pa_sample *find_sample(struct index *index, const struct pa_sample *key)
{
	struct pa_snapshot *result = index->result;
	uint64_t hash = hash_of_sample(key);
	uint32_t *slot = pa_hash_table_at(&sample_kind, &index->slots,
		pa_hash_table_find(&sample_kind, &index->slots, hash, key));

	if (*slot)
		return sample_of_slot(&index->slots, slot);
	*slot = pa_hash_table_tagged(hash, (uint32_t)result->sample_count);
	struct pa_sample *added =
		&result->samples[result->sample_count++]; /* There is room for all. */
	*added = *key;
	memset(added->values, 0, sizeof(added->values));
	return added;
}

/* Lost events have no size: their label is a mean, which differs between snapshots. */
static struct pa_sample delta_key_of(const struct pa_sample *sample)
{
	PA_ASSERT(sample->stack);
	struct pa_sample key = *sample;
	if (key.stack == pa_stack_table_overflow())
		key.bytes_label = -1;
	return key;
}

/* Unsigned, so that a sum of saturated values wraps instead of trapping. */
static void merge_samples(struct index *index, const struct pa_snapshot *from, int sign)
{
	PA_ASSERT(sign == 1 || sign == -1);
	for (size_t i = 0; i < from->sample_count; i++) {
		struct pa_sample key = delta_key_of(&from->samples[i]);
		struct pa_sample *sample = find_sample(index, &key);
		for (uint32_t v = 0; v < from->kind->value_count; v++)
			sample->values[v] = (int64_t)((uint64_t)sample->values[v] +
				(uint64_t)sign * (uint64_t)from->samples[i].values[v]);
	}
}

static void drop_zeros(struct pa_snapshot *result)
{
	static const int64_t zeros[PA_PROFILE_OPS_VALUES];
	size_t kept = 0;

	for (size_t i = 0; i < result->sample_count; i++) {
		if (memcmp(result->samples[i].values, zeros, sizeof(zeros)) != 0)
			result->samples[kept++] = result->samples[i];
	}
	result->sample_count = kept;
}

static size_t comment_bytes(const struct pa_snapshot *snapshot)
{
	size_t bytes = snapshot->comment_count * sizeof(char *);
	for (size_t i = 0; i < snapshot->comment_count; i++)
		bytes += strlen(snapshot->comments[i]) + 1;
	return bytes;
}

static void copy_comments(struct pa_snapshot *result, const struct pa_snapshot *from, void *room)
{
	char *text = (char *)room + from->comment_count * sizeof(char *);

	result->comments = room;
	result->comment_count = from->comment_count;
	for (size_t i = 0; i < from->comment_count; i++) {
		result->comments[i] = text;
		text = stpcpy(text, from->comments[i]) + 1;
		PA_ASSERT(text <= (char *)result + result->bytes);
	}
}

/* One mapping with room for the samples of both. */
static struct pa_snapshot *make_result(const struct pa_snapshot *before,
	const struct pa_snapshot *after)
{
	size_t samples = before->sample_count + after->sample_count;
	size_t bytes = PA_ALIGN_UP(sizeof(struct pa_snapshot) + samples * sizeof(struct pa_sample) +
			comment_bytes(after),
		PA_PAGE_BYTES);
	struct pa_snapshot *result = pa_snapshot_new(bytes);

	if (!result)
		return NULL;
	*result = (struct pa_snapshot){
		.kind = after->kind,
		.time_ns = after->time_ns,
		.duration_ns = after->time_ns - before->time_ns,
		.period = after->period,
		.fraction = after->fraction,
		.samples = (struct pa_sample *)(result + 1),
		.bytes = bytes,
	};
	copy_comments(result, after, result->samples + samples);
	return result;
}

/* after - before; before may have no samples. Their sum, then: equal ones are one. */
static struct pa_snapshot *subtract_samples(const struct pa_snapshot *before,
	const struct pa_snapshot *after)
{
	PA_ASSERT(!before->sample_count || before->kind->value_count == after->kind->value_count);
	/* At most half full. */
	size_t bytes =
		PA_ALIGN_UP(2 * (before->sample_count + after->sample_count + 1) * sizeof(uint32_t),
			PA_PAGE_BYTES);
	bool fits = bytes / sizeof(uint32_t) < PA_HASH_TABLE_NUMBERS;
	struct index index = { .slots.slots = fits ? pa_map(bytes) : NULL };
	struct pa_snapshot *result = index.slots.slots ? make_result(before, after) : NULL;
	index.slots.capacity = bytes / sizeof(uint32_t);
	index.result = result;
	if (result) {
		merge_samples(&index, after, 1);
		merge_samples(&index, before, -1);
		drop_zeros(result);
	}
	pa_unmap(index.slots.slots, bytes);
	return result;
}

struct pa_snapshot *pa_delta(const struct pa_snapshot *before, const struct pa_snapshot *after)
{
	struct pa_snapshot *result = subtract_samples(before, after);

	if (result && result->duration_ns <= 0) /* the wall clock was set back in between */
		result->duration_ns = 1;
	return result;
}

struct pa_snapshot *pa_delta_merge(const struct pa_snapshot *snapshot)
{
	const struct pa_snapshot nothing = { .time_ns = snapshot->time_ns };
	struct pa_snapshot *result = subtract_samples(&nothing, snapshot);

	if (result)
		result->duration_ns = snapshot->duration_ns;
	return result;
}
