/* SPDX-License-Identifier: Apache-2.0 */
#include "merge.h"

#include <errno.h>
#include <inttypes.h>
#include <pb_encode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../agent/base/utf8.h"
#include "gzip.h"
#include "merge_part.h"
#include "profile.pb.h"

#define BUFFER_BYTES 4096
#define PROGRAM_BYTES 64
#define COMMENT_BYTES 256
/* Of each table: ids stay below 2^31, which is what the smallest readers take. */
#define TOTAL_MAX ((uint64_t)INT32_MAX)

#define TAG(field) perftools_profiles_Profile_##field##_tag

/* Indexes of the first texts. */
enum { TEXT_EMPTY, TEXT_PID, TEXT_PROGRAM };

struct pa_merge {
	struct pa_sink sink;
	struct pa_gzip *gzip;
	struct pa_merge_part_room *room;
	int error;                                /* the first error; after it nothing is written */
	uint64_t counts[PA_MERGE_MESSAGE_TABLES]; /* entries written */
	uint32_t parts;
	struct pa_merge_part first; /* its types are those of all */
	struct pa_merge_part part;  /* being added */
	int64_t time_ns;            /* the earliest */
	pb_ostream_t out;
	size_t used;
	pb_byte_t buffer[BUFFER_BYTES];
};

static bool fail_merge(struct pa_merge *merge, int error)
{
	if (!merge->error)
		merge->error = error;
	return false;
}

/* ---- bytes ---- */

static bool flush_merge(struct pa_merge *merge)
{
	size_t used = merge->used;

	merge->used = 0;
	return pa_gzip_write(merge->gzip, merge->buffer, used) || fail_merge(merge, -ECANCELED);
}

static bool write_merged(pb_ostream_t *stream, const pb_byte_t *bytes, size_t count)
{
	struct pa_merge *merge = stream->state;

	if (count > sizeof(merge->buffer) - merge->used && !flush_merge(merge))
		return false;
	if (count > sizeof(merge->buffer))
		return pa_gzip_write(merge->gzip, bytes, count) || fail_merge(merge, -ECANCELED);
	memcpy(merge->buffer + merge->used, bytes, count);
	merge->used += count;
	return true;
}

/* Receives gzip's output. After an error it drops even the trailer, so that the profile is visibly
 * truncated. */
static bool write_merge_sink(void *arg, const void *bytes, size_t count)
{
	struct pa_merge *merge = arg;

	return !merge->error && merge->sink.write(merge->sink.arg, bytes, count);
}

static bool put_bytes_field(void *arg, uint32_t tag, const void *bytes, size_t count)
{
	struct pa_merge *merge = arg;

	return !merge->error && pb_encode_tag(&merge->out, PB_WT_STRING, tag) &&
		pb_encode_string(&merge->out, bytes, count);
}

static bool put_number_field(struct pa_merge *merge, uint32_t tag, int64_t number)
{
	return !merge->error && pb_encode_tag(&merge->out, PB_WT_VARINT, tag) &&
		pb_encode_varint(&merge->out, (uint64_t)number);
}

/* ---- texts ---- */

/* Copies as much of the text as fits, as one line of UTF-8. */
static void clean_line(char *to, size_t size, const char *text)
{
	struct pa_utf8_piece piece;
	size_t left = size - 1;

	while ((piece = pa_utf8_piece(text, left, true)).source) {
		memcpy(to, piece.bytes, piece.count);
		to += piece.count;
		left -= piece.count;
		text += piece.source;
	}
	*to = '\0';
}

/* Index of the next text. */
static int64_t next_text(const struct pa_merge *merge)
{
	return (int64_t)merge->counts[PA_MERGE_MESSAGE_TEXTS];
}

static void put_own_text(struct pa_merge *merge, const char *text)
{
	put_bytes_field(merge, TAG(string_table), text, strlen(text));
	merge->counts[PA_MERGE_MESSAGE_TEXTS]++;
}

/* A field and the text that it refers to. */
static void put_text_field(struct pa_merge *merge, uint32_t tag, const char *text)
{
	put_number_field(merge, tag, next_text(merge));
	put_own_text(merge, text);
}

PA_AGENT void pa_merge_comment(struct pa_merge *merge, const char *text)
{
	char line[COMMENT_BYTES];

	clean_line(line, sizeof(line), text);
	put_text_field(merge, TAG(comment), line);
}

/* ---- the head ---- */

static void put_type(struct pa_merge *merge, uint32_t tag, const struct pa_merge_part_type *type)
{
	const perftools_profiles_ValueType message = {
		.type = next_text(merge),
		.unit = next_text(merge) + 1,
	};

	if (merge->error || !pb_encode_tag(&merge->out, PB_WT_STRING, tag) ||
		!pb_encode_submessage(&merge->out, perftools_profiles_ValueType_fields, &message))
		return;
	put_own_text(merge, type->type.text);
	put_own_text(merge, type->unit.text);
}

static void put_merged_head(struct pa_merge *merge)
{
	const struct pa_merge_part *first = &merge->first;

	for (uint32_t i = 0; i < first->type_count; i++)
		put_type(merge, TAG(sample_type), &first->types[i]);
	put_type(merge, TAG(period_type), &first->period_type);
	put_number_field(merge, TAG(period), first->period);
	put_number_field(merge, TAG(duration_nanos), first->duration_ns);
	if (first->default_type.text[0])
		put_text_field(merge, TAG(default_sample_type), first->default_type.text);
}

