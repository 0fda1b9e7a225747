/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of threads in CPU profiles: a number for each.
 *
 * Context: PA_AGENT, the collector only, under PA_LOCK_TABLES. Memory: 64 bytes a name at most,
 * never freed. When full: all further names are PA_CPU_NAMES_OTHER, counted.
 */
#ifndef PA_CPU_NAMES_H
#define PA_CPU_NAMES_H

#include "../record/event.h"

#define PA_CPU_NAMES_MAX 4096
#define PA_CPU_NAMES_OTHER "[other]"

/* Id of a name as prctl(PR_GET_NAME) gives it: it may lack the NUL and may not be UTF-8. */
PA_AGENT uint16_t pa_cpu_names_id(const char raw[PA_EVENT_NAME_BYTES]);

/* The name of an id, valid UTF-8, for as long as the process lives. */
PA_AGENT const char *pa_cpu_names_at(uint32_t id);

struct pa_cpu_names_stats {
	uint64_t dropped;   /* names that did not fit, each time */
	size_t table_bytes; /* mapped */
};
PA_AGENT struct pa_cpu_names_stats pa_cpu_names_stats(void);

/* In a forked child whose copy of the names may be inconsistent: forgets them. */
PA_BOOT void pa_cpu_names_abandon(void);

#endif
