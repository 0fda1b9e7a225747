/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User-defined profiles (pprofagent.h): names, and the set of values of each.
 *
 * An added value is recorded as event PA_EVENT_ADD with the stack, a removed one as
 * PA_EVENT_REMOVE; the collector stores the stacks. The set itself is here, so that duplicates are
 * rejected and counts are exact immediately.
 *
 * Context: PA_API (takes a lock, allocates), with the exceptions below. Locks: one of rank
 * PA_LOCK_CUSTOM per shard. Profiles are never freed; at most PA_CUSTOM_SET_MAX.
 * When full (PA_CUSTOM_SET_VALUES values, or no memory): -ENOMEM, nothing is recorded.
 */
#ifndef PA_CUSTOM_SET_H
#define PA_CUSTOM_SET_H

#include "../base/atomic.h"
#include "thread.h"

#define PA_CUSTOM_SET_MAX 64u
#define PA_CUSTOM_SET_NAME_BYTES 128
#define PA_CUSTOM_SET_VALUES (1u << 20) /* in all profiles */

struct pa_custom_set {
	uint32_t id; /* 0, 1, ... in order of creation */
	char name[PA_CUSTOM_SET_NAME_BYTES];
	PA_ATOMIC(uint32_t) count; /* number of values; relaxed */
};

/* 0; -EINVAL: no name, too long, control bytes, or not UTF-8; -EEXIST (also for a built-in name);
 * -ENOSPC. */
PA_API int pa_custom_set_new(const char *name, struct pa_custom_set **out);

/* By name or by id; NULL: none. Any context: no lock. */
PA_SIGNAL struct pa_custom_set *pa_custom_set_find(const char *name);
PA_SIGNAL struct pa_custom_set *pa_custom_set_get(uint32_t id);
PA_SIGNAL uint32_t pa_custom_set_total(void);

/* 0; -EEXIST: value is in the set; -ENOMEM. from: the innermost frame of the stack; the collector,
 * which can unwind all frames, drops skip more. */
PA_API int pa_custom_set_add(struct pa_thread *thread, struct pa_custom_set *custom,
	const void *value, int skip, struct pa_cursor from);

/* True when value was in the set. */
PA_API bool pa_custom_set_remove(struct pa_thread *thread, struct pa_custom_set *custom,
	const void *value);

/*
 * In a forked child, after the ring's: resets locks; profiles and values remain. A value that
 * another thread of the parent was adding or removing is not in the set.
 */
PA_BOOT void pa_custom_set_atfork_child(void);

#endif
