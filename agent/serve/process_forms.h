/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of processes as text, JSON and HTML, and as targets for the HTTP service discovery of
 * Prometheus.
 *
 * Names, paths and command lines are chosen by the programs, in any bytes: the text has control
 * characters escaped, the HTML markup as well, and JSON is valid UTF-8.
 *
 * Context: PA_AGENT, any thread. No lock. Each function appends to the caller's buffer.
 */
#ifndef PA_PROCESS_FORMS_H
#define PA_PROCESS_FORMS_H

#include "process_tree.h"

/* One line a process, with its ancestors above it; the program is indented by its depth. */
PA_AGENT void pa_process_forms_text(struct pa_buffer *out, const struct pa_process_tree *tree);

/* {"processes":[...],"cut":false}, in the order of the text. */
PA_AGENT void pa_process_forms_json(struct pa_buffer *out, const struct pa_process_tree *tree);

PA_AGENT void pa_process_forms_html(struct pa_buffer *out, const struct pa_process_tree *tree);

/*
 * One entry for each process that serves in this network namespace. host: as the client asked for
 * this port ("localhost:6060"), which relays to the process in the parameter pid. No plain label
 * has the pid: each process would be a series of its own.
 */
PA_AGENT void pa_process_forms_targets(struct pa_buffer *out, const struct pa_process_tree *tree,
	const char *host);

#endif
