/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of a thread in words: the text in brackets in the dump of all threads.
 *
 * Context: PA_AGENT, any thread; pure functions.
 */
#ifndef PA_TEXT_STATE_H
#define PA_TEXT_STATE_H

#include "futex_kind.h"
#include "text_writer.h"

/* Number of innermost functions that are examined. */
#define PA_TEXT_STATE_NAMES PA_FUTEX_KIND_NAMES

/*
 * names: the first functions of the thread's stack, as pa_futex_kind_of wants them. They tell what
 * a futex is where no hook did: "mutex lock 0x55d0c8, held by 4711, 3 minutes".
 */
PA_AGENT void pa_text_state_put(struct pa_text_writer *writer, const struct pa_thread_info *info,
	const char *const *names, size_t count);

#endif
