/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The label "thread" of samples, as the setting or the request wants it.
 *
 * Context: PA_AGENT, any of our threads; pure functions. No lock.
 */
#ifndef PA_THREAD_LABEL_H
#define PA_THREAD_LABEL_H

#include "../base/env.h"
#include "../profile/snapshot.h"

/* A profile whose threads are joined. */
struct pa_thread_label_view {
	struct pa_snapshot *snapshot;
	void *memory; /* of the copied samples and of the names */
	size_t bytes;
};

/* True if that label differs from what the snapshot has. */
PA_AGENT bool pa_thread_label_differs(const struct pa_snapshot *snapshot,
	enum pa_env_thread_label label);

/*
 * Makes the snapshot with that label, POOL or OFF. Samples have no tid, and those that are equal
 * then are one. close always. Returns 0 or -ENOMEM.
 */
PA_AGENT int pa_thread_label_open(struct pa_thread_label_view *view,
	const struct pa_snapshot *snapshot, enum pa_env_thread_label label);
PA_AGENT void pa_thread_label_close(struct pa_thread_label_view *view);

/* Writes name with "*" for each run of digits, cut to size - 1 bytes. Returns its length. */
PA_AGENT size_t pa_thread_label_pool(char *out, size_t size, const char *name);

#endif
