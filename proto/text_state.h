/*
 * What a thread is doing, in words: what stands in brackets in the dump of all threads.
 *
 * Context: PA_AGENT, pure functions of what is given.
 */
#ifndef PA_TEXT_STATE_H
#define PA_TEXT_STATE_H

#include "text_writer.h"

/* So many functions from the innermost one are looked at. */
#define PA_TEXT_STATE_NAMES 8

/*
 * names: the first functions of the thread's stack, as in symbol tables, innermost first. They tell
 * what a futex is where no hook did: "mutex lock 0x55d0c8, held by 4711, 3 minutes".
 */
PA_AGENT void pa_text_state_put(struct pa_text_writer *writer, const struct pa_about *about,
	const char *const *names, size_t count);

#endif
