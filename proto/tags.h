/*
 * What a sample says of itself besides stack and values: pprof calls it tags. Ours (thread, tid,
 * bytes) and the program's own labels, of which a key that is one of ours takes its place.
 *
 * Context: PA_AGENT, pure functions of what is given.
 */
#ifndef PA_TAGS_H
#define PA_TAGS_H

#include "../agent/profile/snapshot.h"
#include "text_writer.h"

struct pa_tag {
	const char *key;  /* not "" */
	const char *text; /* NULL: it is a number */
	int64_t number;
};

#define PA_TAGS_MAX (2 + PA_LABELS_MAX)

/* Those of a sample in profile.proto. Returns how many. */
PA_AGENT size_t pa_tags_of(const struct pa_kind *kind, const struct pa_sample *sample,
	struct pa_tag tags[PA_TAGS_MAX]);

/* {"k":"v", "z":"1"}: the program's own, as Go has them in its counted text. */
PA_AGENT void pa_tags_put(struct pa_text_writer *writer, const struct pa_labels *labels);

/* Sign as strcmp of what pa_tags_put writes of two sets; NULL is before all. But for texts that
 * need a backslash: their order is some order. */
PA_AGENT int pa_tags_compare(const struct pa_labels *a, const struct pa_labels *b);

/* " {thread: "name", k: "v"}", as Go has them behind the state of a thread; or nothing. */
PA_AGENT void pa_tags_put_thread(struct pa_text_writer *writer, const char *name,
	const struct pa_labels *labels);

#endif
