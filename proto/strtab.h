/* SPDX-License-Identifier: Apache-2.0 */
/*
 * String table of a profile: each text once, numbered in order of first use, "" is 0.
 *
 * Context: PA_AGENT, one thread. No lock. Texts are not copied: they must live until
 * pa_strtab_free.
 */
#ifndef PA_STRTAB_H
#define PA_STRTAB_H

#include "../agent/base/hash_table.h"
#include "scratch.h"

struct pa_strtab {
	struct pa_scratch texts; /* const char *[count] */
	struct pa_hash_table slots;
	uint32_t count;
};

/* Returns 0 or -ENOMEM. *table must be zeroed. */
PA_AGENT int pa_strtab_init(struct pa_strtab *table);
PA_AGENT void pa_strtab_free(struct pa_strtab *table);

/* Index of text (NULL is ""), added if it is new; -ENOMEM. */
PA_AGENT int64_t pa_strtab_index(struct pa_strtab *table, const char *text);

/* Index of text (NULL is ""); -1: not in the table. */
PA_AGENT int64_t pa_strtab_find(const struct pa_strtab *table, const char *text);

/* Text of an index (below count). */
PA_AGENT const char *pa_strtab_text(const struct pa_strtab *table, uint32_t index);

/* Memory for all of it but the texts. */
PA_AGENT size_t pa_strtab_bytes(const struct pa_strtab *table);

#endif
