/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocations that an allocator inside the program reports by hooks of its own (jemalloc's
 * experimental.hooks, gperftools' MallocHook), because no symbol that the agent interposes is
 * called.
 *
 * They are sampled as those of the malloc hooks are, by the same countdown. Their addresses are
 * recorded with bit 0 set (PA_INNER_ALLOC_MARK), so that all of them can be forgotten when the
 * hooks are taken out: frees are not seen from then on.
 *
 * Context: the hooks run PA_APP, on any thread, inside the allocator, which holds no lock meanwhile
 * and calls no hook within a hook. begin and end: PA_AGENT, the caller serializes them. No lock.
 */
#ifndef PA_INNER_ALLOC_H
#define PA_INNER_ALLOC_H

#include "../base/base.h"
#include "destructors.h"

#define PA_INNER_ALLOC_MARK ((uintptr_t)1)

struct pa_inner_alloc_ops {
	/* jemalloc 5.2 and newer: hook_alloc, hook_dalloc, hook_expand of its hook.h. extra: the
	 * result of begin. Types are those of its enums. */
	void (*alloc)(void *extra, int type, void *result, uintptr_t raw, const uintptr_t *args);
	void (*dalloc)(void *extra, int type, void *pointer, const uintptr_t *args);
	void (*expand)(void *extra, int type, void *pointer, size_t old_bytes, size_t new_bytes,
		uintptr_t raw, const uintptr_t *args);

	/* gperftools: MallocHook_NewHook, MallocHook_DeleteHook. */
	void (*new_hook)(const void *pointer, size_t bytes);
	void (*delete_hook)(const void *pointer);

	/*
	 * From now on what the hooks report is recorded. Returns the extra of jemalloc's: hooks
	 * that were installed with another one (by a parent process) are ignored. has_pvalloc: this
	 * jemalloc has a type for pvalloc, and the types behind it are one larger.
	 */
	PA_AGENT void *(*begin)(bool has_pvalloc);

	/* Nothing is recorded any more; the objects so far are forgotten. */
	PA_AGENT void (*end)(void);

	/* Around a change of jemalloc's hooks: see pa_destructors_has, _hold, _release. */
	PA_AGENT bool (*has_destructor)(uintptr_t destructor);
	PA_AGENT bool (*hold_destructor)(uintptr_t destructor, int64_t timeout_ns);
	PA_AGENT void (*release_destructor)(uintptr_t destructor, pa_destructors_mallctl *mallctl);
};

extern const struct pa_inner_alloc_ops pa_inner_alloc PA_HIDDEN;

#endif
