/*
 * What the kernel says of a thread of this process: its files in /proc/self/task.
 *
 * Context: PA_AGENT; opens files.
 */
#ifndef PA_ABOUT_H
#define PA_ABOUT_H

#include "snapshot.h"

/*
 * Fills *about: name, state, syscall, argument and words, the rest empty. What cannot be read is
 * not known. False when there is no such thread (any more).
 */
PA_AGENT bool pa_about_read(int32_t tid, struct pa_about *about);

#endif
