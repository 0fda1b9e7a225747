/* SPDX-License-Identifier: Apache-2.0 */
#include "merge_message.h"

#include <pb_decode.h>
#include <pb_encode.h>

#include "profile.pb.h"

#define TAG(message, field) perftools_profiles_##message##_##field##_tag

/* ---- the fields of the messages ---- */

enum form {
	NUMBER,
	VALUE,     /* of a sample */
	REFERENCE, /* to an entry of the table, or 0 */
	ENTRY,     /* a reference that is not 0; a label or line has at least one */
	KEY,       /* an entry: the key of a label */
	OWN,       /* id of the message itself */
	MESSAGE
};

struct rule {
	uint32_t tag; /* 0: the last one */
	enum form form;
	enum pa_merge_message_table table;
	const struct rule *inner;
};

static const struct rule label_rules[] = {
	{ TAG(Label, key), KEY, PA_MERGE_MESSAGE_TEXTS, NULL },
	{ TAG(Label, str), REFERENCE, PA_MERGE_MESSAGE_TEXTS, NULL },
	{ TAG(Label, num), NUMBER, 0, NULL },
	{ TAG(Label, num_unit), REFERENCE, PA_MERGE_MESSAGE_TEXTS, NULL },
	{ 0 },
};

static const struct rule sample_rules[] = {
	{ TAG(Sample, location_id), ENTRY, PA_MERGE_MESSAGE_LOCATIONS, NULL },
	{ TAG(Sample, value), VALUE, 0, NULL },
	{ TAG(Sample, label), MESSAGE, 0, label_rules },
	{ 0 },
};

static const struct rule mapping_rules[] = {
	{ TAG(Mapping, id), OWN, PA_MERGE_MESSAGE_MAPPINGS, NULL },
	{ TAG(Mapping, memory_start), NUMBER, 0, NULL },
	{ TAG(Mapping, memory_limit), NUMBER, 0, NULL },
	{ TAG(Mapping, file_offset), NUMBER, 0, NULL },
	{ TAG(Mapping, filename), REFERENCE, PA_MERGE_MESSAGE_TEXTS, NULL },
	{ TAG(Mapping, build_id), REFERENCE, PA_MERGE_MESSAGE_TEXTS, NULL },
	{ TAG(Mapping, has_functions), NUMBER, 0, NULL },
	{ TAG(Mapping, has_filenames), NUMBER, 0, NULL },
	{ TAG(Mapping, has_line_numbers), NUMBER, 0, NULL },
	{ TAG(Mapping, has_inline_frames), NUMBER, 0, NULL },
	{ 0 },
};

static const struct rule line_rules[] = {
	{ TAG(Line, function_id), ENTRY, PA_MERGE_MESSAGE_FUNCTIONS, NULL },
	{ TAG(Line, line), NUMBER, 0, NULL },
	{ TAG(Line, column), NUMBER, 0, NULL },
	{ 0 },
};

static const struct rule location_rules[] = {
	{ TAG(Location, id), OWN, PA_MERGE_MESSAGE_LOCATIONS, NULL },
	{ TAG(Location, mapping_id), REFERENCE, PA_MERGE_MESSAGE_MAPPINGS, NULL },
	{ TAG(Location, address), NUMBER, 0, NULL },
	{ TAG(Location, line), MESSAGE, 0, line_rules },
	{ TAG(Location, is_folded), NUMBER, 0, NULL },
	{ 0 },
};

static const struct rule function_rules[] = {
	{ TAG(Function, id), OWN, PA_MERGE_MESSAGE_FUNCTIONS, NULL },
	{ TAG(Function, name), REFERENCE, PA_MERGE_MESSAGE_TEXTS, NULL },
	{ TAG(Function, system_name), REFERENCE, PA_MERGE_MESSAGE_TEXTS, NULL },
	{ TAG(Function, filename), REFERENCE, PA_MERGE_MESSAGE_TEXTS, NULL },
	{ TAG(Function, start_line), NUMBER, 0, NULL },
	{ 0 },
};

