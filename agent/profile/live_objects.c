/* SPDX-License-Identifier: Apache-2.0 */
#include "live_objects.h"

#include <string.h>

#include "../base/lock.h"
#include "../base/hash_table.h"
#include "../record/inner_alloc.h"

#define SHARDS 32
#define SHARD_MAX_BYTES (PA_LIVE_OBJECTS_BYTES / SHARDS)

/* A slot is the address and below it the bucket; 0: free. */
#define BUCKET_BITS 16
#define SLOT_BYTES sizeof(uint64_t)

#define BLOCK_SHIFT 5
#define REGION_SHIFT 8

_Static_assert(PA_LIVE_OBJECTS_BUCKETS == 1 << BUCKET_BITS, "a slot has room for every bucket");
_Static_assert(SHARD_MAX_BYTES % PA_PAGE_BYTES == 0, "shards grow by pages");

static struct {
	struct pa_hash_table shards[SHARDS];
	size_t objects;
	size_t bytes;
} state;

PA_INLINE uintptr_t object_of(const void *slot)
{
	return *(const uint64_t *)slot >> BUCKET_BITS;
}

PA_INLINE uint32_t bucket_of_object(const void *slot)
{
	return *(const uint64_t *)slot & (PA_LIVE_OBJECTS_BUCKETS - 1);
}

PA_INLINE bool is_object(const struct pa_hash_table *unused, const void *slot, const void *object)
{
	(void)unused;
	return object_of(slot) == *(const uintptr_t *)object;
}

/*
 * Neighbours in memory, which live and end together, get slots beside each other: one cache miss
 * for several. The regions are distributed; the blocks of one, which are 32 bytes or more in
 * malloc(), follow each other as slots do in a shard of full size, and in a smaller one share some.
 */
static uint64_t hash_address(uintptr_t object)
{
	uint64_t place = object >> BLOCK_SHIFT & ((1u << (REGION_SHIFT - BLOCK_SHIFT)) - 1);
	return pa_hash_table_hash(object >> REGION_SHIFT) +
		place * (UINT32_MAX / (SHARD_MAX_BYTES / SLOT_BYTES) + 1) * ((uint64_t)1 << 32);
}

static uint64_t hash_of_object(const struct pa_hash_table *unused, const void *slot)
{
	(void)unused;
	return hash_address(object_of(slot));
}

static const struct pa_hash_table_kind object_kind = {
	.slot_bytes = SLOT_BYTES,
	.has_key = is_object,
	.hash = hash_of_object,
};

static struct pa_hash_table *object_shard_of(uint64_t hash)
{
	return &state.shards[hash & (SHARDS - 1)];
}

static uint64_t *object_slot_at(const struct pa_hash_table *shard, uint32_t i)
{
	return pa_hash_table_at(&object_kind, shard, i);
}

/* Objects come and go in any order: with fewer free slots, each removal would look at many. A shard
 * that cannot grow is filled nevertheless. */
static bool is_shard_dense(const struct pa_hash_table *shard)
{
	return shard->used >= shard->capacity - shard->capacity / 8 * 3;
}

static bool has_shard_room(const struct pa_hash_table *shard)
{
	PA_ASSERT(shard->used < shard->capacity);
	return shard->used < shard->capacity - shard->capacity / 8;
}

static size_t bytes_of_shard(const struct pa_hash_table *shard)
{
	return PA_ALIGN_UP(shard->capacity * SLOT_BYTES, PA_PAGE_BYTES);
}

static bool grow_shard(struct pa_hash_table *shard)
{
	size_t old_bytes = bytes_of_shard(shard);
	size_t bytes = PA_ALIGN_UP(old_bytes + old_bytes / 2 + 1, PA_PAGE_BYTES);
	if (bytes > SHARD_MAX_BYTES)
		bytes = SHARD_MAX_BYTES;
	void *slots = bytes > old_bytes ? pa_map(bytes) : NULL;
	if (!slots)
		return false;
	pa_unmap(pa_hash_table_move(&object_kind, shard, slots, bytes / SLOT_BYTES), old_bytes);
	state.bytes += bytes - old_bytes;
	return true;
}

enum pa_live_objects_put pa_live_objects_put_locked(uintptr_t object, uint32_t bucket,
	uint32_t *old)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(object && bucket < PA_LIVE_OBJECTS_BUCKETS);
	uint64_t hash = hash_address(object);
	struct pa_hash_table *shard = object_shard_of(hash);
	uint64_t taken = (uint64_t)object << BUCKET_BITS | bucket;
	uint64_t *slot;

	if (taken >> BUCKET_BITS != object)
		return PA_LIVE_OBJECTS_FULL;
	if (!shard->capacity && !grow_shard(shard))
		return PA_LIVE_OBJECTS_FULL;
	slot = object_slot_at(shard, pa_hash_table_find(&object_kind, shard, hash, &object));
	if (*slot) {
		*old = bucket_of_object(slot);
		*slot = taken;
		return PA_LIVE_OBJECTS_REPLACED;
	}
	if (is_shard_dense(shard)) {
		if (!grow_shard(shard) && !has_shard_room(shard))
			return PA_LIVE_OBJECTS_FULL;
		slot = object_slot_at(shard,
			pa_hash_table_find(&object_kind, shard, hash, &object));
	}
	*slot = taken;
	shard->used++;
	state.objects++;
	return PA_LIVE_OBJECTS_ADDED;
}

bool pa_live_objects_take_locked(uintptr_t object, uint32_t *bucket)
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	PA_ASSERT(object);
	uint64_t hash = hash_address(object);
	struct pa_hash_table *shard = object_shard_of(hash);
	if (!shard->used)
		return false;
	uint32_t i = pa_hash_table_find(&object_kind, shard, hash, &object);
	if (!pa_hash_table_is_taken(&object_kind, shard, i))
		return false;
	*bucket = bucket_of_object(object_slot_at(shard, i));
	pa_hash_table_remove(&object_kind, shard, i);
	state.objects--;
	return true;
}

bool pa_live_objects_has(uintptr_t object)
{
	uint64_t hash = hash_address(object);
	const struct pa_hash_table *shard = object_shard_of(hash);
	return shard->used &&
		pa_hash_table_is_taken(&object_kind, shard,
			pa_hash_table_find(&object_kind, shard, hash, &object));
}

/* A removal moves later objects forward, at the end of the table those at its begin: these have
 * been looked at, and stay. */
static void drop_marked_of_locked(struct pa_hash_table *shard, void (*removed)(uint32_t bucket))
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	for (uint32_t i = 0; i < shard->capacity;) {
		const uint64_t *slot = object_slot_at(shard, i);
		uint32_t bucket = bucket_of_object(slot);
		if (!(object_of(slot) & PA_INNER_ALLOC_MARK)) {
			i++;
			continue;
		}
		PA_ASSERT(state.objects);
		pa_hash_table_remove(&object_kind, shard, i);
		state.objects--;
		removed(bucket);
	}
}

void pa_live_objects_drop_marked_locked(void (*removed)(uint32_t bucket))
{
	PA_ASSERT_HELD(PA_LOCK_TABLES);
	for (size_t i = 0; i < SHARDS; i++)
		drop_marked_of_locked(&state.shards[i], removed);
}

struct pa_live_objects_stats pa_live_objects_stats(void)
{
	return (struct pa_live_objects_stats){ .objects = state.objects, .bytes = state.bytes };
}

void pa_live_objects_abandon(void)
{
	memset(&state, 0, sizeof(state));
}
