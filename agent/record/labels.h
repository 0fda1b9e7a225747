/*
 * Labels: sets of (key, value) that a thread has, interned, never changed and never freed.
 *
 * A thread keeps a pointer to its set (struct pa_thread), an event carries the set's id, and the
 * collector finds the set by it. Threads inherit the set of their creator.
 *
 * Context: add PA_APP, not in signal handlers (it takes a lock and memory); get PA_SIGNAL.
 * Memory: PA_LABELS_BYTES in all. When full: -ENOSPC, and the thread keeps what it has.
 */
#ifndef PA_LABELS_H
#define PA_LABELS_H

#include "../base/base.h"

#define PA_LABELS_SETS 8192u           /* ids are below; 0 is "none" */
#define PA_LABELS_MAX 32               /* labels of one set */
#define PA_LABELS_BYTES ((size_t)2 << 20)

struct pa_label {
	const char *key, *value; /* as given; may be no UTF-8 */
};

struct pa_labels {
	uint32_t id, count;
	uint64_t hash;
	struct pa_label labels[]; /* sorted by key, bytewise; keys differ */
};

/*
 * base (NULL: none) with the pairs of key, value, ..., NULL added: those of equal keys are
 * replaced, the last of equal keys counts. *out: the set, NULL when it has no labels. 0; -EINVAL: a
 * key without a value; -ENOSPC: too many labels or sets, or no memory.
 */
PA_APP int pa_labels_add(const struct pa_labels *base, const char *const *pairs,
	const struct pa_labels **out);

/* The set of an id that an event had; NULL for 0, and for what was never one. */
PA_SIGNAL const struct pa_labels *pa_labels_get(uint32_t id);

/* The id of what a thread keeps, or kept when it was copied: 0 for NULL, and for what is no set. */
PA_SIGNAL uint32_t pa_labels_id(const struct pa_labels *labels);

/* The value of key in the set (which may be NULL), or NULL. */
PA_SIGNAL const char *pa_labels_value(const struct pa_labels *labels, const char *key);

/* In a forked child: nobody holds the lock. Sets stay. */
PA_BOOT void pa_labels_atfork_child(void);

#endif
