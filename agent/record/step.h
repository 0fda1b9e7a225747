/*
 * The body of pa_frames_step, inline so that the live walker pays no call a frame: include only in
 * frames.c and stack.c. Context: PA_SIGNAL.
 */
#ifndef PA_STEP_H
#define PA_STEP_H

#include "frames.h"

/* cfa of the frame, or 0 when a word cannot be read. */
PA_INLINE uintptr_t step_cfa(const struct pa_rule *rule, const struct pa_cursor *cursor,
	pa_read_word_fn *read, void *arg)
{
	uintptr_t word;
	switch (rule->kind) {
	case PA_RULE_SP:
		return cursor->sp + (intptr_t)rule->cfa_offset;
	case PA_RULE_BP:
		return cursor->bp + (intptr_t)rule->cfa_offset;
	case PA_RULE_CHAIN:
		return cursor->bp + 16;
	case PA_RULE_SP_DEREF:
	case PA_RULE_BP_DEREF:
	case PA_RULE_REALIGNED:
		word = rule->kind == PA_RULE_SP_DEREF ? cursor->sp : cursor->bp;
		if (!read(arg, word + (intptr_t)rule->base_offset, &word))
			return 0;
		return word + (intptr_t)rule->cfa_offset;
	default:
		return 0;
	}
}

/* Where the caller's bp was saved; 0 when the frame did not touch it. */
PA_INLINE uintptr_t step_saved_bp(const struct pa_rule *rule, const struct pa_cursor *cursor,
	uintptr_t cfa)
{
	if (pa_unlikely(rule->kind == PA_RULE_REALIGNED))
		return cursor->bp;
	if (pa_unlikely(rule->kind == PA_RULE_CHAIN))
		return cfa - 16;
	return rule->bp_offset ? cfa + (intptr_t)rule->bp_offset : 0;
}

PA_INLINE bool step_signal(struct pa_cursor *cursor, pa_read_word_fn *read, void *arg)
{
	struct pa_cursor next;
	if (!read(arg, cursor->sp + PA_SIGFRAME_PC, &next.pc) ||
	    !read(arg, cursor->sp + PA_SIGFRAME_SP, &next.sp) ||
	    !read(arg, cursor->sp + PA_SIGFRAME_BP, &next.bp))
		return false;
	*cursor = next;
	return true;
}

PA_INLINE bool step_inline(const struct pa_rule *rule, struct pa_cursor *cursor,
	pa_read_word_fn *read, void *arg)
{
	if (pa_unlikely(rule->kind == PA_RULE_SIGNAL))
		return step_signal(cursor, read, arg);

	uintptr_t cfa = step_cfa(rule, cursor, read, arg);
	if (pa_unlikely(cfa <= cursor->sp || (cfa & 7) || cfa >= PA_ADDRESS_LIMIT))
		return false;
	uintptr_t pc;
	if (pa_unlikely(!read(arg, cfa - 8, &pc)))
		return false;
	uintptr_t bp_at = step_saved_bp(rule, cursor, cfa);
	if (bp_at && pa_unlikely(!read(arg, bp_at, &cursor->bp)))
		return false;
	cursor->pc = pc;
	cursor->sp = cfa;
	return true;
}

#endif