static const struct rule *field_rule(const struct rule *rules, uint32_t tag)
{
	while (rules->tag && rules->tag != tag)
		rules++;
	return rules->tag ? rules : NULL;
}

/* ---- one message ---- */

/* Shifts a reference. False: out of range. */
static bool shift_reference(struct pa_merge_message_reading *reading, const struct rule *rule,
	uint64_t *value)
{
	if (*value == 0)
		return rule->form == REFERENCE;
	if (*value > PA_MERGE_MESSAGE_ENTRIES)
		return false;
	if (*value > reading->highest[rule->table])
		reading->highest[rule->table] = *value;
	*value += reading->shifts[rule->table];
	return true;
}

/* Shifts the number of a field as its form demands. False: the message is wrong. */
static bool shift_number(struct pa_merge_message_reading *reading, const struct rule *rule,
	uint64_t *value)
{
	switch (rule->form) {
	case NUMBER: return true;
	case VALUE: reading->values++; return true;
	case KEY:
		reading->label_key = *value;
		reading->entries++;
		break;
	case OWN:
		reading->owns++;
		if (*value != reading->counts[rule->table] + 1)
			return false;
		break;
	case ENTRY: reading->entries++; break;
	case REFERENCE: break;
	case MESSAGE: return false;
	}
	return shift_reference(reading, rule, value);
}

static bool rewrite_number(struct pa_merge_message_reading *reading, const struct rule *rule,
	pb_istream_t *in, pb_ostream_t *out)
{
	uint64_t value;

	return pb_decode_varint(in, &value) && shift_number(reading, rule, &value) &&
		pb_encode_tag(out, PB_WT_VARINT, rule->tag) && pb_encode_varint(out, value);
}

static bool rewrite_packed(struct pa_merge_message_reading *reading, const struct rule *rule,
	pb_istream_t *in, pb_ostream_t *out)
{
	pb_ostream_t inner = pb_ostream_from_buffer(reading->inner, PA_MERGE_MESSAGE_OUT_BYTES);
	uint64_t value;

	while (in->bytes_left) {
		if (!pb_decode_varint(in, &value) || !shift_number(reading, rule, &value) ||
			!pb_encode_varint(&inner, value))
			return false;
	}
	return pb_encode_tag(out, PB_WT_STRING, rule->tag) &&
		pb_encode_string(out, reading->inner, inner.bytes_written);
}

static bool rewrite_fields(struct pa_merge_message_reading *reading, const struct rule *rules,
	pb_istream_t *in, pb_ostream_t *out);

/* Readers disagree about two values of one key: the part's own pid and program are left out. */
static bool is_own_label(const struct pa_merge_message_reading *reading, const struct rule *rule)
{
	const uint64_t *keys = reading->left_out;

	return rule->inner == label_rules && reading->label_key &&
		(reading->label_key == keys[0] || reading->label_key == keys[1]);
}

static bool rewrite_inner(struct pa_merge_message_reading *reading, const struct rule *rule,
	pb_istream_t *in, pb_ostream_t *out)
{
	pb_ostream_t inner = pb_ostream_from_buffer(reading->inner, PA_MERGE_MESSAGE_OUT_BYTES);

	reading->label_key = 0;
	reading->entries = 0;
	reading->nested = true;
	bool good = rewrite_fields(reading, rule->inner, in, &inner);
	reading->nested = false;
	if (!good)
		return false;
	if (!reading->entries)
		return false;
	reading->label_count += rule->inner == label_rules;
	return is_own_label(reading, rule) ||
		(pb_encode_tag(out, PB_WT_STRING, rule->tag) &&
			pb_encode_string(out, reading->inner, inner.bytes_written));
}

static bool rewrite_bytes(struct pa_merge_message_reading *reading, const struct rule *rule,
	pb_istream_t *in, pb_ostream_t *out)
{
	pb_istream_t inner;

	if (!pb_make_string_substream(in, &inner))
		return false;
	bool good = rule->form == MESSAGE ? rewrite_inner(reading, rule, &inner, out) :
					    rewrite_packed(reading, rule, &inner, out);
	return good && pb_close_string_substream(in, &inner);
}

