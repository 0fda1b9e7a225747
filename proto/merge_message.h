/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a profile with other ids and string indexes: a sample, mapping, location or function
 * is checked and written anew. Fields that profile.proto does not know are left out.
 *
 * Context: PA_AGENT, one thread. No lock. Used by merge_part.c; the message is of any origin.
 */
#ifndef PA_MERGE_MESSAGE_H
#define PA_MERGE_MESSAGE_H

#include "../agent/base/base.h"

/* A longer message counts as damaged; so does a table with more entries, so that sums of many
 * stay small. */
#define PA_MERGE_MESSAGE_BYTES ((size_t)32 << 10)
#define PA_MERGE_MESSAGE_ENTRIES ((uint64_t)1 << 20)
/* Labels of a sample beside pid and program: some readers reject more than 100. */
#define PA_MERGE_MESSAGE_LABELS 98

/* Numbers of one byte become some of five, fields of two bytes some of six. */
#define PA_MERGE_MESSAGE_OUT_BYTES (6 * PA_MERGE_MESSAGE_BYTES + 64)

enum pa_merge_message_table {
	PA_MERGE_MESSAGE_TEXTS,
	PA_MERGE_MESSAGE_MAPPINGS,
	PA_MERGE_MESSAGE_LOCATIONS,
	PA_MERGE_MESSAGE_FUNCTIONS,
	PA_MERGE_MESSAGE_TABLES
};

/* Labels that each sample gets: indexes of texts, and a number. */
struct pa_merge_message_labels {
	uint64_t pid_key, program_key, program;
	int64_t pid;
};

/* One reading of a profile. */
struct pa_merge_message_reading {
	/* given */
	uint64_t shifts[PA_MERGE_MESSAGE_TABLES];     /* added to what is not 0 */
	const struct pa_merge_message_labels *labels; /* NULL: none */
	uint64_t left_out[2];                         /* keys of labels, before the shift; or 0 */
	uint32_t value_count;                         /* of each sample */
	/* found: entries so far, and the highest that was referred to */
	uint64_t counts[PA_MERGE_MESSAGE_TABLES];
	uint64_t highest[PA_MERGE_MESSAGE_TABLES];
	/* the message written last */
	size_t out_bytes;
	unsigned char out[PA_MERGE_MESSAGE_OUT_BYTES];
	/* temporary */
	uint32_t values, label_count, owns, entries;
	uint64_t label_key;
	bool nested;
	unsigned char inner[PA_MERGE_MESSAGE_OUT_BYTES];
};

/* True if this field of the Profile has such messages. */
PA_AGENT bool pa_merge_message_is_known(uint32_t tag);

/*
 * Writes the message into out. False: it is damaged, refers to what cannot be, or its id is not the
 * next one of its table.
 */
PA_AGENT bool pa_merge_message_rewrite(struct pa_merge_message_reading *reading, uint32_t tag,
	const void *bytes, size_t count);

/* At the end: true if each reference was to an entry. */
PA_AGENT bool pa_merge_message_refers_to_entries(const struct pa_merge_message_reading *reading);

#endif
