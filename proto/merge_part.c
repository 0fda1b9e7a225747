/* SPDX-License-Identifier: Apache-2.0 */
#include "merge_part.h"

#include <errno.h>
#include <pb_decode.h>
#include <string.h>

#include "../agent/base/arena.h"
#include "../agent/base/utf8.h"
#include "profile.pb.h"

#define TAG(message, field) perftools_profiles_##message##_##field##_tag

struct pa_merge_part_room {
	pb_byte_t in[PA_MERGE_PART_TEXT_BYTES + 1];
	struct pa_merge_message_reading messages;
};

struct reading {
	struct pa_gunzip *from;
	struct pa_merge_part_room *room;
	struct pa_merge_message_reading *messages; /* of the room */
	struct pa_merge_part *found;               /* the first reading; otherwise NULL */
	const struct pa_merge_part_target *target; /* the second reading; otherwise NULL */
	bool stopped;                              /* put returned false */
};

static bool put_field(struct reading *reading, uint32_t tag, const void *bytes, size_t count)
{
	const struct pa_merge_part_target *target = reading->target;

	reading->stopped = target && !target->put(target->arg, tag, bytes, count);
	return !reading->stopped;
}

/* Reads the contents of a field with a length into the room; its stream is *in. */
static bool read_bytes(struct reading *reading, pb_istream_t *profile, size_t max, pb_istream_t *in)
{
	uint32_t count;

	if (!pb_decode_varint32(profile, &count) || count > max ||
		!pb_read(profile, reading->room->in, count))
		return false;
	*in = pb_istream_from_buffer(reading->room->in, count);
	return true;
}

static bool read_message(struct reading *reading, pb_istream_t *profile, uint32_t tag)
{
	struct pa_merge_message_reading *messages = reading->messages;
	pb_istream_t in;

	if (reading->found)
		messages->value_count = reading->found->type_count;
	return read_bytes(reading, profile, PA_MERGE_MESSAGE_BYTES, &in) &&
		pa_merge_message_rewrite(messages, tag, reading->room->in, in.bytes_left) &&
		put_field(reading, tag, messages->out, messages->out_bytes);
}

/* ---- the texts ---- */

static bool is_clean(const char *text, size_t count)
{
	for (size_t i = 0, part; i < count; i += part) {
		part = text[i] ? pa_utf8_char(text + i, count - i, false) : 0;
		if (!part)
			return false;
	}
	return true;
}

static void copy_cut(char *to, size_t size, const char *text)
{
	size_t count = strnlen(text, size - 1);

	memcpy(to, text, count);
	to[count] = '\0';
}

static void copy_name(struct pa_merge_part_name *name, uint64_t index, const char *text)
{
	if (name->index == index)
		copy_cut(name->text, sizeof(name->text), text);
}

/* text ends with a NUL. */
static void note_text(struct pa_merge_part *found, uint64_t index, const char *text)
{
	static const char *const keys[] = { PA_MERGE_PART_KEY_PID, PA_MERGE_PART_KEY_PROGRAM };

	for (uint32_t i = 0; i < found->type_count; i++) {
		copy_name(&found->types[i].type, index, text);
		copy_name(&found->types[i].unit, index, text);
	}
	copy_name(&found->period_type.type, index, text);
	copy_name(&found->period_type.unit, index, text);
	copy_name(&found->default_type, index, text);
	for (uint32_t i = 0; i < found->comment_count; i++) {
		if (found->comments[i].index == index)
			copy_cut(found->comments[i].text, PA_MERGE_PART_COMMENT_BYTES, text);
	}
	for (size_t i = 0; i < PA_COUNT(keys); i++) {
		if (strcmp(text, keys[i]) == 0)
			found->own_keys[i] = index;
	}
}

static bool read_text(struct reading *reading, pb_istream_t *profile)
{
	char *text = (char *)reading->room->in;
	uint64_t index = reading->messages->counts[PA_MERGE_MESSAGE_TEXTS]++;
	pb_istream_t in;

	if (!read_bytes(reading, profile, PA_MERGE_PART_TEXT_BYTES, &in))
		return false;
	size_t count = in.bytes_left;
	text[count] = '\0';
	if (!is_clean(text, count) || (index == 0 && count) || index > PA_MERGE_MESSAGE_ENTRIES)
		return false;
	if (reading->found)
		note_text(reading->found, index, text);
	return index == 0 || put_field(reading, TAG(Profile, string_table), text, count);
}

/* ---- the head ---- */

static bool read_type(struct reading *reading, pb_istream_t *profile,
	struct pa_merge_part_type *type)
{
	perftools_profiles_ValueType message = perftools_profiles_ValueType_init_zero;
	pb_istream_t in;

	if (!read_bytes(reading, profile, PA_MERGE_MESSAGE_BYTES, &in) ||
		!pb_decode(&in, perftools_profiles_ValueType_fields, &message))
		return false;
	type->type.index = (uint64_t)message.type;
	type->unit.index = (uint64_t)message.unit;
	return true;
}

static bool read_sample_type(struct reading *reading, pb_istream_t *profile)
{
	struct pa_merge_part *found = reading->found;

	if (found->type_count == PA_COUNT(found->types))
		return false;
	return read_type(reading, profile, &found->types[found->type_count++]);
}

static bool read_comment(struct pa_merge_part *found, pb_istream_t *in)
{
	uint64_t index;

	if (!pb_decode_varint(in, &index))
		return false;
	if (found->comment_count < PA_MERGE_PART_COMMENTS)
		found->comments[found->comment_count++].index = index;
	return true;
}

