/*
 * The CPU profile: ticks by (stack, thread id, thread name, labels), of the one profile that is
 * being taken.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: PA_CPU_RECORDS records of 40
 * bytes while a profile is taken, and the names of threads, which are never freed.
 * When full: the ticks are counted in ticks_dropped; a thread whose name has no room is called
 * PA_CPU_OTHER.
 */
#ifndef PA_CPU_H
#define PA_CPU_H

#include "../record/event.h"
#include "snapshot.h"

#define PA_CPU_RECORDS (64 * 1024)
#define PA_CPU_NAMES 4096
#define PA_CPU_OTHER "[other]"

/* Empties the table and begins a profile. lost_ticks: what the recording side has lost so far. */
PA_AGENT void pa_cpu_begin(int64_t period_ns, uint64_t lost_ticks);

/* Ends it and frees the table. */
PA_AGENT void pa_cpu_end(void);

PA_AGENT bool pa_cpu_running(void);

/* Ignored when no profile is being taken. name need not end in a NUL nor be UTF-8; labels: the id
 * of a set. */
PA_AGENT void pa_cpu_add(const struct pa_stack *stack, int32_t tid,
	const char name[PA_THREAD_NAME_BYTES], uint32_t labels, uint64_t ticks);

PA_AGENT size_t pa_cpu_count(void);

/* Writes all pa_cpu_count() records to out, in order of first appearance. */
PA_AGENT void pa_cpu_samples(struct pa_sample *out);

struct pa_cpu_stats {
	/* of the profile being taken; 0 when there is none */
	int64_t period_ns;
	int64_t start_wall_ns, start_mono_ns;
	uint64_t lost_before;    /* as given to pa_cpu_begin */
	uint64_t ticks_dropped;
	/* since the start of the process */
	uint64_t all_ticks_dropped;
	uint64_t names_dropped;  /* ticks whose thread's name had no room */
	size_t table_bytes;
};
PA_AGENT struct pa_cpu_stats pa_cpu_stats(void);

/* In a forked child: no profile is being taken. abandon: the tables may be half changed; the names
 * and their memory are lost too. */
PA_BOOT void pa_cpu_atfork_child(bool abandon);

#endif
