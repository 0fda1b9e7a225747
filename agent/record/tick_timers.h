/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers of CPU ticks, by tid, so that the thread itself and the agent thread that lists
 * /proc/self/task agree on one; and how many ticks of that thread were charged.
 *
 * A timer that exists is deleted once: by the caller of delete that gets true, or by delete_all.
 *
 * Context: as marked. No lock: entries are claimed, armed and freed by compare and swap. Memory: 32
 * KiB for each 4,096 tids of which one had a timer; none of it is touched between profiles.
 */
#ifndef PA_TICK_TIMERS_H
#define PA_TICK_TIMERS_H

#include <time.h>

#include "../base/base.h"

/* Forgets all entries; no timer exists. room: how many may be created. */
PA_AGENT void pa_tick_timers_begin(int32_t room);

/* True: the caller is the one to arm it. charged: ticks so far, modulo 2^32. */
PA_APP bool pa_tick_timers_claim(int32_t tid, uint32_t charged);

/*
 * Creates a claimed timer on the CPU clock of tid, with its first tick at due_ns of that clock. The
 * signal's value is the tid. False: the kernel refused, and the claim has ended.
 */
PA_APP bool pa_tick_timers_arm(int32_t tid, int64_t due_ns, int64_t period_ns);

/* Sets the time of the next tick; later ones follow by the period. No effect without a timer. */
PA_SIGNAL void pa_tick_timers_set(int32_t tid, int64_t due_ns, int64_t period_ns);

PA_SIGNAL bool pa_tick_timers_has(int32_t tid);

/* True if there was one. The thread that is arming it, if any, deletes it then. */
PA_APP bool pa_tick_timers_delete(int32_t tid);

/* Deletes all, and calls then, unless NULL, for each. Returns their number. */
PA_APP uint32_t pa_tick_timers_delete_all(void (*then)(int32_t tid));

/* Calls visit for each thread that has one. */
PA_AGENT void pa_tick_timers_each(void (*visit)(int32_t tid));

/* Ticks charged to a thread that has, or had, a timer, modulo 2^32. Only the thread adds. */
PA_SIGNAL uint32_t pa_tick_timers_charged(int32_t tid);
PA_SIGNAL void pa_tick_timers_charge(int32_t tid, uint32_t ticks);

/* The CPU clock of any tid. */
PA_SIGNAL clockid_t pa_tick_timers_clock(int32_t tid);

/* In a forked child: forgets the timers, which are not inherited. */
PA_BOOT void pa_tick_timers_atfork_child(void);

#endif