static bool read_comments(struct reading *reading, pb_istream_t *profile)
{
	pb_istream_t in;

	if (!read_bytes(reading, profile, PA_MERGE_MESSAGE_BYTES, &in))
		return false;
	while (in.bytes_left) {
		if (!read_comment(reading->found, &in))
			return false;
	}
	return true;
}

static bool read_number(pb_istream_t *profile, int64_t *number)
{
	uint64_t value;

	if (!pb_decode_varint(profile, &value))
		return false;
	*number = (int64_t)value;
	return true;
}

/* A field of numbers, or of what has no rules. The second reading needs none of them. */
static bool read_head(struct reading *reading, pb_istream_t *profile, uint32_t tag,
	pb_wire_type_t wire)
{
	struct pa_merge_part *found = reading->found;
	const bool bytes = wire == PB_WT_STRING, number = wire == PB_WT_VARINT;

	if (!found)
		return pb_skip_field(profile, wire);
	if (bytes && tag == TAG(Profile, sample_type))
		return read_sample_type(reading, profile);
	if (bytes && tag == TAG(Profile, period_type))
		return read_type(reading, profile, &found->period_type);
	if (bytes && tag == TAG(Profile, comment))
		return read_comments(reading, profile);
	if (number && tag == TAG(Profile, comment))
		return read_comment(found, profile);
	if (number && tag == TAG(Profile, time_nanos))
		return read_number(profile, &found->time_ns);
	if (number && tag == TAG(Profile, duration_nanos))
		return read_number(profile, &found->duration_ns);
	if (number && tag == TAG(Profile, period))
		return read_number(profile, &found->period);
	if (number && tag == TAG(Profile, default_sample_type))
		return read_number(profile, (int64_t *)&found->default_type.index);
	return pb_skip_field(profile, wire);
}

/* ---- both readings ---- */

static bool read_field(struct reading *reading, pb_istream_t *profile, uint32_t tag,
	pb_wire_type_t wire)
{
	if (wire == PB_WT_STRING && tag == TAG(Profile, string_table))
		return read_text(reading, profile);
	if (pa_merge_message_is_known(tag))
		return wire == PB_WT_STRING && read_message(reading, profile, tag);
	return read_head(reading, profile, tag, wire);
}

static bool read_in(pb_istream_t *stream, pb_byte_t *to, size_t count)
{
	pb_byte_t skipped[64] = { 0 };
	size_t left = count;

	while (left) {
		size_t part = to || left < sizeof(skipped) ? left : sizeof(skipped);
		if (pa_gunzip_read(stream->state, to ? to : skipped, part) != part) {
			stream->bytes_left = 0; /* nanopb: the end */
			return false;
		}
		left -= part;
	}
	return true;
}

static bool read_profile(struct reading *reading)
{
	pb_istream_t profile = {
		.callback = read_in, .state = reading->from, .bytes_left = PA_MERGE_PART_BYTES
	};
	pb_wire_type_t wire;
	uint32_t tag;
	bool eof;

	pa_gunzip_rewind(reading->from);
	while (pb_decode_tag(&profile, &wire, &tag, &eof)) {
		if (!read_field(reading, &profile, tag, wire))
			return false;
	}
	return eof && pa_gunzip_is_whole(reading->from);
}

static bool has_texts(const struct pa_merge_part *part)
{
	for (uint32_t i = 0; i < part->type_count; i++) {
		if (!part->types[i].type.text[0] || !part->types[i].unit.text[0])
			return false;
	}
	return part->type_count > 0;
}

static void begin_reading(struct pa_merge_message_reading *messages)
{
	memset(messages, 0, offsetof(struct pa_merge_message_reading, out));
	messages->nested = false;
}

PA_AGENT int pa_merge_part_check(struct pa_gunzip *from, struct pa_merge_part_room *room,
	struct pa_merge_part *part)
{
	struct pa_merge_message_reading *messages = &room->messages;
	struct reading reading = {
		.from = from, .room = room, .messages = messages, .found = part
	};

	memset(part, 0, sizeof(*part));
	begin_reading(messages);
	if (!read_profile(&reading) || !messages->counts[PA_MERGE_MESSAGE_TEXTS] ||
		!pa_merge_message_refers_to_entries(messages) || !has_texts(part))
		return -EBADMSG;
	memcpy(part->counts, messages->counts, sizeof(part->counts));
	return 0;
}

PA_AGENT int pa_merge_part_write(struct pa_gunzip *from, struct pa_merge_part_room *room,
	const struct pa_merge_part *part, const struct pa_merge_part_target *target)
{
	struct pa_merge_message_reading *messages = &room->messages;
	struct reading reading = {
		.from = from, .room = room, .messages = messages, .target = target
	};

	begin_reading(messages);
	messages->value_count = part->type_count;
	messages->labels = &target->labels;
	memcpy(messages->left_out, part->own_keys, sizeof(messages->left_out));
	memcpy(messages->shifts, target->shifts, sizeof(messages->shifts));
	if (read_profile(&reading))
		return 0;
	return reading.stopped ? -ECANCELED : -EBADMSG;
}

PA_AGENT struct pa_merge_part_room *pa_merge_part_room(void)
{
	return pa_map(sizeof(struct pa_merge_part_room));
}

PA_AGENT void pa_merge_part_room_free(struct pa_merge_part_room *room)
{
	if (room)
		pa_unmap(room, sizeof(*room));
}
