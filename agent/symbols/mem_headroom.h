/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory the agent may use for a while without driving the program into a memory limit:
 * debug information is read into memory, and must not get the program killed.
 *
 * Context: PA_AGENT, any thread. No lock, no memory. A call reads several files of /proc and /sys,
 * unless much more room than is asked for was found in the last second: call it once per large
 * allocation.
 */
#ifndef PA_MEM_HEADROOM_H
#define PA_MEM_HEADROOM_H

#include "../base/base.h"

/*
 * Free or reclaimable bytes for this process: the minimum over the machine, its control groups and
 * its own limits (RLIMIT_AS, RLIMIT_DATA).
 */
PA_AGENT uint64_t pa_mem_headroom_bytes(void);

/* True if bytes may be used for a while: a quarter of the room, or too little to matter. */
PA_AGENT bool pa_mem_headroom_for(uint64_t bytes);

/*
 * Returns NULL if bytes may be mapped for a request: most of the room stays for the program, also
 * under limits that it set at run time, and RLIMIT_CPU is not near. Otherwise the name of the
 * limit, a constant.
 */
PA_API const char *pa_mem_headroom_lacks(uint64_t bytes);

/* Room in a control group, from the texts of its limit, usage and memory.stat files; UINT64_MAX: no
 * limit. For tests. */
PA_AGENT uint64_t pa_mem_headroom_of_group(const char *limit, const char *usage, const char *stat);

#endif
