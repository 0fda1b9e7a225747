/*
 * How much memory may be used for a while without pushing the program over its limit: debug
 * information is read into memory, and a guest must not be what gets its host killed.
 *
 * Context: PA_AGENT. Some file reads: ask once per large allocation.
 */
#ifndef PA_SYMBOLS_ROOM_H
#define PA_SYMBOLS_ROOM_H

#include "../base/base.h"

/*
 * Bytes that are free, or easily freed, for this process: of the machine, of its control groups, of
 * its own limits (RLIMIT_AS, RLIMIT_DATA).
 */
PA_AGENT uint64_t pa_symbols_room_bytes(void);

/* So much may be used for a while: a fair part of the room, or too little to matter. */
PA_AGENT bool pa_symbols_room_for(uint64_t bytes);

/*
 * What a control group leaves, by the texts of its limit, usage and memory.stat files; UINT64_MAX
 * when there is no limit. For tests.
 */
PA_AGENT uint64_t pa_symbols_room_of_group(const char *limit, const char *usage, const char *stat);

#endif
