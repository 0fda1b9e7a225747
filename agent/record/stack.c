#include "stack.h"

#include <string.h>

#include "frames_inline.h"

#include "../base/banned.h"

/* How much of a stack that is not the thread's own is copied at most: coroutines are shallow. */
#define COPY_FOREIGN_BYTES ((uintptr_t)8 << 10)

/* Moves the readable window to the page of at. */
static PA_NOINLINE bool prove(struct pa_window *window, uintptr_t at)
{
	uintptr_t page = at & ~(PA_PAGE_BYTES - 1);
	if (at < PA_PAGE_BYTES || at >= PA_ADDRESS_LIMIT || !pa_regs_readable(at))
		return false;
	if (window->hi != page)
		window->lo = page;
	window->hi = page + PA_PAGE_BYTES;
	return true;
}

static inline PA_NO_ASAN bool read_live(void *arg, uintptr_t at, uintptr_t *word)
{
	struct pa_window *window = arg;
	if (pa_unlikely(at & 7))
		return false;
	if (pa_unlikely(at < window->lo || at >= window->hi) && !prove(window, at))
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
		walk.window.lo = cursor.sp - (below < red_zone ? below : red_zone);
		walk.window.hi = thread->stack_hi;
		walk.own_lo = walk.window.lo;
		walk.own_hi = thread->stack_hi;
	}
	return walk;
}

PA_NO_ASAN enum pa_walk_end pa_walk_run(struct pa_walk *walk, const struct pa_frames *frames,
	uintptr_t *pcs, uint32_t max, uint32_t *depth)
{
	/* Copies: only the window's address is given away, so the rest stays in registers. */
	struct pa_cursor cursor = walk->cursor;
	struct pa_window window = walk->window;
	bool leaf = walk->leaf;
	enum pa_walk_end end = PA_WALK_CUT;
	uint32_t epoch = frames ? pa_load_acquire(&frames->epoch) : 0;
	uint32_t n = 0;
	/* Ends: max frames; each step grows the cfa but for signal frames, which max bounds. */
	while (n < max) {
		uint64_t key = frames_key(cursor.pc, leaf);
		uint64_t rule = frames ? frames_lookup(frames, key, epoch) : 0;
		enum pa_rule_kind kind = rule_kind(rule);
		if (pa_unlikely(kind == PA_RULE_NONE || kind == PA_RULE_COMPLEX)) {
			end = PA_WALK_COLD;
			break;
		}
		pcs[n++] = cursor.pc;
		if (pa_unlikely(kind == PA_RULE_END)) {
			end = PA_WALK_COMPLETE;
			break;
		}
		if (pa_unlikely(!step_inline(rule, &cursor, read_live, &window))) {
			end = PA_WALK_BROKEN;
			break;
		}
		leaf = kind == PA_RULE_SIGNAL;
	}
	walk->cursor = cursor;
	walk->leaf = leaf;
	walk->window = window;
	*depth = n;
	return end;
}

/* The red zone is copied only within a page that is readable anyway. */
static uintptr_t copy_start(const struct pa_walk *walk)
{
	uintptr_t sp = walk->cursor.sp & ~(uintptr_t)7;
	bool same_page = (sp & (PA_PAGE_BYTES - 1)) >= PA_RED_ZONE_BYTES;
	bool proven = sp >= walk->window.lo + PA_RED_ZONE_BYTES && sp < walk->window.hi;
	return walk->leaf && (same_page || proven) ? sp - PA_RED_ZONE_BYTES : sp;
}

/* End of what can be read from at on a stack that is not the thread's own: page by page, and not
 * far, since what lies above it may be another thread's to unmap at any moment. */
static uintptr_t foreign_end(struct pa_window *window, uintptr_t at)
{
	uintptr_t limit = at + COPY_FOREIGN_BYTES;
	uintptr_t end = at;
	while (end < limit) {
		if ((end < window->lo || end >= window->hi) && !prove(window, end))
			break;
		end = window->hi;
	}
	return end < limit ? end : limit;
}

/* volatile: no memcpy, which a sanitizer would check by its own idea of whose bytes these are. */
static PA_NO_ASAN void copy_words(uintptr_t *to, uintptr_t from, size_t bytes)
{
	const volatile uintptr_t *words = (const volatile uintptr_t *)from;
	for (size_t i = 0; i < bytes / sizeof(*to); i++)
		to[i] = words[i];
}

void pa_walk_copy(struct pa_walk *walk, struct pa_cold *cold, size_t max_bytes)
{
	struct pa_window *window = &walk->window;
	uintptr_t from = copy_start(walk);
	bool own = walk->own_hi && from < walk->own_hi && from >= walk->own_lo;
	uintptr_t end = own ? walk->own_hi : foreign_end(window, from);
	uintptr_t limit = from + (max_bytes & ~(size_t)7);
	cold->stack_at = from;
	cold->to_stack_end = own && end <= limit;
	cold->stack_bytes = (uint32_t)((end < limit ? end : limit) - from);
	cold->leaf = walk->leaf;
	copy_words((uintptr_t *)(cold + 1), from, cold->stack_bytes);
}
