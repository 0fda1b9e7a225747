/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Label sets of threads: interned sets of (key, value), immutable and never freed.
 *
 * A thread holds a pointer to its set (struct pa_thread), an event the set's id, by which the
 * collector finds it. Threads inherit the set of their creator.
 *
 * Context: add PA_API (takes a lock, allocates); the others PA_SIGNAL. Lock: PA_LOCK_LABELS.
 * Memory: PA_LABELS_BYTES in total. When full: -ENOSPC, and the thread keeps its set.
 */
#ifndef PA_LABELS_H
#define PA_LABELS_H

#include "../base/base.h"

#define PA_LABELS_SETS 8192u /* ids are below this; 0 = no set */
#define PA_LABELS_MAX 32     /* labels of one set */
#define PA_LABELS_BYTES ((size_t)2 << 20)

struct pa_label {
	const char *key, *value; /* as given; may be invalid UTF-8 */
};

struct pa_labels {
	uint32_t id, count;
	uint64_t hash;
	struct pa_label labels[]; /* sorted by key, bytewise; keys differ */
};

/*
 * *out: base (NULL: none) plus pairs (key, value, ..., NULL), NULL when the result has no labels. A
 * pair replaces a label with the same key; the last of equal keys wins. 0; -EINVAL: a key without a
 * value; -ENOSPC: too many labels or sets, or no memory.
 */
PA_API int pa_labels_add(const struct pa_labels *base, const char *const *pairs,
	const struct pa_labels **out);

/* The set with that id; NULL for 0 and for an invalid id. */
PA_SIGNAL const struct pa_labels *pa_labels_get(uint32_t id);

/* The id of a set that a thread holds, or held when it was copied; 0 for NULL and for an address
 * that is no set. */
PA_SIGNAL uint32_t pa_labels_id(const struct pa_labels *labels);

/* The value of key in the set (which may be NULL), or NULL. */
PA_SIGNAL const char *pa_labels_value(const struct pa_labels *labels, const char *key);

/* In a forked child: resets the lock. Sets remain. */
PA_BOOT void pa_labels_atfork_child(void);

#endif
