#include "stack.h"

#include <string.h>

#include "step.h"

#include "../base/banned.h"

/* Moves the readable window to the page of at. */
static PA_NOINLINE bool prove(struct pa_walk *walk, uintptr_t at)
{
	uintptr_t page = at & ~(PA_PAGE_BYTES - 1);
	if (at < PA_PAGE_BYTES || at >= PA_ADDRESS_LIMIT || !pa_regs_readable(at))
		return false;
	if (walk->hi != page)
		walk->lo = page;
	walk->hi = page + PA_PAGE_BYTES;
	return true;
}

static inline bool read_live(void *arg, uintptr_t at, uintptr_t *word)
{
	struct pa_walk *walk = arg;
	if (pa_unlikely(at & 7))
		return false;
	if (pa_unlikely(at < walk->lo || at >= walk->hi) && !prove(walk, at))
		return false;
	*word = *(const uintptr_t *)at;
	return true;
}

struct pa_walk pa_walk_start(const struct pa_thread *thread, struct pa_cursor cursor, bool leaf)
{
	struct pa_walk walk = { .cursor = cursor, .leaf = leaf };
	if (cursor.sp >= thread->stack_lo && cursor.sp < thread->stack_hi) {
		/* Of the red zone only what the function itself has written is asked for. */
		size_t below = cursor.sp - thread->stack_lo;
		size_t red_zone = leaf ? PA_RED_ZONE_BYTES : 0;
		walk.lo = cursor.sp - (below < red_zone ? below : red_zone);
		walk.hi = thread->stack_hi;
	}
	return walk;
}

enum pa_walk_end pa_walk_run(struct pa_walk *walk, const struct pa_frames *frames, uintptr_t *pcs,
	uint32_t max, uint32_t *depth)
{
	uint32_t n = *depth = 0;
	/* Ends: max frames, and each step grows the cfa but for signal frames, which max bounds. */
	while (n < max) {
		if (pa_unlikely(!frames))
			return PA_WALK_COLD;
		struct pa_rule rule = pa_frames_find(frames, walk->cursor.pc, walk->leaf);
		if (pa_unlikely(rule.kind == PA_RULE_NONE || rule.kind == PA_RULE_COMPLEX))
			return PA_WALK_COLD;
		pcs[n++] = walk->cursor.pc;
		*depth = n;
		if (rule.kind == PA_RULE_END)
			return PA_WALK_COMPLETE;
		if (!step_inline(&rule, &walk->cursor, read_live, walk))
			return PA_WALK_BROKEN;
		walk->leaf = rule.kind == PA_RULE_SIGNAL;
	}
	return PA_WALK_CUT;
}

/* End of what is readable from at, at most limit: the window's end, or proven page by page. */
static uintptr_t readable_end(struct pa_walk *walk, uintptr_t at, uintptr_t limit)
{
	uintptr_t end = at;
	while (end < limit) {
		if (end < walk->lo || end >= walk->hi)
			if (!prove(walk, end))
				break;
		end = walk->hi;
	}
	return end < limit ? end : limit;
}

/* The red zone is copied only within a page that is readable anyway. */
static uintptr_t copy_start(const struct pa_walk *walk)
{
	uintptr_t sp = walk->cursor.sp & ~(uintptr_t)7;
	bool same_page = (sp & (PA_PAGE_BYTES - 1)) >= PA_RED_ZONE_BYTES;
	bool proven = sp >= walk->lo + PA_RED_ZONE_BYTES && sp < walk->hi;
	return walk->leaf && (same_page || proven) ? sp - PA_RED_ZONE_BYTES : sp;
}

void pa_walk_copy(struct pa_walk *walk, struct pa_cold *cold, size_t max_bytes)
{
	uintptr_t from = copy_start(walk);
	bool known = from >= walk->lo && from < walk->hi && walk->hi - from > PA_PAGE_BYTES;
	uintptr_t top = walk->hi;
	uintptr_t end = readable_end(walk, from, from + (max_bytes & ~(size_t)7));
	cold->stack_at = from;
	cold->stack_bytes = (uint32_t)(end - from);
	cold->to_stack_end = known && end == top;
	cold->leaf = walk->leaf;
	memcpy(cold + 1, (const void *)from, end - from);
}
