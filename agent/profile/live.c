#include "live.h"

#include <string.h>

#include "../base/arena.h"

#define SHARD_BITS 5
#define SHARDS (1u << SHARD_BITS)
#define SHARD_MAX_BYTES (PA_LIVE_BYTES / SHARDS)

/* Three halves of a pair of words: a struct with a uint64_t in it would be padded to 16 bytes. */
struct slot {
	uint32_t low, high; /* of the address; both 0: free */
	uint32_t bucket;
};

_Static_assert(sizeof(struct slot) == 12, "the cap is computed with this");
_Static_assert(SHARD_MAX_BYTES % PA_PAGE_BYTES == 0, "shards grow by pages");

struct shard {
	struct slot *slots;
	uint32_t capacity;
	uint32_t used;
};

static struct {
	struct shard shards[SHARDS];
	size_t objects;
	size_t bytes;
} state;

static uint64_t hash_of(uintptr_t object)
{
	uint64_t h = (object ^ object >> 32) * 0xd6e8feb86659fd93u;
	return (h ^ h >> 32) * 0xd6e8feb86659fd93u;
}

static struct shard *shard_of(uint64_t hash)
{
	return &state.shards[hash >> (64 - SHARD_BITS)];
}

/* Scales instead of dividing or masking: the capacity is any number. */
static uint32_t home_of(uint64_t hash, uint32_t capacity)
{
	uint64_t below_shard_bits = (uint32_t)(hash >> (32 - SHARD_BITS));
	return (uint32_t)(below_shard_bits * capacity >> 32);
}

static uintptr_t object_of(const struct slot *slot)
{
	return (uintptr_t)slot->high << 32 | slot->low;
}

static uint32_t after(const struct shard *shard, uint32_t i)
{
	return i + 1 == shard->capacity ? 0 : i + 1;
}

/* The slot of object, or the free one where it would go. Ends: a shard is never quite full. */
static uint32_t probe(const struct shard *shard, uint64_t hash, uintptr_t object)
{
	uint32_t i = home_of(hash, shard->capacity);
	uintptr_t found;
	while ((found = object_of(&shard->slots[i])) && found != object)
		i = after(shard, i);
	return i;
}

static bool has_room(const struct shard *shard)
{
	return shard->used < shard->capacity - shard->capacity / 8;
}

static size_t bytes_of(const struct shard *shard)
{
	return PA_ALIGN_UP(shard->capacity * sizeof(struct slot), PA_PAGE_BYTES);
}

static void fill(struct shard *shard, const struct shard *from)
{
	for (uint32_t i = 0; i < from->capacity; i++) {
		uintptr_t object = object_of(&from->slots[i]);
		if (object)
			shard->slots[probe(shard, hash_of(object), object)] = from->slots[i];
	}
}

static bool grow(struct shard *shard)
{
	size_t old_bytes = bytes_of(shard);
	size_t bytes = PA_ALIGN_UP(old_bytes + old_bytes / 2 + 1, PA_PAGE_BYTES);
	if (bytes > SHARD_MAX_BYTES)
		bytes = SHARD_MAX_BYTES;
	if (bytes <= old_bytes)
		return false;

	struct shard grown = { .capacity = bytes / sizeof(struct slot), .used = shard->used };
	grown.slots = pa_map(bytes);
	if (!grown.slots)
		return false;
	fill(&grown, shard);
	pa_unmap(shard->slots, old_bytes);
	state.bytes += bytes - old_bytes;
	*shard = grown;
	return true;
}

enum pa_live_put pa_live_put(uintptr_t object, uint32_t bucket, uint32_t *old)
{
	uint64_t hash = hash_of(object);
	struct shard *shard = shard_of(hash);
	struct slot *slot;

	if (!shard->capacity && !grow(shard))
		return PA_LIVE_FULL;
	slot = &shard->slots[probe(shard, hash, object)];
	if (object_of(slot)) {
		*old = slot->bucket;
		slot->bucket = bucket;
		return PA_LIVE_REPLACED;
	}
	if (!has_room(shard)) {
		if (!grow(shard))
			return PA_LIVE_FULL;
		slot = &shard->slots[probe(shard, hash, object)];
	}
	*slot = (struct slot){ (uint32_t)object, (uint32_t)(object >> 32), bucket };
	shard->used++;
	state.objects++;
	return PA_LIVE_ADDED;
}

/* Moves what follows the hole back into it, as far as each may go without passing its home. */
static void close_gap(struct shard *shard, uint32_t hole)
{
	for (uint32_t i = after(shard, hole); object_of(&shard->slots[i]); i = after(shard, i)) {
		uint32_t home = home_of(hash_of(object_of(&shard->slots[i])), shard->capacity);
		bool home_between = hole < i ? home > hole && home <= i : home > hole || home <= i;
		if (home_between)
			continue;
		shard->slots[hole] = shard->slots[i];
		hole = i;
	}
	shard->slots[hole] = (struct slot){ 0 };
}

bool pa_live_take(uintptr_t object, uint32_t *bucket)
{
	uint64_t hash = hash_of(object);
	struct shard *shard = shard_of(hash);
	if (!shard->used)
		return false;
	uint32_t i = probe(shard, hash, object);
	if (!object_of(&shard->slots[i]))
		return false;
	*bucket = shard->slots[i].bucket;
	close_gap(shard, i);
	shard->used--;
	state.objects--;
	return true;
}

bool pa_live_has(uintptr_t object)
{
	uint64_t hash = hash_of(object);
	const struct shard *shard = shard_of(hash);
	return shard->used && object_of(&shard->slots[probe(shard, hash, object)]);
}

struct pa_live_stats pa_live_stats(void)
{
	return (struct pa_live_stats){ .objects = state.objects, .bytes = state.bytes };
}

void pa_live_abandon(void)
{
	memset(&state, 0, sizeof(state));
}
