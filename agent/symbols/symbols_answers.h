/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cache of symbolized locations, never evicted. An entry also records that the time ran out before
 * its lines were found.
 *
 * Context: PA_AGENT, the render thread only. No lock. Memory: the store of symbols_names.h. When
 * full: new answers are not kept.
 */
#ifndef PA_SYMBOLS_ANSWERS_H
#define PA_SYMBOLS_ANSWERS_H

#include "symbols.h"

struct pa_symbols_answer {
	uintptr_t pc;
	const struct pa_module *module;
	uint16_t code_version; /* of the location */
	uint32_t count;
	uint32_t cut_in; /* request whose time ran out here; 0: the answer is complete */
	struct pa_frame frames[];
};

/* Returns the location's answer if it is complete or of this request; otherwise NULL. */
PA_AGENT const struct pa_symbols_answer *pa_symbols_answers_find(const struct pa_loc *loc,
	uint32_t request);

/* Returns the location's answer, also an incomplete one of an earlier request; otherwise NULL. */
PA_AGENT const struct pa_symbols_answer *pa_symbols_answers_earlier(const struct pa_loc *loc);

/* Adds or replaces an answer. */
PA_AGENT void pa_symbols_answers_put(const struct pa_loc *loc, const struct pa_frame *frames,
	uint32_t count, uint32_t cut_in);

/* Forgets everything; its memory is not freed. */
PA_BOOT void pa_symbols_answers_reset(void);

#endif
