/*
 * How much memory may be used for a while without pushing the program over its limit: debug
 * information is read into memory, and a guest must not be what gets its host killed.
 *
 * Context: PA_AGENT. Some file reads: ask once per large allocation.
 */
#ifndef PA_SYMBOLS_ROOM_H
#define PA_SYMBOLS_ROOM_H

#include "../base/base.h"

/* Bytes that are free, or easily freed, for this process: of the machine and of its control groups. */
PA_AGENT uint64_t pa_symbols_room_bytes(void);

/*
 * What a control group leaves, by the texts of its limit, usage and memory.stat files; UINT64_MAX
 * when there is no limit. For tests.
 */
PA_AGENT uint64_t pa_symbols_room_of_group(const char *limit, const char *usage, const char *stat);

#endif
