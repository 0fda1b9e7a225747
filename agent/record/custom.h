/*
 * Profiles of the program's own: names, and which values are in them.
 *
 * A value that is added is recorded as an event PA_EVENT_ADD with the stack, one that is removed as
 * PA_EVENT_REMOVE; the collector keeps the stacks. Which values are in, and how many, is known
 * here, so that a duplicate is refused and a count is exact at once.
 *
 * Context: PA_APP, called by the program through pprofagent.h, not in signal handlers (a lock, and
 * memory). The exceptions say so. Profiles are never freed; at most PA_CUSTOM_MAX.
 * When full (PA_CUSTOM_VALUES values, or no memory): -ENOMEM, nothing is recorded.
 */
#ifndef PA_CUSTOM_H
#define PA_CUSTOM_H

#include "../base/atomic.h"
#include "thread.h"

#define PA_CUSTOM_MAX 64u
#define PA_CUSTOM_NAME_BYTES 128
#define PA_CUSTOM_VALUES (1u << 20) /* in all profiles */

struct pa_custom {
	uint32_t id;                   /* 0, 1, ... in order of creation */
	char name[PA_CUSTOM_NAME_BYTES];
	PA_ATOMIC(uint32_t) count;     /* values in it; relaxed */
};

/* 0; -EINVAL: no name, too long, control bytes, or not UTF-8; -EEXIST (also a built-in name);
 * -ENOSPC. */
PA_APP int pa_custom_new(const char *name, struct pa_custom **out);

/* By name or by id; NULL. Any context: no lock. */
PA_SIGNAL struct pa_custom *pa_custom_find(const char *name);
PA_SIGNAL struct pa_custom *pa_custom_get(uint32_t id);
PA_SIGNAL uint32_t pa_custom_total(void);

/* 0; -EEXIST: value is in it; -ENOMEM. from: the frame that the stack begins with; skip frames more
 * are left out (by the collector, who knows all of them). */
PA_APP int pa_custom_add(struct pa_thread *thread, struct pa_custom *custom, const void *value,
	int skip, struct pa_cursor from);

/* True when value was in it. */
PA_APP bool pa_custom_remove(struct pa_thread *thread, struct pa_custom *custom,
	const void *value);

/*
 * In a forked child, after the ring's: nobody holds a lock; profiles and values stay. A value that
 * another thread of the parent was adding or removing in that moment is not in.
 */
PA_BOOT void pa_custom_atfork_child(void);

#endif
