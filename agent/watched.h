/*
 * Is the program built to be watched by another tool of our kind?
 */
#ifndef PA_WATCHED_H
#define PA_WATCHED_H

#include "base/base.h"

/*
 * Sanitizers that have to know each thread, or where each byte came from: libc's functions are
 * theirs, and fail in threads and on memory that only we know; or find leaks in what our threads
 * are at. The address sanitizer does not let us bind our libraries to each other, and they would be
 * the program's. By weak symbols, since a dlsym that finds nothing costs 12 us.
 */
PA_BOOT bool pa_watched(void);

#endif
