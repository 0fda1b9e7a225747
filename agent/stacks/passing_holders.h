/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number of snapshots that may have stacks of passing_stacks.h, which must not be freed meanwhile.
 *
 * Context: hold: the collector, under PA_LOCK_TABLES; release: any thread. No lock.
 */
#ifndef PA_PASSING_HOLDERS_H
#define PA_PASSING_HOLDERS_H

#include "../base/base.h"

PA_AGENT void pa_passing_holders_hold(void);
PA_APP void pa_passing_holders_release(void);

/* For the collector: if there are none, there will be none until it adds one. */
PA_AGENT bool pa_passing_holders_exist(void);

/* In a forked child, where no snapshot exists. */
PA_BOOT void pa_passing_holders_atfork_child(void);

#endif
