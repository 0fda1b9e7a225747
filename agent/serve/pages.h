/*
 * The pages that are no profile: the index, the command line, the agent about itself.
 *
 * Context: PA_AGENT. The builders are functions of what they are given; the answers run on the
 * worker of the request.
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

/* HTML; rows in the order given. */
PA_AGENT void pa_pages_index(struct pa_buffer *out, const struct pa_pages_row *rows, size_t count);

/* The arguments, joined by NUL, none at the end. 0 or -errno. */
PA_AGENT int pa_pages_cmdline(struct pa_buffer *out);

/*
 * Settings as resolved, events, drops by cause, ring, memory, hooks that are not active and why. As
 * lines, or as one JSON object with an object a section. listener may be NULL: not known.
 */
PA_AGENT void pa_pages_agent(struct pa_buffer *out, const struct pa_listen *listener, bool json);

#endif
