/*
 * The frame cache: how to step from a pc to its caller, for every pc met so far in the process.
 *
 * One process-wide table, lock-free, fixed size (PA_FRAMES_BYTES). Readers are the walkers in any
 * context (PA_SIGNAL); the collector alone inserts (PA_AGENT). An entry is two words, key and data;
 * the stored key is pc-key XOR data, so that a torn read never matches (Hyatt's lock-less hashing).
 * When a set of four is full one of them is overwritten: the loser is learnt again.
 *
 * Entries carry the module epoch. pa_frames_new_epoch() after a dlclose makes all older ones dead:
 * code that comes to lie at the same address is never unwound by the rule of what was there.
 */
#ifndef PA_FRAMES_H
#define PA_FRAMES_H

#include "../base/atomic.h"
#include "../base/base.h"
#include "regs.h"

#define PA_FRAMES_ENTRIES (32 * 1024)
#define PA_FRAMES_BYTES (PA_FRAMES_ENTRIES * 16)

/* How the canonical frame address (CFA: the caller's sp) is computed. */
enum pa_rule_kind {
	PA_RULE_NONE,     /* not in the cache */
	PA_RULE_SP,       /* cfa = sp + cfa_offset */
	PA_RULE_BP,       /* cfa = bp + cfa_offset */
	PA_RULE_SP_DEREF, /* cfa = *(sp + base_offset) + cfa_offset */
	PA_RULE_BP_DEREF, /* cfa = *(bp + base_offset) + cfa_offset */
	PA_RULE_REALIGNED, /* as _BP_DEREF, and the caller's bp is *bp: functions that align their
	                      stack themselves */
	PA_RULE_SIGNAL,   /* trampoline of a signal handler: registers at PA_SIGFRAME_* off sp */
	PA_RULE_CHAIN,    /* no unwind information: frame pointers, if plausible */
	PA_RULE_END,      /* outermost frame (_start, clone3): the stack ends here, complete */
	PA_RULE_COMPLEX   /* fits none of these: every sample of it is finished off line */
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

struct pa_frames;

/* Maps the table. NULL when there is no memory: every walk is then cold. */
PA_BOOT struct pa_frames *pa_frames_create(void);

/*
 * The rule for pc. leaf: pc is an interrupted instruction (the rule is that of pc), else a return
 * address (the rule is that of pc - 1, as the call may be a function's last instruction).
 * kind = PA_RULE_NONE when unknown. 1 cache miss at worst, no store.
 */
PA_SIGNAL struct pa_rule pa_frames_find(const struct pa_frames *frames, uintptr_t pc, bool leaf);

/* Stores the rule as of epoch (a value that pa_frames_epoch gave before the rule was computed).
 * False when it is out of the limits: insert PA_RULE_COMPLEX then. */
PA_AGENT bool pa_frames_insert(struct pa_frames *frames, uintptr_t pc, bool leaf,
	const struct pa_rule *rule, uint32_t epoch);

PA_SIGNAL uint32_t pa_frames_epoch(const struct pa_frames *frames);

/* A module was unloaded: all rules known so far are dead. */
PA_APP void pa_frames_new_epoch(struct pa_frames *frames);

/*
 * One step: what the cursor is in the caller, by the rule. read fetches the word at an address or
 * says false (unreadable, outside the copy). False when the step is impossible: the cfa does not
 * grow, is not aligned to 8, or a word cannot be read. Not for PA_RULE_NONE, _END and _COMPLEX.
 * The same code steps live stacks (PA_SIGNAL) and copies of them (PA_AGENT).
 */
typedef bool pa_read_word_fn(void *arg, uintptr_t at, uintptr_t *word);
PA_SIGNAL bool pa_frames_step(const struct pa_rule *rule, struct pa_cursor *cursor,
	pa_read_word_fn *read, void *arg);

#endif
