/* SPDX-License-Identifier: Apache-2.0 */
#include "encode.h"

#include <errno.h>
#include <pb_encode.h>
#include <string.h>

#include "gzip.h"
#include "mappings.h"
#include "look_up.h"
#include "profile.pb.h"
#include "sample_values.h"
#include "strtab.h"
#include "tags.h"
#include "../agent/base/utf8.h"

typedef perftools_profiles_Function pb_function;
typedef perftools_profiles_Label pb_label;
typedef perftools_profiles_Line pb_line;
typedef perftools_profiles_Location pb_location;
typedef perftools_profiles_Mapping pb_mapping;
typedef perftools_profiles_Profile pb_profile;
typedef perftools_profiles_Sample pb_sample;
typedef perftools_profiles_ValueType pb_value_type;

/* Collects small writes, so that not each one calls deflate(). */
#define BUFFER_BYTES 4096
/* Some consumers reject the whole profile because of a longer string. */
#define TEXT_LIMIT_BYTES 65535
/* Limit for the scratch memory; no message comes near it. */
#define MESSAGE_LIMIT_BYTES ((size_t)1 << 26)

struct encoder {
	const struct pa_snapshot *snapshot;
	const struct pa_sink *sink;
	struct pa_gzip *gzip;
	int error; /* the first error; after it nothing reaches the sink */
	struct pa_strtab strings;
	struct pa_mappings mappings;
	struct pa_id_table numbering;
	uint32_t lacking;                            /* locations without lines so far */
	char lacking_text[PA_LOOK_UP_COMMENT_BYTES]; /* lives as long as the string table */
	struct pa_scratch scratch;                   /* for one message at a time */
	pb_ostream_t out;
	size_t used;
	pb_byte_t buffer[BUFFER_BYTES];
};

static bool fail_encode(struct encoder *enc, int error)
{
	if (!enc->error)
		enc->error = error;
	return false;
}

/* ---------------------------------------------------------------- bytes */

static bool flush_encoder(struct encoder *enc)
{
	size_t used = enc->used;

	enc->used = 0;
	return pa_gzip_write(enc->gzip, enc->buffer, used) || fail_encode(enc, -ECANCELED);
}

static bool write_out(pb_ostream_t *stream, const pb_byte_t *bytes, size_t count)
{
	struct encoder *enc = stream->state;

	if (count > sizeof(enc->buffer) - enc->used && !flush_encoder(enc))
		return false;
	if (count > sizeof(enc->buffer))
		return pa_gzip_write(enc->gzip, bytes, count) || fail_encode(enc, -ECANCELED);
	memcpy(enc->buffer + enc->used, bytes, count);
	enc->used += count;
	return true;
}

/* Receives gzip's output. After an error it drops even the trailer, so that the profile is visibly
 * truncated. */
static bool write_sink(void *arg, const void *bytes, size_t count)
{
	struct encoder *enc = arg;

	return !enc->error && enc->sink->write(enc->sink->arg, bytes, count);
}

/* Writes one field of the profile. The message is built in scratch memory, which is faster than
 * nanopb's encoding it twice (once for its length). */
static bool put_message(struct encoder *enc, uint32_t tag, const pb_msgdesc_t *type,
	const void *message)
{
	pb_ostream_t part;

	for (;;) {
		part = pb_ostream_from_buffer(enc->scratch.at, enc->scratch.bytes);
		if (pb_encode(&part, type, message))
			break;
		if (enc->scratch.bytes > MESSAGE_LIMIT_BYTES ||
			!pa_scratch(&enc->scratch, enc->scratch.bytes + 1))
			return fail_encode(enc, -ENOMEM);
	}
	return pb_encode_tag(&enc->out, PB_WT_STRING, tag) &&
		pb_encode_string(&enc->out, enc->scratch.at, part.bytes_written);
}

/* ---------------------------------------------------------------- texts */

static int64_t text_index(struct encoder *enc, const char *text)
{
	int64_t index = pa_strtab_index(&enc->strings, text);

	if (index >= 0)
		return index;
	fail_encode(enc, (int)index);
	return 0;
}

