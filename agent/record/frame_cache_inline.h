/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout of the frame cache, and its lookup and step as inline functions: the stack walk makes no
 * call per frame and unpacks only the fields that a rule needs. Include only in frame_cache.c,
 * stack.c and last_walk.c. Context: PA_SIGNAL.
 *
 * PA_NO_ASAN, as the walks that they become part of: AddressSanitizer would mark their variables as
 * out of scope, and nothing would remove the marks at the end of such a walk.
 */
#ifndef PA_FRAME_CACHE_INLINE_H
#define PA_FRAME_CACHE_INLINE_H

#include "../arch/arch.h"
#include "frame_cache.h"

#define FRAMES_WAYS 4 /* entries of one cache line */
#define FRAMES_SETS (PA_FRAME_CACHE_ENTRIES / FRAMES_WAYS)

/*
 * Layout of the data word, low bits first. cfa_offset is in bytes at the top, so that one shift
 * extracts it; the others are in words of 8 bytes.
 */
enum { KIND_BITS = 4, EPOCH_BITS = 12, BP_BITS = 12, BASE_BITS = 12, CFA_BITS = 24 };
enum {
	EPOCH_AT = KIND_BITS,
	BP_AT = EPOCH_AT + EPOCH_BITS,
	BASE_AT = BP_AT + BP_BITS,
	CFA_AT = BASE_AT + BASE_BITS
};
#define KIND_MASK ((1u << KIND_BITS) - 1)
#define EPOCH_MASK ((1u << EPOCH_BITS) - 1)

struct frames_entry {
	PA_ATOMIC(uint64_t) key;  /* pc-key XOR data */
	PA_ATOMIC(uint64_t) data; /* 0: empty */
};

struct pa_frame_cache {
	PA_ATOMIC(uint32_t) epoch; /* release in new_epoch, acquire in epoch and find */
	uint32_t next_way;         /* index of the way that a full set overwrites next;
				        * collector
				        * only */
	struct frames_entry entries[FRAMES_SETS][FRAMES_WAYS]
		__attribute__((aligned(PA_CACHE_LINE)));
};

PA_INLINE uint64_t frames_key(uintptr_t pc, bool leaf)
{
	return (uint64_t)pc << 1 | leaf;
}

/*
 * The set of a key. Two independent shifts, no multiplication, and no shift for the byte offset:
 * this is on the dependency chain from one frame's pc to the next.
 */
PA_INLINE const struct frames_entry *frames_set(const struct pa_frame_cache *frames, uint64_t key)
{
	const uint64_t mask = (uint64_t)(FRAMES_SETS - 1) * sizeof(frames->entries[0]);
	const char *sets = (const char *)frames->entries;
	return (const struct frames_entry *)(sets + ((key << 3 ^ key >> 8) & mask));
}

PA_INLINE bool frames_is_current(uint64_t data, uint32_t epoch)
{
	return (data >> EPOCH_AT & EPOCH_MASK) == (epoch & EPOCH_MASK);
}

/* The packed rule of pc in epoch, 0 when there is none. */
PA_INLINE uint64_t frames_lookup(const struct pa_frame_cache *frames, uint64_t key, uint32_t epoch)
{
	const struct frames_entry *set = frames_set(frames, key);
	for (int way = 0; way < FRAMES_WAYS; way++) {
		uint64_t data = pa_load_relaxed(&set[way].data);
		if ((pa_load_relaxed(&set[way].key) ^ data) == key &&
			frames_is_current(data, epoch))
			return data;
	}
	return 0;
}

PA_INLINE enum pa_rule_kind rule_kind(uint64_t data)
{
	return data & KIND_MASK;
}

PA_INLINE intptr_t rule_cfa_offset(uint64_t data)
{
	return (int64_t)data >> CFA_AT;
}

PA_INLINE intptr_t rule_base_offset(uint64_t data)
{
	return ((int64_t)(data << CFA_BITS) >> (64 - BASE_BITS)) * 8;
}

/* Distance of the saved bp below the cfa, 0 when bp was not saved. */
PA_INLINE uintptr_t rule_bp_below(uint64_t data)
{
	return (data >> BP_AT & ((1u << BP_BITS) - 1)) * 8;
}

/* cfa of the frame, or 0 when a word cannot be read. */
PA_INLINE PA_NO_ASAN uintptr_t step_cfa(uint64_t data, const struct pa_cursor *cursor,
	pa_read_word_fn *read, void *arg)
{
	uintptr_t word;
	switch (rule_kind(data)) {
	case PA_RULE_BP: return cursor->bp + (uintptr_t)rule_cfa_offset(data);
	case PA_RULE_CHAIN: return cursor->bp + 16;
	case PA_RULE_SP_DEREF:
	case PA_RULE_BP_DEREF:
	case PA_RULE_REALIGNED:
		word = rule_kind(data) == PA_RULE_SP_DEREF ? cursor->sp : cursor->bp;
		if (!read(arg, word + (uintptr_t)rule_base_offset(data), &word))
			return 0;
		return word + (uintptr_t)rule_cfa_offset(data);
	default: return 0;
	}
}

/* Where the caller's bp was saved; 0 when the frame did not touch it. */
PA_INLINE uintptr_t step_saved_bp(uint64_t data, const struct pa_cursor *cursor, uintptr_t cfa)
{
	if (pa_unlikely(rule_kind(data) == PA_RULE_REALIGNED))
		return cursor->bp;
	if (pa_unlikely(rule_kind(data) == PA_RULE_CHAIN))
		return cfa - 16;
	return rule_bp_below(data) ? cfa - rule_bp_below(data) : 0;
}

PA_INLINE PA_NO_ASAN bool step_signal(struct pa_cursor *cursor, pa_read_word_fn *read, void *arg)
{
	struct pa_cursor next;
	if (!read(arg, cursor->sp + PA_SIGFRAME_PC, &next.pc) ||
		!read(arg, cursor->sp + PA_SIGFRAME_SP, &next.sp) ||
		!read(arg, cursor->sp + PA_SIGFRAME_BP, &next.bp))
		return false;
	*cursor = next;
	return true;
}

PA_INLINE PA_NO_ASAN bool step_inline(uint64_t data, struct pa_cursor *cursor,
	pa_read_word_fn *read, void *arg)
{
	uintptr_t cfa;
	/* Fast path for the kind of nearly all frames. */
	if (pa_likely(rule_kind(data) == PA_RULE_SP))
		cfa = cursor->sp + (uintptr_t)rule_cfa_offset(data);
	else if (rule_kind(data) == PA_RULE_SIGNAL)
		return step_signal(cursor, read, arg);
	else
		cfa = step_cfa(data, cursor, read, arg);

	if (pa_unlikely(cfa <= cursor->sp || (cfa & 7) || cfa >= PA_ADDRESS_LIMIT))
		return false;
	uintptr_t pc;
	if (pa_unlikely(!read(arg, cfa - 8, &pc)))
		return false;
	uintptr_t bp_at = step_saved_bp(data, cursor, cfa);
	if (bp_at && pa_unlikely(!read(arg, bp_at, &cursor->bp)))
		return false;
	cursor->pc = pc;
	cursor->sp = cfa;
	return true;
}

#endif
