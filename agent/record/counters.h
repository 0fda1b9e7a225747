/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of events seen and events lost, by cause.
 *
 * Context: any (PA_SIGNAL). Statistics only: relaxed.
 */
#ifndef PA_COUNTERS_H
#define PA_COUNTERS_H

#include <string.h>

#include "../base/atomic.h"
#include "../base/base.h"

/* This X-macro is the only list; the agent page and profile comments show the texts. */
#define PA_COUNTERS(X)                                                                      \
	X(alloc_events, "sampled allocations")                                              \
	X(free_events, "frees of sampled objects")                                          \
	X(frees_of_lost, "frees of objects whose allocation was dropped")                   \
	X(cpu_events, "CPU samples")                                                        \
	X(block_events, "sampled waits")                                                    \
	X(mutex_events, "sampled unlocks with waiters")                                     \
	X(wake_events, "sampled wakes of threads that waited on a futex")                   \
	X(create_events, "threads created")                                                 \
	X(dump_answers, "threads that wrote their stack for a thread dump")                 \
	X(trace_events, "recorded events of execution traces")                              \
	X(deferred_stacks, "stacks completed by the collector")                             \
	X(lost_alloc_ring, "allocations dropped: ring full")                                \
	X(bytes_of_lost_allocs, "bytes of the allocations dropped")                         \
	X(lost_alloc_live, "allocations not seen in use: live-object set full")             \
	X(lost_free_ring, "frees dropped: ring full")                                       \
	X(lost_cpu_ring, "CPU ticks dropped: ring full")                                    \
	X(lost_cpu_thread, "CPU ticks dropped: thread without TLS or room for the handler") \
	X(lost_block_ring, "waits dropped: ring full")                                      \
	X(ns_of_lost_blocks, "ns of the waits dropped")                                     \
	X(lost_mutex_ring, "contended critical sections dropped: ring full")                \
	X(ns_of_lost_mutexes, "ns waited for the critical sections dropped")                \
	X(lost_wake_ring, "wakes of threads that waited on a futex dropped: ring full")     \
	X(lost_waiters, "waiters not charged to an unlock: table of contended locks full")  \
	X(lost_create_ring, "creations of threads dropped: ring full")                      \
	X(lost_custom_ring, "values of user-defined profiles dropped: ring full")           \
	X(lost_trace_ring, "events of execution traces dropped: ring full")                 \
	X(lost_reentrant, "events dropped: inside the agent's own code")                    \
	X(timers_failed, "threads without a CPU timer")                                     \
	X(broken_stacks, "stacks that end before their thread's start")                     \
	X(unreadable_stacks, "stacks that end where memory could not be read")              \
	X(cut_stacks, "stacks cut at the depth limit")                                      \
	X(suspends_late, "program calls made before all agent threads had ended")           \
	X(filters_late, "seccomp filters installed during a call of the agent")             \
	X(unloads_unawaited, "libraries unloaded before all of their stacks had names")     \
	X(perf_maps_cut, "requests that read a perf map in part: no time or memory")        \
	X(perf_maps_unfollowed, "changes of a perf map not followed: too many")             \
	X(unwind_tables_full, "registered unwind tables not used: too many")                \
	X(unwind_tables_cut, "registered unwind tables used in part: damaged, or too many") \
	X(unwind_tables_late, "stacks cut in code whose registered unwind table was gone")  \
	X(exit_files_failed, "exit files that could not be written")

struct pa_counters {
#define X(name, text) PA_ATOMIC(uint64_t) name;
	PA_COUNTERS(X)
#undef X
};

PA_INLINE void pa_counters_copy(struct pa_counters *to, const struct pa_counters *from)
{
#define X(name, text) pa_store_relaxed(&to->name, pa_load_relaxed(&from->name));
	PA_COUNTERS(X)
#undef X
}

/*
 * True when the counter with that name counts events that profiles lack. Of the others some count
 * events seen; ns_of_lost_* and bytes_of_lost_* sum what the lost ones amount to.
 */
PA_INLINE bool pa_counters_is_loss(const char *name)
{
	return strncmp(name, "lost_", strlen("lost_")) == 0 || strcmp(name, "timers_failed") == 0;
}

#endif