static bool rewrite_fields(struct pa_merge_message_reading *reading, const struct rule *rules,
	pb_istream_t *in, pb_ostream_t *out)
{
	pb_wire_type_t wire;
	uint32_t tag;
	bool eof;

	while (in->bytes_left) {
		if (!pb_decode_tag(in, &wire, &tag, &eof))
			return false;
		const struct rule *rule = field_rule(rules, tag);
		bool good = !rule ? pb_skip_field(in, wire) :
			wire == PB_WT_STRING && !reading->nested ?
				    rewrite_bytes(reading, rule, in, out) :
			wire == PB_WT_VARINT ? rewrite_number(reading, rule, in, out) :
					       false;
		if (!good)
			return false;
	}
	return true;
}

/* ---- whole messages ---- */

static const struct kind {
	uint32_t tag;
	const struct rule *rules;
	enum pa_merge_message_table table; /* that it is an entry of; not a sample */
} kinds[] = {
	{ TAG(Profile, sample), sample_rules, 0 },
	{ TAG(Profile, mapping), mapping_rules, PA_MERGE_MESSAGE_MAPPINGS },
	{ TAG(Profile, location), location_rules, PA_MERGE_MESSAGE_LOCATIONS },
	{ TAG(Profile, function), function_rules, PA_MERGE_MESSAGE_FUNCTIONS },
};

static const struct kind *kind_of(uint32_t tag)
{
	for (size_t i = 0; i < PA_COUNT(kinds); i++) {
		if (kinds[i].tag == tag)
			return &kinds[i];
	}
	return NULL;
}

static bool put_sample_label(pb_ostream_t *out, const perftools_profiles_Label *label)
{
	return pb_encode_tag(out, PB_WT_STRING, TAG(Sample, label)) &&
		pb_encode_submessage(out, perftools_profiles_Label_fields, label);
}

static bool finish_sample(struct pa_merge_message_reading *reading, pb_ostream_t *out)
{
	const struct pa_merge_message_labels *labels = reading->labels;

	if (!reading->values || reading->values != reading->value_count ||
		reading->label_count > PA_MERGE_MESSAGE_LABELS)
		return false;
	if (!labels)
		return true;
	const perftools_profiles_Label pid = { .key = (int64_t)labels->pid_key,
		.num = labels->pid };
	const perftools_profiles_Label program = { .key = (int64_t)labels->program_key,
		.str = (int64_t)labels->program };
	return put_sample_label(out, &pid) && put_sample_label(out, &program);
}

static bool finish_entry(struct pa_merge_message_reading *reading, const struct kind *kind)
{
	reading->counts[kind->table]++;
	return reading->owns == 1;
}

PA_AGENT bool pa_merge_message_is_known(uint32_t tag)
{
	return kind_of(tag) != NULL;
}

PA_AGENT bool pa_merge_message_rewrite(struct pa_merge_message_reading *reading, uint32_t tag,
	const void *bytes, size_t count)
{
	pb_ostream_t out = pb_ostream_from_buffer(reading->out, sizeof(reading->out));
	pb_istream_t in = pb_istream_from_buffer(bytes, count);
	const struct kind *kind = kind_of(tag);

	reading->values = reading->label_count = reading->owns = 0;
	if (count > PA_MERGE_MESSAGE_BYTES || !rewrite_fields(reading, kind->rules, &in, &out))
		return false;
	if (kind->rules == sample_rules ? !finish_sample(reading, &out) :
					  !finish_entry(reading, kind))
		return false;
	reading->out_bytes = out.bytes_written;
	return true;
}

PA_AGENT bool pa_merge_message_refers_to_entries(const struct pa_merge_message_reading *reading)
{
	for (size_t i = 0; i < PA_MERGE_MESSAGE_TABLES; i++) {
		/* Texts are counted from 0. */
		uint64_t limit = reading->counts[i] + (i != PA_MERGE_MESSAGE_TEXTS);
		if (reading->highest[i] && reading->highest[i] >= limit)
			return false;
	}
	return true;
}
