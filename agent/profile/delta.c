#include "delta.h"

#include <string.h>

#include "../base/arena.h"

/* Open addressing over the samples of the result: index + 1, 0 = empty. */
struct index {
	uint32_t *heads;
	size_t mask;
};

static uint64_t hash_of(const struct pa_sample *sample)
{
	uint64_t hash = sample->stack->hash;
	hash = (hash ^ (uint64_t)sample->bytes_label) * 0x9e3779b97f4a7c15;
	hash = (hash ^ (uint64_t)sample->tid ^ hash >> 32) * 0x9e3779b97f4a7c15;
	hash = (hash ^ (sample->labels ? sample->labels->hash : 0) ^ hash >> 32) *
		0x9e3779b97f4a7c15;
	return hash ^ hash >> 32;
}

static bool is_same(const struct pa_sample *a, const struct pa_sample *b)
{
	return a->stack == b->stack && a->bytes_label == b->bytes_label && a->tid == b->tid &&
		a->labels == b->labels;
}

/* The sample of that key in the result, added with zero values when it is new. */
static struct pa_sample *find(struct pa_snapshot *result, const struct index *index,
	const struct pa_sample *key)
{
	size_t at = hash_of(key) & index->mask;

	for (; index->heads[at]; at = (at + 1) & index->mask) {
		struct pa_sample *sample = &result->samples[index->heads[at] - 1];
		if (is_same(sample, key))
			return sample;
	}
	struct pa_sample *added = &result->samples[result->sample_count++]; /* room for all */
	index->heads[at] = (uint32_t)result->sample_count;
	*added = *key;
	memset(added->values, 0, sizeof(added->values));
	return added;
}

/* Lost events have no size of their own: their label is a mean, another one in each snapshot. */
static struct pa_sample key_of(const struct pa_sample *sample)
{
	struct pa_sample key = *sample;
	if (key.stack == pa_sites_overflow())
		key.bytes_label = -1;
	return key;
}

/* Unsigned, so that a sum of values that were cut at the limits wraps instead of trapping. */
static void merge(struct pa_snapshot *result, const struct index *index,
	const struct pa_snapshot *from, int sign)
{
	for (size_t i = 0; i < from->sample_count; i++) {
		struct pa_sample key = key_of(&from->samples[i]);
		struct pa_sample *sample = find(result, index, &key);
		for (uint32_t v = 0; v < from->kind->value_count; v++)
			sample->values[v] = (int64_t)((uint64_t)sample->values[v] +
				(uint64_t)sign * (uint64_t)from->samples[i].values[v]);
	}
}

static void drop_zeros(struct pa_snapshot *result)
{
	static const int64_t zeros[PA_KIND_VALUES];
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
	}
}

/* One region with room for all samples of both. */
static struct pa_snapshot *make_result(const struct pa_snapshot *before,
	const struct pa_snapshot *after)
{
	size_t samples = before->sample_count + after->sample_count;
	size_t bytes = sizeof(struct pa_snapshot) + samples * sizeof(struct pa_sample) +
		comment_bytes(after);
	struct pa_snapshot *result = pa_map(bytes);

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

struct pa_snapshot *pa_delta(const struct pa_snapshot *before, const struct pa_snapshot *after)
{
	size_t heads = 16;

	while (heads < 2 * (before->sample_count + after->sample_count))
		heads *= 2;
	struct index index = { .mask = heads - 1, .heads = pa_map(heads * sizeof(uint32_t)) };
	struct pa_snapshot *result = index.heads ? make_result(before, after) : NULL;
	if (result) {
		merge(result, &index, after, 1);
		merge(result, &index, before, -1);
		drop_zeros(result);
		if (result->duration_ns <= 0) /* the wall clock was set back meanwhile */
			result->duration_ns = 1;
	}
	if (index.heads)
		pa_unmap(index.heads, heads * sizeof(uint32_t));
	return result;
}