/* ---- one part ---- */

static bool has_same_types(const struct pa_merge_part *a, const struct pa_merge_part *b)
{
	if (a->type_count != b->type_count)
		return false;
	for (uint32_t i = 0; i < a->type_count; i++) {
		if (strcmp(a->types[i].type.text, b->types[i].type.text) != 0 ||
			strcmp(a->types[i].unit.text, b->types[i].unit.text) != 0)
			return false;
	}
	return true;
}

static bool has_room_for(const struct pa_merge *merge, const struct pa_merge_part *part)
{
	/* The texts of the head, of the comments, and the name of the program. */
	const uint64_t own = 2 * PA_PROFILE_OPS_VALUES + 4 + PA_MERGE_PART_COMMENTS;

	for (size_t i = 0; i < PA_MERGE_MESSAGE_TABLES; i++) {
		if (merge->counts[i] + part->counts[i] + own > TOTAL_MAX)
			return false;
	}
	return true;
}

static void put_part_comments(struct pa_merge *merge, int64_t pid, const char *program)
{
	char line[COMMENT_BYTES + PA_MERGE_PART_COMMENT_BYTES];

	for (uint32_t i = 0; i < merge->part.comment_count; i++) {
		snprintf(line, sizeof(line), "process %" PRId64 " (%s): %s", pid, program,
			merge->part.comments[i].text);
		pa_merge_comment(merge, line);
	}
}

static int write_part(struct pa_merge *merge, struct pa_gunzip *from, int64_t pid,
	const char *program)
{
	const struct pa_merge_part *part = &merge->part;
	char name[PROGRAM_BYTES];

	clean_line(name, sizeof(name), program);
	put_part_comments(merge, pid, name);
	struct pa_merge_part_target target = {
		.put = put_bytes_field,
		.arg = merge,
		.labels = {
			.pid_key = TEXT_PID,
			.program_key = TEXT_PROGRAM,
			.program = (uint64_t)next_text(merge),
			.pid = pid,
		},
	};
	put_own_text(merge, name);
	memcpy(target.shifts, merge->counts, sizeof(target.shifts));
	/* Its text 1 becomes the next one: its text 0 is not written. */
	target.shifts[PA_MERGE_MESSAGE_TEXTS]--;
	int error = pa_merge_part_write(from, merge->room, part, &target);
	for (size_t i = 0; i < PA_MERGE_MESSAGE_TABLES; i++)
		merge->counts[i] += part->counts[i] - (i == PA_MERGE_MESSAGE_TEXTS);
	if (error)
		fail_merge(merge, error);
	return merge->error;
}

static int add_part(struct pa_merge *merge, struct pa_gunzip *from, int64_t pid,
	const char *program)
{
	int error = pa_merge_part_check(from, merge->room, &merge->part);

	if (error)
		return error;
	if (!merge->parts)
		merge->first = merge->part;
	if (!has_same_types(&merge->first, &merge->part))
		return -EPROTOTYPE;
	if (!has_room_for(merge, &merge->part))
		return -EOVERFLOW;
	if (!merge->parts++)
		put_merged_head(merge);
	if (merge->part.time_ns && (!merge->time_ns || merge->part.time_ns < merge->time_ns))
		merge->time_ns = merge->part.time_ns;
	return write_part(merge, from, pid, program);
}

PA_AGENT int pa_merge_add(struct pa_merge *merge, int64_t pid, const char *program,
	const void *bytes, size_t count)
{
	if (merge->error)
		return merge->error;
	struct pa_gunzip *from = pa_gunzip_open(bytes, count);
	if (!from)
		return -ENOMEM;
	int error = add_part(merge, from, pid, program);
	pa_gunzip_close(from);
	return error;
}

/* ---- begin and end ---- */

static void free_merge(struct pa_merge *merge)
{
	pa_merge_part_room_free(merge->room);
	free(merge);
}

PA_AGENT struct pa_merge *pa_merge_open(const struct pa_sink *to)
{
	struct pa_merge *merge = calloc(1, sizeof(*merge));
	const struct pa_sink own = { .write = write_merge_sink, .arg = merge };

	if (!merge)
		return NULL;
	merge->sink = *to;
	merge->out =
		(pb_ostream_t){ .callback = write_merged, .state = merge, .max_size = SIZE_MAX };
	merge->room = pa_merge_part_room();
	merge->gzip = merge->room ? pa_gzip_open(&own) : NULL;
	if (!merge->gzip) {
		free_merge(merge);
		return NULL;
	}
	put_own_text(merge, "");
	put_own_text(merge, PA_MERGE_PART_KEY_PID);
	put_own_text(merge, PA_MERGE_PART_KEY_PROGRAM);
	return merge;
}

PA_AGENT int pa_merge_close(struct pa_merge *merge)
{
	if (!merge->parts)
		fail_merge(merge, -ENODATA);
	put_number_field(merge, TAG(time_nanos), merge->time_ns);
	if (!merge->error)
		flush_merge(merge);
	int error = pa_gzip_close(merge->gzip);

	if (merge->error)
		error = merge->error;
	free_merge(merge);
	return error;
}
