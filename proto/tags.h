/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of a sample (pprof: tags): the agent's own (thread, tid, bytes) and the program's; a label
 * of the program with one of these keys replaces the agent's.
 *
 * Context: PA_AGENT, any thread; pure functions.
 */
#ifndef PA_TAGS_H
#define PA_TAGS_H

#include "../agent/profile/snapshot.h"
#include "text_writer.h"

struct pa_tag {
	const char *key;  /* not "" */
	const char *text; /* NULL: a number */
	int64_t number;
};

#define PA_TAGS_MAX (2 + PA_LABELS_MAX)

/* Labels of a sample in profile.proto. Returns their number. */
PA_AGENT size_t pa_tags_of(const struct pa_profile_ops *kind, const struct pa_sample *sample,
	struct pa_tag tags[PA_TAGS_MAX]);

/* Writes {"k":"v", "z":"1"}: the program's labels, as in Go's counted text. */
PA_AGENT void pa_tags_put(struct pa_text_writer *writer, const struct pa_labels *labels);

/* Compares the output of pa_tags_put of two sets as strcmp() does; NULL is first. Texts that need a
 * backslash are ordered consistently, but not as strcmp(). */
PA_AGENT int pa_tags_compare(const struct pa_labels *a, const struct pa_labels *b);

/* Writes " {thread: "name", k: "v"}", as Go behind the state of a goroutine; or nothing. */
PA_AGENT void pa_tags_put_thread(struct pa_text_writer *writer, const char *name,
	const struct pa_labels *labels);

#endif