static bool put_pb_text(struct encoder *enc, const char *text)
{
	size_t left = pa_utf8_clean_bytes(text, TEXT_LIMIT_BYTES);
	struct pa_utf8_piece piece;

	if (!pb_encode_tag(&enc->out, PB_WT_STRING, perftools_profiles_Profile_string_table_tag) ||
		!pb_encode_varint(&enc->out, left))
		return false;
	while ((piece = pa_utf8_piece(text, left, false)).source) {
		if (!pb_write(&enc->out, (const pb_byte_t *)piece.bytes, piece.count))
			return false;
		left -= piece.count;
		text += piece.source;
	}
	return true;
}

static bool put_texts(struct encoder *enc)
{
	uint32_t i;

	for (i = 0; i < enc->strings.count; i++)
		if (!put_pb_text(enc, pa_strtab_text(&enc->strings, i)))
			return false;
	return true;
}

/* ---------------------------------------------------------------- repeated fields */

static size_t varint_bytes(uint64_t value)
{
	return (size_t)(70 - __builtin_clzll(value | 1)) / 7;
}

/* Packed numbers of a sample: its values, or the ids of a stack's locations in the profile. */
struct packed {
	size_t count;
	const int64_t *values; /* NULL: ids[locs[...]] */
	const uint32_t *ids, *locs;
};

static uint64_t packed_at(const struct packed *packed, size_t i)
{
	return packed->values ? (uint64_t)packed->values[i] : packed->ids[packed->locs[i]];
}

static bool put_packed(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
	const struct packed *packed = *arg;
	size_t i, bytes = 0;

	if (!packed->count)
		return true;
	for (i = 0; i < packed->count; i++)
		bytes += varint_bytes(packed_at(packed, i));
	if (!pb_encode_tag(stream, PB_WT_STRING, field->tag) || !pb_encode_varint(stream, bytes))
		return false;
	for (i = 0; i < packed->count; i++)
		if (!pb_encode_varint(stream, packed_at(packed, i)))
			return false;
	return true;
}

struct messages {
	const pb_msgdesc_t *type;
	const void *first;
	size_t size, count; /* size and number of the elements */
};

static bool put_messages(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
	const struct messages *list = *arg;
	size_t i;

	for (i = 0; i < list->count; i++)
		if (!pb_encode_tag_for_field(stream, field) ||
			!pb_encode_submessage(stream, list->type,
				(const char *)list->first + i * list->size))
			return false;
	return true;
}

struct comments {
	struct encoder *enc;
	char *const *texts;
	size_t count;
};

static bool put_comments(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
	const struct comments *comments = *arg;
	size_t i;

	for (i = 0; i < comments->count; i++)
		if (!pb_encode_tag_for_field(stream, field) ||
			!pb_encode_varint(stream,
				(uint64_t)text_index(comments->enc, comments->texts[i])))
			return false;
	return true;
}

/* ---------------------------------------------------------------- fields, in order */

static pb_value_type value_type(struct encoder *enc, const struct pa_profile_ops_type *type)
{
	pb_value_type out = { .type = text_index(enc, type->type) };

	out.unit = text_index(enc, type->unit);
	return out;
}

/* Writes the scalar fields: a Profile whose repeated fields stay empty. */
static bool put_profile_head(struct encoder *enc)
{
	const struct pa_snapshot *snapshot = enc->snapshot;
	const struct pa_profile_ops *kind = snapshot->kind;
	pb_value_type list[PA_PROFILE_OPS_VALUES];
	struct comments comments = { enc, snapshot->comments, snapshot->comment_count };
	struct messages types = { perftools_profiles_ValueType_fields, list, sizeof(list[0]),
		kind->value_count };
	pb_profile head = perftools_profiles_Profile_init_zero;
	size_t i;

	for (i = 0; i < types.count; i++)
		list[i] = value_type(enc, &kind->values[i]);
	head.sample_type = (pb_callback_t){ { .encode = put_messages }, &types };
	head.default_sample_type = text_index(enc, kind->default_sample_type);
	head.has_period_type = true;
	head.period_type = value_type(enc, &kind->period_type);
	head.period = snapshot->period;
	head.time_nanos = snapshot->time_ns;
	head.duration_nanos = snapshot->duration_ns;
	head.comment = (pb_callback_t){ { .encode = put_comments }, &comments };
	return pb_encode(&enc->out, perftools_profiles_Profile_fields, &head);
}

