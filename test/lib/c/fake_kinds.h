/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds of profiles for tests that do without the collector: the names and rules of the real ones,
 * no tables, and a watch that is counted. Links in place of profile_list.c and the kinds'
 * files.
 */
#ifndef FAKE_KINDS_H
#define FAKE_KINDS_H

#include "agent/base/atomic.h"
#include "agent/profile/profile_lookup.h"

struct fake_kinds_state {
	PA_ATOMIC(int) watches;                              /* so far; acq_rel, as are the next */
	PA_ATOMIC(int) watching[PA_PROFILE_LIST_MAX];        /* that were not taken back yet */
	PA_ATOMIC(int) sampled[PA_PROFILE_LIST_MAX];         /* those among them that are sampled */
	void (*on_end)(int left);                            /* of a watch; or NULL */
	const struct pa_profile_ops *(*custom)(uint32_t id); /* or NULL: there are none */
};
extern struct fake_kinds_state fake_kinds;

void fake_watch(const struct pa_profile_ops *kind, bool sampled, bool on);

int fake_watching(const struct pa_profile_ops *kind);

int fake_sampled(const struct pa_profile_ops *kind);

void fake_forget_watches(void);

extern const struct pa_profile_ops pa_allocs_profile PA_HIDDEN;
extern const struct pa_profile_ops pa_block_profile PA_HIDDEN;
extern const struct pa_profile_ops pa_cpu_profile PA_HIDDEN;
extern const struct pa_profile_ops pa_goroutine_profile PA_HIDDEN;
extern const struct pa_profile_ops pa_heap_profile PA_HIDDEN;
extern const struct pa_profile_ops pa_mutex_profile PA_HIDDEN;
extern const struct pa_profile_ops pa_threadcreate_profile PA_HIDDEN;

#endif
