/* SPDX-License-Identifier: Apache-2.0 */
#include "frame_cache.h"

#include "../arch/arch.h"
#include "../base/assert.h"
#include "../base/arena.h"
#include "frame_cache_inline.h"

#include "../base/banned.h"

struct pa_frame_cache *pa_frame_cache_create(void)
{
	return pa_map_table(sizeof(struct pa_frame_cache));
}

static uint64_t pack_rule(const struct pa_rule *rule, uint32_t epoch)
{
	PA_ASSERT(rule->kind <= KIND_MASK);
	uint64_t cfa = (uint64_t)(int64_t)rule->cfa_offset;
	uint64_t base = (uint64_t)(rule->base_offset / 8) & ((1u << BASE_BITS) - 1);
	uint64_t bp = (uint64_t)(-rule->bp_offset / 8) & ((1u << BP_BITS) - 1);
	return (uint64_t)rule->kind | (uint64_t)(epoch & EPOCH_MASK) << EPOCH_AT | cfa << CFA_AT |
		base << BASE_AT | bp << BP_AT;
}

static struct pa_rule unpack_rule(uint64_t data)
{
	return (struct pa_rule){
		.kind = (uint8_t)rule_kind(data),
		.cfa_offset = (int32_t)rule_cfa_offset(data),
		.base_offset = (int32_t)rule_base_offset(data),
		.bp_offset = -(int32_t)rule_bp_below(data),
	};
}

struct pa_rule pa_frame_cache_find(const struct pa_frame_cache *frames, uintptr_t pc, bool leaf)
{
	uint32_t epoch = pa_load_acquire(&frames->epoch);
	return unpack_rule(frames_lookup(frames, frames_key(pc, leaf), epoch));
}

static bool is_within(int32_t bytes, int32_t low, int32_t high)
{
	return bytes >= low && bytes < high && !(bytes & 7);
}

static bool fits_entry(const struct pa_rule *rule)
{
	return is_within(rule->cfa_offset, -PA_RULE_CFA_LIMIT, PA_RULE_CFA_LIMIT) &&
		is_within(rule->base_offset, -PA_RULE_BASE_LIMIT, PA_RULE_BASE_LIMIT) &&
		is_within(rule->bp_offset, -PA_RULE_BP_LIMIT, 8);
}

/* The entry to overwrite: one of the same pc, else the first stale one (lookups look there first),
 * else round robin. */
static struct frames_entry *victim_of(struct pa_frame_cache *frames, uint64_t key, uint32_t epoch)
{
	struct frames_entry *set = (struct frames_entry *)frames_set(frames, key);
	PA_ASSERT(set >= frames->entries[0] && set <= frames->entries[FRAMES_SETS - 1]);
	struct frames_entry *dead = NULL;
	for (int way = 0; way < FRAMES_WAYS; way++) {
		uint64_t data = pa_load_relaxed(&set[way].data);
		if ((pa_load_relaxed(&set[way].key) ^ data) == key)
			return &set[way];
		if (!dead && (!data || !frames_is_current(data, epoch)))
			dead = &set[way];
	}
	return dead ? dead : &set[frames->next_way++ % FRAMES_WAYS];
}

bool pa_frame_cache_insert(struct pa_frame_cache *frames, uintptr_t pc, bool leaf,
	const struct pa_rule *rule, uint32_t epoch)
{
	if (rule->kind == PA_RULE_NONE || pc >= PA_ADDRESS_LIMIT || !fits_entry(rule))
		return false;
	uint64_t key = frames_key(pc, leaf);
	struct frames_entry *entry = victim_of(frames, key, epoch);
	uint64_t data = pack_rule(rule, epoch);
	PA_ASSERT(rule_kind(data) == (enum pa_rule_kind)rule->kind &&
		frames_is_current(data, epoch));
	PA_ASSERT(rule_cfa_offset(data) == rule->cfa_offset);
	PA_ASSERT(rule_base_offset(data) == rule->base_offset);
	PA_ASSERT(-(intptr_t)rule_bp_below(data) == rule->bp_offset);
	pa_store_relaxed(&entry->data, data);
	pa_store_relaxed(&entry->key, key ^ data);
	return true;
}

uint32_t pa_frame_cache_epoch(const struct pa_frame_cache *frames)
{
	return pa_load_acquire(&frames->epoch);
}

static void clear_entry(struct frames_entry *entry)
{
	pa_store_relaxed(&entry->key, 0);
	pa_store_relaxed(&entry->data, 0);
}

void pa_frame_cache_new_epoch(struct pa_frame_cache *frames)
{
	uint32_t epoch = pa_add_acq_rel(&frames->epoch, 1) + 1;
	if (epoch & EPOCH_MASK)
		return;
	/* The stored epoch wrapped: entries of 4096 unloads ago would become valid again. */
	for (size_t set = 0; set < FRAMES_SETS; set++)
		for (int way = 0; way < FRAMES_WAYS; way++)
			clear_entry(&frames->entries[set][way]);
}

void pa_frame_cache_forget_kind(struct pa_frame_cache *frames, enum pa_rule_kind kind)
{
	for (size_t set = 0; set < FRAMES_SETS; set++)
		for (int way = 0; way < FRAMES_WAYS; way++)
			if (rule_kind(pa_load_relaxed(&frames->entries[set][way].data)) == kind)
				clear_entry(&frames->entries[set][way]);
}

bool pa_frame_cache_step(const struct pa_rule *rule, struct pa_cursor *cursor,
	pa_read_word_fn *read, void *arg)
{
	return fits_entry(rule) && step_inline(pack_rule(rule, 0), cursor, read, arg);
}