/* Numbers the locations of the stack that have no id yet. */
static bool number_locations(struct encoder *enc, const struct pa_stack *stack)
{
	uint32_t id = enc->numbering.loc_count;

	if (pa_id_table_stack(&enc->numbering, stack))
		return fail_encode(enc, -ENOMEM);
	while (id < enc->numbering.loc_count)
		pa_mappings_refer(&enc->mappings, pa_id_table_loc(&enc->numbering, ++id));
	return true;
}

/* Returns the number of labels. */
static size_t fill_labels(struct encoder *enc, const struct pa_sample *sample, pb_label *labels)
{
	struct pa_tag tags[PA_TAGS_MAX];
	size_t i, count = pa_tags_of(enc->snapshot->kind, sample, tags);

	for (i = 0; i < count; i++) {
		labels[i] = (pb_label){ .key = text_index(enc, tags[i].key) };
		if (tags[i].text)
			labels[i].str = text_index(enc, tags[i].text);
		else
			labels[i].num = tags[i].number;
	}
	return count;
}

static bool put_sample(struct encoder *enc, const struct pa_sample *sample)
{
	const struct pa_snapshot *snapshot = enc->snapshot;
	int64_t values[PA_PROFILE_OPS_VALUES];
	struct packed numbers = { .values = values, .count = snapshot->kind->value_count };
	struct packed ids = { .locs = sample->stack->locs, .count = sample->stack->depth };
	pb_label list[PA_TAGS_MAX];
	struct messages labels = { perftools_profiles_Label_fields, list, sizeof(list[0]), 0 };
	pb_sample message = {
		.location_id = { { .encode = put_packed }, &ids },
		.value = { { .encode = put_packed }, &numbers },
		.label = { { .encode = put_messages }, &labels },
	};

	if (!number_locations(enc, sample->stack))
		return false;
	ids.ids = pa_id_table_ids(&enc->numbering);
	pa_sample_values_of(snapshot, sample, values);
	labels.count = fill_labels(enc, sample, list);
	return put_message(enc, perftools_profiles_Profile_sample_tag,
		perftools_profiles_Sample_fields, &message);
}

static bool put_samples(struct encoder *enc)
{
	size_t i;

	for (i = 0; i < enc->snapshot->sample_count && !enc->error; i++)
		if (!put_sample(enc, &enc->snapshot->samples[i]))
			return false;
	return !enc->error;
}

/* Fills in the lines of a location and numbers their functions. */
static bool fill_pb_lines(struct encoder *enc, const struct pa_frame *frames, size_t count,
	pb_line *lines)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (pa_id_table_function(&enc->numbering, frames[i].function))
			return fail_encode(enc, -ENOMEM);
		lines[i] = (pb_line){ .function_id = frames[i].function->mark,
			.line = frames[i].line };
	}
	return true;
}

static bool put_pb_location(struct encoder *enc, uint32_t id)
{
	const struct pa_loc *loc = pa_id_table_loc(&enc->numbering, id);
	uint32_t mapping_id = pa_mappings_id(&enc->mappings, loc);
	struct pa_frame frames[PA_SYMBOLS_INLINE_MAX];
	pb_line list[PA_SYMBOLS_INLINE_MAX];
	struct messages lines = { perftools_profiles_Line_fields, list, sizeof(list[0]), 0 };
	pb_location message = {
		.id = id,
		.mapping_id = mapping_id,
		/* Also for pseudo locations: consumers distinguish locations by address. */
		.address = loc->pc,
		.line = { { .encode = put_messages }, &lines },
	};

	lines.count = pa_symbols_lookup(loc, frames, PA_SYMBOLS_INLINE_MAX);
	pa_mappings_named(&enc->mappings, mapping_id, frames, (uint32_t)lines.count);
	return fill_pb_lines(enc, frames, lines.count, list) &&
		put_message(enc, perftools_profiles_Profile_location_tag,
			perftools_profiles_Location_fields, &message);
}

static bool put_locations(struct encoder *enc)
{
	enc->lacking = pa_look_up_ids(&enc->numbering, enc->sink);
	for (uint32_t id = 1; id <= enc->numbering.loc_count; id++)
		if (!put_pb_location(enc, id))
			return false;
	return true;
}

