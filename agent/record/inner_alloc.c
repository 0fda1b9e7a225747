/* SPDX-License-Identifier: Apache-2.0 */
#include "inner_alloc.h"

#include "../arch/arch.h"
#include "alloc.h"
#include "switches.h"

#include "../base/banned.h"

/* hook_alloc_t of jemalloc's hook.h, which is not installed: the numbers since 5.2.0. */
enum type {
	TYPE_MALLOC,
	TYPE_POSIX_MEMALIGN,
	TYPE_ALIGNED_ALLOC,
	TYPE_CALLOC,
	TYPE_MEMALIGN,
	TYPE_VALLOC,
	TYPE_MALLOCX,
	TYPE_REALLOC,
	TYPE_RALLOCX
};

static struct {
	PA_ATOMIC(uintptr_t) session; /* 0: nothing is recorded; relaxed: hooks that are late count
				       * as being before or after the switch */
	uintptr_t sessions;           /* so far; of begin */
	PA_ATOMIC(uint32_t) has_pvalloc;
} state;

PA_INLINE void *mark_inner(const void *pointer)
{
	PA_ASSERT(!((uintptr_t)pointer & PA_INNER_ALLOC_MARK));
	return (void *)((uintptr_t)pointer | PA_INNER_ALLOC_MARK);
}

static PA_SLOW void record_inner(void *pointer, size_t bytes)
{
	PA_CALM_FLAGS();
	struct pa_cursor caller = PA_CURSOR_OF_CALLER();
	if (pa_alloc_due(&pa_thread_self, bytes))
		pa_alloc_record(&pa_thread_self, mark_inner(pointer), bytes, caller);
}

static PA_SLOW void forget_inner(const void *pointer)
{
	PA_CALM_FLAGS();
	pa_alloc_forget(&pa_thread_self, mark_inner(pointer));
}

/* ---- jemalloc ---- */

PA_INLINE bool is_session(const void *extra)
{
	return pa_likely((uintptr_t)extra == pa_load_relaxed(&state.session));
}

/* The bytes that the program asked for, from the arguments of its call. */
PA_INLINE size_t bytes_of_call(int type, const uintptr_t *args)
{
	if (pa_likely(type == TYPE_MALLOC))
		return args[0];
	if (type > TYPE_VALLOC && pa_load_relaxed(&state.has_pvalloc))
		type--;
	switch (type) {
	case TYPE_POSIX_MEMALIGN: return args[2];
	case TYPE_CALLOC: return args[0] * args[1]; /* it succeeded: no overflow */
	case TYPE_ALIGNED_ALLOC:
	case TYPE_MEMALIGN:
	case TYPE_REALLOC:
	case TYPE_RALLOCX: return args[1];
	default: return args[0];
	}
}

/* Called also when the allocation failed. */
static PA_APP void note_jemalloc_alloc(void *extra, int type, void *result, uintptr_t raw,
	const uintptr_t *args)
{
	(void)raw;
	if (!is_session(extra) || !result)
		return;
	size_t bytes = bytes_of_call(type, args);
	if (pa_likely(pa_alloc_skip(bytes)))
		return;
	record_inner(result, bytes);
}

static PA_APP void note_jemalloc_dalloc(void *extra, int type, void *pointer, const uintptr_t *args)
{
	(void)type;
	(void)args;
	if (pa_likely(!pa_alloc_maybe_sampled(pointer)) || !is_session(extra))
		return;
	forget_inner(pointer);
}

/* realloc in place: as the malloc hooks record it, a free and an allocation. */
static PA_APP void note_jemalloc_expand(void *extra, int type, void *pointer, size_t old_bytes,
	size_t new_bytes, uintptr_t raw, const uintptr_t *args)
{
	(void)type;
	(void)old_bytes;
	(void)new_bytes;
	(void)raw;
	if (!is_session(extra))
		return;
	if (pa_unlikely(pa_alloc_maybe_sampled(pointer)))
		forget_inner(pointer);
	if (pa_likely(pa_alloc_skip(args[1])))
		return;
	record_inner(pointer, args[1]);
}

/* ---- gperftools ---- */

static PA_APP void note_new(const void *pointer, size_t bytes)
{
	if (!pa_load_relaxed(&state.session) || !pointer || pa_likely(pa_alloc_skip(bytes)))
		return;
	record_inner((void *)(uintptr_t)pointer, bytes);
}

static PA_APP void note_delete(const void *pointer)
{
	if (pa_likely(!pa_alloc_maybe_sampled(pointer)) || !pa_load_relaxed(&state.session))
		return;
	forget_inner(pointer);
}

/* ---- */

static PA_AGENT void *begin_inner(bool has_pvalloc)
{
	pa_store_relaxed(&state.has_pvalloc, has_pvalloc);
	pa_store_relaxed(&state.session, ++state.sessions);
	return (void *)state.sessions;
}

static PA_AGENT void end_inner(void)
{
	pa_store_relaxed(&state.session, 0);
	pa_alloc_forget_marked();
}

const struct pa_inner_alloc_ops pa_inner_alloc = {
	.alloc = note_jemalloc_alloc,
	.dalloc = note_jemalloc_dalloc,
	.expand = note_jemalloc_expand,
	.new_hook = note_new,
	.delete_hook = note_delete,
	.begin = begin_inner,
	.end = end_inner,
	.has_destructor = pa_destructors_has,
	.hold_destructor = pa_destructors_hold,
	.release_destructor = pa_destructors_release,
};
