/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages that are not profiles: the index, the command line, the agent's own state.
 *
 * Context: PA_AGENT, any worker. No lock. Each function appends to the caller's buffer, whose
 * failed flag reports a lack of memory.
 */
#ifndef PA_PAGES_H
#define PA_PAGES_H

#include "buffer.h"
#include "http.h"

/* One row of the index. */
struct pa_pages_row {
	const char *name;
	const char *description;
	size_t count;
};

/* HTML; rows in the given order. */
PA_AGENT void pa_pages_index(struct pa_buffer *out, const struct pa_pages_row *rows, size_t count);

/* Arguments joined by NUL, without one at the end. Returns 0 or -errno. */
PA_AGENT int pa_pages_cmdline(struct pa_buffer *out);

/* Resolved settings, events, drops by cause, ring, memory, inactive hooks with the reason. As
 * lines, or as one JSON object with one object per section. listener may be NULL: unknown. */
PA_AGENT void pa_pages_agent(struct pa_buffer *out, const struct pa_listen *listener, bool json);

#endif
