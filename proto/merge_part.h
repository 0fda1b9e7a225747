/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One profile of several that become one: it is read twice. The first time it is checked whole, the
 * second time its messages are written with other ids and string indexes. So nothing of a damaged
 * profile gets into the result, and the memory does not grow with the profile.
 *
 * The profile is of any origin. It must be as encode.c writes it: ids and the string table in
 * order, the head before the strings.
 *
 * Context: PA_AGENT, one thread. No lock. Used by merge.c.
 */
#ifndef PA_MERGE_PART_H
#define PA_MERGE_PART_H

#include "encode.h"
#include "gunzip.h"
#include "merge_message.h"

/* Bytes of a profile that is decompressed, and of one text: longer ones count as damaged. */
#define PA_MERGE_PART_BYTES ((size_t)256 << 20)
#define PA_MERGE_PART_TEXT_BYTES 65535
#define PA_MERGE_PART_COMMENTS 32

#define PA_MERGE_PART_NAME_BYTES 64
#define PA_MERGE_PART_COMMENT_BYTES 256

#define PA_MERGE_PART_KEY_PID "pid"
#define PA_MERGE_PART_KEY_PROGRAM "program"

/* A text of the head, cut off at PA_MERGE_PART_NAME_BYTES. */
struct pa_merge_part_name {
	uint64_t index;
	char text[PA_MERGE_PART_NAME_BYTES];
};

struct pa_merge_part_type {
	struct pa_merge_part_name type, unit;
};

/* What the first reading finds. */
struct pa_merge_part {
	uint64_t counts[PA_MERGE_MESSAGE_TABLES];
	uint32_t type_count;
	struct pa_merge_part_type types[PA_PROFILE_OPS_VALUES];
	struct pa_merge_part_type period_type;
	struct pa_merge_part_name default_type;
	int64_t period, time_ns, duration_ns;
	uint64_t own_keys[2]; /* indexes of "pid" and "program"; 0: it has none */
	uint32_t comment_count;
	struct pa_merge_part_comment {
		uint64_t index;
		char text[PA_MERGE_PART_COMMENT_BYTES];
	} comments[PA_MERGE_PART_COMMENTS];
};

/* Temporary memory of both readings; 512 KiB at most. */
struct pa_merge_part_room;
PA_AGENT struct pa_merge_part_room *pa_merge_part_room(void);
PA_AGENT void pa_merge_part_room_free(struct pa_merge_part_room *room);

/* Reads all of it. Returns 0; -EBADMSG: damaged, or not as encode.c writes it. */
PA_AGENT int pa_merge_part_check(struct pa_gunzip *from, struct pa_merge_part_room *room,
	struct pa_merge_part *part);

struct pa_merge_part_target {
	/* Takes the contents of one field of the Profile. False: stop. */
	bool (*put)(void *arg, uint32_t tag, const void *bytes, size_t count);
	void *arg;
	uint64_t shifts[PA_MERGE_MESSAGE_TABLES]; /* added to what is not 0 */
	struct pa_merge_message_labels labels;
};

/* Writes its samples, mappings, locations, functions and texts but the empty one. Returns 0,
 * -EBADMSG, or -ECANCELED after put returned false. */
PA_AGENT int pa_merge_part_write(struct pa_gunzip *from, struct pa_merge_part_room *room,
	const struct pa_merge_part *part, const struct pa_merge_part_target *target);

#endif
