/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of one location: recalled, or looked up in its module's files within the time that
 * the current request has for debug information.
 *
 * Context: PA_AGENT, the render thread only. No lock. Memory: the store of symbols_names.h.
 */
#ifndef PA_SYMBOLS_QUERY_H
#define PA_SYMBOLS_QUERY_H

#include "symbols_answers.h"
#include "symbols_load.h"

PA_AGENT void pa_symbols_query_init(enum pa_env_symbols mode);
PA_AGENT enum pa_env_symbols pa_symbols_query_mode(void);

/* Begins a request: it has the full time, and continues what was cut in earlier ones. */
PA_AGENT void pa_symbols_query_begin(void);

/* CPU time left for debug information in this request. */
PA_AGENT int64_t pa_symbols_query_left_ns(void);

/* Counts CPU time spent on debug information by others than the functions below. */
PA_AGENT void pa_symbols_query_spend(int64_t cpu_ns);

/* The symbols of a module, with its table loaded. NULL: no memory. */
PA_AGENT struct pa_symbols *pa_symbols_query_module(struct pa_module *module);

/* A complete answer, or one of this request; NULL: none. */
PA_AGENT const struct pa_symbols_answer *pa_symbols_query_recall(const struct pa_loc *loc);

/* Answers, and keeps the answer. Fills in at most PA_SYMBOLS_INLINE_MAX frames; returns their
 * number. */
PA_AGENT uint32_t pa_symbols_query_location(const struct pa_loc *loc, struct pa_frame *frames);

/* While the units of the location's module are being indexed: keeps an answer if the last unit
 * alone gives a complete one. */
PA_AGENT void pa_symbols_query_last_unit(const struct pa_loc *loc);

/* Forgets the current request. */
PA_BOOT void pa_symbols_query_reset(void);

#endif
