/*
 * The string table of one profile: every text once, numbered in order of first use, "" is 0.
 *
 * Context: PA_AGENT, one thread. Texts are not copied: they must live until pa_strtab_free.
 */
#ifndef PA_STRTAB_H
#define PA_STRTAB_H

#include "grow.h"

struct pa_strtab {
	struct pa_grow texts; /* const char *[count] */
	struct pa_grow slots; /* hash table of struct slot, at most half full */
	uint32_t count;
	uint32_t slot_count;  /* power of two */
};

/* 0 or -ENOMEM. *table is zeroed before. */
PA_AGENT int pa_strtab_init(struct pa_strtab *table);
PA_AGENT void pa_strtab_free(struct pa_strtab *table);

/* The index of text (NULL is ""), added when it is new; -ENOMEM. */
PA_AGENT int64_t pa_strtab_index(struct pa_strtab *table, const char *text);

/* The index of text (NULL is ""), or -1 when it is not in there. */
PA_AGENT int64_t pa_strtab_find(const struct pa_strtab *table, const char *text);

/* The text with that index (below count). */
PA_AGENT const char *pa_strtab_text(const struct pa_strtab *table, uint32_t index);

#endif