/* A has_* flag tells readers to keep our data, so it must hold for all locations of the mapping: if
 * one location has no name, the reader does its own look-up, as with Go. */
static bool put_mapping(struct encoder *enc, uint32_t id)
{
	const struct pa_mapping *mapping = pa_mappings_get(&enc->mappings, id);
	bool named = mapping->used && !mapping->unnamed;
	pb_mapping message = {
		.id = id,
		.memory_start = mapping->segment->start,
		.memory_limit = mapping->segment->limit,
		.file_offset = mapping->segment->offset,
		.filename = text_index(enc, mapping->module->path),
		.build_id = text_index(enc, mapping->build_id),
		.has_functions = named,
		.has_filenames = named && !mapping->without_file,
		.has_line_numbers = named && !mapping->without_line,
		.has_inline_frames = named && mapping->inlined,
	};

	return put_message(enc, perftools_profiles_Profile_mapping_tag,
		perftools_profiles_Mapping_fields, &message);
}

static bool put_mappings(struct encoder *enc)
{
	for (uint32_t id = 1; id <= enc->mappings.count; id++)
		if (!put_mapping(enc, id))
			return false;
	return true;
}

static bool put_function(struct encoder *enc, const struct pa_function *function)
{
	pb_function message = {
		.id = function->mark,
		.name = text_index(enc, function->name),
		.system_name = text_index(enc, function->system_name),
		.filename = text_index(enc, function->file),
		.start_line = function->start_line,
	};

	return put_message(enc, perftools_profiles_Profile_function_tag,
		perftools_profiles_Function_fields, &message);
}

static bool put_functions(struct encoder *enc)
{
	for (uint32_t id = 1; id <= enc->numbering.function_count; id++)
		if (!put_function(enc, pa_id_table_get(&enc->numbering, id)))
			return false;
	return !enc->error;
}

/* Protobuf merges repeated parts of a field: what the look-ups show comes last. */
static bool put_lacking(struct encoder *enc)
{
	char *text = pa_look_up_comment(enc->lacking_text, enc->lacking);
	struct comments comments = { enc, &text, text != NULL };
	pb_profile tail = perftools_profiles_Profile_init_zero;

	tail.comment = (pb_callback_t){ { .encode = put_comments }, &comments };
	return pb_encode(&enc->out, perftools_profiles_Profile_fields, &tail);
}

/* Samples first: they need no names, so the first bytes leave early. Mappings come after the
 * locations, because the look-ups determine their flags, and the string table last. */
static bool put_profile(struct encoder *enc)
{
	int error;

	if (!put_profile_head(enc) || !put_samples(enc))
		return false;
	error = pa_mappings_number(&enc->mappings);
	if (error)
		return fail_encode(enc, error);
	return put_locations(enc) && put_mappings(enc) && put_functions(enc) && put_lacking(enc) &&
		put_texts(enc) && flush_encoder(enc);
}

static bool open_encoder(struct encoder *enc)
{
	const struct pa_sink to = { .write = write_sink, .arg = enc };

	enc->out.callback = write_out;
	enc->out.state = enc;
	enc->out.max_size = SIZE_MAX;
	if (pa_strtab_init(&enc->strings) || pa_mappings_init(&enc->mappings) ||
		pa_id_table_init(&enc->numbering) || !pa_scratch(&enc->scratch, 1))
		return fail_encode(enc, -ENOMEM);
	enc->gzip = pa_gzip_open(&to);
	return enc->gzip || fail_encode(enc, -ENOMEM);
}

static void free_tables(struct encoder *enc)
{
	pa_scratch_free(&enc->scratch);
	pa_id_table_free(&enc->numbering);
	pa_mappings_free(&enc->mappings);
	pa_strtab_free(&enc->strings);
}

PA_AGENT int pa_encode_profile(const struct pa_snapshot *snapshot, const struct pa_sink *sink)
{
	struct encoder enc = { .snapshot = snapshot, .sink = sink };
	int error;

	if (open_encoder(&enc) && !put_profile(&enc))
		fail_encode(&enc, -EIO);
	if (enc.gzip) {
		error = pa_gzip_close(enc.gzip);
		/* A failure of zlib has looked like a disconnected client until here. */
		if ((error && error != -ECANCELED) || !enc.error)
			enc.error = error;
	}
	free_tables(&enc);
	return enc.error;
}
