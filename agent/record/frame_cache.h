/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame cache: the rule that steps from a pc to its caller, for each pc seen so far in the
 * process.
 *
 * One process-wide table, lock-free, of fixed size (PA_FRAME_CACHE_BYTES). Stack walks in any
 * context read it (PA_SIGNAL); only the collector inserts (PA_AGENT). An entry is two words, key
 * and data; the stored key is pc-key XOR data, so a torn read never matches (Hyatt's lock-less
 * hashing). When a set of four is full, an insertion overwrites one entry, which is learnt again
 * when needed.
 *
 * Entries carry the module epoch. pa_frame_cache_new_epoch() after a dlclose, and before unwind
 * tables of code made at run time are taken back, invalidates all older ones: code that comes later
 * to the same address is never unwound by an old rule.
 */
#ifndef PA_FRAME_CACHE_H
#define PA_FRAME_CACHE_H

#include "../base/atomic.h"
#include "../base/base.h"
#include "../arch/arch.h"

#define PA_FRAME_CACHE_ENTRIES (32 * 1024)
#define PA_FRAME_CACHE_BYTES (PA_FRAME_CACHE_ENTRIES * 16)

/* How the canonical frame address (CFA: the caller's sp) is computed. */
enum pa_rule_kind {
	PA_RULE_NONE,      /* not in the cache */
	PA_RULE_SP,        /* cfa = sp + cfa_offset */
	PA_RULE_BP,        /* cfa = bp + cfa_offset */
	PA_RULE_SP_DEREF,  /* cfa = *(sp + base_offset) + cfa_offset */
	PA_RULE_BP_DEREF,  /* cfa = *(bp + base_offset) + cfa_offset */
	PA_RULE_REALIGNED, /* as _BP_DEREF, and the caller's bp is *bp: functions that realign
			    * their stack */
	PA_RULE_SIGNAL,    /* signal trampoline: registers at PA_SIGFRAME_* from sp */
	PA_RULE_CHAIN,     /* no unwind information: frame pointers, where plausible */
	PA_RULE_END,       /* outermost frame (_start, clone3): the stack ends here, complete */
	PA_RULE_COMPLEX    /* none of these: every sample of it is a deferred unwind */
};

/*
 * The return address is at cfa - 8. The caller's bp is at cfa + bp_offset, or unchanged when
 * bp_offset is 0. Offsets are multiples of 8 bytes; limits below.
 */
struct pa_rule {
	uint8_t kind;        /* enum pa_rule_kind */
	int32_t cfa_offset;  /* bytes, -PA_RULE_CFA_LIMIT .. PA_RULE_CFA_LIMIT - 8 */
	int32_t base_offset; /* bytes, _DEREF only, -PA_RULE_BASE_LIMIT .. PA_RULE_BASE_LIMIT - 8 */
	int32_t bp_offset;   /* bytes, -PA_RULE_BP_LIMIT .. 0 */
};

#define PA_RULE_CFA_LIMIT (1 << 23)
#define PA_RULE_BASE_LIMIT (1 << 14)
#define PA_RULE_BP_LIMIT ((1 << 15) - 8)

struct pa_frame_cache;

/* Maps the table. NULL when there is no memory: every walk is then deferred. */
PA_BOOT struct pa_frame_cache *pa_frame_cache_create(void);

/*
 * The rule for pc. leaf: pc is an interrupted instruction and the rule that of pc; else pc is a
 * return address and the rule that of pc - 1, since the call may be the function's last
 * instruction. kind = PA_RULE_NONE when unknown. At most 1 cache miss, no store.
 */
PA_SIGNAL struct pa_rule pa_frame_cache_find(const struct pa_frame_cache *frames, uintptr_t pc,
	bool leaf);

/* Stores the rule for epoch (the result of pa_frame_cache_epoch before the rule was computed).
 * False when it exceeds the limits: insert PA_RULE_COMPLEX then. */
PA_AGENT bool pa_frame_cache_insert(struct pa_frame_cache *frames, uintptr_t pc, bool leaf,
	const struct pa_rule *rule, uint32_t epoch);

PA_SIGNAL uint32_t pa_frame_cache_epoch(const struct pa_frame_cache *frames);

/* After a module was unloaded, or before code may change: invalidates all rules. */
PA_APP void pa_frame_cache_new_epoch(struct pa_frame_cache *frames);

/* Forgets all rules of a kind, for the collector to learn them anew. */
PA_AGENT void pa_frame_cache_forget_kind(struct pa_frame_cache *frames, enum pa_rule_kind kind);

/*
 * One step: sets the cursor to the caller's frame by the rule. read fetches the word at an address,
 * or returns false (unreadable, outside of the copy). False when the step is impossible: the cfa
 * does not grow or is not aligned to 8, or a word is unreadable. Not for PA_RULE_NONE, _END and
 * _COMPLEX. Steps live stacks (PA_SIGNAL) and copies of stacks (PA_AGENT).
 */
typedef bool pa_read_word_fn(void *arg, uintptr_t at, uintptr_t *word);
PA_SIGNAL bool pa_frame_cache_step(const struct pa_rule *rule, struct pa_cursor *cursor,
	pa_read_word_fn *read, void *arg);

#endif
